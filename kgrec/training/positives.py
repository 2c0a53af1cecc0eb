"""What the network is trained to score high: interactions, and proposed ones by their weight."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from kgrec.graph.synthetic import SyntheticEdges
from kgrec.model.incidence import Incidence


@dataclass(frozen=True, eq=False)
class Positives:
    """User-item pairs with their weights in the loss; the real ones come first.

    Attributes:
        users: (n,) int64.
        items: (n,) int64.
        weight: (n,) float32; None is 1 each.
        known: All of them by user: what must not be drawn as a negative.
        real: How many of them are real; only these have edges in the graph.
    """

    users: Tensor
    items: Tensor
    weight: Tensor | None
    known: Incidence
    real: int

    @classmethod
    def of(cls, history: Incidence, synthetic: SyntheticEdges | None = None) -> Self:
        """Takes the interactions of a history, and proposed ones beside them.

        Args:
            history: The training items of each user.
            synthetic: Proposed pairs that are not in it; they end on the history's device.
        """
        users, items = history.rows, history.columns
        if synthetic is None or not len(synthetic):
            return cls(users, items, None, history, len(items))
        device = history.device
        users = torch.cat([users, torch.from_numpy(synthetic.user_index).to(device)])
        items = torch.cat([items, torch.from_numpy(synthetic.item_index).to(device)])
        synthetic_weight = torch.from_numpy(synthetic.weight).to(device)
        weight = torch.cat([synthetic_weight.new_ones(len(history.columns)), synthetic_weight])
        known = Incidence.from_pairs(users, items, history.num_rows, history.num_columns)
        return cls(users, items, weight, known, len(history.columns))

    def __len__(self) -> int:
        """Number of pairs, n."""
        return len(self.items)

    def weights(self, batch: Tensor) -> Tensor | None:
        """Gives the weights of places (B,), (B,)."""
        return None if self.weight is None else self.weight[batch]

    def real_among(self, batch: Tensor) -> Tensor:
        """Gives those of places (B,) that are real interactions'."""
        return batch if self.weight is None else batch[batch < self.real]
