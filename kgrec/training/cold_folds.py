"""Inner splits for cold items: warm items lose all their interactions and are to be found again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kgrec.evaluation.metrics import ranking_metrics
from kgrec.graph.data import GraphData
from kgrec.model.cold import kernel_ridge
from kgrec.model.ease import ease_weights
from kgrec.model.fusion import standardise
from kgrec.model.incidence import Incidence
from kgrec.training.cold_views import View

#: Length of the lists that are judged.
K = 20
#: Fewer warm items than this say nothing about cold ones.
LEAST_WARM = 20

_FOLDS, _SHARE = 5, 0.1
_MOST_ITEMS, _MOST_USERS = 3_000, 2_000
#: Items with fewer takers are not asked for: their truth is noise.
_LEAST_TAKERS = 5


@dataclass(frozen=True)
class ColdSettings:
    """What the search found.

    Attributes:
        view_weights: One for each view, in their order.
        noise: μ of the kernel ridge.
        rarity: κ: an item of n takers has the noise μ (1 + κ / n).
        product: Weight of the product of the summed kernel with itself: likeness in several views
            at once.
        own_weight: β, see `ColdCompletion`.
        popularity: What one e-fold of expected popularity adds, in standard deviations.
        scale: γ, on the completed standardised scores.
        exposure: Share of (user, cold item) pairs that are to beat the user's 20th warm item.
        places: Cold items a user that do so at most, however many there are.
        inner: Measured on the inner splits: NDCG@20 among cold items before and after the search;
            NDCG@20 of cold items among all, and the share of warm NDCG@20 that is kept.
        views: The views' names.
    """

    view_weights: tuple[float, ...]
    noise: float = 1.0
    rarity: float = 27.0
    product: float = 0.4
    own_weight: float = 1.0
    popularity: float = 0.2
    scale: float = 1.0
    exposure: float = 0.02
    places: float = 2.0
    inner: Mapping[str, float] = field(default_factory=dict)
    views: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Fold:
    """Warm items, some of them taken for cold, and the scores of a closed form without those.

    `standard` are the standardised scores when only the cold items are away, `thinned` when a tenth
    of each user's other items (`held`, as dense 0/1) is away as well.
    """

    warm: Tensor  # (w,), places in the sample
    cold: Tensor  # (c,)
    takers: Tensor  # (w,)
    standard: Tensor  # (U, w)
    own: Tensor  # (U, w)
    thinned: Tensor  # (U, w)
    held: Tensor  # (U, w)
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
) -> tuple[list[Fold], Tensor]:
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
    items = np.sort(rng.permutation(items)[:_MOST_ITEMS])
    active = np.unique(graph.train.user_index[np.isin(graph.train.item_index, items)])
    users = np.sort(rng.permutation(active)[:_MOST_USERS])
    history = Incidence.from_pairs(
        torch.from_numpy(graph.train.user_index),
        torch.from_numpy(graph.train.item_index),
        graph.num_users,
        graph.num_items,
    )
    columns, lengths = history.take(torch.from_numpy(users))
    taken = torch.zeros(len(users), graph.num_items)
    taken[torch.repeat_interleave(torch.arange(len(users)), lengths), columns] = 1.0
    taken = taken[:, items]  # (U, n)
    order = rng.permutation(len(items))
    size = max(1, round(_SHARE * len(items)))
    folds = []
    for number in range(_FOLDS):
        cold = np.sort(order[number * size : (number + 1) * size])
        fold = _fold(taken, cold, ridge, rng)
        if fold is not None:
            folds.append(fold)
    chosen = torch.from_numpy(items)
    kernels = torch.empty(len(views), len(items), len(items))
    for place, view in zip(kernels, views, strict=True):
        place.copy_(_unit(view.kernel(chosen)))
    return folds, kernels


def _fold(
    taken: Tensor, cold: npt.NDArray[np.int64], ridge: float, rng: np.random.Generator
) -> Fold | None:
    rest = np.setdiff1d(np.arange(taken.shape[1]), cold)
    own = taken[:, rest]
    takers = own.sum(dim=0)
    known = takers > 0
    rest, own, takers = rest[known.numpy()], own[:, known], takers[known]
    cold = cold[(taken[:, cold].sum(dim=0) >= _LEAST_TAKERS).numpy()]
    if len(cold) < 2 or len(rest) < LEAST_WARM:
        return None
    held = own * torch.from_numpy(rng.random(tuple(own.shape)) < _SHARE)
    thin = own - held
    return Fold(
        torch.from_numpy(rest),
        torch.from_numpy(cold),
        takers,
        standardise(own @ ease_weights(own.mT @ own, ridge)),
        own,
        standardise(thin @ ease_weights(thin.mT @ thin, ridge)),
        held,
        taken[:, cold],
    )


def shown_among_all(
    fold: Fold, kernel: Tensor, settings: ColdSettings, keep_warm: float
) -> tuple[float, float, float]:
    """NDCG of the cold items, share kept of the warm ones', exposure; all at the highest level."""
    weights, bias = fold.weights(kernel, settings)
    own = fold.own - fold.held
    cold = (fold.thinned + settings.own_weight * own) @ weights + bias
    warm = fold.thinned.masked_fill(own > 0, -torch.inf)
    none = torch.zeros_like(fold.truth)
    alone = _ndcg(warm, fold.held, K)
    low, high = -20.0, 20.0
    for _ in range(12):
        middle = (low + high) / 2
        both = torch.cat([warm, cold + middle], dim=1)
        if _ndcg(both, torch.cat([fold.held, none], dim=1), K) >= keep_warm * alone:
            low = middle
        else:
            high = middle
    both = torch.cat([warm, cold + low], dim=1)
    kept = _ndcg(both, torch.cat([fold.held, none], dim=1), K) / max(alone, 1e-9)
    among_all = _ndcg(both, torch.cat([torch.zeros_like(warm), fold.truth], dim=1), K)
    last = warm.topk(min(K, warm.shape[1]), dim=1).values[:, -1:]
    return among_all, kept, float((cold + low > last).float().mean())


def summed_kernel(kernels: Iterable[Tensor] | Tensor, settings: ColdSettings) -> Tensor:
    """Gives K̄ + product · K̄ ∘ K̄ with K̄ the weighted mean of the views' kernels, (n, n).

    Args:
        kernels: Each (n, n), or all of them as (views, n, n) with a mean diagonal of 1.
        settings: Weights and product are used.
    """
    weights = torch.tensor(settings.view_weights)
    weights /= weights.sum()
    if isinstance(kernels, Tensor):
        total = (weights @ kernels.flatten(1)).view(kernels.shape[1:])
    else:
        total = torch.zeros(())
        for weight, kernel in zip(weights.tolist(), kernels, strict=True):
            total = total + _unit(kernel).mul_(weight)
    return total.addcmul(total, total, value=settings.product)


def _unit(kernel: Tensor) -> Tensor:
    """The kernel with a mean diagonal of 1; it is overwritten."""
    return kernel.div_(max(float(kernel.diagonal().mean()), 1e-6))


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
