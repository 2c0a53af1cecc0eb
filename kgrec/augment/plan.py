"""For whom edges are proposed, and how many."""

from dataclasses import dataclass
from typing import Self

import torch

from kgrec.config import AugmentConfig
from kgrec.graph.data import IndexArray
from kgrec.model.incidence import Incidence


@dataclass(frozen=True, eq=False)
class Plan:
    """How many edges each source may propose; the same for all, so that they can be compared.

    Attributes:
        history: What each user has; none of it is proposed.
        users: (a,) int64, users with few interactions.
        items: (b,) int64, items with few.
        per_user: Edges for each of the users.
        per_item: Edges for each of the items.
        weight: What an edge counts in the loss, where a real interaction counts 1.
    """

    history: Incidence
    users: IndexArray
    items: IndexArray
    per_user: int
    per_item: int
    weight: float

    @classmethod
    def for_sparse_nodes(cls, history: Incidence, config: AugmentConfig) -> Self:
        """Takes users and items with 1 to `at_most` different partners.

        Nodes without any are left to what serves cold nodes.

        Args:
            history: The training items of each user.
            config: Who has few, how many edges each of them gets, and what an edge counts.
        """
        by_item = torch.bincount(history.columns, minlength=history.num_columns)
        users, items = (
            torch.nonzero((count >= 1) & (count <= config.at_most)).squeeze(1).numpy()
            for count in (history.lengths, by_item)
        )
        return cls(history, users, items, config.per_user, config.per_item, config.weight)
