"""The report's own pictures, as inline SVG like those of the data card."""

import math
from collections.abc import Mapping, Sequence

from kgrec.data.card.page import Figures
from kgrec.evaluation.bootstrap import Interval
from kgrec.exploration.layout import subgraph_svg
from kgrec.exploration.look import legend, text_width
from kgrec.exploration.subgraph import Subgraph
from kgrec.pages.svg import Picture, label, line
from kgrec.pages.text import escaped

_WIDTH, _RIGHT, _ROW = 480, 14, 24
_SMALL = 11
#: Of a name beside a row.
_MOST_LETTERS = 40


class ReportFigures(Figures):
    """Draws the figures of one report."""

    def subgraph(self, subgraph: Subgraph) -> Picture:
        """Draws an explanation in columns."""
        return subgraph_svg(subgraph, next(self.numbers))

    def legend(self, subgraph: Subgraph) -> list[tuple[str, str]]:
        """Gives the relations of a drawn explanation in words, with their colours."""
        return legend(subgraph.graph)

    def intervals(
        self,
        intervals: Mapping[str, Interval],
        title: str,
        *,
        strong: str = "",
        zero: bool = False,
    ) -> Picture:
        """Draws a dot with a whisker a row.

        Args:
            intervals: By name, top to bottom.
            title: What the figure is.
            strong: The row that stands out.
            zero: Whether 0 is marked.
        """
        plot_left = _names_width(intervals)
        low = min([i.low for i in intervals.values()] + ([0.0] if zero else []))
        high = max([i.high for i in intervals.values()] + ([0.0] if zero else []))
        span = (high - low) or 1.0
        low, high = low - 0.04 * span, high + 0.04 * span
        bottom = 8 + _ROW * len(intervals)

        def x_of(value: float) -> float:
            return plot_left + (value - low) / (high - low) * (_WIDTH - _RIGHT - plot_left)

        shapes, hints = [], []
        for tick in _ticks(low, high):
            shapes.append(line(x_of(tick), 6, x_of(tick), bottom, "grid"))
            shapes.append(label(x_of(tick), bottom + 14, f"{tick:.4g}", "middle"))
        if zero and low < 0 < high:
            shapes.append(line(x_of(0), 6, x_of(0), bottom, "base"))
        for place, (name, i) in enumerate(intervals.items()):
            y = 8 + _ROW * (place + 0.5)
            kind = "strong" if name == strong else "plain"
            hints.append(f"{name}: {i.difference:.4f} [{i.low:.4f}, {i.high:.4f}]")
            shapes.append(
                label(plot_left - 8, y + 4, name, "end", f"name {kind}", most=_MOST_LETTERS)
            )
            shapes.append(
                f'<g class="{kind}"><title>{escaped(hints[-1])}</title>'
                f"{line(x_of(i.low), y, x_of(i.high), y, 'whole')}"
                f'<circle class="bar" cx="{x_of(i.difference):.1f}" cy="{y:.1f}" r="4.5"/></g>'
            )
        return self.picture(shapes, (_WIDTH, bottom + 20), title, "; ".join(hints))

    def pairs(self, weights: Mapping[str, tuple[float, float]], title: str) -> Picture:
        """Draws two bars a row: along an edge and against it, from zero to either side."""
        plot_left = _names_width(weights)
        low = min([0.0, *(min(pair) for pair in weights.values())])
        high = max([0.0, *(max(pair) for pair in weights.values())]) or 1.0
        scale = (_WIDTH - _RIGHT - plot_left) / (high - low)
        zero, shapes, row = plot_left - low * scale, [], 26
        bottom = 8 + row * len(weights)
        for tick in _ticks(low, high):
            x = zero + tick * scale
            shapes.append(line(x, 6, x, bottom, "base" if not tick else "grid"))
            shapes.append(label(x, bottom + 14, f"{tick:.3g}", "middle"))
        for place, (name, pair) in enumerate(weights.items()):
            y = 8 + row * place
            shapes.append(label(plot_left - 8, y + 16, name, "end", "name", most=_MOST_LETTERS))
            for value, way, kind, top in zip(
                pair, ("along", "against"), ("bar", "other"), (y + 4, y + 13), strict=True
            ):
                shapes.append(
                    f'<rect class="{kind}" x="{min(zero, zero + value * scale):.1f}" '
                    f'y="{top}" width="{max(abs(value) * scale, 0.5):.1f}" height="8" rx="1.5">'
                    f"<title>{escaped(f'{name}, {way} its edges: {value:.3f}')}</title></rect>"
                )
        description = "; ".join(
            f"{name}: {along:.3f} along, {against:.3f} against its edges"
            for name, (along, against) in weights.items()
        )
        return self.picture(shapes, (_WIDTH, bottom + 20), title, description)

    def curves(self, history: Sequence[Mapping[str, float]], title: str) -> Picture:
        """Draws the loss of each epoch, and below it the metric on valid where it was measured."""
        loss = dict(enumerate((epoch["loss"] for epoch in history), 1))
        valid = {int(epoch["epoch"]): epoch["valid"] for epoch in history if "valid" in epoch}
        epochs = len(loss)
        losses, top = _curve(16, loss, epochs, "training loss", dots=False)
        metrics, bottom = _curve(top + 34, valid, epochs, "NDCG@20 on valid", dots=True)
        axis = [
            label(_epoch_x(epoch, epochs), bottom + 14, f"{epoch}", "middle")
            for epoch in _whole_ticks(epochs)
        ]
        axis.append(label(_WIDTH / 2, bottom + 30, "epoch", "middle"))
        best = max(valid, key=lambda epoch: valid[epoch], default=None)
        description = f"Loss from {loss[1]:.3f} to {loss[epochs]:.3f} in {epochs} epochs" + (
            "" if best is None else f"; best on valid {valid[best]:.4f} after epoch {best}"
        )
        return self.picture([*losses, *metrics, *axis], (_WIDTH, bottom + 36), title, description)


def _curve(
    top: float, values: Mapping[int, float], epochs: int, name: str, *, dots: bool
) -> tuple[list[str], float]:
    """Draws values by epoch below `top`; gives the shapes and where they end."""
    tall = 110.0
    bottom = top + 12 + tall
    shapes = [label(4, top, name, "start", "name")]
    if not values:
        return shapes, bottom
    low, high = min(values.values()), max(values.values())
    span = (high - low) or abs(high) or 1.0
    low, high = low - 0.05 * span, high + 0.05 * span

    def y_of(value: float) -> float:
        return bottom - (value - low) / (high - low) * tall

    for tick in _ticks(low, high, 4):
        shapes.append(line(44, y_of(tick), _WIDTH - _RIGHT, y_of(tick), "grid"))
        shapes.append(label(40, y_of(tick) + 4, f"{tick:.4g}", "end"))
    points = [(_epoch_x(epoch, epochs), y_of(value)) for epoch, value in sorted(values.items())]
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    shapes.append(f'<polyline class="curve" points="{corners}"/>')
    if dots:
        shapes += [f'<circle class="bar" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
    return shapes, bottom


def _epoch_x(epoch: int, epochs: int) -> float:
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
