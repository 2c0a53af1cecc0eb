"""EASE seen from the other side: users explained by users."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.model.folding import NewGraph, changed_ends, moved_to, take_rows, take_square
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import DOUBLE_UP_TO, solve_ease
from kgrec.model.scorer import NO_WEIGHTS, Contributions, Scorer


@dataclass(eq=False, repr=False)
class UserSide(Scorer, kind="UserSide"):
    """Scores Wᵀ X: what a user would take from what each other user took.

    W minimises |D^½ (Xᵀ - Xᵀ W)|² + λ |W|² with a zero diagonal: the closed form of Xᵀ, items
    weighted by (1 + popularity)^-β and dropout p as in `ClosedForm`.

    Attributes:
        history: X, the training items of each user.
        weights: W, (num_users, num_users) float32; column u is what each user says of u.
        diagonal: (num_users,) float32, of the inverse Gram matrix P, W_vu = -P_vu / P_uu; with it
            users to come can be explained by these. None if it was not kept.
        item_weight: (num_items,) float32, what an item counts in the Gram matrix; likewise.

    References:
        Steck, arXiv:1905.03375, applied to the transposed matrix.
    """

    relation_weights = NO_WEIGHTS
    saved_tensors = ("weights", "diagonal", "item_weight")
    saved_values = ("num_items",)

    history: Incidence
    weights: Tensor
    diagonal: Tensor | None = None
    item_weight: Tensor | None = None

    def __post_init__(self) -> None:
        self._users = self.history.transposed()

    @classmethod
    def fit(
        cls, history: Incidence, ridge: float, *, item_exponent: float = 0.3, dropout: float = 0.25
    ) -> Self:
        """Solves for W; memory is one dense (num_users, num_users) matrix.

        Args:
            history: The training items of each user.
            ridge: λ, positive.
            item_exponent: β.
            dropout: p, in [0, 1).

        Raises:
            ConfigError: If λ is not positive or too small.
        """
        by_item = history.transposed()
        dtype = torch.float64 if history.num_rows <= DOUBLE_UP_TO else torch.float32
        popularity = by_item.lengths.to(dtype)
        weight = (1.0 + popularity).pow(-item_exponent)
        weight *= popularity.sum() / (weight * popularity).sum().clamp(min=1e-12)
        gram = by_item.gram(weight, dtype)
        own = gram.diagonal().clone()
        gram.diagonal().add_(own, alpha=dropout / (1 - dropout))
        weights, diagonal = solve_ease(gram, ridge, overwrite=True)
        return cls(history, weights.float(), diagonal.float(), weight.float())

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the sums over who took each item, (B, num_items) float32."""
        if not len(user_indices):
            return self.weights.new_empty(0, self.num_items)
        weights = self.weights[:, user_indices.to(self.history.device)]  # (num_users, B)
        takers = self._users
        return functional.embedding_bag(takers.columns, weights, takers.pointer[:-1], mode="sum").T

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Other users say it, so no own item accounts for it: all is in `rest`."""
        items = item_indices.to(self.weights.device)
        score = self.score(torch.tensor([user_index]))[0, items]
        return self.unexplained(user_index, score, relation="INTERACTED")

    def folded(self, graph: NewGraph) -> "UserSide":
        """Users who are new or have other items are explained by the others anew, by the trained P.

        With g_v = Σ_j d_j x_vj x_uj over old users v but u, and P u's row and column aside,
        w = P g + W_u (P g)_u: the ridge regression of u on them.
        """
        weights = take_square(self.weights, graph.users)
        diagonal, counted = self.diagonal, self.item_weight
        users = torch.nonzero(changed_ends(self.history, graph.history, graph)[0]).squeeze(1)
        if diagonal is not None and counted is not None and len(users):
            if weights is self.weights:
                weights = weights.clone()
            old_users = moved_to(graph.users, self.num_users)
            gram = _beside(self.history, counted, graph, users)  # (U, k)
            old = graph.users[users]  # (k,), -1 if new
            at = torch.nonzero(old >= 0).squeeze(1)
            gram[old[at], at] = 0.0
            scaled = diagonal[:, None] * gram
            solved = scaled - self.weights @ scaled  # P g
            mine = solved[old[at], at]  # (P g)_u
            solved[:, at] += self.weights[:, old[at]] * mine
            solved[old[at], at] = 0.0
            stays = torch.nonzero(old_users >= 0).squeeze(1)
            weights[:, users] = 0.0
            weights[old_users[stays][:, None], users[None, :]] = solved[stays]
        diagonal = None if diagonal is None else take_rows(diagonal, graph.users, 0.0)
        if counted is not None:
            counted = take_rows(counted, graph.items, float(counted.max()))
        return UserSide(graph.history, weights, diagonal, counted)


def _beside(old: Incidence, counted: Tensor, graph: NewGraph, users: Tensor) -> Tensor:
    """Gives Σ_j d_j x_vj x_uj of old users v and users u (k,) of the new graph, (U, k)."""
    items, lengths = graph.history.take(users)
    row = torch.repeat_interleave(torch.arange(len(users)), lengths)
    place = graph.items[items]
    there = place >= 0
    item_weights = torch.zeros(old.num_columns, len(users))
    item_weights[place[there], row[there]] = counted[place[there]]
    return functional.embedding_bag(old.columns, item_weights, old.pointer[:-1], mode="sum")
