"""How sure a difference is: the paired bootstrap over users."""

from dataclasses import dataclass

import numpy as np

from kgrec.errors import ConfigError, ShapeError
from kgrec.evaluation.metrics import FloatArray

#: Drawn indices held at once.
_DRAWS_AT_ONCE = 5_000_000


@dataclass(frozen=True)
class Interval:
    """A mean difference and its confidence interval.

    Attributes:
        difference: Mean of a - b over the users.
        low: Lower end.
        high: Upper end; 0 outside [low, high] is what "significant" means here.
    """

    difference: float
    low: float
    high: float


def paired_bootstrap(
    a: FloatArray,
    b: FloatArray,
    *,
    confidence: float = 0.95,
    num_samples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Gives the percentile interval of mean(a - b), users drawn with replacement.

    Args:
        a: (n,) a metric per user of one run.
        b: (n,) the same metric of another run, same users in the same order.
        confidence: Share of bootstrap means inside the interval.
        num_samples: Bootstrap samples.
        seed: Of the draws.

    Raises:
        ShapeError: If a and b are not of one shape (n,), n >= 1.
        ConfigError: If confidence is not between 0 and 1, or num_samples is not positive.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ShapeError(
            f"expected a metric of the same users twice, (n,) each, got {a.shape} and {b.shape}; "
            f"judge both runs on one split"
        )
    if not (0 < confidence < 1 and num_samples >= 1):
        raise ConfigError(
            f"expected 0 < confidence < 1 and num_samples >= 1, got {confidence} and {num_samples}"
        )
    rng = np.random.default_rng(seed)
    difference = a - b
    means = np.empty(num_samples)
    step = max(1, _DRAWS_AT_ONCE // len(a))
    for start in range(0, num_samples, step):
        drawn = rng.integers(len(a), size=(min(step, num_samples - start), len(a)))
        means[start : start + step] = difference[drawn].mean(1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(difference.mean()), float(low), float(high))
