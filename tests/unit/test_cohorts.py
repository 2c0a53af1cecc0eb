"""Cohorts by hand."""

import numpy as np
import pytest

from kgrec.evaluation.cohorts import cohort_metrics, item_cohorts, user_cohorts
from kgrec.evaluation.ranking import Ranking, RankingTask
from kgrec.graph.data import GraphData, Interactions
from kgrec.schema import NodeLabel, Split
from kgrec.vocabulary import Vocabulary


def interactions(pairs: list[tuple[int, int]]) -> Interactions:
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Interactions(ends[:, 0], ends[:, 1])


def names(cohorts: dict[str, np.ndarray]) -> list[str]:  # type: ignore[type-arg]
    """The one cohort of each member; fails if a member is in none or in two."""
    table = np.stack(list(cohorts.values()))
    assert (table.sum(0) == 1).all()
    return [list(cohorts)[place].partition("/")[2] for place in table.argmax(0)]


def test_users_by_their_number_of_train_interactions() -> None:
    numbers = [0, 1, 5, 6, 10, 11, 20, 21, 500]
    train = interactions([(user, item) for user, n in enumerate(numbers) for item in range(n)])
    cohorts = user_cohorts(train, np.arange(len(numbers)))
    assert names(cohorts) == ["0", "1-5", "1-5", "6-10", "6-10", "11-20", "11-20", ">20", ">20"]


def test_a_repeated_interaction_counts_once() -> None:
    train = interactions([(0, 4)] * 30)
    assert names(user_cohorts(train, np.array([0, 9]))) == ["1-5", "0"]


def test_items_by_decile_with_cold_ones_apart() -> None:
    # Item i of 20 has i + 1 users, items 20 and 21 have none.
    train = interactions([(user, item) for item in range(20) for user in range(item + 1)])
    expected = [f"decile-{item // 2 + 1}" for item in range(20)] + ["cold", "cold"]
    assert names(item_cohorts(train, 22)) == expected


def test_equally_popular_items_stay_together() -> None:
    train = interactions(
        [(user, item) for item in range(9) for user in range(1)] + [(0, 9), (1, 9)]
    )
    assert names(item_cohorts(train, 10)) == ["decile-1"] * 9 + ["decile-10"]


def test_metrics_of_each_cohort_by_hand() -> None:
    # Popularity: item 0 has three users, items 1 and 2 one each, item 3 none.
    train = [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2)]
    test = [(0, 1), (0, 3), (3, 0), (1, 3)]
    graph = GraphData(
        "hand",
        {
            NodeLabel.USER: Vocabulary("abcd", "User"),
            NodeLabel.ITEM: Vocabulary("wxyz", "Item"),
            NodeLabel.ENTITY: Vocabulary((), "Entity"),
        },
        {},
        interactions(train),
        {Split.TEST: interactions(test)},
        (),
    )
    task = RankingTask(graph, Split.TEST)
    assert task.users.tolist() == [0, 1, 3]
    lists = np.array([[1, 2], [2, 1], [2, 0]])
    hits = np.array([[True, False], [False, False], [False, True]])
    got = cohort_metrics(task, Ranking(lists, hits), graph.train, (2,))
    half = 1 / np.log2(3)
    assert got == {
        "users/0": {"num_users": 1, "recall@2": 1.0, "ndcg@2": pytest.approx(half)},
        "users/1-5": {
            "num_users": 2,
            "recall@2": 0.25,
            "ndcg@2": pytest.approx(1 / (1 + half) / 2),
        },
        "items/cold": {"num_users": 2, "recall@2": 0.0, "ndcg@2": 0.0, "num_items": 1},
        # Only item 1 counts for user 0, found at rank 1: a perfect list of its decile.
        "items/decile-1": {"num_users": 1, "recall@2": 1.0, "ndcg@2": 1.0, "num_items": 2},
        "items/decile-7": {
            "num_users": 1,
            "recall@2": 1.0,
            "ndcg@2": pytest.approx(half),
            "num_items": 1,
        },
    }
