"""Where a benchmark's picture writes the models' names."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kgrec.bench import picture
from kgrec.bench.picture import draw_bench, name_points


def figure_with(points: dict[str, tuple[float, float]]) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(xscale="log", xlim=(1, 10_000), ylim=(0, 0.1))
    for x, y in points.values():
        axes.plot([x], [y], "o")
    figure.draw_without_rendering()
    return figure


def test_names_of_points_that_are_close_stand_clear_of_each_other_and_of_the_points() -> None:
    points = {
        "hopwise-lightgcn": (3_700.0, 0.049), "neumf": (5_800.0, 0.047),
        "lightgcn": (7_700.0, 0.049),
        "ease": (97.0, 0.090), "slim": (70.0, 0.089),
    }  # fmt: skip
    axes = figure_with(points).axes[0]
    names = name_points(axes, points)
    assert [name.get_text() for name in names] == list(points)
    boxes = [name.get_window_extent() for name in names]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    for place in axes.transData.transform(list(points.values())):
        assert not any(box.contains(*place) for box in boxes)
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)


def test_a_name_that_has_room_stands_right_above_its_point() -> None:
    points = {"ease": (97.0, 0.05)}
    axes = figure_with(points).axes[0]
    (name,) = name_points(axes, points)
    x, y = axes.transData.transform(points["ease"])
    box = name.get_window_extent()
    assert 0 < box.x0 - x < 15
    assert 0 < box.y0 - y < 15


def test_every_model_that_was_trained_has_its_name_at_its_seconds_and_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[Mapping[str, tuple[float, float]]] = []

    def remember(_: Axes, points: Mapping[str, tuple[float, float]]) -> None:
        named.append(points)

    monkeypatch.setattr(picture, "name_points", remember)
    accuracy = {"ndcg@20": {"mean": 0.3, "sd": None}}
    rows = [
        {"model": "ease", "seconds": {"train": {"mean": 9.0}}, "metrics": accuracy},
        {"model": "popularity", "seconds": {"train": {"mean": 0.0}}, "metrics": accuracy},
        {"model": "kgrec/network", "seconds": {}, "metrics": accuracy},  # a part
        {"model": "mcclk"},  # failed
    ]
    draw_bench(tmp_path / "accuracy.png", {"name": "set", "rows": rows})
    assert named == [{"ease": (9.0, 0.3), "popularity": (0.01, 0.3)}]
