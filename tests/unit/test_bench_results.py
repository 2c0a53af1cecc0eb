"""A folder of results: what is added, what counts, and the report that follows from it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgrec.bench.fits import Fit, PerUser, Row
from kgrec.bench.pages import to_markdown
from kgrec.bench.report import build_report, row_status
from kgrec.bench.results import (
    Difference,
    Results,
    add_fit,
    compare,
    fit_path,
    keep_only,
    read_results,
    write_audit,
    write_differences,
)
from kgrec.config.bench import read_bench
from kgrec.errors import DataError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MODELS = ("kgrec", "ease", "slim")
MACHINE = {"processor": "p", "cores": 2, "memory_gb": 1, "threads": 1, "system": "s", "cuda": None}


def row(value: float) -> Row:
    return Row(
        metrics={"ndcg@20": value},
        cohorts={"users/1-5": {"ndcg@20": value, "num_users": 7.0}},
        valid={"ndcg@20": value},
        score_seconds=value,
        parameters=3,
    )


def fit(model: str, seed: int, value: float = 0.1, **more: Any) -> Fit:
    facts: dict[str, Any] = {
        "settings": "as published", "split": {"seed": 0, "graph_version": "v0"}, "commit": "c1",
        "command": "kgrec bench", "date": "2026-11-01", "machine": MACHINE,
        "rows": {"": row(value)}, "train_seconds": 100 * value, "peak_memory_mb": value,
        "base_memory_mb": value, "choices": {"epochs": seed},
    }  # fmt: skip
    return Fit(model=model, seed=seed, **{**facts, **more})


def failed(model: str, seed: int, error: str, **more: Any) -> Fit:
    return fit(model, seed, rows={}, train_seconds=None, error=error, **more)


def report(*fits: Fit, **more: Any) -> dict[str, Any]:
    return build_report("set", Results(fits, **more), MODELS)


def models(rows: list[dict[str, Any]]) -> list[tuple[str, list[int]]]:
    return [(each["model"], each["seeds"]) for each in rows]


# --- the table -----------------------------------------------------------------------------------


def test_values_go_to_their_seeds_and_mean_and_deviation_are_of_all() -> None:
    (found,) = report(fit("slim", 1, 0.3), fit("slim", 2, 0.5), fit("slim", 0, 0.1))["rows"]
    assert found["seeds"] == [0, 1, 2]
    assert found["metrics"]["ndcg@20"]["values"] == [0.1, 0.3, 0.5]
    assert found["metrics"]["ndcg@20"]["mean"] == pytest.approx(0.3)
    assert found["metrics"]["ndcg@20"]["sd"] == pytest.approx(math.sqrt(0.04))
    assert found["seconds"]["train"]["values"] == pytest.approx([10, 30, 50])
    assert found["cohorts"]["users/1-5"]["num_users"]["values"] == [7.0, 7.0, 7.0]
    assert found["choices"] == {str(seed): {"epochs": seed} for seed in range(3)}


def test_models_are_in_the_order_of_the_settings_and_others_last() -> None:
    found = report(*(fit(name, 0) for name in ("als", "slim", "ease", "kgrec")))["rows"]
    assert [each["model"] for each in found] == ["kgrec", "ease", "slim", "als"]


def test_parts_have_rows_of_the_seeds_that_have_them() -> None:
    first = fit("kgrec", 0, rows={"": row(0.1), "directed": row(0.4)})
    second = fit("kgrec", 1, rows={"": row(0.3), "network": row(0.2)})
    found = {each["model"]: each["seeds"] for each in report(first, second)["rows"]}
    assert found == {"kgrec": [0, 1], "kgrec/directed": [0], "kgrec/network": [1]}


def test_seeds_and_splits_are_those_of_all_rows() -> None:
    splits = [{"seed": seed, "graph_version": f"v{seed}"} for seed in (0, 1)]
    found = report(
        fit("kgrec", 1, split=splits[1]), fit("kgrec", 0, split=splits[0]), fit("ease", 0)
    )
    assert (found["seeds"], found["splits"]) == ([0, 1], splits)


@pytest.mark.parametrize("other", [{"split": {"seed": 0, "graph_version": "v9"}}, {"refit": True}])
def test_fits_of_other_data_or_another_protocol_do_not_count(other: dict[str, Any]) -> None:
    found = report(fit("kgrec", 0, **other), fit("ease", 0, date="2026-11-02"))
    assert models(found["rows"]) == [("ease", [0])]
    assert found["notes"] == ["kgrec, seed 0, does not count: it is of other data."]


@pytest.mark.parametrize("other", [{"settings": "others"}, {"variant": "other code"}])
def test_a_row_is_of_the_latest_settings_and_code_of_a_model(other: dict[str, Any]) -> None:
    later = {"date": "2026-11-02", "commit": "c2"}
    parts = {"": row(0.1), "network": row(0.2)}
    found = report(fit("kgrec", 0, rows=parts), fit("kgrec", 1, **other, **later), fit("ease", 0))
    assert models(found["rows"]) == [("kgrec", [1]), ("ease", [0])]  # never parts of two models
    assert found["notes"][0] == (
        "kgrec, seed 0, does not count: seed 1 is of other settings or code, and later."
    )
    # A failure is of no settings: what there is counts on.
    found = report(fit("kgrec", 0), failed("kgrec", 1, "killed", **other, **later))
    assert models(found["rows"]) == [("kgrec", [0])]
    assert found["notes"] == ["kgrec, seed 1, has no result: killed"]
    # Another commit alone changes nothing: what it changed is in the variant.
    found = report(fit("kgrec", 0), fit("kgrec", 1, **later))
    assert models(found["rows"]) == [("kgrec", [0, 1])]


def test_errors_are_of_seeds_without_a_result_and_notes_say_so() -> None:
    found = report(fit("slim", 0), failed("slim", 2, "killed"), failed("als", 0, "no room"))
    slim, als = found["rows"]
    assert (slim["errors"], slim["status"], slim["seeds"]) == ({"2": "killed"}, "partly", [0])
    assert (als["status"], als["seeds"], "metrics" in als) == ("failed", [], False)
    assert found["notes"] == [
        "slim, seed 2, has no result: killed", "als, seed 0, has no result: no room"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seeds", "errors", "said"),
    [([], {"0": "x"}, "failed"), ([0], {"1": "x"}, "partly"), ([0], {}, "done")],
)
def test_a_row_is_done_where_nothing_failed(
    seeds: list[int], errors: dict[str, str], said: str
) -> None:
    assert row_status(seeds, errors) == said


def test_notes_say_of_how_many_commits_the_rows_are() -> None:
    note = "The rows are not of one commit: c1, c2, c3."
    assert report(fit("ease", 0, commit="c2"), fit("slim", 0, commit="c3, c1"))["notes"] == [note]
    assert report(fit("ease", 0), fit("slim", 0))["notes"] == []
    threads = fit("slim", 0, machine={**MACHINE, "threads": 2})
    assert report(fit("ease", 0), threads)["notes"] == [
        "The rows are not of one number of threads: 1, 2."
    ]


def test_notes_say_which_models_were_ended_by_the_limit_on_minutes() -> None:
    ended = {"stopped_by": "minutes", "epochs": 4, "best_epoch": 3}
    fits = (
        fit("als", 0, choices=ended),
        fit("als", 1, choices={**ended, "stopped_by": "patience"}),
        fit("als", 2, choices={}),
    )
    assert report(*fits)["notes"] == [
        "als, seed 0, was ended by the limit on minutes after 4 epochs, its best in epoch 3: with "
        "more time it may be better."
    ]


def test_the_page_says_whether_its_command_made_all_rows() -> None:
    words = "by `kgrec bench --only slim` on 2026-11-02, seeds 0."
    last = fit("slim", 0, command="kgrec bench --only slim", date="2026-11-02T08:00:00+00:00")
    assert f"\nMade {words}\n" in to_markdown(report(last))
    several = "Made by several runs (Settings says of which day each row is), the last"
    assert f"\n{several} {words}\n" in to_markdown(report(last, fit("ease", 0)))


def test_the_page_names_each_machine_once() -> None:
    other = {**MACHINE, "processor": "q"}
    fits = (fit("ease", 0), fit("ease", 1), fit("slim", 0, machine=other))
    page = to_markdown(report(*fits))
    assert [page.count(f"\n- {name}, 2 cores, 1 GB, 1 threads; s;") for name in "pq"] == [1, 1]


def test_seconds_to_the_goal_are_of_the_seeds_that_have_it() -> None:
    fits = (fit("slim", 0, 0.1), fit("slim", 1, 0.3), fit("slim", 2, 0.3))
    goals = (fit("ease", 0, 0.2), fit("ease", 1, 0.2))
    found = {each["model"]: each["seconds"] for each in report(*fits, *goals)["rows"]}
    assert found["slim"]["to_ease"]["values"] == [None, 30.0]
    assert found["ease"]["to_ease"]["values"] == found["ease"]["train"]["values"]
    assert "to_ease" not in report(*fits)["rows"][0]["seconds"]
    refits = (each.model_copy(update={"refit": True}) for each in (*fits, *goals))
    assert "to_ease" not in report(*refits)["rows"][0]["seconds"]


# --- differences to kgrec ------------------------------------------------------------------------


def users_of(fit: Fit) -> dict[str, PerUser]:
    """The numbers of two users, equal to what the fit says."""
    return {
        name: PerUser(np.array([0, 1]), {"ndcg@20": np.full(2, row.metrics["ndcg@20"])})
        for name, row in fit.rows.items()
    }


def test_models_and_parts_are_compared_with_kgrec_in_the_seeds_that_both_have() -> None:
    kgrec = fit("kgrec", 0, 0.5, rows={"": row(0.5), "network": row(0.25)})
    fits = [kgrec, fit("kgrec", 1, 0.5), fit("ease", 0, 0.25), fit("ease", 2, 0.25)]
    found = compare(fits, {}, users_of)
    assert {label: list(each.rows) for label, each in found.items()} == {
        "kgrec/network": [0], "ease": [0]
    }  # fmt: skip
    assert found["ease"].metrics["ndcg@20"] == {"difference": -0.25, "low": -0.25, "high": -0.25}
    assert compare([fit("ease", 0)], {}, users_of) == {}  # kgrec was not fitted


def test_a_comparison_stays_as_long_as_its_rows_do_and_none_is_of_more_seeds() -> None:
    fits = [fit(model, seed) for model in ("kgrec", "ease") for seed in (0, 1)]
    both = compare(fits, {}, users_of)
    assert list(both["ease"].rows) == [0, 1]

    def of_first(fit: Fit) -> dict[str, PerUser] | None:
        return users_of(fit) if fit.seed == 0 else None

    assert compare(fits, both, of_first) == both
    assert compare(fits, both, lambda _: None) == both
    assert list(compare(fits, {}, of_first)["ease"].rows) == [0]
    for other in (fit("kgrec", 0, 0.7), fit("ease", 1, 0.7)):
        changed = [other if (o.model, o.seed) == (other.model, other.seed) else o for o in fits]
        assert compare(changed, both, lambda _: None) == {}
        assert "difference" not in report(*changed, differences=both)["rows"][1]


def test_the_page_says_of_which_seeds_a_difference_is_if_not_of_all() -> None:
    fits = [fit("kgrec", 0), fit("slim", 0), fit("slim", 1)]
    found = report(*fits, differences=compare(fits, {}, users_of))
    assert found["rows"][1]["difference_seeds"] == [0]
    assert "| slim (seeds 0) | +0.0000 [+0.0000, +0.0000]" in _without_blanks(to_markdown(found))
    fits.append(fit("kgrec", 1))
    found = report(*fits, differences=compare(fits, {}, users_of))
    assert "| slim | +0.0000" in _without_blanks(to_markdown(found))


def _without_blanks(page: str) -> str:
    return page.replace("|  ", "| ").replace("| | ", "| ").replace("|  ", "| ")


# --- files ---------------------------------------------------------------------------------------


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_results(tmp_path / "none") == Results()
    fits = (fit("ease", 0, looks=((1.5, 0.1),)), failed("als", 1, "killed"))
    of_nobody = row(0.1).model_copy(update={"metrics": {"ndcg@20": math.nan}})
    fits = (*fits, fit("kgrec", 0, rows={"": of_nobody}))
    for each in fits:
        add_fit(tmp_path, each)
    differences = {"ease": Difference(rows={0: ("a", "b")}, metrics={"ndcg@20": {"low": 0.1}})}
    write_differences(tmp_path, differences)
    write_audit(tmp_path, {"of": "then", "nothing": math.nan})
    results = read_results(tmp_path)
    assert {each.model: each for each in results.fits} == {
        each.model: Fit.model_validate_json(each.model_dump_json()) for each in fits
    }
    assert results.differences == differences
    assert results.audit == {"of": "then", "nothing": None}
    assert report(*fits, audit=results.audit)["audit"] == results.audit
    write_audit(tmp_path, {"of": "now"})
    assert read_results(tmp_path).audit == {"of": "now"}


def test_later_results_replace_earlier_ones_and_no_failure_replaces_a_result(
    tmp_path: Path,
) -> None:
    def value() -> float | None:
        (found,) = read_results(tmp_path).fits
        return found.rows[""].metrics["ndcg@20"] if found.rows else None

    add_fit(tmp_path, failed("slim", 0, "killed", date="2026-11-05"))
    assert value() is None
    for date, number, expected in (
        ("2026-11-02", 0.1, 0.1), ("2026-11-03", 0.3, 0.3), ("2026-11-01", 0.5, 0.3)
    ):  # fmt: skip
        add_fit(tmp_path, fit("slim", 0, number, date=date))
        assert value() == expected
    add_fit(tmp_path, failed("slim", 0, "killed", date="2026-11-09"))
    assert value() == 0.3


def test_only_some_fits_are_kept(tmp_path: Path) -> None:
    for model, seed in (("ease", 0), ("ease", 1), ("kgrec-no-graph", 0)):
        add_fit(tmp_path, fit(model, seed))
    write_audit(tmp_path, {})
    (tmp_path / "robustness.json").write_text("{}")  # not of these results
    keep_only(tmp_path, [("ease", 1), ("als", 0)])
    assert [(each.model, each.seed) for each in read_results(tmp_path).fits] == [("ease", 1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fits", "robustness.json"]


@pytest.mark.parametrize("text", ["{", "{}", '{"model": "ease"}', '{"layout": 1}', "\xff"])
@pytest.mark.parametrize("name", ["fits/ease-0.json", "differences.json", "audit.json"])
def test_what_is_something_else_is_refused(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="latin-1")
    if (name, text) in {("differences.json", "{}")} | {
        ("audit.json", each) for each in ("{}", '{"model": "ease"}', '{"layout": 1}')
    }:
        return  # these are right
    with pytest.raises(DataError, match="what `kgrec bench` wrote; move it away"):
        read_results(tmp_path)
    if name.startswith("fits"):
        with pytest.raises(DataError, match="is no fit of a benchmark"):
            add_fit(tmp_path, fit("ease", 0))


def test_a_file_is_named_by_model_and_seed(tmp_path: Path) -> None:
    add_fit(tmp_path, fit("kgrec-no-graph", 2))
    assert fit_path(tmp_path, "kgrec-no-graph", 2) == tmp_path / "fits" / "kgrec-no-graph-2.json"
    assert fit_path(tmp_path, "kgrec-no-graph", 2).is_file()


# --- the committed results -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", sorted(path.parent.name for path in BENCHMARKS.glob("results/*/fits"))
)
def test_committed_pages_are_functions_of_the_committed_results(name: str) -> None:
    folder = BENCHMARKS / "results" / name
    bench, _ = read_bench(BENCHMARKS / f"{name}.toml")
    results = read_results(folder)
    for each in results.fits:
        assert fit_path(folder, each.model, each.seed).is_file()
    page = to_markdown(build_report(bench.name, results, bench.models))
    assert page == (folder / "README.md").read_text(encoding="utf-8")
