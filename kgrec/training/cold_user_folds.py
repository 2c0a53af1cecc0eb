"""Inner splits for cold users: warm users lose all their interactions and are to be served."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from kgrec.evaluation.metrics import FloatArray, ranking_metrics
from kgrec.model.cold import kernel_ridge
from kgrec.model.fusion import standardise
from kgrec.model.incidence import Incidence

#: Length of the lists that are judged.
_K = 20
_FOLDS, _FOLD_ITEMS = 4, 3_000
#: The gain over popularity must be so many standard errors. As all users are read in turn, their
#: gains are not independent: with 2, 8 of 60 random profiles passed, with 3, 2.
_LEAST_ERRORS = 3.0


@dataclass(frozen=True)
class ColdUserSettings:
    """What the search found.

    Attributes:
        view_weights: One for each view, in their order.
        noise: μ of the kernel ridge.
        product: Weight of the summed kernel's product with itself: likeness in several views.
        scale: γ, how much a profile counts beside log popularity.
        inner: Measured on warm users taken for cold: NDCG@20 of popularity (`popularity`) and of
            the profiles (`ndcg@20`) with settings that were found on other users, and the standard
            error of their difference (`error`).
    """

    view_weights: tuple[float, ...]
    noise: float = 30.0
    product: float = 0.4
    scale: float = 10.0
    inner: Mapping[str, float] = field(default_factory=dict)

    @property
    def pays(self) -> bool:
        """Whether the profiles beat popularity by more than chance."""
        gain = self.inner.get("ndcg@20", 0.0) - self.inner.get("popularity", 0.0)
        return gain > _LEAST_ERRORS * self.inner.get("error", 0.0)


def summed(kernels: Iterable[Tensor], settings: ColdUserSettings) -> Tensor:
    """Gives K̄ + product · K̄ ∘ K̄ with K̄ the weighted mean of the views' kernels, (n, n).

    Args:
        kernels: Each (n, n) with a mean diagonal of 1.
        settings: Weights and product are used.
    """
    whole = sum(settings.view_weights)
    total = torch.zeros(())
    for weight, kernel in zip(settings.view_weights, kernels, strict=True):
        total = total + (weight / whole) * kernel
    return total.addcmul(total, total, value=settings.product)


def unit(kernel: Tensor) -> Tensor:
    """The kernel (n, n) with a mean diagonal of 1."""
    return kernel / kernel.diagonal().mean().clamp_min(1e-6)


def user_mix(kernel: Tensor, warm: Tensor, cold: Tensor, settings: ColdUserSettings) -> Tensor:
    """Gives M (w, c), how much of each warm user is in each cold one, from the kernel of both."""
    noise = torch.full((len(warm),), settings.noise)
    return kernel_ridge(kernel[warm][:, warm], kernel[warm][:, cold], noise)


@dataclass(frozen=True, eq=False)
class Fold:
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


def user_folds(history: Incidence, users: Tensor, rng: np.random.Generator) -> list[Fold]:
    """Takes each user of the sample for cold once; of the items the most popular are asked for."""
    items, lengths = history.take(users)
    popularity = torch.bincount(items, minlength=history.num_columns)
    asked = popularity.argsort(descending=True, stable=True)[:_FOLD_ITEMS].sort().values
    place = torch.full((history.num_columns,), -1)
    place[asked] = torch.arange(len(asked))
    row = torch.repeat_interleave(torch.arange(len(users)), lengths)
    there = place[items] >= 0
    taken = torch.zeros(len(users), len(asked))
    taken[row[there], place[items[there]]] = 1.0
    tastes = taken * lengths.float().clamp(min=1).rsqrt()[:, None]
    fold_of = torch.from_numpy(rng.permutation(len(users)) % _FOLDS)
    folds = []
    for number in range(_FOLDS):
        warm = (fold_of != number).nonzero().squeeze(1)
        cold = ((fold_of == number) & (taken.sum(dim=1) > 0)).nonzero().squeeze(1)
        base = standardise(taken[warm].sum(dim=0).log1p()[None])[0]
        read = tastes[warm]
        folds.append(Fold(warm, cold, read - read.mean(dim=0), base, taken[cold]))
    return folds
