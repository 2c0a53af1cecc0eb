"""A ridge regression from what a user did to what the user did next."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from kgrec.errors import ConfigError, ShapeError
from kgrec.model.folding import NewGraph, take_square
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import ItemToItem, recency_weights
from kgrec.model.scorer import NO_WEIGHTS
from kgrec.model.spd import solve

#: Earlier interactions of longer histories are left out: the work grows with their cube.
_LONGEST = 500
#: Pairs of entries that are held at once.
_PAIRS_AT_ONCE = 2_000_000


@dataclass(eq=False, repr=False)
class DirectedRidge(ItemToItem, kind="DirectedRidge"):
    """Scores x B, with B learned from every interaction and what came before it.

        B = (Σ_e d v_e v_eᵀ + λ I + κ diag)⁻¹ Σ_e d v_e 1_{item of e}ᵀ

    over interactions e; v_e holds the user's earlier items, each exp(-(places before e - 1) / h).
    A co-occurrence says that two items go together, this says which one comes first.

    Attributes:
        history: The training items of each user.
        weights: B, (num_items, num_items) float32.
        entry_weights: What each entry counts in the input, (n,).
        recency: How many places back an entry counts 1/e of the latest; None if it is not known.
    """

    relation_weights = NO_WEIGHTS
    saved_tensors = ("weights", "entry_weights")
    saved_values = ("recency",)

    history: Incidence
    weights: Tensor
    entry_weights: Tensor
    recency: float | None = None

    @classmethod
    def fit(
        cls,
        history: Incidence,
        ranks: Tensor,
        ridge: float,
        *,
        bandwidth: float = 15.0,
        recency: float = 15.0,
        user_weight: Tensor | None = None,
        dropout: float = 0.25,
    ) -> Self:
        """Solves for B; one dense (num_items, num_items) system.

        Args:
            history: The training items of each user.
            ranks: (n,) each entry's place among its user's by time.
            ridge: λ, positive.
            bandwidth: h, in places.
            recency: The same for the input that is scored.
            user_weight: d, (num_users,); None is 1 each.
            dropout: p in [0, 1), κ = p / (1 - p).

        Raises:
            ConfigError: If λ is not positive.
        """
        if not ridge > 0:
            raise ConfigError(f"ridge must be positive, got {ridge}; try 100")
        gram, cross = _moments(history, ranks, bandwidth, user_weight)
        own = gram.diagonal().clone()
        gram.diagonal().add_(ridge + dropout / (1 - dropout) * own)
        weights = recency_weights(history, ranks, recency)
        return cls(history, solve(gram, cross), weights, recency)

    def folded(self, graph: NewGraph) -> "DirectedRidge":
        """Keeps what was learned of items; the user's input is the new graph's."""
        if self.recency is None:
            raise ShapeError("the directed ridge's recency was not kept; train again")
        counts = graph.entry_weights(self.recency)
        assert counts is not None
        weights = take_square(self.weights, graph.items)
        return DirectedRidge(graph.history, weights, counts, self.recency)


def _moments(
    history: Incidence, ranks: Tensor, bandwidth: float, user_weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Gives Σ d v vᵀ and Σ d v 1ᵀ, each (num_items, num_items); histories of one length at once."""
    size = history.num_columns
    gram, cross = torch.zeros(size * size), torch.zeros(size * size)
    lengths = history.lengths
    for length in torch.unique(lengths[lengths > 1]).tolist():
        users = torch.nonzero(lengths == length).squeeze(1)
        num_latest = min(length, _LONGEST)
        for block in torch.split(users, max(1, _PAIRS_AT_ONCE // length**2)):
            places = history.pointer[block, None] + torch.arange(length)  # (b, length)
            item, rank = history.columns[places], ranks[places]
            if num_latest < length:
                latest = rank.topk(num_latest, dim=1).indices
                item, rank = item.gather(1, latest), rank.gather(1, latest)
            before = rank[:, None, :] - rank[:, :, None]  # (b, h, h), by how much i came before j
            decay = torch.where(before > 0, torch.exp((1 - before) / bandwidth), 0.0)
            weighted = decay if user_weight is None else decay * user_weight[block, None, None]
            cells = (item[:, :, None] * size + item[:, None, :]).reshape(-1)
            cross.index_add_(0, cells, weighted.reshape(-1))
            gram.index_add_(0, cells, (weighted @ decay.mT).reshape(-1))
    return gram.view(size, size), cross.view(size, size)
