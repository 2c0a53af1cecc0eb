"""How well a score tells two samples apart."""

import torch
from torch import Tensor


def auc(one: Tensor, other: Tensor) -> float:
    """Gives the share of pairs where the first sample's score is larger; ties count a half.

    .5 says that they are not told apart, 1 that they are without fail (Mann and Whitney, 1947).

    Args:
        one: (n,) scores of the first sample.
        other: (m,) of the second; .5 if either is empty.
    """
    if not len(one) or not len(other):
        return 0.5
    ordered = other.sort().values
    below = torch.searchsorted(ordered, one.contiguous())
    upto = torch.searchsorted(ordered, one.contiguous(), right=True)
    return float((below + upto).double().mean() / (2 * len(other)))
