"""What people read: evaluations and recommendations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from kgrec.recommend import Recommendation


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
        f"run {escape(report['run'])}: trained in {seconds['train']:.1f} s, judged in "
        f"{seconds['evaluate']:.1f} s, at most {report['peak_memory_mb']:,.0f} MB"
    )
    return metrics_table(shown), cohorts_table(report), summary


def recommendations_table(title: str, found: Sequence[Recommendation]) -> Table:
    """Gives a ranked list with the reasons of each place and the share of the score they carry."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("", justify="right", style="dim")
    table.add_column("item", header_style="bold", min_width=16)
    table.add_column("score", justify="right", header_style="bold")
    table.add_column("because", header_style="bold", ratio=1)
    for each in found:
        name = escape(each.name)
        if each.name != each.item_id:
            name += f" [dim]{escape(each.item_id)}[/dim]"
        reasons = "\n".join(
            f"[dim]{reason.share:4.0%}[/dim] {escape(reason.text)}" for reason in each.reasons
        )
        table.add_row(f"{each.rank}", name, f"{each.score:.3f}", reasons)
    return table
