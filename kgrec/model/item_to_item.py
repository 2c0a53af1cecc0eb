"""Scores as sums of item-to-item weights over what a user has: EASE, ItemKNN, what they share."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.errors import ConfigError, ShapeError
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import NO_WEIGHTS, Contributions, FromHistory
from kgrec.model.spd import LinAlgError, invert

#: Cells of the similarity matrix that `fit` holds at once.
_CELLS_AT_ONCE = 25_000_000
#: Up to so many items the similarities are also laid out densely (64 MB at most): summing whole
#: rows is then faster than scattering their entries.
_DENSE_UP_TO = 4_000
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


@dataclass(eq=False, repr=False)
class ItemKNN(FromHistory, kind="ItemKNN"):
    """Scores an item by its similarity to those of the user's items that are its neighbours.

    With c_ij users who took both and n_i who took i, sim(i, j) = c_ij / (√(n_i n_j) + shrink), and
    score(u, i) = Σ sim(i, j) over j in N_k(i) ∩ own(u), N_k(i) being the k most similar items of i.

    Attributes:
        history: The training items of each user.
        influence: Row j has the items i that j is a neighbour of.
        similarity: (n,) float32, sim(i, j) for each entry of `influence`.

    References:
        Deshpande and Karypis, Item-based top-N recommendation algorithms, ACM TOIS 2004.
    """

    relation_weights = NO_WEIGHTS
    saved_tensors = ("influence", "similarity")

    history: Incidence
    influence: Incidence
    similarity: Tensor

    def __post_init__(self) -> None:
        self._dense: Tensor | None = None
        if self.num_items <= _DENSE_UP_TO:
            self._dense = self.similarity.new_zeros(self.num_items, self.num_items)
            self._dense[self.influence.rows, self.influence.columns] = self.similarity

    @classmethod
    def fit(cls, history: Incidence, *, neighbours: int = 100, shrink: float = 10.0) -> Self:
        """Finds each item's neighbours.

        Args:
            history: The training items of each user; where it lives, the scorer lives.
            neighbours: Kept per item, k.
            shrink: Added to the denominator; damps similarities that rest on few users.

        Raises:
            ConfigError: If neighbours is not positive or shrink is negative.
        """
        if neighbours < 1 or shrink < 0:
            raise ConfigError(
                f"ItemKNN needs neighbours >= 1 and shrink >= 0, got {neighbours} and {shrink}; "
                f"try 100 and 10"
            )
        num_items = history.num_columns
        by_item = history.transposed()
        norm = by_item.lengths.float().sqrt()  # (num_items,)
        items, nearest, values = [], [], []
        step = max(1, _CELLS_AT_ONCE // max(num_items, 1))
        for start in range(0, num_items, step):
            stop = min(start + step, num_items)
            block = history.gram_rows(by_item, start, stop)  # (b, num_items)
            block /= (norm[start:stop, None] * norm[None, :] + shrink).clamp_(min=1e-12)
            block.diagonal(start).zero_()
            top, index = block.topk(min(neighbours, num_items), dim=1)  # (b, k)
            positive = top > 0
            items.append(positive.nonzero()[:, 0] + start)
            nearest.append(index[positive])
            values.append(top[positive])
        item, neighbour, value = torch.cat(items), torch.cat(nearest), torch.cat(values)
        order = torch.argsort(neighbour * num_items + item)  # the order of from_pairs
        influence = Incidence.from_pairs(neighbour, item, num_items, num_items)
        return cls(history, influence, value[order])

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the sums of similarities, (B, num_items) float32."""
        device = self.history.device
        own, lengths = self.history.take(user_indices.to(device))  # (m,)
        if self._dense is not None:
            offsets = lengths.cumsum(0) - lengths
            return functional.embedding_bag(own, self._dense, offsets, mode="sum")
        entries, reach = self.influence.places(own)  # (e,)
        row = torch.repeat_interleave(torch.arange(len(user_indices), device=device), lengths)
        cells = torch.repeat_interleave(row * self.num_items, reach)
        cells += self.influence.columns[entries]
        scores = torch.zeros(len(user_indices) * self.num_items, device=device)
        scores.index_add_(0, cells, self.similarity[entries])
        return scores.view(-1, self.num_items)

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes into the user's own items, exactly; everything flows through interactions."""
        own = self.history.row(user_index)
        items = item_indices.to(own.device)
        rows = torch.zeros(len(own), self.num_items, device=own.device)  # (h, num_items)
        for row, item in zip(rows, own.tolist(), strict=True):
            start, stop = self.influence.pointer[item : item + 2].tolist()
            row[self.influence.columns[start:stop]] = self.similarity[start:stop]
        by_item = rows[:, items].mT  # (k, h)
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
