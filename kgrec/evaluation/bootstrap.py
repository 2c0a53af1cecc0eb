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

    Of several trainings, trainings are drawn with replacement as well: what two initial values
    differ by is part of how unsure the difference is.

    Args:
        a: (n,) a metric per user of one run, or (s, n) of s trainings.
        b: The same metric of another run, same users, and same seeds, in the same order.
        confidence: Share of bootstrap means inside the interval.
        num_samples: Bootstrap samples.
        seed: Of the draws.

    Raises:
        ShapeError: If a and b are not of one shape, (n,) or (s, n), n >= 1.
        ConfigError: If confidence is not between 0 and 1, or num_samples is not positive.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    if a.ndim not in (1, 2) or a.shape != b.shape or not a.size:
        raise ShapeError(
            f"expected a metric of the same users twice, (n,) or (s, n), got {a.shape} and "
            f"{b.shape}; judge both runs on one split"
        )
    if not (0 < confidence < 1 and num_samples >= 1):
        raise ConfigError(
            f"expected 0 < confidence < 1 and num_samples >= 1, got {confidence} and {num_samples}"
        )
    rng = np.random.default_rng(seed)
    difference = np.atleast_2d(a - b)
    trainings, users = difference.shape
    means = np.empty(num_samples)
    step = max(1, _DRAWS_AT_ONCE // users)
    for start in range(0, num_samples, step):
        sample = rng.integers(users, size=(min(step, num_samples - start), users))
        if trainings == 1:
            means[start : start + step] = difference[0][sample].mean(1)
            continue
        times = rng.multinomial(trainings, np.full(trainings, 1 / trainings), size=len(sample))
        mean = times / trainings @ difference  # (b, n), over the drawn trainings
        means[start : start + step] = np.take_along_axis(mean, sample, axis=1).mean(1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(difference.mean()), float(low), float(high))
