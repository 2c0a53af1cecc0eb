"""Pairs that a user's interactions shall stand above: plausible to a generator, and doubted."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.graph.synthetic import SyntheticEdges
from kgrec.model.incidence import Incidence


@dataclass(frozen=True, eq=False)
class HardNegatives:
    """Hard negatives by user.

    Attributes:
        pairs: (num_users, num_items).
        weight: (n,) float32, what each entry of `pairs` counts in the loss.
    """

    pairs: Incidence
    weight: Tensor

    @classmethod
    def of(cls, edges: SyntheticEdges | None, history: Incidence) -> Self:
        """Takes a generator's second output; what a user has is left out.

        Args:
            edges: User, item and weight of each; None is none.
            history: The training items of each user; the result is on its device.
        """
        if edges is None:
            none = history.columns[:0]
            empty = Incidence.from_pairs(none, none, history.num_rows, history.num_columns)
            return cls(empty, torch.empty(0, device=history.device))
        size, device = history.num_columns, history.device
        keys = torch.from_numpy(edges.user_index * size + edges.item_index).to(device)
        kept = ~torch.isin(keys, history.rows * size + history.columns)
        keys, place = torch.unique(keys[kept], return_inverse=True)
        given = torch.from_numpy(edges.weight).to(device)[kept]
        weight = given.new_zeros(len(keys)).index_copy_(0, place, given)
        pairs = Incidence.from_pairs(keys // size, keys % size, history.num_rows, size)
        return cls(pairs, weight)

    def draw(self, users: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draws one for each user that has any; where nobody has, nothing is drawn at all.

        Args:
            users: (B,) int64.
            generator: Of the draws, on the CPU.

        Returns:
            Places among the users (m,), items (m,) and weights (m,).
        """
        if not len(self.weight):
            return users[:0], users[:0], self.weight
        lengths = self.pairs.lengths[users]
        uniform = torch.rand(len(users), generator=generator).to(users.device)
        at = torch.nonzero(lengths).squeeze(1)
        count = lengths[at]
        step = torch.minimum((uniform[at] * count).long(), count - 1)
        entry = self.pairs.pointer[users[at]] + step
        return at, self.pairs.columns[entry], self.weight[entry]


def hard_loss(positive: Tensor, at: Tensor, negative: Tensor, weight: Tensor) -> Tensor:
    """How far hard negatives stand above the interactions they were drawn beside.

        1/B Σ_m w_m softplus(negative_m - positive_at(m))

    Args:
        positive: (B,), scores of a batch's interactions.
        at: (m,) int64, beside which of them each was drawn.
        negative: (m,), their scores.
        weight: (m,).

    References:
        Rendle et al., "BPR", arXiv:1205.2618, for the pairwise term.
    """
    beside = weight * functional.softplus(negative - positive.index_select(0, at))
    return beside.sum() / len(positive)
