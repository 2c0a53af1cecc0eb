"""Score prediction: does a score tell a held-out pair from one that never happened?

Each held-out pair is set beside an item the same user neither knows nor took, drawn uniformly with
a seed. AUC needs nothing more. A score is no probability, so for accuracy and squared errors it is
turned into one by Platt's σ(a s + b); a rating is predicted by a line a s + b likewise. Both a and
b come from pairs that are not judged: those of valid when test is judged, else those of the other
half of the users.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import rankdata

from kgrec.evaluation.metrics import FloatArray
from kgrec.evaluation.ranking import Pairs, RankingTask
from kgrec.graph.data import IndexArray


def sample_pairs(task: RankingTask, rng: np.random.Generator) -> Pairs:
    """Sets beside each held-out pair one item that the user neither knows nor took.

    A user who took nearly everything gets fewer, as finding a free item is tried 100 times.
    """
    n = task.num_items
    positive = task.keys(task.truth)
    excluded = np.union1d(positive, task.keys(task.exclusions))
    negative = np.full_like(positive, -1)
    missing = np.arange(len(positive))
    for _ in range(100):
        draw = positive[missing] // n * n + rng.integers(n, size=len(missing))
        free = ~np.isin(draw, excluded)
        negative[missing[free]] = draw[free]
        missing = missing[~free]
        if not len(missing):
            break
    negative = negative[negative >= 0]
    keys = np.concatenate([positive, negative])
    label = np.repeat([1.0, 0.0], [len(positive), len(negative)])
    rating = np.concatenate([_ratings(task, positive), np.full(len(negative), np.nan)])
    order = np.argsort(keys // n, kind="stable")
    keys = keys[order]
    return Pairs(keys // n, keys % n, label[order], rating[order])


def _ratings(task: RankingTask, keys: IndexArray) -> FloatArray:
    rating = np.full(len(keys), np.nan)
    held_out = task.held_out
    if held_out.rating is not None:
        row = np.searchsorted(task.users, held_out.user_index)
        own = row * task.num_items + held_out.item_index
        place = np.searchsorted(keys, own).clip(max=len(keys) - 1)
        in_task = np.isin(held_out.user_index, task.users) & (keys[place] == own)
        rating[place[in_task]] = held_out.rating[in_task]
    return rating


def prediction_metrics(
    pairs: Pairs,
    scores: FloatArray,
    reference: tuple[Pairs, FloatArray] | None = None,
) -> dict[str, float]:
    """Judges raw scores as predictions.

    Args:
        pairs: The judged pairs.
        scores: (m,) float64, their raw scores.
        reference: Other pairs and their scores, to fit the maps on; None fits them on one half of
            the users for the other half, both ways.

    Returns:
        `roc_auc` over all pairs, `user_auc` as the mean within users (ties count half in both; left
        out where no pair is negative), `accuracy`, `mse` and `rmse` of the calibrated probability;
        where ratings are known also `rating_rmse`, and `rating_rmse_constant`, what the mean rating
        that the line was fitted on reaches alone.
    """
    metrics: dict[str, float] = {}
    for name, group in (("roc_auc", np.zeros_like(pairs.row)), ("user_auc", pairs.row)):
        areas = roc_auc(scores, pairs.label, group)
        if len(areas):
            metrics[name] = float(areas.mean())
    probability = np.full(len(scores), np.nan)
    predicted = np.full(len(scores), np.nan)
    constant = np.full(len(scores), np.nan)
    for fit_pairs, fit_scores, target in _folds(pairs, scores, reference):
        slope, shift = platt(fit_scores, fit_pairs.label)
        probability[target] = expit(slope * scores[target] + shift)
        rated = ~np.isnan(fit_pairs.rating)
        if rated.any():
            slope, shift = _line(fit_scores[rated], fit_pairs.rating[rated])
            predicted[target] = slope * scores[target] + shift
            constant[target] = fit_pairs.rating[rated].mean()
    mse = float(np.mean((probability - pairs.label) ** 2))
    metrics["accuracy"] = float(np.mean((probability > 0.5) == (pairs.label > 0.5)))
    metrics["mse"] = mse
    metrics["rmse"] = float(np.sqrt(mse))
    rated = ~np.isnan(pairs.rating) & ~np.isnan(predicted)
    if rated.any():
        truth = pairs.rating[rated]
        metrics["rating_rmse"] = float(np.sqrt(np.mean((predicted[rated] - truth) ** 2)))
        metrics["rating_rmse_constant"] = float(np.sqrt(np.mean((constant[rated] - truth) ** 2)))
    return metrics


def _folds(
    pairs: Pairs, scores: FloatArray, reference: tuple[Pairs, FloatArray] | None
) -> Iterator[tuple[Pairs, FloatArray, npt.NDArray[np.bool_]]]:
    if reference is not None:
        yield *reference, np.ones(len(scores), dtype=bool)
        return
    half = pairs.row % 2 == 0
    for target in (half, ~half):
        source = ~target if not target.all() else target  # a single user has no other half
        if target.any():
            yield pairs.take(source), scores[source], target


def roc_auc(scores: FloatArray, label: FloatArray, group: IndexArray) -> FloatArray:
    """Gives the area under the ROC curve of each group, by ranks; ties count half.

    Args:
        scores: (m,).
        label: (m,), 1 or 0.
        group: (m,) int64.

    Returns:
        One number for each group that has both labels, in the order of the groups.
    """
    # Ranks over everything, made to start anew within each group: the group is the leading key.
    _, dense = np.unique(scores, return_inverse=True)
    ranks = rankdata(group * (len(scores) + 1) + dense)  # (m,), ties share their mean rank
    _, place, size = np.unique(group, return_inverse=True, return_counts=True)
    before = size.cumsum() - size  # pairs in earlier groups
    positives = np.bincount(place, label)
    negatives = size - positives
    total = np.bincount(place, label * (ranks - before[place]))
    has_both = (positives > 0) & (negatives > 0)
    above = total[has_both] - positives[has_both] * (positives[has_both] + 1) / 2
    area: FloatArray = above / (positives[has_both] * negatives[has_both])
    return area


def platt(scores: FloatArray, label: FloatArray) -> tuple[float, float]:
    """Fits σ(a s + b) to labels (m,) by Newton's method on the cross-entropy; gives (a, b).

    The targets are Platt's (n₊ + 1)/(n₊ + 2) and 1/(n₋ + 2), which keep a and b finite when the
    scores separate the labels.

    References:
        Platt, Probabilistic outputs for support vector machines, 1999.
    """
    centre, spread = scores.mean(), scores.std() or 1.0
    x = (scores - centre) / spread
    positives = label.sum()
    negatives = len(label) - positives
    target = np.where(label > 0.5, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.stack([x, np.ones_like(x)], axis=1)  # (m, 2)
    weights = np.zeros(2)
    for _ in range(50):
        p = expit(design @ weights)
        gradient = design.T @ (p - target)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights -= step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return float(weights[0] / spread), float(weights[1] - weights[0] * centre / spread)


def _line(scores: FloatArray, rating: FloatArray) -> tuple[float, float]:
    spread = scores.var()
    slope = float(np.mean((scores - scores.mean()) * (rating - rating.mean())) / (spread or 1.0))
    return slope, float(rating.mean() - slope * scores.mean())
