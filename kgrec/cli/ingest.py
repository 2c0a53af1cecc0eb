"""`kgrec ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kgrec.cli.options import AsJson, ConfigFile, MaxBadRows, Overrides, StoreUri, load_config
from kgrec.cli.output import Reporter
from kgrec.config import Config
from kgrec.errors import ConfigError

if TYPE_CHECKING:
    from kgrec.data.journal.manifest import GraphRecord
    from kgrec.ingestion import IngestReport

_Undo = Annotated[
    list[int] | None,
    typer.Option("--undo", metavar="LOAD", help="Take a load back; repeatable."),
]
_Redo = Annotated[
    list[int] | None,
    typer.Option("--redo", metavar="LOAD", help="Count a load again that was taken back."),
]
_Replace = Annotated[
    list[str] | None,
    typer.Option(
        "--replace",
        metavar="SOURCE",
        help="What this source brings now is all there is: its earlier rows go; repeatable.",
    ),
]
_Mended = Annotated[
    Path | None,
    typer.Option("--mended", metavar="FILE", help="Take in rejected rows that were mended."),
]
_Offline = Annotated[
    Path | None,
    typer.Option(
        "--offline",
        metavar="DIR",
        help="Write files and the command for Neo4j's offline importer, not the store.",
    ),
]


def ingest(
    config: ConfigFile,
    store: StoreUri = None,
    overrides: Overrides = None,
    max_bad_rows: MaxBadRows = None,
    replace: _Replace = None,
    mended_file: _Mended = None,
    undo: _Undo = None,
    redo: _Redo = None,
    offline: _Offline = None,
    as_json: AsJson = False,
) -> None:
    """Fill a store from the sources, or bring it up to date with what is new in them."""
    settings = load_config(config, store, overrides, max_bad_rows)
    if (undo or redo) and (replace or mended_file or offline):
        raise ConfigError(
            "--undo and --redo read no source; give --replace, --mended or --offline in a call of "
            "their own"
        )
    if replace and mended_file:
        raise ConfigError(
            "--mended rows come beside what was loaded; give --replace in another call"
        )
    with Reporter(as_json) as reporter:
        plain = not (replace or mended_file or undo or redo or offline)
        if plain and _answer_if_unchanged(settings, reporter):
            return
        from kgrec.cli.steps import bring_up_to_date
        from kgrec.data.card.terminal import findings_table
        from kgrec.data.load import Intake
        from kgrec.ingestion import Marks

        intake = Intake(replace=frozenset(replace or ()), mended=_existing_file(mended_file))
        marks = Marks(tuple(undo or ()), tuple(redo or ()))
        report = bring_up_to_date(settings, reporter, intake, marks, offline)
        findings = findings_table(report.findings.findings)
        reporter.answer(
            _answer(
                settings,
                reporter,
                report,
                changed=report.changed,
                loads=[vars(load) for load in report.loads],
                findings=report.findings.to_json()["findings"],
                rejects=None if report.rejects is None else str(report.rejects),
                offline=None if offline is None else str(offline),
            ),
            *([] if findings is None else [findings, ""]),
            *(
                _load_line(load.number, load.source, load.rows, load.rejected)
                for load in report.loads
            ),
            *([] if report.rejects is None else [f"rejected rows: {report.rejects}"]),
            _sizes(report),
            *([] if offline is None else [f"next: the command in {offline / 'README.txt'}"]),
        )


def _answer_if_unchanged(settings: Config, reporter: Reporter) -> bool:
    """Says so and gives True if there is surely nothing new."""
    from kgrec.data.unchanged import nothing_new

    graph = nothing_new(settings)
    if graph is None:
        return False
    with reporter.step("ingest") as notes:
        notes += [settings.store.uri, "already up to date", f"version {graph.version}"]
    empty = {"changed": False, "loads": [], "findings": [], "rejects": None, "offline": None}
    reporter.answer(_answer(settings, reporter, graph, **empty), _sizes(graph))
    return True


def _answer(
    settings: Config, reporter: Reporter, graph: GraphRecord | IngestReport, **fields: object
) -> dict[str, object]:
    return {
        "store": settings.store.uri,
        "version": graph.version,
        "nodes": graph.nodes,
        "edges": graph.edges,
        **fields,
        "seconds": reporter.seconds,
    }


def _sizes(graph: GraphRecord | IngestReport) -> str:
    return f"{graph.nodes:,} nodes, {graph.edges:,} edges, version {graph.version}"


def _load_line(number: int, source: str, rows: int, rejected: int) -> str:
    rejects = f", {rejected:,} rejected" if rejected else ""
    return f"load {number}: {source}, {rows:,} rows{rejects}"


def _existing_file(path: Path | None) -> Path | None:
    if path is not None and not path.is_file():
        raise ConfigError(f"--mended {path}: there is no such file; check the path")
    return None if path is None else path.resolve()
