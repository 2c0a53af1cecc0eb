"""Scores as sums of item-to-item weights over what a user has, and EASE, the plainest of them."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.errors import ConfigError, ShapeError
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import NO_WEIGHTS, Contributions, FromHistory
from kgrec.model.spd import LinAlgError, invert

#: Up to so many items the inverse is made in float64: it costs seconds there.
DOUBLE_UP_TO = 4_000


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


@dataclass(eq=False, repr=False)
class Ease(ItemToItem, kind="Ease"):
    """Scores x B of users' binary histories x, with B from `ease_weights`.

    Made by `fit`; immutable. Memory is one dense (num_items, num_items) float32 matrix, time grows
    with num_items³ (about 1 minute at 15,000 items on two cores).

    Attributes:
        history: The training items of each user.
        weights: B, (num_items, num_items) float32; row j is what owning j adds to every item.
    """

    relation_weights = NO_WEIGHTS
    saved_tensors = ("weights",)

    history: Incidence
    weights: Tensor

    @classmethod
    def fit(cls, history: Incidence, *, ridge: float = 200.0) -> Self:
        """Solves for the weights.

        Args:
            history: The training items of each user; where it lives, the scorer lives.
            ridge: L2; 50 suits few interactions an item, 400 many. Choose it on valid.

        Raises:
            ConfigError: If the ridge is not positive or too small.
        """
        dtype = torch.float64 if history.num_columns <= DOUBLE_UP_TO else torch.float32
        weights = ease_weights(history.gram(dtype=dtype), ridge, overwrite=True)
        return cls(history, weights.float())


def solve_ease(gram: Tensor, ridge: float, *, overwrite: bool = False) -> tuple[Tensor, Tensor]:
    """Gives the item-item weights B that minimise |X - X B|² + ridge |B|² with a zero diagonal.

    With P = (G + ridge I)⁻¹, B_ij = -P_ij / P_jj and B_jj = 0. G may be any sum of (weighted) Gram
    matrices, so extra rows of X (relations) need no code of their own.

    Args:
        gram: G = XᵀX, (n, n) float32 or float64, symmetric.
        ridge: L2, positive; in units of interactions.
        overwrite: Whether `gram` may be destroyed; its memory then becomes the answer's, and at
            most half as much is allocated beside it.

    Returns:
        B, (n, n), of gram's dtype and device; scores are X B. And the diagonal of P, (n,), which
        gives P back: P_ij = -B_ij P_jj.

    Raises:
        ShapeError: If gram is not a square float matrix.
        ConfigError: If the ridge is not positive, or too small for gram + ridge I to be positive
            definite in gram's precision.

    References:
        Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, eq. 8,
        arXiv:1905.03375.
    """
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1] or not gram.is_floating_point():
        raise ShapeError(
            f"expected a Gram matrix (n, n) of floats, got {tuple(gram.shape)} {gram.dtype}; "
            f"make it with Incidence.gram"
        )
    if not ridge > 0:
        raise ConfigError(f"ridge must be positive, got {ridge}; try 100")
    if not overwrite or not gram.is_contiguous():
        gram = gram.contiguous().clone()
    gram.diagonal().add_(ridge)
    try:
        weights = invert(gram)  # P
    except LinAlgError as exc:
        raise ConfigError(
            f"the Gram matrix plus ridge {ridge:g} is not positive definite in {gram.dtype}; "
            f"expected a larger ridge; try {10 * ridge:g}"
        ) from exc
    diagonal = weights.diagonal().clone()
    weights /= -diagonal  # column j by -P_jj
    weights.fill_diagonal_(0.0)
    return weights, diagonal


def ease_weights(gram: Tensor, ridge: float, *, overwrite: bool = False) -> Tensor:
    """Gives only B of `solve_ease`."""
    return solve_ease(gram, ridge, overwrite=overwrite)[0]


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
