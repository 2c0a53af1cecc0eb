"""`kgrec publish`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from kgrec.cli.options import (
    AsJson,
    OptionalConfigFile,
    StoreUri,
    load_config,
    store_config,
    with_store,
)
from kgrec.cli.output import Reporter, plain_table
from kgrec.cli.steps import completed_by
from kgrec.config import Config, StoreConfig
from kgrec.errors import ConfigError
from kgrec.files import read_text

if TYPE_CHECKING:
    from kgrec.adopt import Naming
    from kgrec.publication import Publication

_CURRENT = "current"


def publish(
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="The run whose answers go into the graph."),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", metavar="N", help="Recommendations a user, at most.")
    ] = 100,
    similar: Annotated[
        int, typer.Option("--similar", metavar="N", help="Similar items an item; 0 for none.")
    ] = 50,
    users: Annotated[
        Path | None,
        typer.Option(
            "--users", metavar="FILE", help="Only for these users, an id a line; - reads stdin."
        ),
    ] = None,
    list_only: Annotated[
        bool, typer.Option("--list", help="Say what is published, and do nothing else.")
    ] = False,
    retire: Annotated[
        str | None,
        typer.Option("--retire", metavar="ID", help="Take a publication back: its id, or current."),
    ] = None,
    store: StoreUri = None,
    config: OptionalConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Write a run's answers into the graph, where Cypher finds them.

    Recommendations and similar items become edges, what the networks made of users and items
    becomes vectors with an index. Readers see the version from before until the new one is whole.
    """
    if sum((run is not None, list_only, retire is not None)) != 1:
        raise ConfigError(
            "kgrec publish needs one of --run DIR, --list and --retire ID; to publish, give "
            "--run DIR"
        )
    with Reporter(as_json) as reporter:
        if run is not None:
            _publish(run, top, similar, _ids(users), config, store, reporter)
        elif retire is not None:
            _retire(retire, *_of_settings(config, store), reporter)
        else:
            _list(_of_settings(config, store)[0], reporter)


def _publish(
    run_dir: Path,
    top: int,
    similar: int,
    users: list[str] | None,
    config: Path | None,
    uri: str | None,
    reporter: Reporter,
) -> None:
    from kgrec.publication import publish
    from kgrec.store.connect import open_store
    from kgrec.training.directory import load_run

    run = load_run(run_dir)
    config_settings = run.config if config is None else load_config(config, None, None)
    settings, naming = _graph(config_settings, uri)
    step = reporter.step("publish")
    with step as notes, completed_by("publish"), open_store(settings) as graph_store:
        report = publish(
            run, graph_store, top=top, similar=similar, users=users, naming=naming,
            progress=not reporter.as_json,
        )  # fmt: skip
        publication = report.publication
        notes.append(graph_store.uri)
        notes.append("written" if report.changed else "already up to date")
        if report.resumed:
            notes.append("gone on with what was interrupted")
        if report.purged:
            notes.append(f"{report.purged:,} old edges removed")
    for note in report.notes:
        reporter.warn(note)
    reporter.answer(
        {
            "run": str(run_dir),
            "store": settings.uri,
            "publication": publication.to_dict(),
            "changed": report.changed,
            "resumed": report.resumed,
            "purged": report.purged,
            "notes": list(report.notes),
            "seconds": reporter.seconds,
        },
        _table([publication]),
    )


def _graph(settings: Config, uri: str | None) -> tuple[StoreConfig, Naming]:
    """Gives the graph to publish into: the adopted one, or that of the settings' store.

    An address that is not the adopted graph's is a store of kgrec's own.
    """
    from kgrec.adopt import OWN, graph_of_users

    store, naming = graph_of_users(settings)
    if uri is None or uri == store.uri:
        return store, naming
    return with_store(settings, uri).store, OWN


def _of_settings(config: Path | None, uri: str | None) -> tuple[StoreConfig, Naming]:
    from kgrec.adopt import OWN

    if config is None:
        return store_config(None, uri), OWN
    return _graph(load_config(config, None, None), uri)


def _retire(name: str, settings: StoreConfig, naming: Naming, reporter: Reporter) -> None:
    from kgrec.publication import publications, retire
    from kgrec.store.connect import open_store

    step = reporter.step("retire")
    with step as notes, completed_by("publish"), open_store(settings) as graph_store:
        publication_id = None if name == _CURRENT else name
        retired = retire(graph_store, publication_id, naming=naming, progress=not reporter.as_json)
        remaining = publications(graph_store)
        notes.append(f"{retired.id} is taken back")
    _answer(settings, remaining, reporter, retired=retired.to_dict())


def _list(settings: StoreConfig, reporter: Reporter) -> None:
    from kgrec.publication import publications
    from kgrec.store.connect import open_store

    with open_store(settings, read_only=True) as graph_store:
        published = publications(graph_store)
    _answer(settings, published, reporter)


def _answer(
    settings: StoreConfig, published: list[Publication], reporter: Reporter, **fields: object
) -> None:
    publications = [publication.to_dict() for publication in published]
    reporter.answer(
        {"store": settings.uri, **fields, "publications": publications}, _table(published)
    )


def _ids(path: Path | None) -> list[str] | None:
    if path is None:
        return None
    try:
        text = sys.stdin.read() if str(path) == "-" else read_text(path)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"--users {path} cannot be read: {exc}; give a text file of ids") from exc
    ids = [line.strip() for line in text.splitlines() if line.strip()]
    if not ids:
        raise ConfigError(f"--users {path} holds no id; expected one a line")
    return ids


def _table(published: list[Publication]) -> Table | str:
    if not published:
        return "nothing is published"
    numbers = ("users", "recommended", "similar", "vectors")
    table = plain_table("publication", "state", "run", "created", *numbers, right=numbers)
    for publication in published:
        table.add_row(
            publication.id,
            publication.state.value,
            publication.run,
            publication.created[:19].replace("T", " "),
            *(f"{publication.counts[name]:,}" for name in numbers),
        )
    return table
