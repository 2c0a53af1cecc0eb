"""The sections of the page, as HTML."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from kgrec.data.card.card import Card, Degrees, Timeline
from kgrec.data.card.markup import Column, Meter, figure, table
from kgrec.data.card.numbers import day, moment, number, percent, share
from kgrec.data.card.plots import Figures

#: Behaviours that are drawn.
_MOST_BEHAVIOURS = 12


def interactions(card: Card, figures: Figures) -> str:
    """Gives splits and behaviours, with pictures of them over time."""
    left = [*_spans(card, figures), *_ratings(card, figures)]
    columns = [f'<div class="stack">{"".join(left)}</div>'] if left else []
    if card.timeline is not None:
        columns.append(_timeline(card, card.timeline, figures))
    pictures = f'<div class="pair">{"".join(columns)}</div>' if columns else ""
    return f"<section><h2>Interactions</h2>{_splits(card)}{_behaviours(card)}{pictures}</section>"


def _splits(card: Card) -> str:
    how = "the files" if card.split_kind is None else f"data.split.kind = {card.split_kind}"
    return table(
        f"Splits, by {how}; new users and items have no interaction in train",
        [Column("split", "name"), *map(Column, ("pairs", "share", "users", "items", "new users",
         "new items", "without time", "first", "last"))],
        (
            (s.split, f"{s.interactions:,}", share(s.interactions, card.interactions),
             f"{s.users:,}", f"{s.items:,}", f"{s.new_users:,}", f"{s.new_items:,}",
             f"{s.without_time:,}", day(s.first), day(s.last))
            for s in card.splits
        ),
    )  # fmt: skip


def _behaviours(card: Card) -> str:
    each = f"a user has {number(card.events_per_user)} in the median"
    counted = "repeated events of a pair count once" if card.folded else "events as they were read"
    told = table(
        f"Behaviours: {counted}; {each}",
        [Column("behaviour", "name"), Column("role", "text"), *map(Column, (
            "interactions" if card.folded else "events", "edges", "without time", "rated",
            "mean rating", "first", "last"))],
        (
            (b.name, b.role, number(b.events), "in splits" if b.edges is None else f"{b.edges:,}",
             _of(b.without_time, b.events), _of(_rated(b.events, b.without_rating), b.events),
             _rating(b.mean_rating), day(b.first), day(b.last))
            for b in card.behaviours
        ),
    )  # fmt: skip
    if card.deleted:
        told += f'<p class="soft">{card.deleted:,} rows take events back.</p>'
    return told


def _spans(card: Card, figures: Figures) -> Iterator[str]:
    timed = [split for split in card.splits if split.first]
    if not timed:
        return
    times = {t for s in timed for t in (s.first, s.early, s.late, s.last) if t}
    moments = {t: float(np.datetime64(t.removesuffix("Z"), "s").astype(np.int64)) for t in times}
    numbers = table(
        "",
        [Column("split", "name"), *map(Column, ("first", "5 % before", "5 % after", "last"))],
        ((s.split, *map(moment, (s.first, s.early, s.late, s.last))) for s in timed),
    )
    yield figure("When the splits are (bar: 90 %)", figures.spans(timed, moments), numbers)


def _ratings(card: Card, figures: Figures) -> Iterator[str]:
    for behaviour in card.behaviours[:_MOST_BEHAVIOURS]:
        if not behaviour.ratings:
            continue
        labels = [f"{rating:g}" for rating in behaviour.ratings]
        counts = list(behaviour.ratings.values())
        hints = [f"{label}: {value:,}" for label, value in zip(labels, counts, strict=True)]
        picture = figures.bars(
            labels, counts, hints, title=f"Ratings of {behaviour.name}", x_title="rating",
            y_title="events",
        )  # fmt: skip
        numbers = table(
            "",
            [Column("rating", "name"), Column("events")],
            ((label, f"{value:,}") for label, value in zip(labels, counts, strict=True)),
        )
        yield figure(f"Ratings: {behaviour.name}", picture, numbers)


def _timeline(card: Card, timeline: Timeline, figures: Figures) -> str:
    names = list(timeline.counts)[:_MOST_BEHAVIOURS]
    drawn = replace(timeline, counts={name: timeline.counts[name] for name in names})
    numbers = table(
        "",
        [Column(f"{timeline.unit} from", "name"), *map(Column, names)],
        (
            (start, *(f"{timeline.counts[name][at]:,}" for name in names))
            for at, start in enumerate(timeline.starts)
        ),
    )
    caption = f"{'Interactions' if card.folded else 'Events'} by {timeline.unit}"
    if timeline.outside:
        caption += f" ({timeline.outside:,} far outside are not shown)"
    return figure(caption, figures.timeline(drawn), numbers)


def degrees(card: Card, figures: Figures) -> str:
    """Gives how much is known of users and of items."""
    both = (("users", card.user_degrees), ("items", card.item_degrees))
    pictures = "".join(
        figure(
            f"{what.capitalize()} by their train interactions",
            figures.degrees(degrees, what),
            _bins(degrees, what),
        )
        for what, degrees in both
    )
    numbers = table(
        "Train interactions of a user, of an item; the top ones' share of all",
        [Column("", "name"), *map(Column, ("nodes", "with none", "with 1–5", "mean", "median",
         "90 % at most", "most", "Gini", "top 1 %", "top 10 %"))],
        (
            (what, f"{d.nodes:,}", share(d.without, d.nodes), share(d.few, d.nodes),
             number(round(d.mean, 2)), number(d.median), number(round(d.p90, 1)), f"{d.max:,}",
             f"{d.gini:.2f}", percent(d.top_1), percent(d.top_10))
            for what, d in both
        ),
    )  # fmt: skip
    return (
        f'<section><h2>How much is known of whom</h2><div class="pair">{pictures}</div>'
        f"{numbers}</section>"
    )


def _bins(degrees: Degrees, what: str) -> str:
    return table(
        "",
        [Column("interactions", "name"), Column(what), Column("share")],
        (
            (f"{b.low:,}" if b.low == b.high else f"{b.low:,}–{b.high:,}", f"{b.count:,}",
             share(b.count, degrees.nodes))
            for b in degrees.bins
        ),
    )  # fmt: skip


def graph(card: Card) -> str:
    """Gives the relations."""
    if not card.relations:
        return "<section><h2>Graph</h2><p>There are no relations.</p></section>"
    most = max(max(relation.edges for relation in card.relations), 1)
    return (
        "<section><h2>Graph</h2>"
        + table(
            f"{card.relation_edges:,} edges; {share(card.items_with_edges, card.items)} of the "
            f"items have one or more",
            [Column("relation", "name"), Column("from → to", "text"), *map(Column, ("edges",
             "heads", "tails", "a head has", "at most", "a tail has", "at most"))],
            (
                (r.name, f"{r.head} → {r.tail}", Meter(r.edges / most, f"{r.edges:,}"),
                 f"{r.heads:,}", f"{r.tails:,}", number(round(r.mean_out, 2)), f"{r.max_out:,}",
                 number(round(r.mean_in, 2)), f"{r.max_in:,}")
                for r in card.relations
            ),
        )
        + "</section>"
    )  # fmt: skip


def properties(card: Card) -> str:
    """Gives what is known of the nodes."""
    if not card.properties:
        return ""
    return (
        "<section><h2>Properties</h2>"
        + table(
            "What is known of the nodes",
            [Column("property", "name"), Column("of", "text"), Column("kind", "text"),
             *map(Column, ("missing", "distinct", "least", "median", "greatest"))],
            (
                (p.name, p.label, p.kind,
                 Meter(p.missing / max(p.nodes, 1), share(p.missing, p.nodes)), f"{p.distinct:,}",
                 number(p.low), number(p.median), number(p.high))
                for p in card.properties
            ),
        )
        + "</section>"
    )  # fmt: skip


def cleaning(card: Card) -> str:
    """Gives what was read and what cleaning did."""
    parts = []
    if card.sources:
        parts.append(
            table(
                "Sources",
                [Column("source", "name"), Column("kind", "text"), *map(Column, ("rows read",
                 "refused"))],
                ((s.name, s.kind, f"{s.rows:,}", f"{s.rejected:,}") for s in card.sources),
            )
        )  # fmt: skip
    if card.findings:
        parts.append(
            table(
                "What cleaning found",
                [Column("source", "name"), Column("effect", "text"), Column("how many"),
                 Column("what", "wide"), Column("for example", "wide")],
                ((f.source, f.effect, f"{f.count:,}", f.text, ", ".join(f.examples))
                 for f in card.findings),
            )
        )  # fmt: skip
    return f"<section><h2>Reading and cleaning</h2>{''.join(parts)}</section>" if parts else ""


def _of(part: int | None, of: int | None) -> str:
    return "–" if part is None or of is None else share(part, of)


def _rating(mean: float | None) -> str:
    return "–" if mean is None else f"{mean:.2f}"


def _rated(events: int | None, without: int | None) -> int | None:
    return None if events is None or without is None else events - without
