"""`kgrec check`, `kgrec ingest` and `kgrec resolve`: from the sources into a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from kgrec.cli.options import AsJson, ConfigFile, MaxBadRows, Overrides, StoreUri, load_config
from kgrec.cli.output import Reporter, plain_table
from kgrec.config import Config
from kgrec.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from kgrec.data.journal.manifest import GraphRecord
    from kgrec.ingestion import IngestReport

HtmlFile = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write the data card as a page, too."),
]
RejectsFolder = Annotated[
    Path | None,
    typer.Option("--rejects", metavar="DIR", help="Write the rows that cannot be used, too."),
]


def check(
    config: ConfigFile,
    overrides: Overrides = None,
    max_bad_rows: MaxBadRows = None,
    html: HtmlFile = None,
    rejects: RejectsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Look at the data before it fills a store: what is in it, and what may mislead."""
    settings = load_config(config, None, overrides, max_bad_rows)
    with Reporter(as_json) as reporter:
        from kgrec.cli.steps import row_progress
        from kgrec.data.card.build import build_card
        from kgrec.data.card.page import write_card
        from kgrec.data.card.statistics import EventStatistics
        from kgrec.data.card.terminal import card_tables
        from kgrec.data.load import Intake, read_dataset
        from kgrec.ingestion import foreign_query

        events = EventStatistics()
        with reporter.step("read") as notes, row_progress(reporter) as on_rows:
            dataset, report = read_dataset(
                settings.data,
                settings.seed,
                Intake(query=foreign_query, on_rows=on_rows),
                rejects=rejects,
                on_events=events.add,
            )
            notes.append(f"{sum(report.rows.values()):,} rows of {len(report.rows):,} sources")
        with reporter.step("card") as notes:
            card = build_card(
                dataset, report, settings.data, events, name=config.stem, seed=settings.seed
            )
            notes.append(f"cautions: {len(card.cautions)}")
        if html is not None:
            write_card(card, html)
        page_line = () if html is None else (f"page: {html}",)
        answer = {
            "card": card.to_json(),
            "html": None if html is None else str(html),
            "rejects": None if rejects is None else str(rejects),
            "seconds": reporter.seconds,
        }
        reporter.answer(answer, *card_tables(card), *page_line)


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


_Out = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="FILE.csv",
        help="Proposals; what you write into its column accepted (yes, no) is kept for ever.",
    ),
]

#: Pairs shown of those that wait, and of those that were accepted.
_MAX_PAIRS = 10


def resolve(
    config: ConfigFile,
    out: _Out = Path("same_as.csv"),
    overrides: Overrides = None,
    max_bad_rows: MaxBadRows = None,
    as_json: AsJson = False,
) -> None:
    """Find nodes of two sources that are the same thing, for you to review."""
    settings = load_config(config, None, overrides, max_bad_rows)
    with Reporter(as_json) as reporter:
        from kgrec.data.load import Intake, read_dataset
        from kgrec.ingestion import foreign_query
        from kgrec.resolution.resolve import resolve, unresolved
        from kgrec.resolution.review import read_decisions, write_proposals

        decisions = read_decisions(out)
        with reporter.step("data") as notes:
            data_settings = unresolved(settings.data)
            dataset, _ = read_dataset(data_settings, settings.seed, Intake(query=foreign_query))
            notes += [f"{len(frame):,} {label} nodes" for label, frame in dataset.nodes.items()]
        with reporter.step("resolve") as notes:
            resolution = resolve(dataset, settings, decisions, progress=not as_json)
            notes += [
                f"{comparison}: {num_left:,} × {num_right:,}"
                for comparison, num_left, num_right in resolution.compared
            ]
        write_proposals(out, resolution.proposals)
        state = _decision_states(resolution.proposals)
        waiting, accepted = (
            resolution.proposals[state == name] for name in ("waiting", "accepted")
        )
        reporter.answer(
            {
                "out": str(out),
                "compared": [
                    {"what": comparison, "left": num_left, "right": num_right}
                    for comparison, num_left, num_right in resolution.compared
                ],
                "counts": resolution.counts(),
                "accepted": len(accepted),
                "waiting": len(waiting),
                "decided": len(decisions),
                "proposals": resolution.proposals.head(_MAX_PAIRS).to_dict("records"),
                "notes": list(resolution.notes),
                "seconds": reporter.seconds,
            },
            *(f"note: {note}" for note in resolution.notes),
            *_pairs_tables(waiting, accepted),
            _counts_table(resolution.counts()),
            "",
            f"{out}: {len(accepted):,} accepted at {settings.resolution.accept}, "
            f"{len(waiting):,} wait for review, {len(decisions):,} decided by people",
            *_next_step(settings, out),
        )


def _decision_states(proposals: pd.DataFrame) -> pd.Series:
    """Gives per row `accepted` (by the threshold), `waiting` or `decided` (by a person)."""
    by = proposals["decided_by"]
    return by.map({"": "waiting", "threshold": "accepted"}).fillna("decided")


def _pairs_tables(waiting: pd.DataFrame, accepted: pd.DataFrame) -> list[Table | str]:
    parts: list[Table | str] = []
    columns = "score", "left", "right", "method", Column("evidence", ratio=1)
    for title, proposals in (
        ("waiting for review, the surest first", waiting.head(_MAX_PAIRS)),
        ("accepted, the least sure first", accepted.iloc[::-1].head(_MAX_PAIRS)),
    ):
        rows = [
            (
                f"{row.score:.3f}", _node_cell(row.left_name, row.left),
                _node_cell(row.right_name, row.right), str(row.method), str(row.evidence),
            )
            for row in proposals.itertuples()
        ]  # fmt: skip
        if rows:
            parts += [plain_table(*columns, rows=rows, right=["score"], title=title), ""]
    return parts


def _counts_table(counts: dict[str, dict[str, int]]) -> Table:
    columns = {"accepted": "accepted", "waiting": "waiting", "yes": "said yes", "no": "said no"}
    titles = columns.values()
    rows = [(method or "none", *(row[x] for x in columns)) for method, row in counts.items()]
    return plain_table("method", *titles, rows=rows, right=titles, title="pairs by method")


def _node_cell(name: object, key: object) -> Text:
    return Text.assemble(f"{name} ", (str(key), "dim")) if name else Text(str(key))


def _next_step(config: Config, out: Path) -> list[str]:
    """Says how the file becomes a source, unless it is one."""
    source_paths = {
        source.path.resolve() for source in config.data.sources if source.path is not None
    }
    if out.resolve() in source_paths:
        return ["next: kgrec ingest"]
    lines = ("[[data.sources]]", 'name = "same_as"', 'kind = "same_as"', f'path = "{out}"')
    return ["next: review it, and read it as a source:", *(f"  {line}" for line in lines)]
