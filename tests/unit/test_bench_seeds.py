"""Rows of some seeds joined with rows of others."""

import math
from typing import Any

import pytest

from kgrec.bench.earlier import with_earlier
from kgrec.bench.markdown import to_markdown
from kgrec.bench.seeds import joinable, joined, spread, status


def row(model: str, by_seed: dict[int, float], **more: Any) -> dict[str, Any]:
    seeds, values = list(by_seed), list(by_seed.values())
    cohort = {"ndcg@20": spread(values), "num_users": spread([7.0] * len(values))}
    return {
        "model": model, "seeds": seeds, "settings": "as published", "status": "done", "errors": {},
        "metrics": {"ndcg@20": spread(values)}, "valid": {"ndcg@20": spread(values)},
        "cohorts": {"users/1-5": cohort},
        "seconds": {"train": spread([100 * value for value in values]), "score": spread(values)},
        "peak_memory_mb": spread(values), "base_memory_mb": spread(values), "parameters": 3,
        "chosen": {str(seed): {"epochs": seed} for seed in seeds},
        "origin": {"commit": ["c1"], "threads": ["1"], "date": ["2026-11-01"]},
        "difference": {"ndcg@20": {"difference": -0.1, "low": -0.2, "high": 0.0}},
        **more,
    }  # fmt: skip


def test_values_go_to_their_seeds_and_mean_and_deviation_are_of_all() -> None:
    (found,) = joined([row("slim", {1: 0.3, 2: 0.5})], [row("slim", {0: 0.1})])
    assert found["seeds"] == [0, 1, 2]
    assert found["metrics"]["ndcg@20"]["values"] == [0.1, 0.3, 0.5]
    assert found["metrics"]["ndcg@20"]["mean"] == pytest.approx(0.3)
    assert found["metrics"]["ndcg@20"]["sd"] == pytest.approx(math.sqrt(0.04))
    assert found["seconds"]["train"]["values"] == pytest.approx([10, 30, 50])
    assert found["cohorts"]["users/1-5"]["num_users"]["values"] == [7.0, 7.0, 7.0]
    assert found["chosen"] == {str(seed): {"epochs": seed} for seed in range(3)}


def test_of_a_seed_that_both_have_the_later_value_counts() -> None:
    (found,) = joined([row("slim", {1: 0.3, 2: 0.5})], [row("slim", {0: 0.1, 1: 0.9})])
    assert found["metrics"]["ndcg@20"]["values"] == [0.1, 0.3, 0.5]


@pytest.mark.parametrize(
    ("now", "kept"),
    [
        ({0: 0.1, 1: 0.3}, True),
        ({1: 0.3, 0: 0.1}, True),
        ({0: 0.2, 1: 0.3}, False),
        ({0: 0.1}, True),  # of as many seeds the later row stays, and
        ({0: 0.2}, False),  # is not told by what an earlier fit was compared with
    ],
)
def test_a_row_of_the_same_numbers_keeps_its_comparison_with_kgrec(
    now: dict[int, float], *, kept: bool
) -> None:
    then = row("slim", {0: 0.1})
    new = report([row("slim", now, difference={})])
    (found,) = with_earlier(new, report([then]), ["slim"])["rows"]
    assert found["metrics"]["ndcg@20"]["values"] == list(now.values())
    assert found["difference"] == (then["difference"] if kept else {})
    assert found.get("difference_seeds") == ([0] if kept else None)


def test_differences_are_of_the_row_with_more_seeds_and_the_page_says_so() -> None:
    mine = {"ndcg@20": {"difference": -0.3, "low": -0.4, "high": -0.2}}
    new = row("slim", {1: 0.3, 2: 0.5}, difference=mine)
    (found,) = joined([new], [row("slim", {0: 0.1})])
    assert (found["difference"], found["difference_seeds"]) == (mine, [1, 2])
    again = joined([row("slim", {3: 0.2})], [found])[0]
    assert (again["difference"], again["difference_seeds"]) == (mine, [1, 2])
    assert again["seeds"] == [0, 1, 2, 3]
    # A run without kgrec beside the model compares nothing.
    (found,) = joined([row("slim", {1: 0.3, 2: 0.5}, difference={})], [row("slim", {0: 0.1})])
    assert found["difference_seeds"] == [0]
    page = to_markdown(report([found]))
    assert "| slim (seeds 0) | " in page
    assert "| slim | 3 | **0.3000 ± 0.2000** |" in page


