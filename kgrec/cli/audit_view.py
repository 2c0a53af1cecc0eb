"""What people read of an audit: the verdict, the variants and the relations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from kgrec.auditing.verdict import best_first

if TYPE_CHECKING:
    from kgrec.auditing.audit import Audit
    from kgrec.evaluation.bootstrap import Interval


def audit_view(audit: Audit) -> RenderableType:
    """Gives the verdict (framed in red when the alarm sounds) above the numbers."""
    words = "\n".join(escape(sentence) for sentence in audit.verdict.sentences)
    if audit.verdict.alarm:
        verdict: RenderableType = Panel(words, title="graph audit: ALARM", border_style="bold red")
    else:
        verdict = Panel(words, title="graph audit", border_style="green")
    lists = "1 fold" if audit.folds == 1 else f"{audit.folds} folds"
    model = "whole model" if audit.whole else "closed form"
    summary = (
        f"[dim]{model}, {audit.fits} fits on {lists} ({audit.split!s}"
        f"{' and parts of train' if audit.folds > 1 else ''}), {audit.permutations} shuffles of "
        f"the graph a fold, {audit.seconds:.0f} s; ± is half of the 95 % interval[/dim]"
    )
    if not audit.edges:
        return Group(verdict, summary)
    return Group(verdict, variants_table(audit), "", relations_table(audit), "", summary)


def variants_table(audit: Audit) -> Table:
    """Gives the graph's gain over no graph and over its edges shuffled, by cohort of users."""
    table = _table("What the graph adds, by cohort of users")
    table.add_column("users")
    table.add_column("number", justify="right")
    for other in ("no graph", "permuted"):
        for metric in ("NDCG@20", "Recall@20"):
            against = "no graph" if other == "no graph" else "shuffled"
            table.add_column(f"{metric}\nto {against}", justify="right")
    for cohort, number in audit.users.items():
        cells = [
            difference(audit.differences[other][metric][cohort])
            for other in ("no graph", "permuted")
            for metric in ("ndcg@20", "recall@20")
        ]
        table.add_row(cohort.removeprefix("users/"), f"{number:,}", *cells)
    return table


def relations_table(audit: Audit) -> Table:
    """Gives what each relation is worth, and how alike the items are that it brings together."""
    table = _table("Relations")
    table.add_column("relation")
    table.add_column("edges", justify="right")
    table.add_column("worth in NDCG@20", justify="right")
    table.add_column("items alike, to shuffled", justify="right")
    worth = audit.worth()
    gains = {name: got.difference for name, got in worth.items()}
    for name in best_first(audit.edges, gains):
        if name in worth:
            value = difference(worth[name])
        else:
            value = "not tried" if name in audit.skipped else "no weight"
        table.add_row(escape(name), f"{audit.edges[name]:,}", value, _alike(audit, name))
    return table


def difference(got: Interval) -> str:
    """Gives `+0.0120 ± 0.0031`, green or red where 0 lies outside of the interval."""
    text = f"{got.difference:+.4f} ± {(got.high - got.low) / 2:.4f}"
    colour = "green" if got.low > 0 else "red" if got.high < 0 else "dim"
    return f"[{colour}]{text}[/{colour}]"


def _alike(audit: Audit, name: str) -> str:
    found = audit.likeness.get(name)
    if found is None or not found.enough:
        return "[dim]too few[/dim]"
    return found.words if found.alike else f"[red]{found.words}[/red]"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
