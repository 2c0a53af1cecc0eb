"""Weighted matrix factorisation by alternating least squares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from kgrec.errors import ConfigError
from kgrec.model.folding import NewGraph, take_rows
from kgrec.model.incidence import Incidence, pointer_of
from kgrec.model.scorer import NO_WEIGHTS, Contributions, FromHistory

#: Entries (rows times longest row) whose factors are gathered at once.
_CELLS_AT_ONCE = 200_000


@dataclass(eq=False, repr=False)
class WeightedMF(FromHistory, kind="WeightedMF"):
    """Scores x_uᵀ y_j, with x_u solved from the user's items whenever it is asked for.

        min Σ_u (Σ_{j∈u} (1 - x_uᵀy_j)² + α Σ_j (x_uᵀy_j)²) + λ (Σ_u |x_u|² + Σ_j |y_j|²)

    As x_u = A_u⁻¹ Σ_{i∈u} y_i with A_u = Σ_{i∈u} y_i y_iᵀ + α YᵀY + λ I, a score is a sum over the
    user's own items: y_jᵀ A_u⁻¹ y_i is what item i adds (A_u held).

    Attributes:
        history: The training items of each user.
        item_factors: Y, (num_items, d) float32.
        unobserved: α, what an item that a user has not taken counts beside one that was.
        ridge: λ.

    References:
        Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008;
        the objective with α: Rendle et al., "Revisiting the performance of iALS on item
        recommendation benchmarks", RecSys 2022.
    """

    relation_weights = NO_WEIGHTS
    saved_tensors = ("item_factors",)
    saved_values = ("unobserved", "ridge")

    history: Incidence
    item_factors: Tensor
    unobserved: float
    ridge: float

    def __post_init__(self) -> None:
        self._bound = _bound(self.item_factors, self.unobserved, self.ridge)

    @classmethod
    def fit(
        cls,
        history: Incidence,
        *,
        factors: int = 64,
        unobserved: float = 0.2,
        ridge: float = 5.0,
        iterations: int = 12,
        seed: int = 0,
        on_iteration: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """Alternates between users and items.

        Args:
            history: The training items of each user.
            factors: d.
            unobserved: α, positive.
            ridge: λ, positive.
            iterations: How often users, then items are solved.
            seed: Of the first item factors.
            on_iteration: Is told how far it is.

        Raises:
            ConfigError: If factors, α or λ are not positive.
        """
        if factors < 1 or unobserved <= 0 or ridge <= 0:
            raise ConfigError(
                f"a factorisation needs positive factors, unobserved and ridge; got {factors}, "
                f"{unobserved:g} and {ridge:g}"
            )
        columns = history.transposed()
        generator = torch.Generator().manual_seed(seed)
        item = torch.randn(history.num_columns, factors, generator=generator) * factors**-0.5 * 0.1
        for number in range(iterations):
            on_iteration(f"iteration {number + 1} of {iterations}")
            user = _solve(history, item, _bound(item, unobserved, ridge))
            item = _solve(columns, user, _bound(user, unobserved, ridge))
        return cls(history, item, unobserved, ridge)

    def user_factors(self, user_indices: Tensor) -> Tensor:
        """Gives x_u (B, d) float32 of users (B,) int64."""
        items, lengths = self.history.take(user_indices)
        rows = Incidence(pointer_of(lengths), items, self.num_items)
        return _solve(rows, self.item_factors, self._bound)

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives x_uᵀ y_j for all items, (B, num_items) float32."""
        return self.user_factors(user_indices) @ self.item_factors.mT

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes exactly by own items (A_u held); everything flows through interactions."""
        own = self.history.row(user_index)
        mine = self.item_factors[own]  # (h, d)
        inverse = torch.linalg.inv(mine.mT @ mine + self._bound)
        by_item = self.item_factors[item_indices] @ inverse @ mine.mT  # (k, h)
        return self.by_own_items(user_index, by_item)

    def folded(self, graph: NewGraph) -> "WeightedMF":
        """Keeps the items' factors, zero for new ones; users are solved from what they have."""
        item = take_rows(self.item_factors, graph.items)
        return WeightedMF(graph.history, item, self.unobserved, self.ridge)


def _bound(factors: Tensor, unobserved: float, ridge: float) -> Tensor:
    """What holds all factors of one side alike, α ZᵀZ + λ I, (d, d)."""
    bound = unobserved * (factors.mT @ factors)
    bound.diagonal().add_(ridge)
    return bound


def _solve(rows: Incidence, factors: Tensor, bound: Tensor) -> Tensor:
    """Gives (bound + Σ_{i∈row} z_i z_iᵀ)⁻¹ Σ_{i∈row} z_i for every row, (n, d).

    Rows of like length are solved together, shorter ones filled with zeros.
    """
    out = factors.new_zeros(rows.num_rows, factors.shape[1])
    order = torch.argsort(rows.lengths, stable=True)
    order = order[rows.lengths[order] > 0]
    filled = torch.cat([factors, factors.new_zeros(1, factors.shape[1])])  # the last is nobody
    start = 0
    while start < len(order):
        # As many rows as fit, counted with the longest of them.
        cells = rows.lengths[order[start:]] * torch.arange(1, len(order) - start + 1)
        batch = order[start : start + max(1, int((cells <= _CELLS_AT_ONCE).sum()))]
        columns, lengths = rows.take(batch)
        place = torch.full((len(batch), int(lengths.max())), len(factors))
        place[torch.arange(place.shape[1]) < lengths[:, None]] = columns
        z = filled[place]  # (b, l, d)
        target = z.sum(dim=1)[:, :, None]
        cholesky = torch.linalg.cholesky(bound + z.mT @ z)
        out[batch] = torch.cholesky_solve(target, cholesky).squeeze(2)
        start += len(batch)
    return out
