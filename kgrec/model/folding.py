"""The version of its graph that a trained scorer is folded into; each scorer says how it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kgrec.errors import ShapeError
from kgrec.model.gram import RelationRows
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import recency_weights
from kgrec.model.placing import moved_to

if TYPE_CHECKING:
    from kgrec.model.network import GraphTensors


@dataclass(frozen=True, eq=False)
class NewGraph:
    """The graph that a scorer is folded into, and where its nodes stood before.

    Attributes:
        users: int64 (U',), the old index of each user, -1 if new.
        items: int64 (I',), likewise.
        entities: int64 (E',), likewise.
        num_old: Numbers of users, items and entities before.
        history: The training items of each user.
        find_ranks: Gives each entry's place among its user's by time (n,); None without times.
        find_relations: Gives the graph's relations as rows over its items.
        find_tensors: Gives the graph as tensors; its text is that of new nodes, in the space of
            the training. What no part of a scorer asks for is not made.
    """

    users: Tensor
    items: Tensor
    entities: Tensor
    num_old: tuple[int, int, int]
    history: Incidence
    find_ranks: Callable[[], Tensor | None]
    find_relations: Callable[[], Sequence[RelationRows]]
    find_tensors: Callable[[], "GraphTensors"]

    @cached_property
    def ranks(self) -> Tensor | None:
        """What `find_ranks` gives."""
        return self.find_ranks()

    @cached_property
    def tensors(self) -> "GraphTensors":
        """What `find_tensors` gives."""
        return self.find_tensors()

    @property
    def nodes(self) -> Tensor:
        """int64 (N',), the old index of each node among all nodes, -1 if new."""
        shift, parts = 0, []
        for place, size in zip((self.users, self.items, self.entities), self.num_old, strict=True):
            parts.append(torch.where(place >= 0, place + shift, -1))
            shift += size
        return torch.cat(parts)

    def entry_weights(self, recency: float | None) -> Tensor | None:
        """Gives what each entry of the history counts, (n,) float32; None where all count 1.

        Raises:
            ShapeError: If what is recent counts more, and an interaction has no time.
        """
        if recency is None:
            return None
        if self.ranks is None:
            raise ShapeError(
                "the scorer counts what is recent more, but the new graph has interactions without "
                "a time; give times to all of them, or train again"
            )
        return recency_weights(self.history, self.ranks, recency)


def changed_ends(old: Incidence, graph: NewGraph) -> tuple[Tensor, Tensor]:
    """Says who has other items than before, and which items have other users; new ones have.

    Returns:
        bool (U',) and bool (I',).
    """
    user, item = moved_to(graph.users, old.num_rows), moved_to(graph.items, old.num_columns)
    users, items = graph.users < 0, graph.items < 0
    row, column = user[old.rows], item[old.columns]
    users[row[(row >= 0) & (column < 0)]] = True  # whose item is gone
    items[column[(column >= 0) & (row < 0)]] = True
    there = (row >= 0) & (column >= 0)
    width = graph.history.num_columns
    before = row[there] * width + column[there]
    after = graph.history.rows * width + graph.history.columns
    keys, counts = torch.unique(torch.cat([before, after]), return_counts=True)
    once = keys[counts == 1]
    users[torch.div(once, max(width, 1), rounding_mode="floor")] = True
    items[once % max(width, 1)] = True
    return users, items
