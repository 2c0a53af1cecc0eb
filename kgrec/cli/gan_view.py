"""What people read of synthetic edges."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

#: Pairs of a run that are shown.
_MAX_PAIRS = 20
_MEASURED = ("precision", "auc", "popularity_distance", "degree_distance")


def sentence(summary: Mapping[str, Any]) -> str:
    """Says in a line how often the generators are right, and whether they collapsed."""
    parts = []
    for name in ("generator", "gan"):
        report = summary.get(name)
        if report is not None:
            precision_text = f"{name} right {report['precision']['generator']:.1%}"
            parts.append(precision_text + (", COLLAPSED" if report["collapsed"] else ""))
    report = summary.get("gan") or summary.get("generator")
    if report is None:
        return "no generator learned"
    scorer_precisions = {
        name: value for name, value in report["precision"].items() if name != "generator"
    }
    best = max(scorer_precisions, key=lambda name: scorer_precisions[name])
    parts.append(f"best scorer alone {best} {scorer_precisions[best]:.1%}")
    parts.append(f"candidates hold {report['candidate_recall']:.0%}")
    return "; ".join(parts)


def measured_table(summary: Mapping[str, Any]) -> Table:
    """Gives how each source did on hidden edges of users nobody learned from."""
    table = _table("on hidden edges", "source", *("precision", "AUC", "popularity", "degree"))
    table.add_column("items", justify="right")
    rows = dict(summary.get("generator", {}).get("sources", {}))
    if "sources" in summary.get("gan", {}):
        rows["gan"] = summary["gan"]["sources"]["generator"]
    for name, row in sorted(rows.items(), key=lambda named_row: -named_row[1]["precision"]):
        values = (row[key] for key in _MEASURED)
        cells = ["-" if value is None else f"{value:.3f}" for value in values]
        table.add_row(escape(name), *cells, f"{row['effective']:,.0f} of {row['distinct']:,}")
    return table


def proposals_table(proposals: Mapping[str, Mapping[str, Any]]) -> Table:
    """Gives what each source proposed for the whole graph."""
    table = _table("proposed", "source", "edges", "users", "items", "tail", "bits", "in valid")
    for name, row in proposals.items():
        table.add_row(escape(name), *_cells(row))
    return table


def described_table(summary: Mapping[str, Any]) -> Table:
    """Gives what one source proposed."""
    return proposals_table({str(summary["source"]): summary})


def _cells(row: Mapping[str, Any]) -> list[str]:
    def share(value: float | None) -> str:
        return "-" if value is None else f"{value:.1%}"

    counts = [f"{row[name]:,}" for name in ("edges", "users", "distinct")]
    novelty = "-" if row["novelty"] is None else f"{row['novelty']:.1f}"
    return [*counts, share(row["tail"]), novelty, share(row["proven"])]


def runs_table(runs: Sequence[Mapping[str, Any]]) -> Table:
    """Gives the runs whose edges are in a store."""
    table = _table("synthetic edges", "run", "edges", "users", "items", "proven", "seed")
    table.add_column("source")
    for run in runs:
        counts = (f"{run[name]:,}" for name in ("edges", "users", "items", "proven"))
        table.add_row(escape(run["run"]), *counts, str(run["seed"]), escape(run["source"]))
    return table


def pairs_table(name: str, pairs: Sequence[tuple[str, str, float]]) -> Table:
    """Gives the first edges of a run."""
    title = f"{len(pairs):,} synthetic edges of {name}"
    if len(pairs) > _MAX_PAIRS:
        title += f", the first {_MAX_PAIRS}; all with --json"
    table = Table(box=None, pad_edge=False, title=escape(title), title_justify="left")
    for column in ("user", "item"):
        table.add_column(column)
    table.add_column("weight", justify="right")
    for user, item, weight in pairs[:_MAX_PAIRS]:
        table.add_row(escape(user), escape(item), f"{weight:.3g}")
    return table


def _table(title: str, first: str, *names: str) -> Table:
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    for name in names:
        table.add_column(name, justify="right")
    return table
