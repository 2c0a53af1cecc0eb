"""Inner splits for cold users: warm users lose all their interactions and are to be served."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kgrec.evaluation.metrics import FloatArray, ranking_metrics
from kgrec.model.cold import kernel_ridge
from kgrec.model.fusion import standardise
from kgrec.model.incidence import Incidence
from kgrec.training.cold.settings import ColdUserSettings

#: Length of the lists that are judged.
_K = 20
_FOLDS, _FOLD_ITEMS = 4, 3_000


def user_mix(kernel: Tensor, warm: Tensor, cold: Tensor, settings: ColdUserSettings) -> Tensor:
    """Gives M (w, c), how much of each warm user is in each cold one, from the kernel of both."""
    noise = torch.full((len(warm),), settings.noise)
    return kernel_ridge(kernel[warm][:, warm], kernel[warm][:, cold], noise)


@dataclass(frozen=True, eq=False)
class UserFold:
    """Warm users of the sample, some of them matrix for cold."""

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
    fold_of = torch.from_numpy(rng.permutation(len(users)) % _FOLDS)
    folds = []
    for number in range(_FOLDS):
        warm = (fold_of != number).nonzero().squeeze(1)
        cold = ((fold_of == number) & (matrix.sum(dim=1) > 0)).nonzero().squeeze(1)
        base = standardise(matrix[warm].sum(dim=0).log1p()[None])[0]
        read = tastes[warm]
        folds.append(UserFold(warm, cold, read - read.mean(dim=0), base, matrix[cold]))
    return folds
