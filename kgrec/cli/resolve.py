"""`kgrec resolve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from kgrec.cli.options import AsJson, ConfigFile, MaxBadRows, Overrides, load_config
from kgrec.cli.output import Reporter, plain_table
from kgrec.config import Config

if TYPE_CHECKING:
    import pandas as pd

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
            *(f"note: {escape(note)}" for note in resolution.notes),
            *_pairs_tables(waiting, accepted),
            _counts_table(resolution.counts()),
            "",
            escape(
                f"{out}: {len(accepted):,} accepted at {settings.resolution.accept}, "
                f"{len(waiting):,} wait for review, {len(decisions):,} decided by people"
            ),
            *_next_step(settings, out),
        )


def _decision_states(proposals: pd.DataFrame) -> pd.Series:
    """Gives per row `accepted` (by the threshold), `waiting` or `decided` (by a person)."""
    by = proposals["decided_by"]
    return by.map({"": "waiting", "threshold": "accepted"}).fillna("decided")


def _pairs_tables(waiting: pd.DataFrame, accepted: pd.DataFrame) -> list[Table | str]:
    parts: list[Table | str] = []
    for title, rows in (
        ("waiting for review, the surest first", waiting.head(_MAX_PAIRS)),
        ("accepted, the least sure first", accepted.iloc[::-1].head(_MAX_PAIRS)),
    ):
        if not len(rows):
            continue
        table = plain_table("score", "left", "right", "method", right=["score"], title=title)
        table.add_column("evidence", ratio=1)
        for row in rows.itertuples():
            table.add_row(
                f"{row.score:.3f}",
                _node_cell(row.left_name, row.left),
                _node_cell(row.right_name, row.right),
                str(row.method),
                escape(str(row.evidence)),
            )
        parts += [table, ""]
    return parts


def _counts_table(counts: dict[str, dict[str, int]]) -> Table:
    columns = {"accepted": "accepted", "waiting": "waiting", "yes": "said yes", "no": "said no"}
    titles = columns.values()
    table = plain_table("method", *titles, right=titles, title="pairs by method")
    for method, row in counts.items():
        table.add_row(method or "none", *(f"{row[name]:,}" for name in columns))
    return table


def _node_cell(name: object, key: object) -> str:
    node_name = str(name or "")
    return f"{escape(node_name)} [dim]{escape(str(key))}[/dim]" if node_name else escape(str(key))


def _next_step(config: Config, out: Path) -> list[str]:
    """Says how the file becomes a source, unless it is one."""
    source_paths = {
        source.path.resolve() for source in config.data.sources if source.path is not None
    }
    if out.resolve() in source_paths:
        return ["next: kgrec ingest"]
    lines = ("[[data.sources]]", 'name = "same_as"', 'kind = "same_as"', f'path = "{out}"')
    return ["next: review it, and read it as a source:", *(f"  {escape(line)}" for line in lines)]
