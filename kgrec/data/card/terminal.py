"""The data card for a terminal, from 80 columns on."""

from collections.abc import Sequence
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kgrec.data.card.card import Card, Caution, Degrees, Level
from kgrec.data.cleaning.report import Finding
from kgrec.pages.numbers import fixed, moment, number, percent, share, short_number

#: Relations, properties and findings that are shown; the page and JSON have more.
_MOST_ROWS = 30
#: What was lost goes first.
_EFFECTS = ("rejected", "dropped", "mended", "noted")
_BLOCKS = "▁▂▃▄▅▆▇█"
#: Characters of a line of blocks.
_SPARK = 24

_LEVELS: dict[Level, tuple[str, str]] = {
    "leak": ("leak", "bold red"),
    "suspect": ("look at this", "bold yellow"),
    "note": ("note", "bold cyan"),
}


def card_tables(card: Card) -> tuple[RenderableType, ...]:
    """Gives what is to be printed, from top to bottom; cautions last, where they are seen."""
    parts = [
        _head(card),
        _splits(card),
        _behaviours(card),
        _degrees(card),
        _relations(card),
        _properties(card),
        findings_table(card.findings, _MOST_ROWS),
        _cautions(card.cautions),
    ]
    return tuple(Group(part, Text("")) for part in parts if part is not None)


def spark(values: Sequence[int], width: int = _SPARK) -> str:
    """Draws counts (n,) as at most so many blocks; one stands for the sum of its values."""
    if not values:
        return ""
    step = max(len(values) / width, 1)
    edges = [round(place * step) for place in range(round(len(values) / step) + 1)]
    sums = [sum(values[start:stop]) for start, stop in pairwise(edges)]
    most = max(sums)
    # Nothing is a blank, and the least something the lowest block.
    return "".join(_BLOCKS[(8 * value - 1) // most] if value else " " for value in sums)


def _head(card: Card) -> RenderableType:
    size = (
        f"{card.users:,} users, {card.items:,} items, {card.entities:,} entities; "
        f"{card.interactions:,} interactions ({percent(card.density)} of all pairs), "
        f"{card.relation_edges:,} relation edges; {share(card.items_with_edges, card.items)} of "
        f"the items have one"
    )
    return Group(Text(card.name, "bold"), Text(size))


def _splits(card: Card) -> RenderableType:
    how = "given by the files" if card.split_kind is None else card.split_kind
    table = _table(f"Splits ({how})", "", "pairs", "users", "new", "items", "new")
    for name in ("first", "last"):
        table.add_column(name, no_wrap=True)
    for s in card.splits:
        table.add_row(
            s.split, f"{s.interactions:,}", f"{s.users:,}", f"{s.new_users:,}", f"{s.items:,}",
            f"{s.new_items:,}", moment(s.first), moment(s.last),
        )  # fmt: skip
    return table


def _behaviours(card: Card) -> RenderableType | None:
    if not card.behaviours:
        return None
    counted = "interactions" if card.folded else "events"
    title = f"Behaviours ({number(card.events_per_user)} {counted} a user, in the median)"
    table = _table(title, "", "!role", counted, "no time", "rated", "mean")
    timeline = card.timeline
    if timeline is not None:
        table.add_column(f"{timeline.starts[0]} …, by {timeline.unit}", no_wrap=True, style="cyan")
    for b in card.behaviours:
        sparkline = () if timeline is None else (spark(timeline.counts.get(b.name, ())),)
        table.add_row(
            Text(b.name), b.role, number(b.events),
            share(b.without_time, b.events), share(b.rated, b.events), fixed(b.mean_rating, 2),
            *sparkline,
        )  # fmt: skip
    return table


def _degrees(card: Card) -> RenderableType:
    table = _table(
        "Train interactions", "", "none", "1–5", "mean", "median", "most", "Gini", "top 10%"
    )
    table.add_column("0, 1, 2–3, 4–7 …", no_wrap=True, style="cyan")
    sides: tuple[tuple[str, Degrees], ...] = (
        ("a user", card.user_degrees),
        ("an item", card.item_degrees),
    )
    for name, d in sides:
        table.add_row(
            name, share(d.without, d.nodes), share(d.few, d.nodes), number(round(d.mean, 1)),
            number(d.median), short_number(d.max), f"{d.gini:.2f}", percent(d.top_10),
            spark([b.count for b in d.bins]),
        )  # fmt: skip
    return table


def _relations(card: Card) -> RenderableType | None:
    if not card.relations:
        return None
    table = _table("Relations", "", "!from → to", "edges", "heads", "tails", "out", "max", "in",
                   "max")  # fmt: skip
    for r in card.relations[:_MOST_ROWS]:
        table.add_row(
            Text(r.name), f"{r.head} → {r.tail}", f"{r.edges:,}", f"{r.heads:,}", f"{r.tails:,}",
            f"{r.mean_out:.1f}", short_number(r.max_out), f"{r.mean_in:.1f}",
            short_number(r.max_in),
        )  # fmt: skip
    return _with_rest(table, len(card.relations))


def _properties(card: Card) -> RenderableType | None:
    if not card.properties:
        return None
    table = _table("Properties", "", "!of", "!kind", "missing", "distinct", "least", "median",
                   "greatest")  # fmt: skip
    for p in card.properties[:_MOST_ROWS]:
        table.add_row(
            Text(p.name), p.label, p.kind, share(p.missing, p.nodes), short_number(p.distinct),
            number(p.low), number(p.median), number(p.high),
        )  # fmt: skip
    return _with_rest(table, len(card.properties))


def findings_table(findings: Sequence[Finding], most: int | None = None) -> RenderableType | None:
    """Gives what cleaning did, what was lost first; None if it did nothing.

    Args:
        findings: All of it.
        most: How many rows to show; None is all.
    """
    if not findings:
        return None
    table = Table(box=None, pad_edge=False, show_header=False, title="Cleaning",
                  title_justify="left", title_style="bold", padding=(0, 2, 0, 0))  # fmt: skip
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, max_width=16)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(ratio=1)
    for f in sorted(findings, key=lambda f: _EFFECTS.index(f.effect))[:most]:
        table.add_row(f.effect, Text(f.source), f"{f.count:,}", Text(f.text))
    return table if most is None else _with_rest(table, len(findings))


def _cautions(cautions: Sequence[Caution]) -> RenderableType:
    if not cautions:
        return Text.assemble(
            ("Cautions", "bold"),
            "\nnone: no relation, property or split was found to give held-out interactions away",
        )
    parts: list[RenderableType] = [Text("Cautions", "bold")]
    for caution in cautions:
        name, style = _LEVELS[caution.level]
        parts.append(Text.assemble((f"{name}: ", style), (caution.subject, "bold")))
        for text in (Text(caution.measured), Text(caution.advice, "dim")):
            parts.append(Padding(text, (0, 0, 0, 2), expand=False))
    return Group(*parts)


def _table(title: str, first: str, *columns: str) -> Table:
    """A table without rules; its first column and those marked ! are text."""
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold",
                  padding=(0, 2, 0, 0))  # fmt: skip
    table.add_column(first, overflow="ellipsis", no_wrap=True, min_width=7)
    for column in columns:
        right = not column.startswith("!")
        table.add_column(
            column.removeprefix("!"), justify="right" if right else "left", no_wrap=True
        )
    return table


def _with_rest(table: Table, rows: int) -> RenderableType:
    if rows <= _MOST_ROWS:
        return table
    return Group(table, Text(f"and {rows - _MOST_ROWS:,} more: see --html or --json", "dim"))
