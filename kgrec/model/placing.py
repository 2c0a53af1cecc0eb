"""Rows of a tensor in the order of another set of nodes."""

import torch
from torch import Tensor


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
