"""The protocol of benchmarks: metrics by hand, cold items, splits, intervals, settings."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from graphs import make_graph

from kgrec.bench.fits import Fit, PerUser, Row, best_looks
from kgrec.bench.protocol import judge, seconds_to_score
from kgrec.bench.report import seconds_to_reach, spread
from kgrec.bench.results import difference
from kgrec.bench.sets import amazon_book
from kgrec.config.bench import BenchConfig, read_bench
from kgrec.errors import ConfigError, DataError
from kgrec.evaluation.cohorts import tail_items
from kgrec.evaluation.floors import train_history
from kgrec.model.popularity import Popularity
from kgrec.schema import Split

# Ten items; item 0 has 4 users, 1 has 3, 2 has 2, 3 and 4 have 1, 5 to 9 have none: cold.
TRAIN = [
    *((user, 0) for user in range(4)),
    *((user, 1) for user in range(3)),
    *((user, 2) for user in range(2)),
    (2, 3),
    (3, 4),
]
SIZES = (6, 10, 0)


class Fixed:
    """A scorer of given scores, that remembers which users it was asked for."""

    def __init__(self, scores: list[list[float]]) -> None:
        self.scores = torch.tensor(scores)
        self.num_users, self.num_items = self.scores.shape
        self.asked: list[list[int]] = []

    def score(self, user_indices: torch.Tensor) -> torch.Tensor:
        self.asked.append(user_indices.tolist())
        return self.scores[user_indices]


def best_first(*orders: list[int]) -> Fixed:
    """Scores that rank the items of each user in the given order, the others behind."""
    scores = []
    for order in orders:
        row = [-float(item) - 100 for item in range(10)]
        for rank, item in enumerate(order):
            row[item] = -float(rank)
        scores.append(row)
    return Fixed(scores)


def test_the_head_is_a_fifth_of_the_items_with_interactions() -> None:
    train = make_graph(SIZES, TRAIN).train
    assert np.flatnonzero(~tail_items(train, 10)).tolist() == [0]  # ⌈0.2 · 5⌉ = 1
    assert np.flatnonzero(~tail_items(train, 10, 0.7)).tolist() == [0, 1, 2, 3]  # ⌈3.5⌉, 3 before 4
    assert tail_items(train, 10, 0).all()
    with pytest.raises(ConfigError, match="head_share"):
        tail_items(train, 10, 1.5)


def test_metrics_by_hand() -> None:
    graph = make_graph(SIZES, TRAIN, test=[(3, 1), (3, 5), (4, 0), (4, 2), (5, 0)])
    scorer = best_first([], [], [], [5, 9, 1], [3, 4, 2, 0], [9, 8, 7])
    row, users = judge(scorer, graph, graph, k=(2, 3))  # type: ignore[arg-type]
    assert users.users.tolist() == [3, 4, 5]
    per_user = {name: values.tolist() for name, values in users.metrics.items()}
    # User 3 finds 5 at rank 1 and 1 at rank 3 (nothing of theirs is between), user 4 finds 2 at
    # rank 3, user 5 nothing.
    assert per_user["mrr@2"] == [1.0, 0.0, 0.0]
    assert per_user["mrr@3"] == pytest.approx([1.0, 1 / 3, 0.0])
    assert per_user["recall@3"] == [1.0, 0.5, 0.0]
    both = 1 + 1 / np.log2(3)
    assert per_user["ndcg@3"] == pytest.approx([(1 + 0.5) / both, 0.5 / both, 0.0])
    # 0 is the head: user 4's tail is item 2, user 5 has no tail item and does not count.
    assert per_user["tail_recall@3"][:2] == [1.0, 1.0]
    assert np.isnan(per_user["tail_recall@3"][2])
    assert row.metrics["tail_recall@3"] == 1.0
    assert row.metrics["mrr@3"] == pytest.approx((1 + 1 / 3) / 3)
    # Lists: 5 9 1; 3 4 2; 9 8 7.
    assert row.metrics["coverage@3"] == 8 / 10
    assert row.cohorts["users/0"]["num_users"] == 2
    assert row.cohorts["users/0"]["recall@3"] == 0.25
    assert row.valid == {}  # there is none


def test_tail_recall_looks_at_the_list_of_all_items() -> None:
    graph = make_graph(SIZES, TRAIN, test=[(4, 2), (4, 3)])
    scorer = best_first([], [], [], [], [0, 2, 1, 3], [])
    per_user = judge(scorer, graph, graph, k=(2,))[1].metrics  # type: ignore[arg-type]
    assert per_user["tail_recall@2"].tolist() == [0.5]  # head items take places in the list


def test_cold_items_are_ranked_among_themselves() -> None:
    # Items 5 and 6 have five test interactions; 7 has one and does not compete.
    test = [(user, item) for user in range(5) for item in (5, 6)] + [(5, 7), (5, 1)]
    graph = make_graph(SIZES, TRAIN, test=test)
    scorer = best_first(*([[0, 1, 2, 3, 4, 7, 6, 5]] * 6))
    row, users = judge(scorer, graph, graph, k=(1,), cold=True)  # type: ignore[arg-type]
    assert users.metrics["cold_recall@1"][:5].tolist() == [0.5] * 5  # 6 of {5, 6}
    assert np.isnan(users.metrics["cold_recall@1"][5])
    assert row.metrics["cold_ndcg@1"] == 1.0
    assert row.metrics["recall@1"] == pytest.approx(1 / 6 * 0.5 * 0)  # a warm one is first


def test_cold_and_warm_items_are_judged_apart_among_all() -> None:
    # Each of five users took the cold items 5 and 6, and warm item 1 or 2.
    test = [(user, item) for user in range(5) for item in (5, 6)] + [(4, 1), (5, 2)]
    graph = make_graph(SIZES, TRAIN, test=test)
    scorer = best_first(*([[7, 5, 1, 2, 6]] * 6))
    per_user = judge(scorer, graph, graph, k=(2,), cold=True)[1].metrics  # type: ignore[arg-type]
    # User 4's lists: 7 5, of {5, 6}; warm item 1 would be masked there, and is third.
    assert per_user["cold_all_recall@2"][4] == 0.5
    assert np.isnan(per_user["cold_all_recall@2"][5])
    assert per_user["warm_recall@2"][4:].tolist() == [0.0, 0.0]
    lifted = best_first(*([[1, 2, 5, 6]] * 6))
    per_user = judge(lifted, graph, graph, k=(2,), cold=True)[1].metrics  # type: ignore[arg-type]
    # Of users 4 and 5, items 1 and 2 are new; what user 4 took of the warm ones is masked.
    assert per_user["warm_recall@2"][4:].tolist() == [1.0, 1.0]
    assert per_user["cold_all_ndcg@2"][4] == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))


def test_without_cold_items_the_cold_metrics_are_of_nobody() -> None:
    graph = make_graph(SIZES, TRAIN, test=[(4, 2)])
    row, _ = judge(best_first(*([[]] * 6)), graph, graph, k=(1,), cold=True)  # type: ignore[arg-type]
    assert np.isnan(row.metrics["cold_recall@1"])


def test_valid_is_judged_unless_it_was_learned() -> None:
    graph = make_graph(SIZES, TRAIN, valid=[(4, 0)], test=[(4, 2)])
    joined = graph.with_splits(Split.VALID)
    first = best_first(*([[0, 2]] * 6))
    assert judge(first, graph, graph)[0].valid == {"recall@20": 1.0, "ndcg@20": 1.0}  # type: ignore[arg-type]
    row, _ = judge(first, graph, joined, k=(1,))  # type: ignore[arg-type]
    assert row.valid == {}
    assert row.metrics["recall@1"] == 1.0  # the valid pair is masked on the way to test


def test_joining_valid_and_leaves_the_original_alone() -> None:
    graph = make_graph(SIZES, TRAIN, valid=[(4, 0), (5, 1)], test=[(4, 2)])
    joined = graph.with_splits(Split.VALID)
    assert len(joined.train) == len(TRAIN) + 2
    assert Split.VALID not in joined.held_out
    assert len(joined.held_out[Split.TEST]) == 1
    assert joined.version != graph.version
    assert len(graph.train) == len(TRAIN)
    assert joined.with_splits(Split.VALID) is joined  # nothing left to join


def test_scoring_is_timed_block_by_block_and_scaled_up() -> None:
    scorer = best_first(*([[]] * 6))
    assert seconds_to_score(scorer, 4) > 0  # type: ignore[arg-type]
    assert scorer.asked == [[0, 1, 2, 3], [4, 5]]
    scorer.asked.clear()
    seconds_to_score(scorer, 2, at_least=0.0)  # type: ignore[arg-type]
    assert scorer.asked == [[0, 1]]


def per_user(users: list[int], values: list[float]) -> PerUser:
    return PerUser(np.array(users), {"ndcg@20": np.array(values)})


def test_a_user_of_several_seeds_is_one_user() -> None:
    zero = per_user([1, 2], [0.0, 0.0])
    pairs = [(per_user([1, 2], [1.0, 0.5]), zero), (per_user([1, 2], [0.0, 0.5]), zero)]
    found = difference(pairs, "ndcg@20")
    assert found is not None
    # Both users' means are 0.5, so no draw of users can differ; four users would have.
    assert (found.difference, found.low, found.high) == (0.5, 0.5, 0.5)


def test_users_whom_a_metric_is_not_of_do_not_count() -> None:
    zero = per_user([1, 2], [0.0, np.nan])
    found = difference([(per_user([1, 2], [0.25, np.nan]), zero)], "ndcg@20")
    assert found is not None
    assert found.difference == 0.25
    assert difference([(per_user([1], [np.nan]), per_user([1], [np.nan]))], "ndcg@20") is None


def test_spread_is_of_a_sample() -> None:
    assert spread([1.0, 3.0]) == {"mean": 2.0, "sd": pytest.approx(2**0.5), "values": [1.0, 3.0]}
    assert spread([1.0]) == {"mean": 1.0, "sd": None, "values": [1.0]}
    assert spread([None])["mean"] is None


def test_the_last_tenth_of_each_amazon_user_becomes_valid(tmp_path: Path) -> None:
    lines = {
        "train": ["0 " + " ".join(map(str, range(24, -1, -1))), "1 4 3", "2 7", "3"],
        "test": ["0 30 31", "1 5"],
    }
    for name, rows in lines.items():
        with gzip.open(tmp_path / f"{name}.txt.gz", "wt") as file:
            file.write("\n".join(rows) + "\n")
    paths = amazon_book(tmp_path, tmp_path, 0.1)
    tables = {name: pd.read_csv(path, sep="\t") for name, path in paths.items()}
    pairs = {name: list(zip(t["user"], t["item"], strict=True)) for name, t in tables.items()}
    # round(2.5) = 2; at least one of two; never the only one.
    assert pairs["valid"] == [(0, 1), (0, 0), (1, 3)]
    assert pairs["train"] == [(0, item) for item in range(24, 1, -1)] + [(1, 4), (2, 7)]
    assert pairs["test"] == [(0, 30), (0, 31), (1, 5)]
    assert tables["valid"]["time"].tolist() == [23, 24, 1]  # the place in the line
    assert tables["train"]["time"].tolist() == [*range(23), 0, 0]
    assert "time" not in tables["test"]  # its order is not known
    with pytest.raises(DataError, match="--data"):
        amazon_book(tmp_path / "none", tmp_path, 0.1)


def test_settings_of_a_benchmark(tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    path.write_text('[bench]\nname = "b"\n[data]\ntrain = "t.tsv"\n')
    bench, rest = read_bench(path, ("bench.seeds=[4]", "training.epochs=2"))
    assert (bench.name, bench.seeds, bench.refit) == ("b", (4,), False)
    assert rest == {"data": {"train": "t.tsv"}, "training": {"epochs": 2}}
    path.write_text('[bench]\nname = "b"\nmodles = ["ease"]\n')
    with pytest.raises(ConfigError, match="modles: unknown key"):
        read_bench(path)
    path.write_text('[data]\ntrain = "t.tsv"\n')
    with pytest.raises(ConfigError, match=r"no section \[bench\]"):
        read_bench(path)
    with pytest.raises(ConfigError, match="no benchmark at"):
        read_bench(tmp_path / "none.toml")
    for wrong in ({"seeds": ()}, {"seeds": (1, 1)}, {"models": ()}, {"seeds": (-1,)}):
        with pytest.raises(ValueError, match="must not"):
            BenchConfig(name="b", **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "benchmarks").glob("*.toml")), ids=lambda p: p.stem
)
def test_shipped_benchmarks_can_be_read_and_tune_nothing(path: Path) -> None:
    from kgrec.bench.peers import find_peer

    bench, rest = read_bench(path)
    assert bench.name == path.stem
    assert bench.seeds == (0, 1, 2)
    # Every other setting is the default; the cold protocol asks how much warm accuracy may go.
    assert set(rest) <= ({"data", "cold"} if bench.cold else {"data"})
    assert [find_peer(name).name for name in bench.models] == list(bench.models)


def test_popularity_counts_what_it_learned_from() -> None:
    graph = make_graph(SIZES, TRAIN, valid=[(4, 9), (5, 9)], test=[(4, 2)])
    scores = Popularity(train_history(graph.with_splits(Split.VALID))).item_score
    assert scores[9] == pytest.approx(np.log(3))


def result(valid: float | None, train_seconds: float, **choices: Any) -> Fit:
    judged = {} if valid is None else {"ndcg@20": valid}
    only = Row(metrics={}, cohorts={}, valid=judged, score_seconds=0.0, parameters=0)
    looks = best_looks(choices)
    rows, settings = {"": only}, "as published"
    return Fit(
        model="m", seed=0, settings=settings, rows=rows, train_seconds=train_seconds,
        choices=choices, looks=looks,
    )  # fmt: skip


def test_seconds_until_the_goal_is_reached() -> None:
    goal = result(0.3, 9.0)
    history = [
        {"epoch": epoch, "training_seconds": 2.0 * epoch, "valid_ndcg@20": value}
        for epoch, value in ((1, 0.1), (2, 0.3), (3, 0.4))
    ]
    assert seconds_to_reach(result(0.4, 7.0, history=history), goal) == 4.0
    assert seconds_to_reach(result(0.4, 7.0, history=history[:1]), goal) is None
    # One of several trainings says nothing about the others', which came first.
    assert seconds_to_reach(result(0.4, 7.0, history=history, tried=[{}]), goal) == 7.0
    assert seconds_to_reach(result(0.3, 5.0), goal) == 5.0
    assert seconds_to_reach(result(0.29, 5.0), goal) is None
    assert seconds_to_reach(result(0.4, 5.0), result(None, 9.0)) is None


def test_seconds_until_a_part_reaches_the_goal_alone() -> None:
    goal, seconds = result(0.3, 9.0), {"text": 1.0, "first": 2.0, "second": 4.0, "fusion": 8.0}
    whole = result(0.5, 20.0, seconds=seconds)
    parts = {name: result(value, 0.0).rows[""] for name, value in (("first", 0.2), ("second", 0.3))}
    assert seconds_to_reach(whole.model_copy(update={"rows": {**whole.rows, **parts}}), goal) == 7.0
    assert seconds_to_reach(whole, goal) == 20.0
