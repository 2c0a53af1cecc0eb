"""What proposals are like beside what was hidden, and beside what users did later."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from kgrec.augment.adversary import Lessons
from kgrec.evaluation.prediction import roc_auc
from kgrec.graph.data import IndexArray, SyntheticEdges

#: Whose proposals have less than this share of real ones' variety have collapsed.
COLLAPSED = 0.05
#: Share of the mean variance that is added to each, for features that say the same as others.
_RIDGE = 1e-2


def effective_number(items: Tensor) -> float:
    """Gives exp of the entropy of items (n,): as many as occur, if all occur alike, else fewer."""
    if not len(items):
        return 0.0
    counts = torch.bincount(items)
    share = counts[counts > 0].double() / len(items)
    return float(torch.exp(-(share * share.log()).sum()))


def best(scores: Tensor, lessons: Lessons, k: int) -> Tensor:
    """Gives the places (m, k') of each user's k candidates with the best scores (m, c)."""
    scores = scores.masked_fill(~lessons.present, -torch.inf)
    return scores.topk(min(k, scores.shape[1]), dim=1).indices


def precision(scores: Tensor, lessons: Lessons, k: int) -> float:
    """Gives the share of real ones among each user's k candidates with the best scores (m, k')."""
    return float(lessons.real.gather(1, best(scores, lessons, k)).float().mean())


def compare(
    score: Callable[[Lessons], Tensor], valid: Lessons, test: Lessons, k: int
) -> dict[str, Any]:
    """Sets the k best candidates of each user by some scores beside those that were hidden.

    Args:
        score: Gives scores (m, c) of users' candidates.
        valid: Users from whom the two-sample test learns.
        test: Users who are measured.
        k: Proposals a user.

    Returns:
        `precision`; `auc` of a linear discriminant that tells hidden ones from proposals (.5 is not
        at all); `popularity_distance` and `degree_distance`, Wasserstein's between log(1 + users)
        of the items and between log(times an item is proposed, or hidden); `distinct` items and
        `effective` number; each None where there is nothing to compare.
    """
    top = best(score(test), test, k)
    proposed = test.items.gather(1, top)
    there = proposed >= 0
    items, hidden = proposed[there], test.items[test.real]
    pairs = (test.popularity.gather(1, top)[there], test.popularity[test.real])
    few = min(len(items), len(hidden))
    draws = torch.Generator().manual_seed(0)
    samples = [x[torch.randperm(len(x), generator=draws)[:few]] for x in (items, hidden)]
    return {
        "precision": float(test.real.gather(1, top).float().mean()),
        "auc": _told_apart(valid, best(score(valid), valid, k), test, top),
        "popularity_distance": _distance(*(x.numpy() for x in pairs)),
        "degree_distance": _distance(*map(_log_degrees, samples)),
        "distinct": len(torch.unique(items)),
        "effective": effective_number(items),
    }


def describe(
    edges: SyntheticEdges,
    users_of: IndexArray,
    tail: npt.NDArray[np.bool_],
    later: tuple[IndexArray, IndexArray] | None = None,
) -> dict[str, Any]:
    """Tells what proposals for the whole graph are like.

    Args:
        edges: The proposals.
        users_of: (num_items,) users of each item in train.
        tail: (num_items,) which items are outside the most popular fifth.
        later: Users and items of valid, for what came true; nothing is ever chosen by it.

    Returns:
        `edges`, `users`, `distinct` items and their `effective` number; `novelty`, the mean of
        -log2(share of the interactions); `tail`, the share that are tail items; `weight`, the mean;
        `proven`, the share of proposals that are in valid, and `foreseen`, the share of these
        users' pairs in valid that were proposed; None where there is nothing.
    """
    items = edges.item_index
    share = (users_of[items] + 1) / (users_of.sum() + len(users_of))
    summary: dict[str, Any] = {
        "edges": len(edges),
        "users": len(np.unique(edges.user_index)),
        "distinct": len(np.unique(items)),
        "effective": effective_number(torch.from_numpy(items)),
        "novelty": _mean(-np.log2(share)),
        "tail": _mean(tail[items]),
        "weight": _mean(edges.weight),
        "proven": None,
        "foreseen": None,
    }
    if later is not None and len(edges):
        size = len(users_of)
        proposed = edges.user_index * size + items
        has_edges = np.isin(later[0], edges.user_index)
        later_keys = (later[0] * size + later[1])[has_edges]
        summary["proven"] = _mean(np.isin(proposed, later_keys))
        summary["foreseen"] = _mean(np.isin(later_keys, proposed))
    return summary


def _told_apart(train: Lessons, places: Tensor, test: Lessons, at: Tensor) -> float | None:
    """AUC of Fisher's linear discriminant, learned from some users and asked about others."""
    real, proposed = train.features[train.real], _rows(train, places)
    if min(len(real), len(proposed)) < 2:
        return None
    spread = torch.cov(real.double().T) + torch.cov(proposed.double().T)
    spread = spread.reshape(real.shape[1], -1)
    spread += _RIDGE * (spread.diagonal().mean() + 1e-9) * torch.eye(len(spread))
    way = torch.linalg.solve(spread, real.double().mean(dim=0) - proposed.double().mean(dim=0))
    samples = [rows.double() @ way for rows in (test.features[test.real], _rows(test, at))]
    label = np.repeat([1, 0], [len(sample) for sample in samples])
    areas = roc_auc(torch.cat(samples).numpy(), label, np.zeros_like(label))
    return float(areas[0]) if len(areas) else None


def _rows(lessons: Lessons, places: Tensor) -> Tensor:
    """Features (n, f) of the candidates at places (m, k) that there are."""
    index = places[:, :, None].expand(-1, -1, lessons.features.shape[2])
    there = lessons.items.gather(1, places) >= 0
    return lessons.features.gather(1, index)[there]


def _log_degrees(items: Tensor) -> npt.NDArray[np.float64]:
    _, counts = np.unique(items.numpy(), return_counts=True)
    return np.log(counts.astype(np.float64))


def _distance(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float | None:
    return float(wasserstein_distance(first, second)) if len(first) and len(second) else None


def _mean(values: npt.NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None
