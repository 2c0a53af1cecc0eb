"""The card as a page, with its plots."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np

from kgrec.data.card.card import BehaviourSummary, Card, Degrees, SplitSummary, Timeline
from kgrec.errors import DataError
from kgrec.files import os_errors_as, write_text
from kgrec.pages.numbers import short_number
from kgrec.pages.render import render
from kgrec.pages.svg import Picture, label, line, picture
from kgrec.pages.text import escaped

#: Units of the drawing; the page gives it about as many pixels on a phone and more elsewhere.
_WIDTH = 400
_LEFT, _RIGHT, _TOP = 44, 8, 12
#: Where bars begin, below the name of what they count.
_BARS_TOP = 26
_PLOT = _WIDTH - _LEFT - _RIGHT
#: Labels that fit below the bars.
_MOST_LABELS = 12


class Figures:
    """Draws the pictures of one page; each gets ids of its own."""

    def __init__(self) -> None:
        self.numbers = count(1)

    def degrees(self, degrees: Degrees, nodes: str) -> Picture:
        """Draws a histogram of degrees in log2 bins; `nodes` says of what."""
        return self.bars(
            [short_number(b.low) for b in degrees.bins],
            [b.count for b in degrees.bins],
            [f"{b.name} interactions: {b.count:,} {nodes}" for b in degrees.bins],
            title=f"{nodes.capitalize()} by train interactions",
            x_title="train interactions, from (each bar doubles)",
            y_title=nodes,
        )

    def ratings(self, behaviour: BehaviourSummary) -> Picture:
        """Draws how many events have which rating."""
        ratings = behaviour.ratings or {}
        return self.bars(
            [f"{rating:g}" for rating in ratings],
            list(ratings.values()),
            [f"{rating:g}: {events:,}" for rating, events in ratings.items()],
            title=f"Ratings of {behaviour.name}",
            x_title="rating",
            y_title="events",
        )

    def bars(
        self,
        labels: Sequence[str],
        values: Sequence[int],
        hints: Sequence[str],
        *,
        title: str,
        x_title: str,
        y_title: str,
    ) -> Picture:
        """Draws vertical bars.

        Args:
            labels: Below the bars (n,).
            values: Heights (n,).
            hints: Shown when a bar is pointed at (n,).
            title: What the figure is, for who cannot see it.
            x_title: Below the labels.
            y_title: At the left.
        """
        height, bottom = 150, _BARS_TOP + 150
        most = max([*values, 1])
        step = _PLOT / max(len(values), 1)
        shapes = _grid(most, height)
        every = -(-len(labels) // _MOST_LABELS)
        for place, (value, hint) in enumerate(zip(values, hints, strict=True)):
            bar_left, tall = _LEFT + place * step, height * value / most
            shapes.append(
                f'<rect class="bar" x="{bar_left + 1:.1f}" y="{bottom - tall:.1f}" '
                f'width="{max(step - 2, 0.5):.1f}" height="{tall:.1f}" rx="1.5">'
                f"<title>{escaped(hint)}</title></rect>"
            )
            if place % every == 0:
                shapes.append(label(bar_left + step / 2, bottom + 14, labels[place], "middle"))
        shapes.append(label(_LEFT + _PLOT / 2, bottom + 31, x_title, "middle", "axis"))
        shapes.append(label(4, _TOP, y_title, "start", "axis"))
        return self.picture(shapes, (_WIDTH, bottom + 36), title, "; ".join(hints[:40]))

    def timeline(self, timeline: Timeline, names: Sequence[str]) -> Picture:
        """Draws the named behaviours below each other, each to its own height."""
        row, tall, right = 54, 34, _WIDTH - _RIGHT
        periods = len(timeline.starts)
        step = (right - _RIGHT) / periods
        shapes = []
        for place, name in enumerate(names):
            counts = timeline.counts[name]
            base = _TOP + place * row + row - 6
            most = max([*counts, 1])
            bars = "".join(
                f"M{_RIGHT + period * step:.1f} {base}v{-tall * value / most:.1f}"
                f"h{max(step - 0.6, 0.4):.1f}V{base}z"
                for period, value in enumerate(counts)
                if value
            )
            total = f"{sum(counts):,} in all, at most {most:,} a {timeline.unit}"
            shapes += [
                label(_RIGHT, base - tall - 4, name, "start", "name"),
                label(right, base - tall - 4, total, "end"),
                f'<path class="bar" d="{bars}"/>',
                line(_RIGHT, base, right, base, "base"),
            ]
        foot = _TOP + len(names) * row + 10
        for period, x, anchor in (
            (0, _RIGHT, "start"), (periods // 2, _WIDTH / 2, "middle"), (periods - 1, right, "end"),
        ):  # fmt: skip
            if period == 0 or periods > 2:
                shapes.append(
                    label(x, foot, _start(timeline.starts[period], timeline.unit), anchor)
                )
        description = "; ".join(f"{n}: {sum(timeline.counts[n]):,} events" for n in names)
        return self.picture(shapes, (_WIDTH, foot + 8), f"Events by {timeline.unit}", description)

    def spans(self, splits: Sequence[SplitSummary]) -> Picture:
        """Draws from when to when splits with times are: a line for all, a bar for 90 %."""
        days = sorted({day for s in splits for day in (s.first, s.last) if day}, key=_seconds)
        first, last = _seconds(days[0]), _seconds(days[-1])
        scale = _PLOT / max(last - first, 1)

        def x_of(time: str | None) -> float:
            return _LEFT + (_seconds(time or days[0]) - first) * scale

        shapes, row = [], 34
        for place, split in enumerate(splits):
            middle = _TOP + place * row + 14
            early, late = x_of(split.early), x_of(split.late)
            shapes += [
                label(_LEFT - 6, middle + 4, split.split, "end", "name"),
                line(x_of(split.first), middle, x_of(split.last), middle, "whole"),
                f'<rect class="bar" x="{early:.1f}" y="{middle - 6}" '
                f'width="{max(late - early, 2):.1f}" height="12" rx="2"><title>'
                f"{escaped(split.split)}: 90 % from {split.early} to {split.late}</title></rect>",
            ]
        foot = _TOP + len(splits) * row + 10
        shapes.append(label(_LEFT, foot, days[0][:10], "start"))
        shapes.append(label(_WIDTH - _RIGHT, foot, days[-1][:10], "end"))
        description = "; ".join(f"{s.split}: {s.first} to {s.last}" for s in splits)
        return self.picture(shapes, (_WIDTH, foot + 8), "When the splits are", description)

    def picture(
        self, shapes: Sequence[str], size: tuple[float, float], title: str, description: str
    ) -> Picture:
        """Gives shapes as a picture with ids of its own."""
        number = next(self.numbers)
        return picture(shapes, size, title=title, description=description, number=number)


def _grid(most: int, height: float) -> list[str]:
    """Draws lines at round numbers, with the numbers."""
    unit = 10 ** (len(str(most)) - 1)
    step = next(
        s for s in (unit // 5, unit // 2, unit, 2 * unit, 5 * unit) if s and most / s <= 4.5
    )
    shapes = []
    for value in range(0, most + 1, step):
        y = _BARS_TOP + height * (1 - value / most)
        shapes.append(line(_LEFT, y, _WIDTH - _RIGHT, y, "base" if not value else "grid"))
        shapes.append(label(_LEFT - 6, y + 3.5, short_number(value), "end"))
    return shapes


def _start(day: str, unit: str) -> str:
    return {"month": day[:-3], "year": day[:-6]}.get(unit, day)


def _seconds(time: str) -> float:
    """Seconds since 1970 of an ISO time in UTC."""
    return float(np.datetime64(time.removesuffix("Z"), "s").astype(np.int64))


def write_card(card: Card, path: Path) -> None:
    """Writes the page; what was there before stays until the new one is whole.

    Raises:
        DataError: If it cannot be written.
    """
    with os_errors_as(DataError, "data card", path):
        write_text(path, card_html(card), errors="replace")


def card_html(card: Card) -> str:
    """Gives the page."""
    return render("card.html.j2", card=card, figures=Figures())
