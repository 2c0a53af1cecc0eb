"""The report's own pictures, as inline SVG like those of the data card."""

import math
from collections.abc import Mapping, Sequence

from kgrec.data.card.markup import shown
from kgrec.data.card.plots import Figures
from kgrec.evaluation.bootstrap import Interval
from kgrec.explore.look import text_width

_WIDTH, _RIGHT, _ROW = 480, 14, 24
_SMALL = 11


class ReportFigures(Figures):
    """Draws the figures of one report."""

    width = _WIDTH

    def intervals(
        self, found: Mapping[str, Interval], title: str, *, strong: str = "", zero: bool = False
    ) -> str:
        """Draws a dot with a whisker a row.

        Args:
            found: By name, top to bottom.
            title: What the figure is.
            strong: The row that stands out.
            zero: Whether 0 is marked.
        """
        left = _names_width(found)
        low = min([each.low for each in found.values()] + ([0.0] if zero else []))
        high = max([each.high for each in found.values()] + ([0.0] if zero else []))
        span = (high - low) or 1.0
        low, high = low - 0.04 * span, high + 0.04 * span
        bottom = 8 + _ROW * len(found)

        def at(value: float) -> float:
            return left + (value - low) / (high - low) * (_WIDTH - _RIGHT - left)

        parts = [
            part
            for tick in _ticks(low, high)
            for part in (
                _line(at(tick), 6, at(tick), bottom, "grid"),
                _text(at(tick), bottom + 14, f"{tick:.4g}", "middle"),
            )
        ]
        if zero and low < 0 < high:
            parts.append(_line(at(0), 6, at(0), bottom, "base"))
        for place, (name, each) in enumerate(found.items()):
            y = 8 + _ROW * (place + 0.5)
            kind = "strong" if name == strong else "plain"
            hint = f"{name}: {each.difference:.4f} [{each.low:.4f}, {each.high:.4f}]"
            parts.append(_text(left - 8, y + 4, name, "end", f"name {kind}"))
            parts.append(
                f'<g class="{kind}"><title>{shown(hint)}</title>'
                f"{_line(at(each.low), y, at(each.high), y, 'whole')}"
                f'<circle class="bar" cx="{at(each.difference):.1f}" cy="{y:.1f}" r="4.5"/></g>'
            )
        described = "; ".join(
            f"{name}: {each.difference:.4f} [{each.low:.4f}, {each.high:.4f}]"
            for name, each in found.items()
        )
        return self._wide(parts, bottom + 20, title, described)

    def pairs(self, found: Mapping[str, tuple[float, float]], title: str) -> str:
        """Draws two bars a row: along an edge and against it, from zero to either side."""
        left = _names_width(found)
        low = min([0.0, *(min(both) for both in found.values())])
        high = max([0.0, *(max(both) for both in found.values())]) or 1.0
        scale = (_WIDTH - _RIGHT - left) / (high - low)
        zero, parts, row = left - low * scale, [], 26
        bottom = 8 + row * len(found)
        for tick in _ticks(low, high):
            x = zero + tick * scale
            parts.append(_line(x, 6, x, bottom, "base" if not tick else "grid"))
            parts.append(_text(x, bottom + 14, f"{tick:.3g}", "middle"))
        for place, (name, both) in enumerate(found.items()):
            y = 8 + row * place
            parts.append(_text(left - 8, y + 16, name, "end", "name"))
            for side, value in enumerate(both):
                wide = abs(value) * scale
                kind = "bar" if side == 0 else "other"
                way = "along" if side == 0 else "against"
                parts.append(
                    f'<rect class="{kind}" x="{min(zero, zero + value * scale):.1f}" '
                    f'y="{y + 4 + 9 * side}" width="{max(wide, 0.5):.1f}" height="8" rx="1.5">'
                    f"<title>{shown(f'{name}, {way} its edges: {value:.3f}')}</title></rect>"
                )
        described = "; ".join(
            f"{name}: {along:.3f} along, {against:.3f} against its edges"
            for name, (along, against) in found.items()
        )
        return self._wide(parts, bottom + 20, title, described)

    def curves(self, loss: Sequence[float], valid: Mapping[int, float], title: str) -> str:
        """Draws the loss of each epoch, and below it the metric on valid where it was judged."""
        parts: list[str] = []
        epochs = len(loss)
        top = self._curve(parts, 16, dict(enumerate(loss, 1)), epochs, "training loss", dots=False)
        bottom = self._curve(parts, top + 34, valid, epochs, "NDCG@20 on valid", dots=True)
        for epoch in _whole_ticks(epochs):
            x = _epoch_at(epoch, epochs)
            parts.append(_text(x, bottom + 14, f"{epoch}", "middle"))
        parts.append(_text(_WIDTH / 2, bottom + 30, "epoch", "middle"))
        best = max(valid, key=lambda epoch: valid[epoch], default=None)
        described = f"Loss from {loss[0]:.3f} to {loss[-1]:.3f} in {epochs} epochs" + (
            "" if best is None else f"; best on valid {valid[best]:.4f} after epoch {best}"
        )
        return self._wide(parts, bottom + 36, title, described)

    def _curve(
        self, parts: list[str], top: float, values: Mapping[int, float], epochs: int, name: str,
        *, dots: bool,
    ) -> float:  # fmt: skip
        tall = 110.0
        bottom = top + 12 + tall
        parts.append(_text(4, top, name, "start", "name"))
        if not values:
            return bottom
        low, high = min(values.values()), max(values.values())
        span = (high - low) or abs(high) or 1.0
        low, high = low - 0.05 * span, high + 0.05 * span

        def at(epoch: int, value: float) -> tuple[float, float]:
            return _epoch_at(epoch, epochs), bottom - (value - low) / (high - low) * tall

        for tick in _ticks(low, high, 4):
            y = at(1, tick)[1]
            parts.append(_line(44, y, _WIDTH - _RIGHT, y, "grid"))
            parts.append(_text(40, y + 4, f"{tick:.4g}", "end"))
        points = [at(epoch, value) for epoch, value in sorted(values.items())]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="curve" points="{joined}"/>')
        if dots:
            parts += [f'<circle class="bar" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
        return bottom

    def _wide(self, parts: Sequence[str], height: float, title: str, described: str) -> str:
        svg = self._figure(parts, height, title, described)
        return svg.replace("0 0 400 ", f"0 0 {_WIDTH} ", 1)


def _epoch_at(epoch: int, epochs: int) -> float:
    return 50 + (epoch - 1) / max(epochs - 1, 1) * (_WIDTH - _RIGHT - 56)


def _names_width(names: Mapping[str, object]) -> float:
    longest = max((text_width(name) for name in names), default=0.0)
    return min(1.1 * longest * _SMALL + 14, 0.48 * _WIDTH)


def _ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers within a range, at most so many."""
    rough = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough)
    first = math.ceil(low / step)
    return [round(place * step, 12) for place in range(first, math.floor(high / step) + 1)]


def _whole_ticks(epochs: int) -> list[int]:
    every = max(-(-epochs // 10), 1)
    return [1, *range(every, epochs + 1, every)] if every > 1 else list(range(1, epochs + 1))


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{shown(text, 40)}</text>"
    )
