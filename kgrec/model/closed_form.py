"""EASE with the graph's relations and behaviours as weighted extra rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.errors import RunError, ShapeError
from kgrec.model.folding import NewGraph, take_rows, take_square
from kgrec.model.incidence import (
    Incidence,
    RelationRows,
    kernel_gram,
    used_relations,
    user_weights,
    weighted_gram,
)
from kgrec.model.item_to_item import DOUBLE_UP_TO, ItemToItem, recency_weights, solve_ease
from kgrec.model.scorer import Contributions


@dataclass(frozen=True)
class Refinements:
    """What the closed form has beyond EASE, apart from relations; the defaults change nothing.

    Attributes:
        dropout: p in [0, 1): each interaction of the input is left out with this probability in
            training, which adds p / (1 - p) of its diagonal to XᵀDX.
        user_exponent: Users weigh (n_u / 10) to minus this.
        bandwidth: Of the kernel over places in time; None without times.
        kernel_share: How much of the Gram matrix comes through that kernel, 0 to 1.
        recency: How many places back an interaction counts 1/e of the latest; None counts all
            alike.
    """

    dropout: float = 0.0
    user_exponent: float = 0.0
    bandwidth: float | None = None
    kernel_share: float = 0.0
    recency: float | None = None

    @classmethod
    def from_saved(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `asdict` gave; in version 0.1 a popularity exponent stood there too.

        Raises:
            RunError: If that exponent is not 0, so that scores would no longer be those saved.
        """
        values = dict(values)
        exponent = values.pop("popularity_exponent", 0.0)
        if exponent:
            raise RunError(_SCALED.format(f"popularity_exponent {exponent:g}, expected 0"))
        return cls(**values)


#: Training never used the exponent, so only settings made by hand can have it.
_SCALED = (
    "the saved closed form has {}: it divides scores by popularity, which kgrec no longer does "
    "since 0.2; train again, and let the fusion add popularity"
)


def refuse_scaled(tensors: Mapping[str, Tensor]) -> None:
    """Raises RunError if a closed form saved by version 0.1 scales items' scores by popularity."""
    scale = tensors.get("item_scale")
    if scale is not None and bool((scale != 1).any()):
        raise RunError(_SCALED.format("an item_scale that is not 1"))


