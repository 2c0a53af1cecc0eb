"""Ranking metrics by hand, against a slow oracle, and on the traps others fell into."""

import math

import numpy as np
import pytest

from kgrec.errors import ConfigError, ShapeError
from kgrec.evaluation.metrics import RANKING_METRICS, own_metrics, ranking_metrics


def judge(hits: list[int], num_truth: int, k: int) -> dict[str, float]:
    metrics = ranking_metrics(np.array([hits], dtype=bool), np.array([num_truth]), [k])
    return {name.partition("@")[0]: float(values[0]) for name, values in metrics.items()}


def test_a_list_by_hand() -> None:
    # Relevant items at ranks 2 and 3, four relevant items in all, lists of 4.
    got = judge([0, 1, 1, 0], 4, 4)
    dcg = 1 / math.log2(3) + 1 / math.log2(4)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4) + 1 / math.log2(5)
    assert got == pytest.approx(
        {
            "precision": 2 / 4,
            "recall": 2 / 4,
            "f1": 0.5,
            "ndcg": dcg / ideal,
            "mrr": 1 / 2,
            "map": (1 / 2 + 2 / 3) / 4,
            "hit_rate": 1.0,
        }
    )


def test_the_ideal_list_comes_from_the_truth_not_from_the_hits() -> None:
    # One hit at rank 1 of five relevant items: dividing by the hits' own ideal would give 1.
    got = judge([1, 0, 0, 0, 0], 5, 5)
    assert got["ndcg"] == pytest.approx(1 / sum(1 / math.log2(r + 1) for r in range(1, 6)))
    assert got["map"] == pytest.approx(1 / 5)


def test_a_perfect_list_shorter_than_the_truth_is_perfect() -> None:
    got = judge([1, 1], 7, 2)
    assert got["ndcg"] == got["map"] == got["mrr"] == got["precision"] == 1.0
    assert got["recall"] == pytest.approx(2 / 7)


def test_no_hit_is_zero_everywhere() -> None:
    assert set(judge([0, 0, 0], 2, 3).values()) == {0.0}


def test_a_hit_behind_k_does_not_count() -> None:
    assert set(judge([0, 0, 1], 1, 2).values()) == {0.0}


def test_lists_shorter_than_k_are_followed_by_misses() -> None:
    got = judge([1, 0], 1, 10)
    assert got["precision"] == pytest.approx(1 / 10)
    assert got["recall"] == got["ndcg"] == 1.0


def oracle(hits: list[bool], num_truth: int, k: int) -> dict[str, float]:
    top = hits[:k]
    found = sum(top)
    dcg = sum(1 / math.log2(r + 2) for r, hit in enumerate(top) if hit)
    ideal = sum(1 / math.log2(r + 2) for r in range(min(num_truth, k)))
    average = sum(sum(top[: r + 1]) / (r + 1) for r, hit in enumerate(top) if hit)
    precision, recall = found / k, found / num_truth
    f1 = 2 * precision * recall / (precision + recall) if found else 0.0
    first = next((1 / (r + 1) for r, hit in enumerate(top) if hit), 0.0)
    return {
        f"precision@{k}": precision,
        f"recall@{k}": recall,
        f"f1@{k}": f1,
        f"ndcg@{k}": dcg / ideal,
        f"mrr@{k}": first,
        f"map@{k}": average / min(num_truth, k),
        f"hit_rate@{k}": float(found > 0),
    }


def test_agrees_with_a_slow_oracle() -> None:
    rng = np.random.default_rng(7)
    hits = rng.random((200, 20)) < 0.15
    num_truth = hits.sum(1) + rng.integers(1, 9, 200)
    got = ranking_metrics(hits, num_truth, (1, 5, 20))
    assert set(got) == {f"{name}@{k}" for name in RANKING_METRICS for k in (1, 5, 20)}
    for user in range(200):
        for k in (1, 5, 20):
            for name, value in oracle(hits[user].tolist(), int(num_truth[user]), k).items():
                assert got[name][user] == pytest.approx(value, abs=1e-12), (user, name)


@pytest.mark.parametrize("k", [[], [0], [10, -1]])
def test_k_must_be_positive(k: list[int]) -> None:
    with pytest.raises(ConfigError, match="k must be positive"):
        ranking_metrics(np.zeros((1, 3), dtype=bool), np.array([1]), k)


def test_a_user_without_relevant_items_is_refused() -> None:
    with pytest.raises(ShapeError, match="needs a relevant item"):
        ranking_metrics(np.zeros((2, 3), dtype=bool), np.array([1, 0]), [2])


def test_own_metrics_get_the_first_k_with_misses_behind() -> None:
    hits = np.array([[0, 1, 1], [1, 0, 0]], dtype=bool)
    num_truth = np.array([4, 1])
    seen = []

    def last_hit(top: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
        seen.append(top.copy())
        assert num_relevant.tolist() == [4, 1]
        top[:] = False  # the caller's lists stay as they are
        return seen[-1].sum(axis=1)

    values = own_metrics({"hits": last_hit}, hits, num_truth, [2, 5])
    assert {name: array.tolist() for name, array in values.items()} == {
        "hits@2": [1.0, 1.0],
        "hits@5": [2.0, 1.0],
    }
    assert [top.astype(int).tolist() for top in seen] == [
        [[0, 1], [1, 0]],
        [[0, 1, 1, 0, 0], [1, 0, 0, 0, 0]],
    ]
    assert hits.tolist() == [[False, True, True], [True, False, False]]


@pytest.mark.parametrize("values", [1.0, [1.0], [[1.0, 2.0]], [1.0, math.nan]])
def test_own_metrics_give_one_number_a_user(values: object) -> None:
    hits = np.array([[0, 1], [1, 0]], dtype=bool)
    with pytest.raises(ShapeError, match=r"metric 'mine' gave .* one finite number a user"):
        own_metrics({"mine": lambda *_: values}, hits, np.array([1, 1]), [2])
