"""Controls of the table of synthetic edges: draws, and how often they are right by chance."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kgrec.augment.sources import Plan, propose_best
from kgrec.augment.world import World
from kgrec.graph.data import SyntheticEdges


@dataclass(frozen=True)
class DrawnSource:
    """Pairs drawn at random, by popularity or alike: what edges bring that know nothing of taste.

    Attributes:
        name: What the edges are marked with.
        by_popularity: Whether items are drawn by their popularity; else all alike.
    """

    name: str
    by_popularity: bool

    def propose(self, plan: Plan, seed: int) -> SyntheticEdges:
        """Draws without replacement."""
        generator = torch.Generator().manual_seed(seed)
        num_items = plan.history.num_columns
        weight = torch.ones(num_items)
        if self.by_popularity:
            weight = torch.bincount(plan.history.columns, minlength=num_items).float()
        log_weight = weight.log()

        def keys(users: Tensor) -> Tensor:
            # The largest of log p + Gumbel noise are a draw by p without replacement.
            uniform = torch.rand(len(users), num_items, generator=generator)
            return log_weight - (-uniform.clamp_(min=1e-20).log()).log()

        return propose_best(self.name, plan, seed, keys)


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
