"""Pictures as inline SVG: they scale with the page, take its colours, and say what they show."""

from collections.abc import Mapping, Sequence
from itertools import count

from kgrec.data.card.card import Degrees, SplitSummary, Timeline
from kgrec.data.card.markup import shown
from kgrec.data.card.numbers import short_number

#: Units of the drawing; the page gives it about as many pixels on a phone and more elsewhere.
_WIDTH = 400
_LEFT, _RIGHT, _TOP = 44, 8, 12
#: Where bars begin, below the name of what they count.
_BARS_TOP = 26
_PLOT = _WIDTH - _LEFT - _RIGHT
#: Labels that fit below the bars.
_MOST_LABELS = 12


class Figures:
    """Draws the figures of one page; each gets ids of its own."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def degrees(self, degrees: Degrees, what: str) -> str:
        """Draws a histogram of degrees in log2 bins."""
        names = [f"{b.low:,}" if b.low == b.high else f"{b.low:,}–{b.high:,}" for b in degrees.bins]
        return self.bars(
            [short_number(b.low) for b in degrees.bins],
            [b.count for b in degrees.bins],
            [f"{name} interactions: {b.count:,} {what}" for name, b in
             zip(names, degrees.bins, strict=True)],
            title=f"{what.capitalize()} by train interactions",
            x_title="train interactions, from (each bar doubles)",
            y_title=what,
        )  # fmt: skip

    def bars(
        self,
        labels: Sequence[str],
        values: Sequence[int],
        hints: Sequence[str],
        *,
        title: str,
        x_title: str,
        y_title: str,
    ) -> str:
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
        parts = [*_grid(most, height)]
        every = -(-len(labels) // _MOST_LABELS)
        for place, (label, value, hint) in enumerate(zip(labels, values, hints, strict=True)):
            left, tall = _LEFT + place * step, height * value / most
            width = max(step - 2, 0.5)
            parts.append(
                f'<rect class="bar" x="{left + 1:.1f}" y="{bottom - tall:.1f}" '
                f'width="{width:.1f}" height="{tall:.1f}" rx="1.5">'
                f"<title>{shown(hint)}</title></rect>"
            )
            if place % every == 0:
                parts.append(_text(left + step / 2, bottom + 14, label, "middle"))
        parts.append(_text(_LEFT + _PLOT / 2, bottom + 31, x_title, "middle", "axis"))
        parts.append(_text(4, _TOP, y_title, "start", "axis"))
        described = "; ".join(hints[:40])
        return self._figure(parts, bottom + 36, title, described)

    def timeline(self, timeline: Timeline) -> str:
        """Draws the behaviours below each other, each to its own height."""
        row, tall = 54, 34
        periods = len(timeline.starts)
        step = (_WIDTH - 2 * _RIGHT) / periods
        parts = []
        for place, (name, counts) in enumerate(timeline.counts.items()):
            base = _TOP + place * row + row - 6
            most = max([*counts, 1])
            bars = (
                f"M{_RIGHT + at * step:.1f} {base}v{-tall * value / most:.1f}"
                f"h{max(step - 0.6, 0.4):.1f}V{base}z"
                for at, value in enumerate(counts)
                if value
            )
            parts.append(_text(_RIGHT, base - tall - 4, name, "start", "name"))
            parts.append(
                _text(
                    _WIDTH - _RIGHT,
                    base - tall - 4,
                    f"{sum(counts):,} in all, at most {most:,} a {timeline.unit}",
                    "end",
                )
            )
            parts.append(f'<path class="bar" d="{"".join(bars)}"/>')
            parts.append(_line(_RIGHT, base, _WIDTH - _RIGHT, base, "base"))
        foot = _TOP + len(timeline.counts) * row + 10
        for at, anchor in ((0, "start"), (periods // 2, "middle"), (periods - 1, "end")):
            if at == 0 or periods > 2:
                x = {"start": _RIGHT, "end": _WIDTH - _RIGHT}.get(anchor, _WIDTH / 2)
                parts.append(_text(x, foot, _start(timeline.starts[at], timeline.unit), anchor))
        described = "; ".join(f"{n}: {sum(c):,} events" for n, c in timeline.counts.items())
        return self._figure(parts, foot + 8, f"Events by {timeline.unit}", described)

    def spans(self, splits: Sequence[SplitSummary], moments: Mapping[str, float]) -> str:
        """Draws from when to when each split is: a line for all, a bar for the middle 90 %.

        Args:
            splits: Those with times.
            moments: Seconds since 1970 of each time that they name.
        """
        first = min(moments[s.first] for s in splits if s.first)
        last = max(moments[s.last] for s in splits if s.last)
        scale = _PLOT / max(last - first, 1)

        def at(moment: str | None) -> float:
            return _LEFT + (moments[moment or ""] - first) * scale

        parts, row = [], 34
        for place, split in enumerate(splits):
            middle = _TOP + place * row + 14
            parts.append(_text(_LEFT - 6, middle + 4, split.split, "end", "name"))
            parts.append(_line(at(split.first), middle, at(split.last), middle, "whole"))
            width = max(at(split.late) - at(split.early), 2)
            parts.append(
                f'<rect class="bar" x="{at(split.early):.1f}" y="{middle - 6}" '
                f'width="{width:.1f}" height="12" rx="2"><title>{shown(split.split)}: 90 % from '
                f"{split.early} to {split.late}</title></rect>"
            )
        foot = _TOP + len(splits) * row + 10
        ends = {s.first for s in splits} | {s.last for s in splits}
        known = sorted((moments[end], end) for end in ends if end)
        parts.append(_text(_LEFT, foot, known[0][1][:10], "start"))
        parts.append(_text(_WIDTH - _RIGHT, foot, known[-1][1][:10], "end"))
        described = "; ".join(f"{s.split}: {s.first} to {s.last}" for s in splits)
        return self._figure(parts, foot + 8, "When the splits are", described)

    def _figure(self, parts: Sequence[str], height: float, title: str, described: str) -> str:
        number = next(self._numbers)
        return (
            f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
            f'aria-labelledby="t{number} d{number}"><title id="t{number}">{shown(title)}</title>'
            f'<desc id="d{number}">{shown(described, most=4000)}</desc>{"".join(parts)}</svg>'
        )


def _grid(most: int, height: float) -> list[str]:
    """Draws lines at round numbers, with the numbers."""
    unit = 10 ** (len(str(most)) - 1)
    step = next(
        s for s in (unit // 5, unit // 2, unit, 2 * unit, 5 * unit) if s and most / s <= 4.5
    )
    parts = []
    for value in range(0, most + 1, step):
        y = _BARS_TOP + height * (1 - value / most)
        parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y, "base" if not value else "grid"))
        parts.append(_text(_LEFT - 6, y + 3.5, short_number(value), "end"))
    return parts


def _start(day: str, unit: str) -> str:
    return {"month": day[:-3], "year": day[:-6]}.get(unit, day)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{shown(text)}</text>'
    )
