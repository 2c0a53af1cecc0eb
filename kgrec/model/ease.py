"""EASE: the item-item ridge regression that most recommenders do not beat."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from kgrec.errors import ConfigError, ShapeError
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import ItemToItem
from kgrec.model.scorer import NO_WEIGHTS
from kgrec.model.spd import LinAlgError, invert

#: Up to so many items the inverse is made in float64: it costs seconds there.
DOUBLE_UP_TO = 4_000


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
    def fit(
        cls,
        train_user_index: Tensor,
        train_item_index: Tensor,
        num_users: int,
        num_items: int,
        *,
        ridge: float = 200.0,
    ) -> Self:
        """Solves for the weights.

        Args:
            train_user_index: (n,) int64.
            train_item_index: (n,) int64; where it lives, the scorer lives.
            num_users: Number of users.
            num_items: Number of items.
            ridge: L2; 50 suits few interactions an item, 400 many. Choose it on valid.

        Raises:
            ConfigError: If the ridge is not positive or too small.
        """
        history = Incidence.from_pairs(train_user_index, train_item_index, num_users, num_items)
        dtype = torch.float64 if num_items <= DOUBLE_UP_TO else torch.float32
        weights = ease_weights(history.gram(dtype=dtype), ridge, overwrite=True)
        return cls(history, weights.float())
