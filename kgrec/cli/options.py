"""Options that several commands share, and what their texts become."""

from pathlib import Path
from typing import Annotated

import typer

from kgrec.config import Config, StoreConfig
from kgrec.errors import ConfigError

#: Where `query` and `status` look when nobody says where.
DEFAULT_STORE = "embedded:graph.kgl"

ConfigFile = Annotated[
    Path, typer.Option("--config", "-c", metavar="C.toml", help="Settings, a TOML file.")
]
OptionalConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="C.toml", help="Take the store from these settings."),
]
StoreUri = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URI",
        help="embedded:PATH, bolt://HOST:PORT, neo4j://HOST … instead of the settings' store.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a setting, e.g. training.epochs=5; repeatable."
    ),
]
MaxBadRows = Annotated[
    str | None,
    typer.Option(
        "--max-bad-rows",
        metavar="N|P%",
        help="Tolerate so many unusable rows a source; they go to a file of rejects.",
    ),
]
RunDirectory = Annotated[
    Path, typer.Option("--run", metavar="DIR", help="The directory of a trained run.")
]
NumItems = Annotated[int, typer.Option("-k", metavar="K", help="How many items.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]


def load_config(
    path: Path, store: str | None, overrides: list[str] | None, max_bad_rows: str | None = None
) -> Config:
    """Reads the settings; `--set`, `--max-bad-rows` and `--store` win over the file.

    Raises:
        ConfigError: If a setting cannot be used.
    """
    changes = list(overrides or ())
    if max_bad_rows is not None:
        changes.append(f'data.cleaning.max_bad_rows="{max_bad_rows}"')
    return with_store(Config.load(path, tuple(changes)), store)


def with_store(config: Config, uri: str | None) -> Config:
    """Gives the settings with another store; the path of `embedded:PATH` is the caller's."""
    if uri is None:
        return config
    return config.model_copy(
        update={"store": config.store.model_copy(update={"uri": absolute_uri(uri)})}
    )


def store_config(config_file: Path | None, uri: str | None) -> StoreConfig:
    """Gives the store to look at: `--store`, else the settings' one, else the default.

    Raises:
        ConfigError: If the settings cannot be used.
    """
    if config_file is not None:
        return load_config(config_file, uri, None).store
    return StoreConfig(uri=absolute_uri(uri or DEFAULT_STORE))


def absolute_uri(uri: str) -> str:
    """Gives an address whose path, if it has one, is absolute."""
    scheme, _, path = uri.partition(":")
    return f"embedded:{Path(path).resolve()}" if scheme == "embedded" and path else uri


def positive(k: int) -> int:
    """Gives k; raises ConfigError unless it is a list length."""
    if k < 1:
        raise ConfigError(f"k must be positive, got {k}; give a list length such as -k 10")
    return k


def list_lengths(text: str) -> tuple[int, ...]:
    """Reads "10,20".

    Raises:
        ConfigError: If it is not a list of positive whole numbers.
    """
    try:
        lengths = tuple(int(part) for part in text.split(","))
    except ValueError as exc:
        raise ConfigError(
            f"--k {text!r} is not a list of whole numbers; write it like --k 10,20"
        ) from exc
    if min(lengths) < 1:
        raise ConfigError(f"k must be positive, got {text}; write it like --k 10,20")
    return tuple(sorted(set(lengths)))
