"""EASE with the graph's relations and behaviours as weighted extra rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.errors import ShapeError
from kgrec.model.ease import DOUBLE_UP_TO, solve_ease
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import ByHistory, Contributions


@dataclass(frozen=True, eq=False)
class RelationRows:
    """One relation or behaviour as rows over items: an entity's row has the items it belongs to.

    Attributes:
        name: The relation or behaviour.
        rows: (number of neighbours, num_items) binary.
        by_user: Whether row u is what user u did.
    """

    name: str
    rows: Incidence
    by_user: bool = False


class ClosedForm(ByHistory):
    """Scores x B with B = I - P diag(P)⁻¹, P = (XᵀX + Σ_r w_r A_rᵀA_r + λ I)⁻¹.

    Attributes:
        history: X, the training items of each user.
        relations: A_r, those with a positive weight.
        relation_weights: w_r by name.
        ridge: λ.
        weights: B, (num_items, num_items) float32.
        diagonal: diag(P), (num_items,) float32; gives P back: P_ji = -B_ji P_ii.

    References:
        Steck, arXiv:1905.03375, eq. 8; side information as extra rows: Jeunen et al., "Closed-form
        models for collaborative filtering with side-information", RecSys 2020.
    """

    def __init__(
        self,
        history: Incidence,
        relations: Sequence[RelationRows],
        relation_weights: Mapping[str, float],
        ridge: float,
        weights: Tensor,
        diagonal: Tensor,
    ) -> None:
        self.history = history
        self.relations = tuple(relations)
        self.relation_weights = dict(relation_weights)
        self.ridge = ridge
        self.weights = weights
        self.diagonal = diagonal

    @classmethod
    def fit(
        cls,
        history: Incidence,
        relations: Sequence[RelationRows],
        relation_weights: Mapping[str, float],
        ridge: float,
    ) -> Self:
        """Solves for B; relations of weight 0 or none are left out.

        Args:
            history: The training items of each user.
            relations: Rows over the same items.
            relation_weights: By relation name.
            ridge: λ, positive.

        Raises:
            ShapeError: If a relation's rows are over another number of items.
            ConfigError: If λ is not positive or too small.
        """
        used = [r for r in relations if relation_weights.get(r.name, 0.0) > 0]
        num_items = history.num_columns
        for relation in used:
            if relation.rows.num_columns != num_items:
                raise ShapeError(
                    f"relation {relation.name} has rows over {relation.rows.num_columns} items, "
                    f"expected {num_items}; build them from the same graph"
                )
        dtype = torch.float64 if num_items <= DOUBLE_UP_TO else torch.float32
        gram = weighted_gram(history, used, relation_weights, dtype)
        weights, diagonal = solve_ease(gram, ridge, overwrite=True)
        kept = {r.name: float(relation_weights[r.name]) for r in used}
        return cls(history, used, kept, ridge, weights.float(), diagonal.float())

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the sums of the users' rows of B, (B, num_items) float32."""
        items, lengths = self.history.take(user_indices.to(self.history.device))
        offsets = lengths.cumsum(0) - lengths
        return functional.embedding_bag(items, self.weights, offsets, mode="sum")

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes exactly by own items, to first order by relation.

        A relation's share is w_r ∂s/∂w_r, with ∂P = -P A_rᵀA_r P; what is left is the
        interactions'.
        """
        own = self.history.row(user_index)
        items = item_indices.to(own.device)
        by_item = self.weights[own[None, :], items[:, None]]  # (k, h)
        score = by_item.sum(dim=1)
        shares = self._relation_shares(own, items)  # (k, r)
        rest = (score - shares.sum(dim=1)).unsqueeze(1)
        return Contributions(
            score=score,
            own_items=own,
            by_item=by_item,
            rest=torch.zeros_like(score),
            relation_names=("INTERACTED", *(r.name for r in self.relations)),
            by_relation=torch.cat([rest, shares], dim=1),
            relations_exact=not self.relations,
        )

    def _inverse_columns(self, items: Tensor) -> Tensor:
        """Columns of P for items (k,), as (num_items, k)."""
        columns = -self.weights[:, items] * self.diagonal[items]
        columns[items, torch.arange(len(items), device=items.device)] = self.diagonal[items]
        return columns

    def _relation_shares(self, own: Tensor, items: Tensor) -> Tensor:
        # s_i = Σ_j∈own B_ji with B_ji = -P_ji / P_ii for j ≠ i and B_ii = 0.
        columns = self._inverse_columns(items)  # (n, k)
        history = self._inverse_columns(own).sum(dim=1)  # (n,) x P, as P is symmetric
        diagonal = self.diagonal[items]  # (k,)
        is_own = (own[None, :] == items[:, None]).any(dim=1).to(diagonal.dtype)  # (k,)
        outside = columns[own].sum(dim=0) - is_own * diagonal  # (k,) Σ_{j∈own, j≠i} P_ji
        out = []
        for relation in self.relations:
            weight = self.relation_weights[relation.name]
            ahead = _multiply(relation.rows, columns)  # (m, k) A P_i
            behind = _multiply(relation.rows, history.unsqueeze(1))  # (m, 1)
            change_diagonal = -weight * ahead.square().sum(dim=0)  # w ∂P_ii
            change_sum = -weight * (ahead * behind).sum(dim=0)  # w ∂ Σ_{j∈own} P_ji
            change_outside = change_sum - is_own * change_diagonal
            out.append(-change_outside / diagonal + outside * change_diagonal / diagonal.square())
        return torch.stack(out, dim=1) if out else diagonal.new_zeros(len(items), 0)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Gives history, relations, B and the diagonal of P."""
        tensors = {
            "pointer": self.history.pointer,
            "columns": self.history.columns,
            "weights": self.weights,
            "diagonal": self.diagonal,
        }
        for number, relation in enumerate(self.relations):
            tensors[f"relation.{number}.pointer"] = relation.rows.pointer
            tensors[f"relation.{number}.columns"] = relation.rows.columns
        values = {
            "relation_names": [r.name for r in self.relations],
            "relations_by_user": [r.by_user for r in self.relations],
            "relation_weights": self.relation_weights,
            "ridge": self.ridge,
        }
        return tensors, values

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Self:
        """Makes the scorer that `state` described."""
        n = len(tensors["weights"])
        relations = [
            RelationRows(
                name,
                Incidence(
                    tensors[f"relation.{number}.pointer"],
                    tensors[f"relation.{number}.columns"],
                    n,
                ),
                by_user,
            )
            for number, (name, by_user) in enumerate(
                zip(values["relation_names"], values["relations_by_user"], strict=True)
            )
        ]
        history = Incidence(tensors["pointer"], tensors["columns"], n)
        return cls(
            history,
            relations,
            values["relation_weights"],
            values["ridge"],
            tensors["weights"],
            tensors["diagonal"],
        )


def weighted_gram(
    history: Incidence,
    relations: Sequence[RelationRows],
    relation_weights: Mapping[str, float],
    dtype: torch.dtype,
) -> Tensor:
    """Gives XᵀX + Σ_r w_r A_rᵀA_r, dense (num_items, num_items), in one pass over all rows."""
    parts = [history, *(relation.rows for relation in relations)]
    weights = [1.0, *(float(relation_weights[relation.name]) for relation in relations)]
    pointer = torch.cat([p.lengths for p in parts]).cumsum(0)
    stacked = Incidence(
        torch.cat([pointer.new_zeros(1), pointer]),
        torch.cat([p.columns for p in parts]),
        history.num_columns,
    )
    row_weight = torch.cat(
        [torch.full((p.num_rows,), w, dtype=dtype) for p, w in zip(parts, weights, strict=True)]
    )
    return stacked.gram(row_weight.to(history.device), dtype)


def _multiply(rows: Incidence, dense: Tensor) -> Tensor:
    """Gives A · dense for binary rows A (m, n) and dense (n, k): (m, k)."""
    return functional.embedding_bag(rows.columns, dense, rows.pointer[:-1], mode="sum")
