"""Who met what, as index arrays: rows of a binary matrix, and its Gram matrices.

Plain tensors instead of torch's sparse layouts: those warn that they are in beta, and the two
things needed here (rows of users, counts of pairs) are gathers and sums.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.errors import ShapeError

#: Pairs that `Incidence.gram_rows` and `kernel_gram` hold at once; about 100 MB of working memory.
_PAIRS_AT_ONCE = 2_000_000
#: A matrix of at most so many cells, this densely filled, is multiplied as a dense one: gathering
#: its pairs would take several times longer.
_DENSE_CELLS, _DENSE_SHARE = 20_000_000, 0.02


@dataclass(frozen=True, eq=False)
class Incidence:
    """A binary matrix (num_rows, num_columns) by rows, without its zeros.

    Attributes:
        pointer: (num_rows + 1,) int64; row i has the columns `columns[pointer[i]:pointer[i + 1]]`.
        columns: (n,) int64, ascending and unique within a row.
        num_columns: Number of columns.
    """

    pointer: Tensor
    columns: Tensor
    num_columns: int

    @classmethod
    def from_pairs(
        cls, row_index: Tensor, column_index: Tensor, num_rows: int, num_columns: int
    ) -> "Incidence":
        """Sorts pairs (n,) int64 into rows; repeats count once.

        Raises:
            ShapeError: If the arrays differ in shape or an index is out of range.
        """
        if row_index.ndim != 1 or row_index.shape != column_index.shape:
            raise ShapeError(
                f"expected two index arrays of one shape (n,), got {tuple(row_index.shape)} and "
                f"{tuple(column_index.shape)}; pass the two ends of the same edges"
            )
        for name, index, size in (
            ("row", row_index, num_rows),
            ("column", column_index, num_columns),
        ):
            if len(index) and not (int(index.min()) >= 0 and int(index.max()) < size):
                raise ShapeError(
                    f"{name} indices run from {int(index.min())} to {int(index.max())}; expected "
                    f"0 to {size - 1}; check the counts against the vocabularies"
                )
        pairs = torch.unique(row_index.long() * num_columns + column_index.long())
        lengths = torch.bincount(pairs // max(num_columns, 1), minlength=num_rows)
        return cls(pointer_of(lengths), pairs % max(num_columns, 1), num_columns)

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self.pointer) - 1

    @property
    def device(self) -> torch.device:
        """Where the arrays live."""
        return self.pointer.device

    @property
    def lengths(self) -> Tensor:
        """Number of columns of each row, (num_rows,) int64."""
        return self.pointer.diff()

    @property
    def rows(self) -> Tensor:
        """The row of each entry, (n,) int64."""
        return torch.repeat_interleave(
            torch.arange(self.num_rows, device=self.device), self.lengths
        )

    def to(self, device: torch.device) -> "Incidence":
        """The same matrix on a device."""
        return Incidence(self.pointer.to(device), self.columns.to(device), self.num_columns)

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """Gives the arrays as a run's file names them, behind a prefix."""
        return {f"{prefix}pointer": self.pointer, f"{prefix}columns": self.columns}

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], num_columns: int, prefix: str = ""
    ) -> "Incidence":
        """Makes the matrix whose `tensors` are among these."""
        return cls(tensors[f"{prefix}pointer"], tensors[f"{prefix}columns"], num_columns)

    def transposed(self) -> "Incidence":
        """The same matrix by columns."""
        return Incidence.from_pairs(self.columns, self.rows, self.num_columns, self.num_rows)

    def row(self, index: int) -> Tensor:
        """The columns of one row, (h,) int64."""
        return self.columns[int(self.pointer[index]) : int(self.pointer[index + 1])]

    def places(self, row_indices: Tensor) -> tuple[Tensor, Tensor]:
        """Finds the entries of rows.

        Args:
            row_indices: (B,) int64, repeats allowed.

        Returns:
            Places in `columns` of these rows' entries, one row after the other, (m,) int64, and how
            many each row has, (B,) int64.
        """
        starts = self.pointer[row_indices]  # (B,)
        lengths = self.pointer[row_indices + 1] - starts  # (B,)
        shifts = starts - (lengths.cumsum(0) - lengths)  # from place in the answer to place here
        places = torch.repeat_interleave(shifts, lengths)  # (m,)
        places += torch.arange(len(places), device=self.device)
        return places, lengths

    def take(self, row_indices: Tensor) -> tuple[Tensor, Tensor]:
        """Gathers the columns of rows; like `places`, with the columns instead of their places."""
        places, lengths = self.places(row_indices)
        return self.columns[places], lengths

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The matrix with its zeros, (num_rows, num_columns)."""
        matrix = torch.zeros(self.num_rows, self.num_columns, dtype=dtype, device=self.device)
        matrix[self.rows, self.columns] = 1.0
        return matrix

    def dense_rows(self, row_indices: Tensor) -> Tensor:
        """Some rows (B,) int64 with their zeros, (B, num_columns) float32."""
        columns, lengths = self.take(row_indices)
        rows = torch.repeat_interleave(torch.arange(len(lengths), device=self.device), lengths)
        matrix = torch.zeros(len(lengths), self.num_columns, device=self.device)
        matrix[rows, columns] = 1.0
        return matrix

    def gram(self, row_weight: Tensor | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
        """Gives XᵀX, or Xᵀ diag(row_weight) X, dense (num_columns, num_columns).

        Without weights, entry (i, j) counts the rows that have both i and j.
        """
        return self.gram_rows(self.transposed(), 0, self.num_columns, row_weight, dtype)

    def gram_rows(
        self,
        by_column: "Incidence",
        start: int,
        stop: int,
        row_weight: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Gives rows start … stop - 1 of `gram`, dense (stop - start, num_columns).

        The work is the number of pairs within the rows, the memory that of the result.

        Args:
            by_column: `self.transposed()`, made once by who calls this for many blocks.
            start: First column of X.
            stop: One past the last column of X.
            row_weight: (num_rows,); None weighs every row 1.
            dtype: Of the result; counts are exact in float32 up to 2²⁴.
        """
        size = self.num_rows * self.num_columns
        if size <= _DENSE_CELLS and len(self.columns) >= _DENSE_SHARE * size:
            X = self.dense(dtype)
            weighted = X if row_weight is None else row_weight.to(dtype)[:, None] * X
            return weighted[:, start:stop].mT @ X
        block = torch.arange(start, stop, device=self.device)
        rows, degrees = by_column.take(block)  # (e,) the rows that have a column of the block
        local = torch.repeat_interleave(block - start, degrees)  # (e,)
        gram = torch.zeros((stop - start) * self.num_columns, dtype=dtype, device=self.device)
        unit = torch.ones((), dtype=dtype, device=self.device)
        for part in parts_of(self.lengths[rows], _PAIRS_AT_ONCE):
            columns, lengths = self.take(rows[part])  # (p,) the columns beside it in its row
            cells = torch.repeat_interleave(local[part] * self.num_columns, lengths) + columns
            if row_weight is None:
                values = unit.expand(len(cells))
            else:
                values = torch.repeat_interleave(row_weight[rows[part]].to(dtype), lengths)
            gram.index_add_(0, cells, values)
        return gram.view(stop - start, self.num_columns)


