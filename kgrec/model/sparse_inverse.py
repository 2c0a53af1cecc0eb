"""Columns of a sparse matrix's inverse, each from the exact inverse of its neighbourhood.

The matrix is a weighted Gram matrix without its zeros, counted block by block.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from kgrec.errors import ConfigError
from kgrec.model.incidence import Incidence, pointer_of

#: Pairs that are sorted at once; about 400 MB of working memory.
_PAIRS_AT_ONCE = 4_000_000


@dataclass(frozen=True, eq=False)
class SparseGram:
    """G = Xᵀ diag(w) X + diag(extra): its diagonal, its columns of hubs, and its other cells.

    Attributes:
        diagonal: (n,) float32, all of G_ii.
        hubs: (h,) int64, the items whose columns are kept densely.
        hub_columns: (n, h) float32, G[:, hubs].
        keys: (c,) int64, ascending, i · n + k of the nonzero cells i < k between other items.
        values: (c,) float32, G_ik of these cells.
        neighbours: (n, m) int32, the items most correlated with each, hubs left out, strongest
            first; -1 where there are no more.
    """

    diagonal: Tensor
    hubs: Tensor
    hub_columns: Tensor
    keys: Tensor
    values: Tensor
    neighbours: Tensor

    def cells(self, low: Tensor, high: Tensor) -> Tensor:
        """Gives G at cells low < high of items that are no hubs, float32 of their shape."""
        if not len(self.keys):
            return torch.zeros(low.shape, device=low.device)
        keys = low * len(self.diagonal) + high
        places = torch.searchsorted(self.keys, keys).clamp_(max=len(self.keys) - 1)
        return torch.where(self.keys[places] == keys, self.values[places], 0.0)


def sparse_gram(
    rows: Incidence,
    row_weight: Tensor,
    extra: Tensor,
    *,
    hubs: Tensor,
    neighbours: int,
    fan_out: int,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> SparseGram:
    """Counts G and picks each item's neighbours.

    The work is the number of pairs within rows, sorted once, and so linear in the number of entries
    for a bounded `fan_out`. A row of more items says little of any pair of them: it is counted on
    the diagonal only, as one row for each of its items would be, so G stays positive definite.

    Args:
        rows: X, (m, n) binary.
        row_weight: w, (m,) float32, not negative.
        extra: (n,) float32, added to the diagonal.
        hubs: (h,) int64, unique.
        neighbours: At most so many an item, by |G_ik| / √(G_ii G_kk); of equals the first.
        fan_out: The longest row whose pairs are counted.
        progress: Is told how many of how many items are counted.
    """
    n = rows.num_columns
    entry_weight = row_weight[rows.rows]  # (e,)
    diagonal = extra.clone().index_add_(0, rows.columns, entry_weight)
    place = torch.full((n,), -1, dtype=torch.int64, device=rows.device)
    place[hubs] = torch.arange(len(hubs), device=rows.device)
    hub_columns = torch.zeros(n, len(hubs), device=rows.device)
    nearest = torch.full((n, neighbours), -1, dtype=torch.int32, device=rows.device)
    keys, values = [], []
    scale = diagonal.rsqrt()
    for start, stop, cells, sums in _blocks(rows, row_weight, fan_out):
        item, partner = cells // n, cells % n
        at = place[partner]
        is_hub = at >= 0
        hub_columns[item[is_hub], at[is_hub]] = sums[is_hub]
        rest = ~is_hub
        item, partner, sums, cells = item[rest], partner[rest], sums[rest], cells[rest]
        _choose(nearest, item, partner, sums * scale[partner], start, stop)
        upper = (item < partner) & (place[item] < 0)
        keys.append(cells[upper])
        values.append(sums[upper])
        progress(stop, n)
    hub_columns[hubs, torch.arange(len(hubs), device=rows.device)] = diagonal[hubs]
    return SparseGram(diagonal, hubs, hub_columns, torch.cat(keys), torch.cat(values), nearest)


def _blocks(
    rows: Incidence, row_weight: Tensor, fan_out: int
) -> Iterator[tuple[int, int, Tensor, Tensor]]:
    """Yields blocks of items, the cells of their rows of G off the diagonal, and their values."""
    n = rows.num_columns
    by_item = rows.transposed()
    reach = rows.lengths * (rows.lengths <= fan_out)  # (m,)
    ends = pointer_of(reach[by_item.columns])[by_item.pointer]
    start = 0
    while start < n:
        bound = int(ends[start]) + _PAIRS_AT_ONCE
        stop = int(torch.searchsorted(ends, bound, right=True)) - 1
        stop = min(max(stop, start + 1), n)
        block = torch.arange(start, stop, device=rows.device)
        owners, degrees = by_item.take(block)  # (e,) rows of the block's items
        item = torch.repeat_interleave(block, degrees)
        counted = reach[owners] > 0
        owners, item = owners[counted], item[counted]
        partner, lengths = rows.take(owners)  # (p,)
        cells = torch.repeat_interleave(item * n, lengths).add_(partner)
        off = torch.repeat_interleave(item, lengths) != partner
        cells, order = cells[off].sort()
        weights = torch.repeat_interleave(row_weight[owners], lengths)[off][order]
        unique, counts = torch.unique_consecutive(cells, return_counts=True)
        segment = torch.repeat_interleave(torch.arange(len(unique), device=rows.device), counts)
        sums = torch.zeros(len(unique), device=rows.device).index_add_(0, segment, weights)
        yield start, stop, unique, sums
        start = stop


def _choose(
    nearest: Tensor, item: Tensor, partner: Tensor, strength: Tensor, start: int, stop: int
) -> None:
    """Writes the strongest others of items start … stop - 1, which come sorted by item."""
    order = strength.argsort(descending=True, stable=True)
    order = order[item[order].argsort(stable=True)]
    counts = torch.bincount(item - start, minlength=stop - start)
    first = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    rank = torch.arange(len(item), device=item.device) - first
    fits = rank < nearest.shape[1]
    nearest[item[fits], rank[fits]] = partner[order[fits]].int()


#: Cells of neighbourhoods that are factorised at once; more leave the cache.
_CELLS_AT_ONCE = 1_000_000


@dataclass(frozen=True, eq=False)
class SparseInverse:
    """Approximates P = G⁻¹, symmetric.

    Attributes:
        diagonal: (n,) float32, P_ii.
        hubs: (h,) int64.
        hub_columns: (n, h) float32, P[:, hubs].
        pattern: (n, n), the cells kept between items that are no hubs, without the diagonal.
        values: P at the pattern's cells, float32.
    """

    diagonal: Tensor
    hubs: Tensor
    hub_columns: Tensor
    pattern: Incidence
    values: Tensor


def sparse_inverse(
    gram: SparseGram, *, progress: Callable[[int, int], None] = lambda *_: None
) -> SparseInverse:
    """Inverts G on the neighbourhood of each item, together with the hubs.

    Column j of P is zero outside S = {j} ∪ N(j) ∪ hubs and solves G[S, S] p = e_j there; with all
    items in S it is exact. A cell that both its items' columns hold gets the mean, a cell that one
    holds serves both. This matters more than wider neighbourhoods: what an item of few interactions
    adds to a popular one is only found in the column of the former.

    Args:
        gram: G.
        progress: Is told how many of how many items are solved.

    Raises:
        ConfigError: If a neighbourhood is not positive definite in float32.

    References:
        Steck, Markov Random Fields for Collaborative Filtering, NeurIPS 2019, section 3.2,
        arXiv:1910.09645.
    """
    n, h = gram.hub_columns.shape
    device = gram.diagonal.device
    place = torch.full((n,), -1, dtype=torch.int64, device=device)
    place[gram.hubs] = torch.arange(h, device=device)
    diagonal = torch.empty(n, device=device)
    hub_columns = torch.empty(n, h, device=device)
    values = torch.zeros(gram.neighbours.shape, device=device)
    counts = (gram.neighbours >= 0).sum(dim=1)
    order = counts.argsort(stable=True)  # neighbourhoods of one size share a batch
    start = 0
    while start < n:
        batch = max(1, _CELLS_AT_ONCE // (1 + int(counts[order[start]]) + h) ** 2)
        stop = min(start + batch, n)
        items = order[start:stop]
        width = int(counts[items[-1]])
        column = _solve(gram, items, place[items], gram.neighbours[items, :width].long())
        diagonal[items] = column[torch.arange(len(items)), _target(place[items], width)]
        values[items, :width] = column[:, 1 : 1 + width]
        hub_columns[items] = column[:, 1 + width :]
        start = stop
        progress(stop, n)
    block = hub_columns[gram.hubs]
    hub_columns[gram.hubs] = (block + block.mT) / 2
    cells = (gram.neighbours >= 0) & (place < 0)[:, None]
    item = cells.nonzero()[:, 0]
    pattern, means = _symmetric(item, gram.neighbours[cells].long(), values[cells], n)
    return SparseInverse(diagonal, gram.hubs, hub_columns, pattern, means)


def _target(place: Tensor, width: int) -> Tensor:
    """Where an item stands in its own neighbourhood: first, or among the hubs."""
    return torch.where(place < 0, 0, 1 + width + place)


def _solve(gram: SparseGram, items: Tensor, place: Tensor, near: Tensor) -> Tensor:
    """Gives column j of P on (j, its neighbours `near` (b, width), hubs), (b, 1 + width + h).

    Missing neighbours (-1), and j itself if it stands among the hubs, become rows of the identity:
    their entries are 0.
    """
    h, width = len(gram.hubs), near.shape[1]
    local = torch.cat([items[:, None], near], dim=1)  # (b, w)
    absent = local < 0
    absent[:, 0] = place >= 0
    local = local.clamp(min=0)
    side = 1 + width
    matrix = torch.zeros(len(items), side + h, side + h, device=items.device)
    row, column = torch.triu_indices(side, side, 1, device=items.device)
    low = torch.minimum(local[:, row], local[:, column])
    high = torch.maximum(local[:, row], local[:, column])
    cells = gram.cells(low, high).masked_fill_(absent[:, row] | absent[:, column], 0.0)
    matrix[:, row, column] = cells
    matrix[:, column, row] = cells
    across = gram.hub_columns[local].masked_fill_(absent[:, :, None], 0.0)  # (b, w, h)
    matrix[:, :side, side:] = across
    matrix[:, side:, :side] = across.mT
    matrix[:, side:, side:] = gram.hub_columns[gram.hubs]
    matrix.diagonal(dim1=1, dim2=2)[:, :side] = gram.diagonal[local].masked_fill_(absent, 1.0)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if bool(failed.any()):
        raise ConfigError(
            f"G is not positive definite in float32 around {int((failed > 0).sum())} of "
            f"{len(items)} items; expected a larger ridge; try ten times as much"
        )
    units = torch.zeros(len(items), side + h, 1, device=items.device)
    units[torch.arange(len(items)), _target(place, width)] = 1.0
    solved = torch.cholesky_solve(units, factor)[:, :, 0]
    solved[:, :side].masked_fill_(absent, 0.0)
    return solved


def _symmetric(row: Tensor, column: Tensor, value: Tensor, n: int) -> tuple[Incidence, Tensor]:
    """Gives cells and their mirror images, the mean where both were given."""
    keys, order = torch.cat([row * n + column, column * n + row]).sort()
    doubled = torch.cat([value, value])[order]
    unique, counts = torch.unique_consecutive(keys, return_counts=True)
    segment = torch.repeat_interleave(torch.arange(len(unique), device=row.device), counts)
    sums = torch.zeros(len(unique), device=row.device).index_add_(0, segment, doubled)
    pointer = pointer_of(torch.bincount(unique // n, minlength=n))
    return Incidence(pointer, unique % n, n), sums / counts
