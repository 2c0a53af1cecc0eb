"""Ranking metrics, one number a user, from where the hits are in the lists.

The ideal list of NDCG and the denominator of MAP come from the ground truth, never from the hits: a
list that finds one of five relevant items at rank 1 is not perfect.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from kgrec.errors import ConfigError, ShapeError

FloatArray = npt.NDArray[np.float64]

#: A metric of one's own: from hits (n, k) bool, best first, and how many relevant items each user
#: has, (n,) int64, to one number a user, (n,).
Metric = Callable[[npt.NDArray[np.bool_], npt.NDArray[np.int64]], npt.ArrayLike]

#: What `ranking_metrics` gives for every k.
RANKING_METRICS = ("precision", "recall", "f1", "ndcg", "mrr", "map", "hit_rate")


def ranking_metrics(
    hits: npt.NDArray[np.bool_], num_truth: npt.NDArray[np.int64], k: Sequence[int]
) -> dict[str, FloatArray]:
    """Judges top lists.

    With h_r = 1 if the item at rank r is relevant, H_k = Σ_{r≤k} h_r and T relevant items:
    precision = H_k / k, recall = H_k / T, F1 their harmonic mean,
    NDCG = Σ_{r≤k} h_r / log₂(r + 1) over Σ_{r≤min(T,k)} 1 / log₂(r + 1),
    MRR = 1 / rank of the first hit (0 without one), MAP = Σ_{r≤k} h_r H_r / r over min(T, k),
    hit rate = [H_k > 0].

    Args:
        hits: (n, m) bool, best first; lists shorter than k count as followed by misses.
        num_truth: (n,) int64, relevant items of each user, at least 1.
        k: List lengths.

    Returns:
        For each of `RANKING_METRICS` and each k an array (n,) float64 under `name@k`.

    Raises:
        ConfigError: If a k is not positive.
        ShapeError: If the shapes disagree or a user has no relevant item.
    """
    if not k or min(k) < 1:
        raise ConfigError(f"k must be positive, got {list(k)}; give list lengths such as 10 and 20")
    if hits.ndim != 2 or num_truth.shape != hits.shape[:1]:
        raise ShapeError(
            f"expected hits (n, m) and num_truth (n,), got {hits.shape} and {num_truth.shape}"
        )
    if len(num_truth) and num_truth.min() < 1:
        raise ShapeError(
            "every judged user needs a relevant item, got one without; leave such users out"
        )
    rank = np.arange(1, hits.shape[1] + 1)
    num_hits = hits.cumsum(1)  # (n, m) H_r
    gain = 1.0 / np.log2(np.arange(2, max(k) + 2))
    ideal = np.concatenate([[0.0], gain.cumsum()])  # by number of relevant items in the list
    discounted = (hits * (1.0 / np.log2(rank + 1))).cumsum(1)
    precise = (hits * num_hits / rank).cumsum(1)
    first = np.where(hits.any(1), hits.argmax(1), np.iinfo(np.int64).max - 1) + 1  # (n,) rank
    metrics: dict[str, FloatArray] = {}
    for length in k:
        last = min(length, hits.shape[1]) - 1
        count = num_hits[:, last].astype(np.float64)
        best = np.minimum(num_truth, length)
        metrics[f"precision@{length}"] = count / length
        metrics[f"recall@{length}"] = count / num_truth
        # 2PR / (P + R) without the 0 / 0 of a list without hits.
        metrics[f"f1@{length}"] = 2 * count / (length + num_truth)
        metrics[f"ndcg@{length}"] = discounted[:, last] / ideal[best]
        metrics[f"mrr@{length}"] = np.where(first <= length, 1.0 / first, 0.0)
        metrics[f"map@{length}"] = precise[:, last] / best
        metrics[f"hit_rate@{length}"] = (count > 0).astype(np.float64)
    return metrics


def own_metrics(
    metrics: Mapping[str, Metric],
    hits: npt.NDArray[np.bool_],
    num_truth: npt.NDArray[np.int64],
    k: Sequence[int],
) -> dict[str, FloatArray]:
    """Judges top lists by metrics of one's own.

    Args:
        metrics: Functions by name.
        hits: As of `ranking_metrics`; each function gets its first k columns, misses behind where
            lists are shorter.
        num_truth: Likewise.
        k: List lengths.

    Returns:
        For each metric and each k an array (n,) float64 under `name@k`.

    Raises:
        ShapeError: If a function gave something else than one finite number a user.
    """
    values_of: dict[str, FloatArray] = {}
    for length in k:
        top = np.zeros((len(hits), length), dtype=bool)
        top[:, : hits.shape[1]] = hits[:, :length]
        for name, metric in metrics.items():
            values = np.asarray(metric(top.copy(), num_truth.copy()), dtype=np.float64)
            if values.shape != num_truth.shape or not np.isfinite(values).all():
                raise ShapeError(
                    f"metric {name!r} gave an array of shape {values.shape}, expected one finite "
                    f"number a user, {num_truth.shape}; give numbers of hits (n, k) row by row"
                )
            values_of[f"{name}@{length}"] = values
    return values_of
