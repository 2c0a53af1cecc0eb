"""Settings: frozen, complete, and refused when misspelt.

A TOML file gives the values, `--set key=value` and keyword arguments override them, and the
environment gives what must never be saved (`KGREC_NEO4J_USER`, `KGREC_NEO4J_PASSWORD`). Paths in a
file are relative to that file. Defaults live in the modules here and
nowhere else.
"""

import json
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from kgrec import registry
from kgrec.addresses import without_secrets
from kgrec.config.adopt import AdoptConfig
from kgrec.config.adopted import with_adopted
from kgrec.config.base import PartConfig, Settings, TimeFormat
from kgrec.config.data import (
    Behaviour,
    CleaningConfig,
    DataConfig,
    RelationRule,
    SplitConfig,
)
from kgrec.config.removals import refuse_removed
from kgrec.config.sections import (
    AdversarialConfig,
    AugmentConfig,
    ColdConfig,
    DefenceConfig,
    EvaluationConfig,
    FusionConfig,
    GanConfig,
    ModelConfig,
    ResolutionConfig,
    SearchConfig,
    StoreConfig,
    TextConfig,
    TrainingConfig,
)
from kgrec.config.source import NODE_KINDS, Kind, PropertyRule, Source
from kgrec.errors import ConfigError
from kgrec.files import read_text

__all__ = [
    "NODE_KINDS",
    "AdoptConfig",
    "AdversarialConfig",
    "AugmentConfig",
    "Behaviour",
    "CleaningConfig",
    "Config",
    "DataConfig",
    "DefenceConfig",
    "FusionConfig",
    "GanConfig",
    "Kind",
    "ModelConfig",
    "PropertyRule",
    "RelationRule",
    "ResolutionConfig",
    "Source",
    "SplitConfig",
    "StoreConfig",
    "TextConfig",
    "TimeFormat",
    "TrainingConfig",
]


class Config(Settings):
    """Everything a run depends on; saved whole in its directory."""

    seed: int = Field(0, ge=0)
    store: StoreConfig = StoreConfig()
    adopt: AdoptConfig | None = None
    data: DataConfig
    resolution: ResolutionConfig = ResolutionConfig()
    text: TextConfig = TextConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    search: SearchConfig = SearchConfig()
    augment: AugmentConfig = AugmentConfig()
    defence: DefenceConfig = DefenceConfig()
    cold: ColdConfig = ColdConfig()
    fusion: FusionConfig = FusionConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="before")
    @classmethod
    def _adopted_graph_is_data(cls, tree: Any) -> Any:
        """What follows from `[adopt]` stands in `[data]`, so nothing else need know of it."""
        if not isinstance(tree, dict) or tree.get("adopt") is None:
            return tree
        try:
            adopt = AdoptConfig.model_validate(tree["adopt"])
        except ValidationError:
            # The field itself says what is wrong; the data that would follow is not missed.
            return {**tree, "data": _NO_DATA}
        data = tree.get("data", {})
        if isinstance(data, DataConfig):
            data = data.model_dump(mode="json", exclude_unset=True)
        return {**tree, "adopt": adopt, "data": with_adopted(data, adopt)}

    @model_validator(mode="after")
    def _an_adopted_graph_is_no_store(self) -> Self:
        self.refuse_adopted_store()
        return self

    @model_validator(mode="after")
    def _something_scores(self) -> Self:
        always = [part for part in registry.parts() if not part.needs_times]
        if not any(part.is_enabled(self) for part in always):
            names = ", ".join(part.name for part in always)
            raise ValueError(f"{names} are all off: nothing can score; turn one on")
        return self

    @model_validator(mode="after")
    def _edges_can_be_learned(self) -> Self:
        source = self.augment.source
        if source != "none" and not self.fusion.network:
            raise ValueError(
                f"augment.source is {source}, but fusion.network is false: nothing learns its edges"
            )
        taught = registry.part("closed_form").is_enabled(self)
        if source in ("teacher", "gan") and not taught:
            raise ValueError(
                f"augment.source is {source}, which starts from the closed form, but "
                f"closed_form.enabled is false; take another source"
            )
        return self

    @classmethod
    def add_section(cls, name: str, section: type[PartConfig]) -> None:
        """Adds the settings of a part as a section, with their defaults; again replaces it.

        Settings that were read before know nothing of it; `PartConfig.of` gives its defaults.

        Raises:
            ConfigError: If the name is no name of a section, or that of something else.
        """
        field = cls.__pydantic_fields__.get(name)
        present = cls if field is None else field.annotation
        is_part = isinstance(present, type) and issubclass(present, PartConfig)
        is_taken = not is_part and (field is not None or hasattr(cls, name))
        if is_taken or not name.isidentifier() or name.startswith(("_", "model_")):
            raise ConfigError(
                f"{name!r} cannot be a section of the settings: it is taken, or no plain name; "
                f"expected one such as my_part; rename the part"
            )
        cls.__pydantic_fields__[name] = FieldInfo(annotation=section, default=section())
        cls.model_rebuild(force=True)

    def refuse_adopted_store(self) -> None:
        """Raises ConfigError if the store is the adopted graph, which kgrec would write over."""
        adopt, store = self.adopt, self.store
        if adopt is None or adopt.database != store.database:
            return
        if _server(adopt.uri) == _server(store.uri):
            raise ConfigError(
                f"store.uri is the graph that [adopt] reads, database {store.database!r}; expected "
                f"another one, since kgrec makes a graph of its own in its store; give for example "
                f"embedded:kgrec.kgl, or another database of the server"
            )

    @classmethod
    def load(cls, path: str | Path, overrides: tuple[str, ...] = ()) -> Self:
        """Reads a TOML file.

        Args:
            path: The file; relative paths in it are relative to its folder.
            overrides: `section.key=value` strings; values are TOML, bare words are strings.

        Raises:
            ConfigError: If the file is missing or not TOML, or a key is unknown or out of range.
        """
        path = Path(path)
        tree = read_tree(path, overrides, "config", "a TOML file; see docs/config.md")
        return cls.build(tree, base=path.parent, source=str(path))

    @classmethod
    def build(cls, tree: dict[str, Any], base: Path = Path(), source: str = "settings") -> Self:
        """Validates a nested dict; `base` resolves relative paths; raises ConfigError."""
        refuse_removed(tree, source)
        try:
            config = cls.model_validate(tree)
        except ValidationError as exc:
            raise ConfigError(_explain(exc, source)) from exc
        return config.resolved(base)

    def resolved(self, base: Path) -> Self:
        """The same settings with absolute paths."""
        return self._with_paths(lambda path: (base / path).resolve())

    def moved(self, origin: Path, target: Path) -> Self:
        """The settings of a copied project: its own files take the place of the original's.

        Args:
            origin: A folder of the project at the time of the settings.
            target: The same folder now. What is as far from it as the old path was from `origin`
                counts if it is there.
        """

        def moved_path(path: Path) -> Path:
            candidate = Path(os.path.normpath(target / os.path.relpath(path, origin)))
            return candidate if candidate.exists() else path

        return self._with_paths(moved_path)

    def _with_paths(self, change: Callable[[Path], Path]) -> Self:
        paths: dict[str, Any] = {
            name: change(value) for name, value in self.data if isinstance(value, Path)
        }
        store = self.store
        scheme, _, rest = store.uri.partition(":")
        if scheme == "embedded" and rest:
            store = store.model_copy(update={"uri": f"embedded:{change(Path(rest))}"})
        paths["sources"] = tuple(
            source
            if source.path is None
            else source.model_copy(update={"path": change(source.path)})
            for source in self.data.sources
        )
        return self.model_copy(update={"data": self.data.model_copy(update=paths), "store": store})

    def to_json(self) -> str:
        """The settings as JSON, without anything from the environment."""
        return self.model_dump_json(indent=2)


