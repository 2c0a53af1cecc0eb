"""Inner splits for the cold: warm items, or users, lose all their interactions.

The items are to be found again, the users to be served.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kgrec.evaluation.metrics import FloatArray, ranking_metrics
from kgrec.graph.data import GraphData
from kgrec.model.cold import kernel_ridge
from kgrec.model.fusion import standardise
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import ease_weights
from kgrec.training.cold.settings import ColdSettings, ColdUserSettings, scaled_to_one
from kgrec.training.cold.views import View

#: Length of the lists that are judged.
K = 20
#: Fewer warm items than this say nothing about cold ones.
LEAST_WARM = 20

_ITEM_FOLDS, _SHARE = 5, 0.1
#: Users and items of the sample. It has no more items than so many for each cold one: what a search
#: costs grows with their cube, what it can gain with the cold items.
_MOST_ITEMS, _MOST_USERS = 3_000, 2_000
_LEAST_ITEMS, _ITEMS_EACH = 400, 8
#: Items with fewer takers are not asked for: their truth is noise.
_LEAST_TAKERS = 5


@dataclass(frozen=True, eq=False)
class ItemFold:
    """Warm items, some of them taken for cold, and the scores of a closed form without those.

    `standard` are the standardised scores when only the cold items are away, `thinned` when a tenth
    of each user's other items (`removed`, as dense 0/1) is away as well.
    """

    warm: Tensor  # (w,), places in the sample
    cold: Tensor  # (c,)
    takers: Tensor  # (w,)
    standard: Tensor  # (U, w)
    own: Tensor  # (U, w)
    thinned: Tensor  # (U, w)
    removed: Tensor  # (U, w)
    truth: Tensor  # (U, c)

    def weights(self, kernel: Tensor, settings: ColdSettings) -> tuple[Tensor, Tensor]:
        """Gives `completion_weights` of this fold's items, from the kernel of the sample."""
        items = torch.cat([self.warm, self.cold])
        return completion_weights(kernel[items][:, items], len(self.warm), self.takers, settings)

    def among_cold(self, kernel: Tensor, settings: ColdSettings) -> float:
        """NDCG of the cold items among themselves; the list is at most a quarter of them."""
        weights, bias = self.weights(kernel, settings)
        scores = (self.standard + settings.own_weight * self.own) @ weights + bias
        return _ndcg(scores, self.truth, min(K, max(1, len(self.cold) // 4)))


def make_folds(
    graph: GraphData, views: Sequence[View], seed: int, ridge: float
) -> tuple[list[ItemFold], Tensor]:
    """Draws a sample of warm items and users, and takes a tenth of the items for cold in each fold.

    Args:
        graph: Only its train interactions are read.
        views: Views of its items.
        seed: Of sample and folds.
        ridge: λ of the closed forms that are fitted without the cold items.

    Returns:
        Folds, those left out in which there is too little to judge, and all views' kernels over
        the sample, (views, n, n), each with a mean diagonal of 1.
    """
    rng = np.random.default_rng(seed)
    count = np.bincount(graph.train.item_index, minlength=graph.num_items)
    items = np.flatnonzero(count > 0)
    num_cold = graph.num_items - len(items)
    size = min(_MOST_ITEMS, max(_LEAST_ITEMS, _ITEMS_EACH * num_cold))
    items = np.sort(rng.permutation(items)[:size])
    active = np.unique(graph.train.user_index[np.isin(graph.train.item_index, items)])
    users = np.sort(rng.permutation(active)[:_MOST_USERS])
    history = Incidence.from_pairs(
        torch.from_numpy(graph.train.user_index),
        torch.from_numpy(graph.train.item_index),
        graph.num_users,
        graph.num_items,
    )
    columns, lengths = history.take(torch.from_numpy(users))
    matrix = torch.zeros(len(users), graph.num_items)
    matrix[torch.repeat_interleave(torch.arange(len(users)), lengths), columns] = 1.0
    matrix = matrix[:, items]  # (U, n)
    order = rng.permutation(len(items))
    size = max(1, round(_SHARE * len(items)))
    folds = []
    for number in range(_ITEM_FOLDS):
        cold = np.sort(order[number * size : (number + 1) * size])
        fold = _fold(matrix, cold, ridge, rng)
        if fold is not None:
            folds.append(fold)
    sample = torch.from_numpy(items)
    kernels = torch.empty(len(views), len(items), len(items))
    for place, view in zip(kernels, views, strict=True):
        place.copy_(scaled_to_one(view.kernel(sample)))
    return folds, kernels


def _fold(
    matrix: Tensor, cold: npt.NDArray[np.int64], ridge: float, rng: np.random.Generator
) -> ItemFold | None:
    rest = np.setdiff1d(np.arange(matrix.shape[1]), cold)
    own = matrix[:, rest]
    takers = own.sum(dim=0)
    is_taken = takers > 0
    rest, own, takers = rest[is_taken.numpy()], own[:, is_taken], takers[is_taken]
    cold = cold[(matrix[:, cold].sum(dim=0) >= _LEAST_TAKERS).numpy()]
    if len(cold) < 2 or len(rest) < LEAST_WARM:
        return None
    removed = own * torch.from_numpy(rng.random(tuple(own.shape)) < _SHARE)
    thin = own - removed
    return ItemFold(
        torch.from_numpy(rest),
        torch.from_numpy(cold),
        takers,
        standardise(own @ ease_weights(own.mT @ own, ridge)),
        own,
        standardise(thin @ ease_weights(thin.mT @ thin, ridge)),
        removed,
        matrix[:, cold],
    )


def judge_among_all(
    fold: ItemFold, kernel: Tensor, settings: ColdSettings, keep_warm: float
) -> tuple[float, float, float]:
    """NDCG of the cold items, share kept of the warm ones', exposure; all at the highest level."""
    weights, bias = fold.weights(kernel, settings)
    own = fold.own - fold.removed
    cold = (fold.thinned + settings.own_weight * own) @ weights + bias
    warm = fold.thinned.masked_fill(own > 0, -torch.inf)
    none = torch.zeros_like(fold.truth)
    alone = _ndcg(warm, fold.removed, K)
    low, high = -20.0, 20.0
    for _ in range(12):
        middle = (low + high) / 2
        scores = torch.cat([warm, cold + middle], dim=1)
        if _ndcg(scores, torch.cat([fold.removed, none], dim=1), K) >= keep_warm * alone:
            low = middle
        else:
            high = middle
    scores = torch.cat([warm, cold + low], dim=1)
    share_kept = _ndcg(scores, torch.cat([fold.removed, none], dim=1), K) / max(alone, 1e-9)
    among_all = _ndcg(scores, torch.cat([torch.zeros_like(warm), fold.truth], dim=1), K)
    last = warm.topk(min(K, warm.shape[1]), dim=1).values[:, -1:]
    return among_all, share_kept, float((cold + low > last).float().mean())


def completion_weights(
    kernel: Tensor, num_warm: int, takers: Tensor, settings: ColdSettings
) -> tuple[Tensor, Tensor]:
    """Gives M (w, c), scaled, and what popularity adds to each cold item (c,)."""
    noise = settings.noise * (1.0 + settings.rarity / takers)
    weights = kernel_ridge(kernel[:num_warm, :num_warm], kernel[:num_warm, num_warm:], noise)
    logs = takers.log1p()
    expected = (logs - logs.mean()) @ weights  # (c,)
    return settings.scale * weights, settings.scale * settings.popularity * expected


def _ndcg(scores: Tensor, truth: Tensor, k: int) -> float:
    """Mean NDCG@k over the users with a relevant item."""
    having = truth.sum(dim=1) > 0
    if not bool(having.any()):
        return 0.0
    top = scores[having].topk(min(k, scores.shape[1]), dim=1).indices
    hits = truth[having].gather(1, top) > 0
    number = truth[having].sum(dim=1).long().numpy()
    return float(ranking_metrics(hits.numpy(), number, [k])[f"ndcg@{k}"].mean())


#: Length of the lists that are judged.
_K = 20
_USER_FOLDS, _FOLD_ITEMS = 4, 3_000


def user_mix(kernel: Tensor, warm: Tensor, cold: Tensor, settings: ColdUserSettings) -> Tensor:
    """Gives M (w, c), how much of each warm user is in each cold one, from the kernel of both."""
    noise = torch.full((len(warm),), settings.noise)
    return kernel_ridge(kernel[warm][:, warm], kernel[warm][:, cold], noise)


@dataclass(frozen=True, eq=False)
class UserFold:
    """Warm users of the sample, some of them taken for cold."""

    warm: Tensor  # (w,), places in the sample
    cold: Tensor  # (c,)
    tastes: Tensor  # (w, i), without their mean
    base: Tensor  # (i,)
    truth: Tensor  # (c, i)

    def judge(self, kernel: Tensor, settings: ColdUserSettings) -> FloatArray:
        """NDCG@20 of each cold user, (c,)."""
        scores = self.base.expand(len(self.cold), -1)
        if settings.scale:
            mix = user_mix(kernel, self.warm, self.cold, settings)
            scores = scores + settings.scale * (mix.mT @ self.tastes)
        length = min(_K, scores.shape[1])
        top = torch.sort(scores, dim=1, descending=True, stable=True).indices[:, :length]
        hits = self.truth.gather(1, top) > 0
        number = self.truth.sum(dim=1).long().numpy()
        return ranking_metrics(hits.numpy(), number, [length])[f"ndcg@{length}"]


def user_folds(history: Incidence, users: Tensor, rng: np.random.Generator) -> list[UserFold]:
    """Takes each user of the sample for cold once; of the items the most popular are asked for."""
    items, lengths = history.take(users)
    popularity = torch.bincount(items, minlength=history.num_columns)
    popular = popularity.argsort(descending=True, stable=True)[:_FOLD_ITEMS].sort().values
    place = torch.full((history.num_columns,), -1)
    place[popular] = torch.arange(len(popular))
    row = torch.repeat_interleave(torch.arange(len(users)), lengths)
    there = place[items] >= 0
    matrix = torch.zeros(len(users), len(popular))
    matrix[row[there], place[items[there]]] = 1.0
    tastes = matrix * lengths.float().clamp(min=1).rsqrt()[:, None]
    fold_of = torch.from_numpy(rng.permutation(len(users)) % _USER_FOLDS)
    folds = []
    for number in range(_USER_FOLDS):
        warm = (fold_of != number).nonzero().squeeze(1)
        cold = ((fold_of == number) & (matrix.sum(dim=1) > 0)).nonzero().squeeze(1)
        base = standardise(matrix[warm].sum(dim=0).log1p()[None])[0]
        read = tastes[warm]
        folds.append(UserFold(warm, cold, read - read.mean(dim=0), base, matrix[cold]))
    return folds
