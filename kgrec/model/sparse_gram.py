"""A weighted Gram matrix without its zeros, counted block by block."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from kgrec.model.incidence import Incidence

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
    pairs_at_once: int = _PAIRS_AT_ONCE,
    progress: Callable[[int, int], None] | None = None,
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
        pairs_at_once: Bounds the working memory, not the answer.
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
    for start, stop, cells, sums in _blocks(rows, row_weight, fan_out, pairs_at_once):
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
        if progress is not None:
            progress(stop, n)
    hub_columns[hubs, torch.arange(len(hubs), device=rows.device)] = diagonal[hubs]
    return SparseGram(diagonal, hubs, hub_columns, torch.cat(keys), torch.cat(values), nearest)


def _blocks(
    rows: Incidence, row_weight: Tensor, fan_out: int, limit: int
) -> Iterator[tuple[int, int, Tensor, Tensor]]:
    """Yields blocks of items, the cells of their rows of G off the diagonal, and their values."""
    n = rows.num_columns
    by_item = rows.transposed()
    reach = rows.lengths * (rows.lengths <= fan_out)  # (m,)
    ends = torch.cat([reach.new_zeros(1), reach[by_item.columns].cumsum(0)])[by_item.pointer]
    start = 0
    while start < n:
        bound = int(ends[start]) + limit
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
