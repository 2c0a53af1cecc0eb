"""Cohorts: for whom, and for which items, a recommender works.

Both kinds are made from train alone, so that no held-out pair moves a user or an item.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kgrec.errors import ConfigError
from kgrec.evaluation.metrics import FloatArray, ranking_metrics
from kgrec.evaluation.ranking import Ranking, RankingTask
from kgrec.graph.data import IndexArray, Interactions

#: Name and largest number of train interactions of each cohort of users.
_USER_BOUNDS = (("0", 0), ("1-5", 5), ("6-10", 10), ("11-20", 20), (">20", np.inf))

#: Metrics that are reported of a cohort.
_REPORTED = ("recall", "ndcg")


def distinct_counts(index: IndexArray, partner: IndexArray, size: int) -> IndexArray:
    """Counts the distinct values in `partner` (n,) of each index in `index` (n,), (size,) int64."""
    pairs = np.unique(np.stack([index, partner]), axis=1)
    counts: IndexArray = np.bincount(pairs[0], minlength=size)
    return counts


def user_cohorts(train: Interactions, users: IndexArray) -> dict[str, npt.NDArray[np.bool_]]:
    """Groups users (n,) by their number of train interactions: name to mask (n,)."""
    size = int(max(users.max(initial=-1), train.user_index.max(initial=-1))) + 1
    counts = distinct_counts(train.user_index, train.item_index, size)[users]
    cohorts, below = {}, -1.0
    for name, bound in _USER_BOUNDS:
        cohorts[f"users/{name}"] = (counts > below) & (counts <= bound)
        below = bound
    return cohorts


def item_cohorts(train: Interactions, num_items: int) -> dict[str, npt.NDArray[np.bool_]]:
    """Groups items by popularity in train: name to mask (num_items,).

    `items/cold` have no interaction. The others fall into `items/decile-1` (least popular) to
    `items/decile-10` by the share of them that is less popular; equally popular items stay
    together, so some deciles are larger than others or empty.
    """
    counts = distinct_counts(train.item_index, train.user_index, num_items)
    warm = counts > 0
    less_popular = np.searchsorted(np.sort(counts[warm]), counts)  # (num_items,)
    decile = np.where(warm, 10 * less_popular // max(warm.sum(), 1) + 1, 0)
    cohorts = {"items/cold": ~warm}
    cohorts.update({f"items/decile-{d}": decile == d for d in range(1, 11)})
    return cohorts


def cohort_metrics(
    task: RankingTask, ranking: Ranking, train: Interactions, k: Sequence[int]
) -> dict[str, dict[str, float | int]]:
    """Judges each cohort that has anyone in it.

    For a cohort of users the metrics are means over its users. For a cohort of items only its
    items count as relevant (also in NDCG's ideal list), in the same lists of all items, and the
    mean is over the users with a relevant item in it.

    Returns:
        Per cohort `num_users`, `recall@k` and `ndcg@k`; for items also `num_items`.
    """
    result: dict[str, dict[str, float | int]] = {}
    for name, members in user_cohorts(train, task.users).items():
        if members.any():
            result[name] = _judge(ranking.hits[members], task.num_truth[members], k)
    row, item = task.truth.rows.numpy(), task.truth.columns.numpy()
    for name, members in item_cohorts(train, task.num_items).items():
        relevant = np.bincount(row[members[item]], minlength=len(task.users))  # (n,)
        having = relevant > 0
        if having.any():
            hits = ranking.hits[having] & members[ranking.items[having]]
            metrics = _judge(hits, relevant[having], k)
            result[name] = {**metrics, "num_items": int(members.sum())}
    return result


def tail_items(
    train: Interactions, num_items: int, head_share: float = 0.2
) -> npt.NDArray[np.bool_]:
    """Says which items (num_items,) are outside the head: the most popular fifth.

    The head are the ⌈head_share · n⌉ items with the most users in train, of the n that have any;
    among equally popular ones those of lower index.

    Raises:
        ConfigError: If the share is not between 0 and 1.
    """
    if not 0 <= head_share <= 1:
        raise ConfigError(f"head_share must be between 0 and 1, got {head_share}; try 0.2")
    counts = distinct_counts(train.item_index, train.user_index, num_items)
    size = int(np.ceil(head_share * (counts > 0).sum()))
    tail = np.ones(num_items, dtype=bool)
    tail[np.argsort(-counts, kind="stable")[:size]] = False
    return tail


def tail_recall(
    task: RankingTask, ranking: Ranking, tail: npt.NDArray[np.bool_], k: Sequence[int]
) -> dict[str, FloatArray]:
    """Gives recall that counts only tail items, in the same lists of all items.

    Args:
        task: The task.
        ranking: Its lists.
        tail: (num_items,), see `tail_items`.
        k: List lengths.

    Returns:
        `tail_recall@k`: (n,) float64, NaN for users without relevant tail items.
    """
    row, item = task.truth.rows.numpy(), task.truth.columns.numpy()
    relevant = np.bincount(row[tail[item]], minlength=len(task.users))  # (n,)
    num_hits = (ranking.hits & tail[ranking.items]).cumsum(1)  # (n, m)
    recall = {}
    for length in k:
        hits = num_hits[:, min(length, num_hits.shape[1]) - 1].astype(np.float64)
        recall[f"tail_recall@{length}"] = np.divide(
            hits, relevant, out=np.full(len(hits), np.nan), where=relevant > 0
        )
    return recall


def _judge(
    hits: npt.NDArray[np.bool_], num_truth: IndexArray, k: Sequence[int]
) -> dict[str, float | int]:
    metrics = ranking_metrics(hits, num_truth, k)
    reported = {
        f"{name}@{length}": float(metrics[f"{name}@{length}"].mean())
        for length in k
        for name in _REPORTED
    }
    return {"num_users": len(hits), **reported}
