"""The version of its graph that a scorer is folded into, and tensors in the order of its nodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kgrec.errors import ShapeError
from kgrec.model.incidence import Incidence, RelationRows
from kgrec.model.item_to_item import recency_weights

if TYPE_CHECKING:
    from kgrec.model.network import GraphTensors


@dataclass(frozen=True, eq=False)
class NewGraph:
    """The graph that a scorer is folded into, and where its nodes stood before.

    What is found is asked for by each part that needs it, so it had better be remembered.

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
        ranks = self.find_ranks()
        if ranks is None:
            raise ShapeError(
                "the scorer counts what is recent more, but the new graph has interactions without "
                "a time; give times to all of them, or train again"
            )
        return recency_weights(self.history, ranks, recency)


def changed_ends(before: Incidence, after: Incidence, graph: NewGraph) -> tuple[Tensor, Tensor]:
    """Says who has other items than before, and which items have other users; new ones have.

    Args:
        before: Items of each user as they were, (U, I).
        after: As they are, (U', I').
        graph: Where they stood before.

    Returns:
        bool (U',) and bool (I',).
    """
    user = moved_to(graph.users, before.num_rows)
    item = moved_to(graph.items, before.num_columns)
    users, items = graph.users < 0, graph.items < 0
    row, column = user[before.rows], item[before.columns]
    users[row[(row >= 0) & (column < 0)]] = True  # whose item is gone
    items[column[(column >= 0) & (row < 0)]] = True
    there = (row >= 0) & (column >= 0)
    width = after.num_columns
    pairs = [row[there] * width + column[there], after.rows * width + after.columns]
    keys, counts = torch.unique(torch.cat(pairs), return_counts=True)
    once = keys[counts == 1]
    users[torch.div(once, max(width, 1), rounding_mode="floor")] = True
    items[once % max(width, 1)] = True
    return users, items


def is_identity(place: Tensor, size: int) -> bool:
    """Whether every node stands where it stood, and none is new or gone."""
    return len(place) == size and torch.equal(place, torch.arange(size))


def moved_to(place: Tensor, size: int) -> Tensor:
    """Gives the new index of each of `size` old nodes, int64, -1 where one is gone.

    Args:
        place: int64 (n',), the old index of each new node, -1 if it is new.
        size: How many nodes there were.
    """
    moved = torch.full((size,), -1)
    there = torch.nonzero(place >= 0).squeeze(1)
    moved[place[there]] = there
    return moved


def take_rows(rows: Tensor, place: Tensor, fill: float = 0.0) -> Tensor:
    """Gives each new node's row, `fill` where it is new; the same tensor where nothing moved."""
    if is_identity(place, len(rows)):
        return rows
    if not len(rows):
        return rows.new_full((len(place), *rows.shape[1:]), fill)
    out = rows[place.clamp(min=0)]
    out[place < 0] = fill
    return out


def take_square(matrix: Tensor, place: Tensor) -> Tensor:
    """Gives rows and columns of new nodes, zero where one is new; the same where nothing moved."""
    if is_identity(place, len(matrix)):
        return matrix
    out = matrix.new_zeros(len(place), len(place))
    new = torch.nonzero(place >= 0).squeeze(1)
    # Row by row: two copies of a large matrix beside it are not needed.
    for block in torch.split(new, 1024):
        out[block[:, None], new[None, :]] = matrix[place[block]][:, place[new]]
    return out
