"""The picture of synthetic edges: what it shows is what the record says."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from kgrec.training import picture
from kgrec.training.picture import draw_augment


def interval(middle: float) -> dict[str, float]:
    return {"difference": middle, "low": middle - 0.01, "high": middle + 0.01}


def source(precision: float) -> dict[str, Any]:
    return {
        "precision": precision, "auc": 0.6, "popularity_distance": 0.4, "degree_distance": 0.2,
        "distinct": 30, "effective": 20.0,
    }  # fmt: skip


def record() -> dict[str, Any]:
    report = {
        "candidate_recall": 0.62,
        "variety": {"proposed": 20.0, "hidden": 80.0},
        "collapsed": False,
        "looks": [0.1, 0.2, 0.3],
        "sources": {"teacher": source(0.2), "like by genre": source(0.1), "generator": source(0.3)},
    }  # fmt: skip
    rounds = [{"generator": 0.5, "discriminator": 0.7, "cross_entropy": 2.0}] * 2
    gan = {**report, "rounds": rounds, "collapsed": True}
    verdict = {"cohorts": {"sparse": interval(0.02)}, "tail": interval(-0.03), "harmed": ["all"]}
    return {
        "picked": "gan",
        "sources": {"gan": verdict, "teacher": {**verdict, "tail": None, "harmed": []}},
        "proposals": {
            "gan": {"edges": 10, "tail": 0.2, "novelty": 9.0, "proven": 0.05},
        },
        "learned": {"generator": {**report, "cross_entropy": [3.0, 2.5]}, "gan": gan},
    }


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    figures: list[Figure] = []

    class Kept(Figure):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            figures.append(self)

    monkeypatch.setattr(picture, "Figure", Kept)

    def draw(told: dict[str, Any]) -> list[Any]:
        draw_augment(tmp_path / "augment.png", told)
        assert (tmp_path / "augment.png").read_bytes()[:4] == b"\x89PNG"
        return figures[-1].axes

    return draw


def labels(axes: Any) -> list[str]:
    return [each.get_text() for each in axes.get_yticklabels()]


def test_every_panel_shows_what_the_record_says(drawn: Any) -> None:
    axes = drawn(record())
    precision, losses, distances, variety, gate = axes[:5]
    assert labels(precision) == ["gan", "generator", "teacher", "like by genre"]
    assert [bar.get_width() for bar in precision.patches] == [0.3, 0.3, 0.2, 0.1]
    assert "62%" in precision.get_xlabel()
    assert list(losses.lines[0].get_ydata()) == [0.0, -0.5, -1.0, -1.0]
    assert losses.get_legend().get_texts()[0].get_text() == "cross-entropy (from 3.00)"
    assert losses.get_xlabel() == "epoch; kept at its best: generator after 2, gan after 2"
    assert labels(distances) == ["gan", "generator", "teacher"]
    assert [bar.get_width() for bar in variety.patches] == [80.0, 20.0, 20.0, 20.0]
    assert variety.get_xlabel() == "collapsed: gan"
    assert "5.0% in valid" in variety.texts[1].get_text()
    assert labels(gate) == ["gan\nharms all", "teacher"]
    assert gate.get_xlabel().endswith("let in: gan")


def test_what_was_not_measured_is_left_empty(drawn: Any) -> None:
    told = record()
    for given, empty in (({}, 5), ({"learned": told["learned"]}, 1), ({"learned": {}}, 5)):
        axes = drawn(given)
        words = [text.get_text() for each in axes for text in each.texts]
        found = sum(word in ("not measured here", "the gate was not asked") for word in words)
        assert found == empty