@dataclass(eq=False, repr=False)
class ClosedForm(ItemToItem, kind="ClosedForm"):
    """Scores x B with B = I - P diag(P)⁻¹, one ridge regression for each item.

        P = (G + Σ_r w_r A_rᵀA_r + λ I + p/(1-p) diag(G))⁻¹
        G = XᵀDX, D = (n_u / 10)^-α; with times (1 - ρ) G + ρ Σ_u d_u exp(-|Δ place| / h)
        x weighs what is recent more

    Attributes:
        history: X, the training items of each user.
        relations: A_r, those with a positive weight.
        relation_weights: w_r by name.
        ridge: λ.
        weights: B, (num_items, num_items) float32.
        diagonal: diag(P), (num_items,) float32; gives P back: P_ji = -B_ji P_ii.
        entry_weights: What each entry of X counts in the input, (n,); None is 1.
        refinements: p, α, h, ρ and the recency.

    References:
        Steck, arXiv:1905.03375, eq. 8; dropout: Steck, NeurIPS 2020, "Autoencoders that don't
        overfit towards the identity"; side information as extra rows: Jeunen et al., "Closed-form
        models for collaborative filtering with side-information", RecSys 2020.
    """

    saved_tensors = ("weights", "diagonal", "entry_weights")
    saved_values = ("relations", "relation_weights", "ridge", "refinements")

    history: Incidence
    relations: Sequence[RelationRows]
    relation_weights: Mapping[str, float] = field()  # required, unlike a Scorer's
    ridge: float
    weights: Tensor
    diagonal: Tensor
    entry_weights: Tensor | None = None
    refinements: Refinements = Refinements()

    @classmethod
    def fit(
        cls,
        history: Incidence,
        relations: Sequence[RelationRows],
        relation_weights: Mapping[str, float],
        ridge: float,
        refinements: Refinements = Refinements(),
        ranks: Tensor | None = None,
    ) -> Self:
        """Solves for B; relations of weight 0 or none are left out.

        Args:
            history: The training items of each user.
            relations: Rows over the same items.
            relation_weights: By relation name.
            ridge: λ, positive.
            refinements: What else there is.
            ranks: (n,) float32, each entry's place among its user's by time, from 0, the earliest;
                needed for the kernel and the recency.

        Raises:
            ShapeError: If a relation's rows are over another number of items, or ranks are missing.
            ConfigError: If λ is not positive or too small.
        """
        used = used_relations(history, relations, relation_weights)
        dtype = torch.float64 if history.num_columns <= DOUBLE_UP_TO else torch.float32
        entry_weights = None
        if refinements.recency is not None:
            entry_weights = recency_weights(history, _require_ranks(ranks), refinements.recency)
        gram = _gram(history, used, relation_weights, dtype, refinements, ranks)
        weights, diagonal = solve_ease(gram, ridge, overwrite=True)
        used_weights = {r.name: float(relation_weights[r.name]) for r in used}
        solved = weights.float(), diagonal.float()
        return cls(history, used, used_weights, ridge, *solved, entry_weights, refinements)

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes exactly by own items, to first order by relation.

        A relation's share is w_r ∂s/∂w_r, with ∂P = -P A_rᵀA_r P; what is left is the
        interactions'.
        """
        plain = super().contributions(user_index, item_indices)
        own, counts = self.own(user_index)
        shares = self._relation_shares(own, counts, item_indices.to(own.device))  # (k, r)
        rest = (plain.score - shares.sum(dim=1)).unsqueeze(1)
        return replace(
            plain,
            relation_names=("INTERACTED", *(r.name for r in self.relations)),
            by_relation=torch.cat([rest, shares], dim=1),
            relations_exact=not self.relations,
        )

    def item_likeness(self, item_indices: Tensor) -> Tensor:
        """Gives the items' rows of B, what owning each adds to all, (B, num_items)."""
        return self.weights[item_indices]

    def _inverse_columns(self, items: Tensor) -> Tensor:
        """Columns of P for items (k,), as (num_items, k)."""
        columns = -self.weights[:, items] * self.diagonal[items]
        columns[items, torch.arange(len(items), device=items.device)] = self.diagonal[items]
        return columns

    def _relation_shares(self, own: Tensor, counts: Tensor, items: Tensor) -> Tensor:
        # s_i = Σ_j∈own a_j B_ji with B_ji = -P_ji / P_ii for j ≠ i and B_ii = 0.
        columns = self._inverse_columns(items)  # (n, k)
        history = self._inverse_columns(own) @ counts  # (n,) x P, as P is symmetric
        diagonal = self.diagonal[items]  # (k,)
        is_own = ((own[None, :] == items[:, None]) * counts).sum(dim=1)  # (k,) a_i, or 0
        outside = counts @ columns[own] - is_own * diagonal  # (k,) Σ_{j∈own, j≠i} a_j P_ji
        out = []
        for relation in self.relations:
            weight = self.relation_weights[relation.name]
            ahead = _multiply(relation.rows, columns)  # (m, k) A P_i
            behind = _multiply(relation.rows, history.unsqueeze(1))  # (m, 1)
            change_diagonal = -weight * ahead.square().sum(dim=0)  # w ∂P_ii
            change_sum = -weight * (ahead * behind).sum(dim=0)  # w ∂ Σ_{j∈own} P_ji
            change_outside = change_sum - is_own * change_diagonal
            share = -change_outside / diagonal + outside * change_diagonal / diagonal.square()
            out.append(share)
        return torch.stack(out, dim=1) if out else diagonal.new_zeros(len(items), 0)

    def folded(self, graph: NewGraph) -> "ClosedForm":
        """Keeps what was learned of items; the user's input is the new graph's."""
        rows = {relation.name: relation for relation in graph.find_relations()}
        relations = [rows[relation.name] for relation in self.relations if relation.name in rows]
        return replace(
            self,
            history=graph.history,
            relations=relations,
            relation_weights={r.name: self.relation_weights[r.name] for r in relations},
            weights=take_square(self.weights, graph.items),
            diagonal=take_rows(self.diagonal, graph.items, 1.0 / self.ridge),
            entry_weights=graph.entry_weights(self.refinements.recency),
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Gives history, relations, B and the diagonal of P."""
        tensors, values = super().state()
        for number, relation in enumerate(values.pop("relations")):
            tensors |= relation.rows.tensors(f"relation.{number}.")
        names = {
            "relation_names": [relation.name for relation in self.relations],
            "relations_by_user": [relation.by_user for relation in self.relations],
        }
        return tensors, names | values | {"refinements": asdict(self.refinements)}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Self:
        """Makes the scorer that `state` described."""
        refuse_scaled(tensors)
        n = len(tensors["weights"])
        sources = zip(values["relation_names"], values["relations_by_user"], strict=True)
        relations = [
            RelationRows(name, Incidence.from_tensors(tensors, n, f"relation.{number}."), by_user)
            for number, (name, by_user) in enumerate(sources)
        ]
        refinements = Refinements.from_saved(values["refinements"])
        made_of = {"relations": relations, "refinements": refinements}
        return super().from_state(tensors, {**values, **made_of})


def _multiply(rows: Incidence, dense: Tensor) -> Tensor:
    """Gives A · dense for binary rows A (m, n) and dense (n, k): (m, k)."""
    return functional.embedding_bag(rows.columns, dense, rows.pointer[:-1], mode="sum")


def _require_ranks(ranks: Tensor | None) -> Tensor:
    if ranks is None:
        raise ShapeError(
            "the closed form weighs by time, but no ranks were given; expected each interaction's "
            "place among its user's, (n,); leave bandwidth and recency None without times"
        )
    return ranks


def _gram(
    history: Incidence,
    relations: Sequence[RelationRows],
    relation_weights: Mapping[str, float],
    dtype: torch.dtype,
    refinements: Refinements,
    ranks: Tensor | None,
) -> Tensor:
    """G + Σ_r w_r A_rᵀA_r + p/(1-p) diag(G)."""
    row_weight = user_weights(history.lengths, refinements.user_exponent)
    share = refinements.kernel_share if refinements.bandwidth is not None else 0.0
    gram = weighted_gram(history, relations, relation_weights, dtype, row_weight * (1 - share))
    if share and refinements.bandwidth is not None:
        near = kernel_gram(
            history, _require_ranks(ranks), refinements.bandwidth, dtype, row_weight * share
        )
        gram += near
    entries = row_weight.to(dtype)[history.rows]
    own = torch.zeros(history.num_columns, dtype=dtype, device=history.device)
    own.index_add_(0, history.columns, entries)  # the diagonal of G, with or without the kernel
    gram.diagonal().add_(own, alpha=refinements.dropout / (1 - refinements.dropout))
    return gram
