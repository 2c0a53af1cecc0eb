"""What people read: evaluations and recommendations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from kgrec.recommend import Recommendation


#: Columns that a narrow terminal does without, the first of them first.
_DISPENSABLE = ("precision", "map", "mrr", "novelty", "coverage", "hit_rate", "roc_auc")


def evaluation_tables(report: dict[str, Any]) -> tuple[RenderableType, ...]:
    """Gives the table of floors, parts and run, and the cohorts."""
    from kgrec.evaluation.report import cohorts_table, metrics_table

    parts = {
        f"{name} alone": metrics
        for name, metrics in report["parts"].items()
        if name not in report["floors"] and len(report["parts"]) > 1
    }
    shown = {**report, "run": "this run", "floors": {**report["floors"], **parts}}
    seconds = report["seconds"]
    summary = (
        f"[dim]run {escape(report['run'])}: trained in {seconds['train']:.1f} s, judged in "
        f"{seconds['evaluate']:.1f} s, at most {report['peak_memory_mb']:,.0f} MB[/dim]"
    )
    return _Compact(metrics_table(shown)), "", _Compact(cohorts_table(report)), "", summary


class _Compact:
    """A table without rules, `@k` said once in its title, as many columns as there is room for."""

    def __init__(self, table: Table) -> None:
        lengths = {str(c.header).partition("@")[2] for c in table.columns} - {""}
        for column in table.columns:
            column.no_wrap = True
            column.header = str(column.header).partition("@")[0].replace("num_users", "users")
        self._title = Text(f"{table.title}; lists of {', '.join(sorted(lengths))}", "bold")
        table.title, table.box, table.pad_edge = None, None, False
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = self._table
        for name in _DISPENSABLE:
            shown = "".join(segment.text for segment in console.render(table, options))
            if "…" not in shown:  # nothing is cut
                break
            table.columns = [c for c in table.columns if c.header != name]
        yield self._title
        yield table


def recommendations_table(title: str, found: Sequence[Recommendation]) -> Table:
    """Gives a ranked list with its reasons, and what each of these adds to the score."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("", justify="right", style="dim", vertical="top")
    table.add_column("item", min_width=16)
    table.add_column("score", justify="right")
    table.add_column("because", ratio=1)
    for each in found:
        name = escape(each.name)
        if each.name != each.item_id:
            name += f" [dim]{escape(each.item_id)}[/dim]"
        table.add_row(f"{each.rank}", name, f"{each.score:.3g}", _reasons(each))
    return table


def _reasons(each: Recommendation) -> Table:
    """Gives the reasons, each behind its share if it has one that is part of the score."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", style="dim")
    grid.add_column()
    for reason in each.reasons:
        share = "" if each.cold or not reason.share else f"{reason.share:+.2f}"
        grid.add_row(share, escape(reason.text))
    return grid
