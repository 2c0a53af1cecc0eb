"""A benchmark in one picture: accuracy against the time it took."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from kgrec.bench.pages import longest
from kgrec.bench.peers import REFERENCE
from kgrec.files import atomic_file

_OWN, _OTHER = "#C44E52", "#4C72B0"
#: Shorter trainings are drawn here: a logarithm has no zero.
_LEAST_SECONDS = 0.01
_Place = tuple[float, float, Literal["left", "right"], Literal["bottom", "top"]]
#: Where a name may stand about its point, in points, with its horizontal and vertical alignment;
#: the first place that is free is taken.
_PLACES: list[_Place] = [
    (6 * right, up, "left" if right > 0 else "right", "bottom" if up > 0 else "top")
    for up in (4, -4, 13, -13, 22, -22)
    for right in (1, -1)
]
#: Half of a point's width and height, in pixels.
_RADIUS = 6


def draw_bench(path: Path, report: dict[str, Any]) -> None:
    """Draws NDCG at the longest list against seconds to train as PNG.

    Bars are the standard deviation over seeds. Parts, which were not trained alone, and models
    without a result are left out.

    Args:
        path: The file to write.
        report: The report.
    """
    metric = f"ndcg@{longest(report)}"
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    points = {}
    for row in report["rows"]:
        seconds = row.get("seconds", {}).get("train")
        accuracy = row.get("metrics", {}).get(metric)
        if seconds is None or accuracy is None or accuracy["mean"] is None:
            continue
        x, y = max(seconds["mean"], _LEAST_SECONDS), accuracy["mean"]
        own = row["model"].startswith(REFERENCE)
        axes.errorbar(
            x, y, yerr=accuracy["sd"], fmt="s" if own else "o", color=_OWN if own else _OTHER
        )
        points[row["model"]] = (x, y)
    axes.set_xscale("log")
    axes.set_xlabel("seconds to train, search included")
    axes.set_ylabel(f"test NDCG@{longest(report)}")
    axes.set_title(report["name"])
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.draw_without_rendering()  # names are placed by pixels, which the layout decides
    name_points(axes, points)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})


def name_points(axes: Axes, points: Mapping[str, tuple[float, float]]) -> list[Annotation]:
    """Writes each point's name beside it, over no other name or point, if there is a place.

    Args:
        axes: Laid out, with the points drawn.
        points: Where they are, (x, y) in the axes' data, by name.

    Returns:
        The names as they stand, in the order of `points`.
    """
    boxes = [_square(axes.transData.transform(point)) for point in points.values()]
    names = []
    for name, point in points.items():
        label = axes.annotate(name, point, xytext=(0, 0), textcoords="offset points", fontsize=8)
        boxes.append(_put_freely(label, axes, boxes))
        names.append(label)
    return names


def _put_freely(label: Annotation, axes: Axes, boxes: Sequence[Bbox]) -> Bbox:
    """Moves a name to the first place where it covers the least, and gives what it covers."""
    free = min(_PLACES, key=lambda place: _crossed(axes, _put(label, place), boxes))
    return _put(label, free)


def _put(label: Annotation, place: _Place) -> Bbox:
    """Moves a name to a place, and gives what it covers there, in pixels."""
    right, up, horizontal, vertical = place
    label.xyann = (right, up)
    label.set(ha=horizontal, va=vertical)
    return label.get_window_extent()


def _crossed(axes: Axes, box: Bbox, boxes: Sequence[Bbox]) -> int:
    """How many names and points a name would stand over; leaving the axes counts as one."""
    within = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
    return sum(map(box.overlaps, boxes)) + (not within)


def _square(center: Any) -> Bbox:
    x, y = center
    return Bbox.from_extents(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS)
