"""What people read: evaluations, recommendations and audits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from kgrec.cli.output import plain_table

if TYPE_CHECKING:
    from kgrec.auditing.audit import Audit
    from kgrec.evaluation.bootstrap import Interval
    from kgrec.recommender import Recommendation

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
    all_rows = {**report, "run": "this run", "floors": {**report["floors"], **parts}}
    seconds = report["seconds"]
    summary = Text(
        f"run {report['run']}: trained in {seconds['train']:.1f} s, judged in "
        f"{seconds['evaluate']:.1f} s, at most {report['peak_memory_mb']:,.0f} MB",
        "dim",
    )
    return _Compact(metrics_table(all_rows)), "", _Compact(cohorts_table(report)), "", summary


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
            text = "".join(segment.text for segment in console.render(table, options))
            if "…" not in text:  # nothing is cut
                break
            table.columns = [c for c in table.columns if c.header != name]
        yield self._title
        yield table


def recommendations_table(title: str, recommendations: Sequence[Recommendation]) -> Table:
    """Gives a ranked list with its reasons, and what each of these adds to the score."""
    rank = Column("", justify="right", style="dim", vertical="top")
    columns = rank, Column("item", min_width=16), "score", Column("because", ratio=1)
    rows = []
    for recommendation in recommendations:
        name = Text(recommendation.name)
        if recommendation.name != recommendation.item_id:
            name.append(f" {recommendation.item_id}", "dim")
        score = f"{recommendation.score:.3g}"
        rows.append((str(recommendation.rank), name, score, _reasons(recommendation)))
    return plain_table(*columns, rows=rows, right=["score"], title=title)


def _reasons(recommendation: Recommendation) -> Table:
    """Gives what each own item adds, below how it is connected, and what the graph carries."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", style="dim")
    grid.add_column()
    for reason in recommendation.reasons:
        share = "" if recommendation.cold or not reason.share else f"{reason.share:+.2f}"
        grid.add_row(share, reason.name or reason.text)
        if reason.link:
            grid.add_row("", Text(reason.link, "dim"))
    if recommendation.relations:
        grid.add_row("", Text(_of_graph(recommendation), "dim italic"))
    return grid


def _of_graph(recommendation: Recommendation) -> str:
    """Says what the graph carries of a score, which is less than the links above suggest."""
    carried, score = recommendation.graph, recommendation.score
    share = f", {carried / score:.0%} of the score" if score > 0 and 0 <= carried <= score else ""
    return f"the graph carries {carried:+.2f}{share}"


def audit_view(audit: Audit) -> RenderableType:
    """Gives the verdict (framed in red when the alarm sounds) above the numbers."""
    words = Text("\n".join(audit.verdict.sentences))
    if audit.verdict.alarm:
        verdict: RenderableType = Panel(words, title="graph audit: ALARM", border_style="bold red")
    else:
        verdict = Panel(words, title="graph audit", border_style="green")
    lists = "1 fold" if audit.folds == 1 else f"{audit.folds} folds"
    model = "whole model" if audit.whole else "closed form"
    summary = Text(
        f"{model}, {audit.fits} fits on {lists} ({audit.split!s}"
        f"{' and parts of train' if audit.folds > 1 else ''}), {audit.permutations} shuffles of "
        f"the graph a fold, {audit.seconds:.0f} s; ± is half of the 95 % interval",
        "dim",
    )
    if not audit.edges:
        return Group(verdict, summary)
    return Group(verdict, _variants_table(audit), "", _relations_table(audit), "", summary)


def _variants_table(audit: Audit) -> Table:
    """Gives the graph's gain over no graph and over its edges shuffled, by cohort of users."""
    differences = {
        f"{metric}\nto {words}": audit.differences[baseline][metric.lower()]
        for baseline, words in (("no graph", "no graph"), ("permuted", "shuffled"))
        for metric in ("NDCG@20", "Recall@20")
    }
    rows = [
        (
            cohort.removeprefix("users/"),
            number,
            *(_difference(x[cohort]) for x in differences.values()),
        )
        for cohort, number in audit.users.items()
    ]
    numbers, title = ("number", *differences), "What the graph adds, by cohort of users"
    return plain_table("users", *numbers, rows=rows, right=numbers, title=title)


def _relations_table(audit: Audit) -> Table:
    """Gives what each relation is worth, and how alike the items are that it brings together."""
    from kgrec.auditing.verdict import best_first

    worth, rows = audit.worth(), []
    gains = {name: interval.difference for name, interval in worth.items()}
    for name in best_first(audit.edges, gains):
        unmeasured = "not tried" if name in audit.skipped else "no weight"
        value = _difference(worth[name]) if name in worth else unmeasured
        rows.append((name, audit.edges[name], value, _alike(audit, name)))
    numbers = ("edges", "worth in NDCG@20", "items alike, to shuffled")
    return plain_table("relation", *numbers, rows=rows, right=numbers, title="Relations")


def _difference(interval: Interval) -> Text:
    """Gives `+0.0120 ± 0.0031`, green or red where 0 lies outside of the interval."""
    text = f"{interval.difference:+.4f} ± {(interval.high - interval.low) / 2:.4f}"
    colour = "green" if interval.low > 0 else "red" if interval.high < 0 else "dim"
    return Text(text, colour)


def _alike(audit: Audit, name: str) -> Text:
    likeness = audit.likeness.get(name)
    if likeness is None or not likeness.enough:
        return Text("too few", "dim")
    return Text(likeness.words, "" if likeness.alike else "red")
