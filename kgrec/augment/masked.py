"""How often draws that know nothing of taste are right, on users made sparse."""

import torch
from torch import Tensor

from kgrec.augment.world import World


def drawn_precision(world: World, weight: Tensor) -> float:
    """Gives the chance that an item drawn for a made user is a hidden one, the mean over users.

    Of one draw among what the user is not told of, in proportion to the weights; a few more draws
    without replacement change little.

    Args:
        world: Users of whom it is known what they did.
        weight: (num_items,) float, what items are drawn by; ones for all alike.
    """

    def mass(rows: Tensor, columns: Tensor) -> Tensor:
        of_users = torch.zeros(len(world.owner), dtype=torch.float64)
        return of_users.index_add_(0, rows, weight.double()[columns])

    unseen = weight.double().sum() - mass(world.history.rows, world.history.columns)
    hidden = mass(world.hidden.rows, world.hidden.columns)
    return float((hidden / unseen.clamp(min=1e-12)).mean())