for _part in registry.parts():
    if _part.section is not None:
        Config.add_section(_part.name, _part.section)

#: More is no file of settings; parsers take minutes for some, and fail in others.
_MOST_BYTES, _DEEPEST = 4 << 20, 32
_DEEP_KEY = re.compile(
    r"""(?:^|[\[{,])[ \t]*(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){33}""", re.MULTILINE
)
#: How many problems a message lists, and how much of a value it repeats.
_MOST_PROBLEMS, _LONGEST = 20, 200

#: Stands in where `[adopt]` is wrong, so that this alone is said.
_NO_DATA = DataConfig(interactions=Path("none"))


def _server(uri: str) -> str:
    """Gives host and port of an address, however it is written."""
    host = uri.partition("://")[2].lower().partition("?")[0].rstrip("/")
    return host if ":" in host.rpartition("]")[2] else f"{host}:7687"


def read_tree(
    path: Path, overrides: tuple[str, ...], content: str, expected: str
) -> dict[str, Any]:
    """Reads a TOML file and applies `section.key=value` strings.

    Args:
        path: The file.
        overrides: What wins over the file.
        content: What the file is, for the message where there is none.
        expected: Likewise, what it should be.

    Raises:
        ConfigError: If the file is missing or not TOML, or an override is no such string.
    """
    try:
        tree = _parsed(read_text(path, _MOST_BYTES))
    except OSError as exc:
        raise ConfigError(f"no {content} at {path}: {exc.strerror}; expected {expected}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} is not TOML: {exc}; mend that line") from exc
    for override in overrides:
        _apply(tree, override)
    return tree


def _parsed(text: str) -> dict[str, Any]:
    """Parses TOML; raises TOMLDecodeError, also where it is nested too deep to be settings."""
    try:
        if _DEEP_KEY.search(text):
            raise RecursionError
        return tomllib.loads(text)
    except RecursionError:
        raise tomllib.TOMLDecodeError("it is nested too deep") from None


def _apply(tree: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(
            f"--set {override!r} is not section.key=value, for example training.epochs=5"
        )
    try:
        value = _parsed(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, last = key.strip().split(".")
    if len(sections) > _DEEPEST:
        raise ConfigError(f"--set {key[:40]!r} …: no setting is nested so deep; expected key=value")
    node = tree
    for section in sections:
        node = node.setdefault(section, {})
        if not isinstance(node, dict):
            raise ConfigError(f"--set {override!r}: {section} is a value, not a section")
    node[last] = value


def _explain(exc: ValidationError, source: str) -> str:
    lines = []
    for error in exc.errors():
        where = ".".join(str(part) for part in error["loc"]) or "config"
        if error["type"] == "extra_forbidden":
            is_section = len(error["loc"]) == 1 and isinstance(error["input"], dict)
            hint = ", or import the module that has the part (kgrec --import MODULE)"
            lines.append(f"{where}: unknown key; check its spelling{hint if is_section else ''}")
        else:
            says_what = error["type"] in {"missing", "value_error"}
            actual = "" if says_what else f", got {_shortened(error['input'])}"
            lines.append(f"{where}: {error['msg'].removeprefix('Value error, ')}{actual}")
    more = [f"and {len(lines) - _MOST_PROBLEMS:,} more"] if len(lines) > _MOST_PROBLEMS else []
    return f"{source}: " + "; ".join(map(without_secrets, [*lines[:_MOST_PROBLEMS], *more]))


def _shortened(value: Any) -> str:
    try:
        text = json.dumps(value, default=str)
    except RecursionError:
        text = "what is nested too deep"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
