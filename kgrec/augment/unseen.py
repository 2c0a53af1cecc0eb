"""Scores without what users have already."""

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from kgrec.model.incidence import Incidence

#: Users whose scores are held at once.
USERS_AT_ONCE = 512

#: Scores all items for users (B,), (B, num_items).
ScoreUsers = Callable[[Tensor], Tensor]


class Scores(Protocol):
    """Scores all items for users."""

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives (B, num_items) float32 for users (B,) int64."""


def unseen(score: ScoreUsers, history: Incidence, users: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Scores users block by block, what they have at minus infinity.

    Args:
        score: Scores all items for users.
        history: What each user has.
        users: (a,) int64.

    Yields:
        The users (B,) and their scores (B, num_items).
    """
    for block in torch.split(users, USERS_AT_ONCE):
        scores = score(block).clone()
        items, lengths = history.take(block)
        rows = torch.repeat_interleave(torch.arange(len(block)), lengths)
        scores[rows, items] = -torch.inf
        yield block, scores
