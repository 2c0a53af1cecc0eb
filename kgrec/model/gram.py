"""Gram matrices of items: who goes with whom, how often, and how close in time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kgrec.errors import ShapeError
from kgrec.model.incidence import Incidence, parts_of, pointer_of

#: Pairs that `kernel_gram` holds at once; about 100 MB of working memory.
_PAIRS_AT_ONCE = 2_000_000


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


def user_weights(activity: Tensor, exponent: Tensor | float) -> Tensor:
    """Gives each user's weight in the Gram matrix, (num_users,): (n_u / 10)^-exponent.

    Of its own activity alone, so that a user weighs the same among all items and among a few.

    Args:
        activity: (num_users,) n_u, how many items each user has.
        exponent: Number, or tensor to be differentiated by.
    """
    weight: Tensor = (activity.float().clamp(min=1) / 10) ** -exponent
    return weight


def used_relations(
    history: Incidence, relations: Sequence[RelationRows], relation_weights: Mapping[str, float]
) -> list[RelationRows]:
    """Gives the relations of positive weight.

    Raises:
        ShapeError: If the rows of one of them are over another number of items than the history.
    """
    used = [r for r in relations if relation_weights.get(r.name, 0.0) > 0]
    for relation in used:
        if relation.rows.num_columns != history.num_columns:
            raise ShapeError(
                f"relation {relation.name} has rows over {relation.rows.num_columns} items, "
                f"expected {history.num_columns}; build them from the same graph"
            )
    return used


def stacked_rows(
    history: Incidence,
    row_weight: Tensor,
    relations: Sequence[RelationRows],
    relation_weights: Mapping[str, float],
) -> tuple[Incidence, Tensor]:
    """Gives all rows under each other, and each row's weight (m,), of the dtype of `row_weight`."""
    parts = [history, *(relation.rows for relation in relations)]
    pointer = pointer_of(torch.cat([part.lengths for part in parts]))
    columns = torch.cat([part.columns for part in parts])
    weights = [
        row_weight.new_full((r.rows.num_rows,), float(relation_weights[r.name])) for r in relations
    ]
    return Incidence(pointer, columns, history.num_columns), torch.cat([row_weight, *weights])


def weighted_gram(
    history: Incidence,
    relations: Sequence[RelationRows],
    relation_weights: Mapping[str, float],
    dtype: torch.dtype,
    row_weight: Tensor | None = None,
) -> Tensor:
    """Gives Xᵀ D X + Σ_r w_r A_rᵀ A_r, dense (num_items, num_items), in one pass over all rows.

    Args:
        history: X.
        relations: A_r.
        relation_weights: w_r by name.
        dtype: Of the result.
        row_weight: The diagonal of D, (num_users,); None is 1 each.
    """
    if row_weight is None:
        row_weight = torch.ones(history.num_rows)
    row_weight = row_weight.to(history.device, dtype)
    rows, weights = stacked_rows(history, row_weight, relations, relation_weights)
    return rows.gram(weights, dtype)


def kernel_gram(
    history: Incidence,
    ranks: Tensor,
    bandwidth: float,
    dtype: torch.dtype,
    row_weight: Tensor | None = None,
) -> Tensor:
    """Gives Σ_u d_u exp(-|r_ui - r_uj| / h) x_ui x_uj, dense (num_items, num_items).

    Items that a user took one after the other say more of each other than those years apart.

    Args:
        history: X.
        ranks: (n,) each entry's place among its user's by time.
        bandwidth: h, in places.
        dtype: Of the result.
        row_weight: d, (num_users,); None is 1 each.
    """
    size = history.num_columns
    gram = torch.zeros(size * size, dtype=dtype, device=history.device)
    rows, lengths = history.rows, history.lengths
    for part in parts_of(lengths[rows], _PAIRS_AT_ONCE):
        entry = torch.arange(part.start, part.stop, device=history.device)  # (e,)
        partner, counts = history.places(rows[entry])  # (p,)
        entry = torch.repeat_interleave(entry, counts)
        value = torch.exp(-(ranks[entry] - ranks[partner]).abs() / bandwidth).to(dtype)
        if row_weight is not None:
            value *= row_weight[rows[entry]].to(dtype)
        gram.index_add_(0, history.columns[entry] * size + history.columns[partner], value)
    return gram.view(size, size)
