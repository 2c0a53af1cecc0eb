"""The exponential average that path metrics put times and degrees into."""

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]


def decayed(values: Floats) -> Floats:
    """Gives the exponential average of ascending values, scaled to [0, 1]; (n,) like them.

    As hopwise 0.9.1 has it: weights (1 - α)^age with α = 2 / (n + 1), normalised; equal values
    count by their place. A single value has nothing to be scaled by and is 0.
    """
    if len(values) < 2:
        return np.zeros(len(values))
    if values.max() == values.min():
        values = np.arange(len(values), dtype=np.float64)
    averages = pd.Series(values).ewm(span=len(values)).mean().to_numpy()
    out: Floats = (averages - averages.min()) / (averages.max() - averages.min())
    return out
