"""What a report takes over from the run before."""

import json
from pathlib import Path
from typing import Any

import pytest

from kgrec.bench.earlier import origin_notes, read_earlier, with_earlier
from kgrec.errors import DataError

MODELS = ("kgrec", "ease", "slim")


def row(model: str, seeds: list[int], commit: str, **more: Any) -> dict[str, Any]:
    origin = {"commit": [commit], "threads": ["1"], "date": ["2026-11-01"]}
    return {"model": model, "seeds": seeds, "origin": origin, **more}


def report(rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    splits = [{"seed": 0, "graph_version": "v0"}]
    found = {"rows": rows, "splits": splits, "refit": False, "seeds": [0], "notes": []}
    return {**found, "command": "kgrec bench", **more}


def models(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["model"], each["origin"]["commit"][0]) for each in found["rows"]]


def test_other_models_rows_stay_in_the_order_of_the_settings() -> None:
    earlier = report([row("slim", [0], "old"), row("kgrec", [0], "old")])
    found = with_earlier(report([row("ease", [0], "new")]), earlier, MODELS)
    assert models(found) == [("kgrec", "old"), ("ease", "new"), ("slim", "old")]
    assert found["has_earlier"]


def test_a_model_that_has_left_the_settings_stays_last() -> None:
    earlier = report([row("als", [0], "old")])
    found = with_earlier(report([row("ease", [0], "new")]), earlier, MODELS)
    assert models(found) == [("ease", "new"), ("als", "old")]


@pytest.mark.parametrize(
    ("now", "then", "stays"),
    [([0, 1], [0], "new"), ([0], [0], "new"), ([0], [0, 1], "old"), ([], [0], "old")],
)
def test_the_rows_of_more_seeds_stay_and_of_as_many_the_later_ones(
    now: list[int], then: list[int], stays: str
) -> None:
    earlier = report([row("kgrec", then, "old"), row("kgrec/network", then, "old")])
    new = report([row("kgrec", now, "new"), row("kgrec/directed", now, "new")])
    found = models(with_earlier(new, earlier, MODELS))
    part = "directed" if stays == "new" else "network"
    assert found == [("kgrec", stays), (f"kgrec/{part}", stays)]  # never parts of two fits


def test_seeds_and_splits_are_those_of_all_rows() -> None:
    splits = [{"seed": 0, "graph_version": "v0"}, {"seed": 1, "graph_version": "v1"}]
    earlier = report([row("kgrec", [0, 1], "old")], splits=splits, seeds=[0, 1])
    found = with_earlier(report([row("ease", [0], "new")]), earlier, MODELS)
    assert found["seeds"] == [0, 1]
    assert found["splits"] == splits


@pytest.mark.parametrize(
    "other", [{"splits": [{"seed": 0, "graph_version": "v9"}]}, {"refit": True}]
)
def test_nothing_is_taken_of_other_data_or_another_protocol(other: dict[str, Any]) -> None:
    new = report([row("ease", [0], "new")])
    assert with_earlier(new, report([row("kgrec", [0], "old")], **other), MODELS) == new


def test_a_run_that_fitted_everything_again_has_nothing_earlier() -> None:
    new = report([row("kgrec", [0, 1], "new"), row("ease", [0], "new")])
    found = with_earlier(new, report([row("kgrec", [0], "old"), row("ease", [0], "old")]), MODELS)
    assert not found["has_earlier"]


def test_the_audit_stays_until_there_is_another() -> None:
    earlier = report([], audit={"of": "then"})
    assert with_earlier(report([]), earlier, MODELS)["audit"] == {"of": "then"}
    assert with_earlier(report([], audit={"of": "now"}), earlier, MODELS)["audit"] == {"of": "now"}


def test_notes_say_of_how_many_commits_the_rows_are_and_what_failed_now() -> None:
    earlier = report([row("kgrec", [0], "old")], notes=["als, seed 0, has no result: then"])
    new = report([row("ease", [0], "new")], notes=["slim, seed 0, has no result: now"])
    assert with_earlier(new, earlier, MODELS)["notes"] == [
        "slim, seed 0, has no result: now",
        "The rows are not of one commit: new, old.",
    ]
    assert list(origin_notes([row("ease", [0], "one"), row("slim", [0], "one")])) == []


def test_notes_say_which_models_were_ended_by_the_limit_on_minutes() -> None:
    ended = {"stopped_by": "minutes", "epochs": 4, "best_epoch": 3}
    chosen = {"0": ended, "1": {**ended, "stopped_by": "patience"}, "2": None}
    earlier = report([row("als", [0, 1, 2], "one", chosen=chosen)])
    assert with_earlier(report([row("ease", [0], "one")]), earlier, MODELS)["notes"] == [
        "als, seed 0, was ended by the limit on minutes after 4 epochs, its best in epoch 3: with "
        "more time it may be better."
    ]


def test_what_is_no_report_is_refused_before_anything_is_fitted(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    assert read_earlier(path) is None
    for text in ("{", "{}", '{"rows": [1], "splits": [], "refit": false}'):
        path.write_text(text)
        with pytest.raises(DataError, match="is no report of a benchmark"):
            read_earlier(path)
    path.write_text(json.dumps(report([row("ease", [0], "old")])))
    found = read_earlier(path)
    assert found is not None
    assert models(found) == [("ease", "old")]
