"""The closed form for catalogues too large for a dense inverse."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor

from kgrec.errors import ConfigError, ShapeError
from kgrec.model.closed_form import refuse_scaled
from kgrec.model.folding import NewGraph, is_identity, moved_to, take_rows
from kgrec.model.incidence import Incidence, RelationRows, stacked_rows, used_relations
from kgrec.model.scorer import Contributions, FromHistory
from kgrec.model.sparse_inverse import sparse_gram, sparse_inverse


@dataclass(eq=False, repr=False)
class SparseClosedForm(FromHistory, kind="SparseClosedForm"):
    """Scores x B with B = I - P diag(P)⁻¹ where P approximates G⁻¹ on few cells a column.

    G = Xᵀ diag(d) X + Σ_r w_r A_rᵀ A_r + diag(λ + p / (1 - p) diag(Xᵀ diag(d) X)). Columns and rows
    of the most popular items, the hubs, are kept densely, of all others only neighbours'.

    Memory of a model is 4 bytes a hub and at most 24 a neighbour for each item; `fit` holds about
    12 bytes for every pair of items that meet beside it (docs/large-catalogues.md has figures).

    Attributes:
        history: X, the training items of each user.
        relation_names: A_r, those with a positive weight.
        influence: Row j has the items i, hubs left out, that owning j adds to.
        weights: (n,) float32, B_ji for each entry of `influence`, before the scale.
        hubs: (h,) int64.
        hub_columns: (num_items, h) float32, P[:, hubs] with P_jj set to 0.
        diagonal: (num_items,) float32, P_ii.

    References:
        Steck, arXiv:1905.03375, eq. 8, and Markov Random Fields for Collaborative Filtering,
        NeurIPS 2019, arXiv:1910.09645.
    """

    saved_tensors = ("diagonal", "influence", "weights", "hubs", "hub_columns")
    saved_values = ("relation_names",)

    history: Incidence
    relation_names: tuple[str, ...]
    influence: Incidence
    weights: Tensor
    hubs: Tensor
    hub_columns: Tensor
    diagonal: Tensor

    def __post_init__(self) -> None:
        self._place = torch.full_like(self.diagonal, -1, dtype=torch.int64)
        self._place[self.hubs] = torch.arange(len(self.hubs), device=self.hubs.device)

    @classmethod
    def fit(
        cls,
        history: Incidence,
        relations: Sequence[RelationRows],
        relation_weights: Mapping[str, float],
        ridge: float,
        *,
        user_weight: Tensor | None = None,
        dropout: float = 0.0,
        neighbours: int = 64,
        hubs: int = 64,
        fan_out: int = 1_000,
        progress: Callable[[str, int, int], None] = lambda *_: None,
    ) -> Self:
        """Counts G, inverts it around each item, and keeps B where P was found.

        Args:
            history: The training items of each user.
            relations: Rows over the same items; those of weight 0 or none are left out.
            relation_weights: w_r by relation name.
            ridge: λ, positive.
            user_weight: d, (num_users,), not negative; None weighs every user 1.
            dropout: p in [0, 1), of the input entries, in expectation.
            neighbours: At most so many non-hub items in an item's neighbourhood.
            hubs: Most popular items that are in every neighbourhood; the catalogue's number of
                items makes the model exact.
            fan_out: Users and entities with more items add to the diagonal only.
            progress: Is told the step and how many of how many items are done.

        Raises:
            ShapeError: If relations or user weights do not match the history.
            ConfigError: If a setting is out of range, or λ too small.
        """
        used = used_relations(history, relations, relation_weights)
        _refuse(history, user_weight, ridge, dropout, (neighbours, hubs, fan_out))
        n = history.num_columns
        own = history.lengths.new_ones(history.num_rows).float()
        own = own if user_weight is None else user_weight.to(own)
        counted = torch.zeros(n, device=history.device)
        counted.index_add_(0, history.columns, own[history.rows])
        extra = ridge + dropout / (1 - dropout) * counted
        popularity = torch.bincount(history.columns, minlength=n)
        head = popularity.argsort(descending=True, stable=True)[: min(hubs, n)]
        rows, row_weight = stacked_rows(history, own, used, relation_weights)
        gram = sparse_gram(
            rows,
            row_weight,
            extra,
            hubs=head.sort().values,
            neighbours=min(neighbours, max(n - len(head), 0)),
            fan_out=fan_out,
            progress=partial(progress, "count"),
        )
        inverse = sparse_inverse(gram, progress=partial(progress, "solve"))
        columns = inverse.hub_columns
        columns[inverse.hubs, torch.arange(len(head), device=head.device)] = 0.0
        weights = inverse.values.neg_().div_(inverse.diagonal[inverse.pattern.columns])
        names = tuple(r.name for r in used)
        return cls(
            history, names, inverse.pattern, weights, inverse.hubs, columns, inverse.diagonal
        )

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the sums of the users' rows of B, (B, num_items) float32."""
        device = self.history.device
        users, n = len(user_indices), self.num_items
        own, lengths = self.history.take(user_indices.to(device))  # (m,)
        row = torch.repeat_interleave(torch.arange(users, device=device), lengths)
        place = self._place[own]
        is_hub = place >= 0
        owned = torch.zeros(users, len(self.hubs), device=device)
        owned[row[is_hub], place[is_hub]] = 1.0
        scores = (owned @ self.hub_columns.mT).div_(-self.diagonal)  # (B, n) from hubs
        into = torch.zeros(users, len(self.hubs), device=device)
        into.index_add_(0, row, self.hub_columns[own])
        scores[:, self.hubs] = into.div_(-self.diagonal[self.hubs])
        entries, reach = self.influence.places(own)  # (e,)
        cells = torch.repeat_interleave(row * n, reach) + self.influence.columns[entries]
        scores.view(-1).index_add_(0, cells, self.weights[entries])
        return scores

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes into the user's own items, exactly; relations are not told apart."""
        own = self.history.row(user_index)
        items = item_indices.to(own.device)
        by_item = self.cells(own, items).mT  # (k, h)
        plain = self.by_own_items(user_index, by_item)
        return replace(plain, relations_exact=not self.relation_names)

    def cells(self, own: Tensor, items: Tensor) -> Tensor:
        """Gives B at rows own (h,) and columns items (k,), (h, k) float32."""
        out = torch.zeros(len(own), len(items), device=own.device)
        for row, item in enumerate(own.tolist()):
            start, stop = self.influence.pointer[item : item + 2].tolist()
            if start < stop:
                segment = self.influence.columns[start:stop]
                at = torch.searchsorted(segment, items).clamp_(max=stop - start - 1)
                out[row] = self.weights[start:stop][at] * (segment[at] == items)
        from_hub, into_hub = self._place[own], self._place[items]  # -1 where no hub
        rows, columns = (from_hub >= 0).nonzero()[:, 0], (into_hub >= 0).nonzero()[:, 0]
        out[rows] = -self.hub_columns[items][:, from_hub[rows]].mT / self.diagonal[items]
        hubs = into_hub[columns]
        out[:, columns] = -self.hub_columns[own][:, hubs] / self.diagonal[items[columns]]
        return out

    def folded(self, graph: NewGraph) -> "SparseClosedForm":
        """Moves the cells and the hubs to where the items stand now."""
        influence, weights = self.influence, self.weights
        hubs, columns = self.hubs, self.hub_columns
        if not is_identity(graph.items, self.num_items):
            moved, width = moved_to(graph.items, self.num_items), len(graph.items)
            row, column = moved[influence.rows], moved[influence.columns]
            there = (row >= 0) & (column >= 0)
            order = torch.argsort(row[there] * width + column[there])
            influence = Incidence.from_pairs(row[there], column[there], width, width)
            weights = weights[there][order]
            stays = moved[hubs] >= 0
            hubs, columns = moved[hubs[stays]], take_rows(columns[:, stays], graph.items)
        diagonal = take_rows(self.diagonal, graph.items, 1.0)
        return SparseClosedForm(
            graph.history, self.relation_names, influence, weights, hubs, columns, diagonal
        )

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Self:
        """Makes the scorer that `state` described; not one that scales scores by popularity."""
        refuse_scaled(tensors)
        names = tuple(values["relation_names"])
        return super().from_state(tensors, {**values, "relation_names": names})


def _refuse(
    history: Incidence,
    user_weight: Tensor | None,
    ridge: float,
    dropout: float,
    sizes: tuple[int, int, int],
) -> None:
    if user_weight is not None and user_weight.shape != (history.num_rows,):
        raise ShapeError(
            f"user_weight has shape {tuple(user_weight.shape)}, expected "
            f"({history.num_rows},); give one weight a user"
        )
    if not ridge > 0 or not 0 <= dropout < 1:
        raise ConfigError(
            f"expected ridge > 0 and 0 <= dropout < 1, got {ridge} and {dropout}; try 100 and 0.3"
        )
    if min(sizes) < 0 or sizes[2] < 1:
        raise ConfigError(
            f"expected neighbours >= 0, hubs >= 0 and fan_out >= 1, got {sizes}; "
            f"try 64, 64 and 1000"
        )
