"""Scores as sums of item-to-item weights over what a user has."""

from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.errors import ShapeError
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import Contributions, FromHistory


class ItemToItem(FromHistory):
    """Scores s_uj = Σ_i∈own(u) a_ui B_ij: what owning i adds to j, and how much that still counts.

    Attributes:
        history: The training items of each user.
        weights: B, (num_items, num_items) float32; row i is what owning i adds to every item.
        entry_weights: a, (n,) float32, one for each entry of `history`; None is 1 each.
    """

    weights: Tensor
    entry_weights: Tensor | None = None

    def __post_init__(self) -> None:
        expected = (self.history.num_columns, self.history.num_columns)
        if self.weights.shape != expected:
            raise ShapeError(
                f"weights have shape {tuple(self.weights.shape)}, expected {expected}; "
                f"history and weights must be of one catalogue"
            )

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the weighted sums of the users' rows of B, (B, num_items) float32."""
        places, lengths = self.history.places(user_indices.to(self.history.device))
        offsets = lengths.cumsum(0) - lengths
        counts = None if self.entry_weights is None else self.entry_weights[places]
        return functional.embedding_bag(
            self.history.columns[places],
            self.weights,
            offsets,
            mode="sum",
            per_sample_weights=counts,
        )

    def over(self, history: Incidence) -> Self:
        """Gives the same scorer for other users; raises ShapeError if items count by their age."""
        if self.entry_weights is not None:
            raise ShapeError(
                "what a user has counts by when it came, and of other users that is not known; "
                "fit the scorer without recency"
            )
        return super().over(history)

    def own(self, user_index: int) -> tuple[Tensor, Tensor]:
        """Gives a user's items (h,) int64 and how much each counts (h,) float32."""
        items = self.history.row(user_index)
        if self.entry_weights is None:
            return items, self.weights.new_ones(len(items))
        start = int(self.history.pointer[user_index])
        return items, self.entry_weights[start : start + len(items)]

    def without(self, user_index: int, items: Tensor) -> Tensor:
        """Takes off what the items add."""
        own, counts = self.own(user_index)
        mask = torch.isin(own, items)
        taken_off = counts[mask] @ self.weights[own[mask]]
        return self.score(torch.tensor([user_index]))[0] - taken_off

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes into the user's own items, exactly; everything flows through interactions."""
        own, counts = self.own(user_index)
        items = item_indices.to(own.device)
        by_item = self.weights[own[None, :], items[:, None]] * counts  # (k, h)
        return self.by_own_items(user_index, by_item)


def ages(history: Incidence, ranks: Tensor) -> Tensor:
    """Gives how many places each entry of a history lies behind its user's latest, (n,) float32.

    Args:
        history: The training items of each user.
        ranks: (n,) each entry's place among its user's by time.
    """
    latest = ranks.new_zeros(history.num_rows)
    latest.scatter_reduce_(0, history.rows, ranks, "amax")
    return latest[history.rows] - ranks


def recency_weights(history: Incidence, ranks: Tensor, scale: float) -> Tensor:
    """Gives exp(-age / scale) for each entry of a history, (n,) float32; see `ages`."""
    return torch.exp(-ages(history, ranks) / scale)
