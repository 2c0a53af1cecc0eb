"""For whom edges are proposed, and how many."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from kgrec.evaluation.cohorts import distinct_counts
from kgrec.evaluation.floors import train_pairs
from kgrec.graph.data import GraphData, IndexArray, Interactions
from kgrec.model.incidence import Incidence


@dataclass(frozen=True, eq=False)
class Plan:
    """How many edges each source may propose; the same for all, so that they can be compared.

    Attributes:
        known: The real interactions; none of them is proposed.
        history: The same, each user's items.
        users: (a,) int64, users with few interactions.
        items: (b,) int64, items with few.
        per_user: Edges for each of the users.
        per_item: Edges for each of the items.
        weight: What an edge counts in the loss, where a real interaction counts 1.
    """

    known: Interactions
    history: Incidence
    users: IndexArray
    items: IndexArray
    per_user: int
    per_item: int
    weight: float

    @classmethod
    def for_sparse_nodes(
        cls,
        graph: GraphData,
        *,
        at_most: int = 5,
        per_user: int = 5,
        per_item: int = 0,
        weight: float = 0.2,
    ) -> Self:
        """Takes users and items with 1 to `at_most` different partners in train.

        Nodes without any are left to what serves cold nodes.

        Args:
            graph: The graph; only train is read.
            at_most: So few interactions make a node sparse.
            per_user: Edges for each sparse user.
            per_item: Edges for each sparse item.
            weight: Of an edge.
        """
        train = graph.train
        by_user = distinct_counts(train.user_index, train.item_index, graph.num_users)
        by_item = distinct_counts(train.item_index, train.user_index, graph.num_items)
        users, items = (
            np.flatnonzero((count >= 1) & (count <= at_most)) for count in (by_user, by_item)
        )
        history = Incidence.from_pairs(*train_pairs(graph))
        return cls(train, history, users, items, per_user, per_item, weight)
