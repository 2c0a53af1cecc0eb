"""From a score to the probability that a proposed edge is a real one, and how far that is true."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from scipy.optimize import isotonic_regression
from torch import Tensor

from kgrec.errors import ShapeError

#: Bins of the reliability curve, each of as many pairs.
_BINS = 10


@dataclass(frozen=True, eq=False)
class Calibration:
    """A rising step function of a score, straight between its steps.

    Attributes:
        score: (n,) float64, rising.
        probability: (n,) float64, not falling.
    """

    score: Tensor
    probability: Tensor

    @classmethod
    def fit(cls, scores: Tensor, real: Tensor) -> Self:
        """Fits by isotonic regression: the rising function with the least squared error.

        Pairs of one score count together. Beyond the scores seen the ends go on; without any pair
        nothing is known, which is told as .5.

        Args:
            scores: (n,).
            real: (n,) bool.

        Raises:
            ShapeError: If the two are not of one length.

        References:
            Zadrozny & Elkan, KDD 2002; pool adjacent violators as SciPy has it.
        """
        if scores.shape != real.shape:
            raise ShapeError(
                f"a calibration was given {tuple(scores.shape)} scores and {tuple(real.shape)} "
                f"outcomes; expected one of each a pair"
            )
        if not len(scores):
            return cls(torch.zeros(1).double(), torch.full((1,), 0.5).double())
        values, place, counts = np.unique(
            scores.double().numpy(), return_inverse=True, return_counts=True
        )
        share = np.bincount(place, real.double().numpy()) / counts
        risen = isotonic_regression(share, weights=counts.astype(np.float64)).x
        # Of a flat piece its two ends say all.
        inner = np.diff(risen, prepend=-1.0, append=2.0)
        kept = (inner[:-1] != 0) | (inner[1:] != 0)
        return cls(torch.from_numpy(values[kept]), torch.from_numpy(risen[kept]))

    def __call__(self, scores: Tensor) -> Tensor:
        """Gives probabilities, float32, in the shape of the scores."""
        found = np.interp(scores.double().numpy(), self.score.numpy(), self.probability.numpy())
        return torch.from_numpy(found).float()


def reliability(probability: Tensor, real: Tensor) -> dict[str, Any]:
    """Sets what was promised against what came, on pairs that nothing was fitted on.

    Args:
        probability: (n,) promised.
        real: (n,) bool.

    Returns:
        `bins`, each with `promised`, `came` (means) and `pairs`, of about as many pairs, by what
        was promised; pairs that were promised the same are in one, so there may be fewer;
        `expected_error`, Σ_b n_b/n |promised_b - came_b|, None without pairs.

    References:
        Naeini et al., AAAI 2015, "Obtaining well calibrated probabilities using Bayesian binning":
        the expected calibration error, here over bins of equal size.
    """
    order = torch.argsort(probability, stable=True)
    bins: list[Mapping[str, float]] = []
    error = 0.0
    risen = probability[order].contiguous()
    cuts = [len(order) * number // _BINS for number in range(1, _BINS)]
    ends: list[int] = []
    for end in torch.searchsorted(risen, risen[cuts]).tolist() if len(order) else ():
        if end - (ends[-1] if ends else 0) >= len(order) / (2 * _BINS):  # no bin of a few pairs
            ends.append(end)
    for part in torch.tensor_split(order, torch.tensor(ends, dtype=torch.int64)):
        if len(part):
            promised = float(probability[part].double().mean())
            came = float(real[part].double().mean())
            bins.append({"promised": promised, "came": came, "pairs": len(part)})
            error += len(part) / len(order) * abs(promised - came)
    return {"bins": bins, "expected_error": error if bins else None}