def test_the_page_says_whether_its_command_made_all_rows() -> None:
    made = "by `kgrec bench` on 2026-11-01, seeds 0."
    rows = [row("slim", {0: 0.1})]
    assert f"\nMade {made}\n" in to_markdown(report(rows))
    several = "Made by several runs (Settings says of which day each row is), the last"
    assert f"\n{several} {made}\n" in to_markdown(report(rows, has_earlier=True))


def test_seconds_to_a_goal_that_one_run_did_not_measure_are_the_others() -> None:
    old = row("slim", {0: 0.1})
    old["seconds"]["to_ease"] = spread([None])  # measured, and not reached
    (found,) = joined([row("slim", {1: 0.3})], [old])
    assert found["seconds"]["to_ease"] == spread([None])
    new = row("slim", {1: 0.3})
    new["seconds"]["to_ease"] = spread([9.0])
    (found,) = joined([new], [old])
    assert found["seconds"]["to_ease"]["values"] == [None, 9.0]


def test_errors_stay_of_seeds_that_have_no_result() -> None:
    old = row("slim", {0: 0.1}, errors={"1": "killed", "2": "killed"}, status="partly")
    (found,) = joined([row("slim", {1: 0.3})], [old])
    assert (found["errors"], found["status"]) == ({"2": "killed"}, "partly")


@pytest.mark.parametrize(
    ("seeds", "errors", "said"),
    [([], {"0": "x"}, "failed"), ([0], {"1": "x"}, "partly"), ([0], {}, "done")],
)
def test_a_row_is_done_where_nothing_failed(
    seeds: list[int], errors: dict[str, str], said: str
) -> None:
    assert status(seeds, errors) == said


def test_parts_are_joined_with_theirs() -> None:
    new = [row("kgrec", {1: 0.3}), row("kgrec/network", {1: 0.2})]
    old = [row("kgrec", {0: 0.1}), row("kgrec/directed", {0: 0.4})]
    found = {each["model"]: each["seeds"] for each in joined(new, old)}
    assert found == {"kgrec": [0, 1], "kgrec/network": [1], "kgrec/directed": [0]}


def test_only_the_same_model_with_new_seeds_on_both_sides_is_joined() -> None:
    other = {"commit": ["c2"], "threads": ["1"], "date": ["2026-11-02"]}
    assert joinable([row("slim", {1: 0.3})], [row("slim", {0: 0.1}, origin=other)])
    assert not joinable([row("slim", {1: 0.3})], [row("slim", {0: 0.1}, settings="others")])
    assert not joinable([row("kgrec", {1: 0.3})], [row("kgrec", {0: 0.1}, origin=other)])
    assert joinable([row("kgrec", {1: 0.3})], [row("kgrec", {0: 0.1})])
    assert not joinable([row("slim", {0: 0.3})], [row("slim", {0: 0.1, 1: 0.2})])
    assert not joinable([row("slim", {})], [row("slim", {0: 0.1})])
    assert not joinable([], [row("slim", {0: 0.1})])


def report(rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    machine = {"processor": "p", "cores": 2, "memory_gb": 1, "threads": 1, "system": "s",
               "cuda": None}  # fmt: skip
    return {
        "name": "set", "command": "kgrec bench", "date": "2026-11-01", "protocol": [],
        "refit": False, "seeds": sorted({s for each in rows for s in each["seeds"]}),
        "splits": [{"seed": 0, "graph_version": "v0"}], "settings": {}, "rows": rows, "notes": [],
        "machine": machine, "versions": {}, "commit": "c1", **more,
    }  # fmt: skip


def test_a_report_joins_the_seeds_of_the_run_before() -> None:
    new, old = report([row("slim", {1: 0.3})]), report([row("slim", {0: 0.1}), row("als", {0: 1})])
    found = with_earlier(new, old, ("slim", "als"))
    assert found["seeds"] == [0, 1]
    assert {each["model"]: each["seeds"] for each in found["rows"]} == {"slim": [0, 1], "als": [0]}