def pointer_of(lengths: Tensor) -> Tensor:
    """Gives where rows of these lengths (n,) int64 start in one sequence, and its end, (n + 1,)."""
    return functional.pad(lengths.cumsum(0), (1, 0))


def parts_of(costs: Tensor, limit: int) -> Iterator[slice]:
    """Cuts a sequence where its running cost passes multiples of the limit."""
    if not len(costs):
        return
    part = torch.div(costs.cumsum(0) - 1, limit, rounding_mode="floor").clamp_(min=0)
    ends = torch.cumsum(torch.unique_consecutive(part, return_counts=True)[1], 0).tolist()
    yield from (slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True))


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
    row_weight: Tensor,
) -> Tensor:
    """Gives Xᵀ D X + Σ_r w_r A_rᵀ A_r, dense (num_items, num_items), in one pass over all rows.

    Args:
        history: X.
        relations: A_r.
        relation_weights: w_r by name.
        dtype: Of the result.
        row_weight: The diagonal of D, (num_users,).
    """
    row_weight = row_weight.to(history.device, dtype)
    rows, weights = stacked_rows(history, row_weight, relations, relation_weights)
    return rows.gram(weights, dtype)


def kernel_gram(
    history: Incidence,
    ranks: Tensor,
    bandwidth: float,
    dtype: torch.dtype,
    row_weight: Tensor,
) -> Tensor:
    """Gives Σ_u d_u exp(-|r_ui - r_uj| / h) x_ui x_uj, dense (num_items, num_items).

    Items that a user took one after the other say more of each other than those years apart.

    Args:
        history: X.
        ranks: (n,) each entry's place among its user's by time.
        bandwidth: h, in places.
        dtype: Of the result.
        row_weight: d, (num_users,).
    """
    size = history.num_columns
    gram = torch.zeros(size * size, dtype=dtype, device=history.device)
    rows, lengths = history.rows, history.lengths
    for part in parts_of(lengths[rows], _PAIRS_AT_ONCE):
        entry = torch.arange(part.start, part.stop, device=history.device)  # (e,)
        partner, counts = history.places(rows[entry])  # (p,)
        entry = torch.repeat_interleave(entry, counts)
        value = torch.exp(-(ranks[entry] - ranks[partner]).abs() / bandwidth).to(dtype)
        value *= row_weight[rows[entry]].to(dtype)
        gram.index_add_(0, history.columns[entry] * size + history.columns[partner], value)
    return gram.view(size, size)
