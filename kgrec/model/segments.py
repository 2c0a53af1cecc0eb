"""Weighted sums over the entries of rows, and of products over the entries of a relation."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.model.incidence import pointer_of

#: Groups that the gradient of the weights holds at once on the CPU: (4096, 64) float32 is 1 MiB,
#: which a core's cache keeps.
_GROUPS_AT_ONCE = 4096
#: The same elsewhere, where every call costs more than the memory: (10⁶, 64) float32 is 256 MB.
_GROUPS_AT_ONCE_GPU = 1_000_000


def sum_rows(pointer: Tensor, index: Tensor, x: Tensor, values: Tensor) -> Tensor:
    """Gives Σ_{p in row i} values[p] x[index[p]] for each row i.

    Args:
        pointer: int (n + 1,), row i has the entries pointer[i] … pointer[i + 1] - 1.
        index: int (e,), of the pointer's dtype.
        x: float (k, d).
        values: float (e,).

    Returns:
        float (n, d).
    """
    return functional.embedding_bag(
        index, x, pointer, mode="sum", per_sample_weights=values, include_last_offset=True
    )


@dataclass(frozen=True)
class Rows:
    """The edges by the node at which they arrive.

    Attributes:
        pointer: (n + 1,), row i has the entries pointer[i] … pointer[i + 1] - 1.
        index: (e,), the node at the other end of each entry.
        edge: (e,), the place of each entry in the edge list.
    """

    pointer: Tensor
    index: Tensor
    edge: Tensor

    def first(self, count: int) -> "Rows":
        """The first rows alone; a view."""
        if count + 1 == len(self.pointer):
            return self
        stop = int(self.pointer[count])
        return Rows(self.pointer[: count + 1], self.index[:stop], self.edge[:stop])

    def sum(self, x: Tensor, values: Tensor) -> Tensor:
        """Gives Σ_entries values x[index] for each row, (n, d); values (E,) as the edge list."""
        return sum_rows(self.pointer, self.index, x, values.index_select(0, self.edge))


@dataclass(frozen=True)
class Groups:
    """Consecutive entries of `Rows` with one row and one relation.

    Attributes:
        pointer: (g + 1,), where in the entries each group starts.
        row: (g,), its row.
        relation: int64 (g,), its relation.
        num_relations: R.
        blocks: Groups and entries of a piece of work: (first, last + 1, first, last + 1).
    """

    pointer: Tensor
    row: Tensor
    relation: Tensor
    num_relations: int
    blocks: tuple[tuple[int, int, int, int], ...]


def group_entries(row: Tensor, relation: Tensor, num_relations: int, dtype: torch.dtype) -> Groups:
    """Groups entries (e,) that stand by row and, within a row, by relation.

    Args:
        row: int64 (e,), ascending.
        relation: int64 (e,), ascending within a row.
        num_relations: R.
        dtype: Of the groups' pointer and rows: that of the index they are used with.
    """
    group, counts = torch.unique_consecutive(row * num_relations + relation, return_counts=True)
    pointer = pointer_of(counts)
    step = _GROUPS_AT_ONCE if row.device.type == "cpu" else _GROUPS_AT_ONCE_GPU
    ends = [*range(0, len(group), step), len(group)]
    starts = pointer[torch.tensor(ends, device=row.device)].tolist()
    return Groups(
        pointer.to(dtype),
        (group // num_relations).to(dtype),
        group % num_relations,
        num_relations,
        tuple(zip(ends[:-1], ends[1:], starts[:-1], starts[1:], strict=True)),
    )


def relation_products(
    groups: Groups, index: Tensor, norm: Tensor, x: Tensor, grad: Tensor
) -> Tensor:
    """Gives Σ_{entries p of relation r} norm[p] ⟨x[index[p]], grad[row of p]⟩, (R,).

    The messages of one group are summed before the product, block by block in cache.
    """
    products = grad.new_empty(len(groups.row))  # (g,)
    for first, last, start, stop in groups.blocks:
        pointer = groups.pointer[first : last + 1] - start
        heard = sum_rows(pointer, index[start:stop], x, norm[start:stop])  # (g', d)
        heard *= grad.index_select(0, groups.row[first:last])
        torch.sum(heard, dim=1, out=products[first:last])
    out = grad.new_zeros(groups.num_relations)
    return out.index_add_(0, groups.relation, products)


def sum_sampled(
    x: Tensor, weight: Tensor, pointer: Tensor, index: Tensor, relation: Tensor, factor: Tensor
) -> Tensor:
    """Gives Σ_{p in row i} weight[relation[p]] factor[p] x[index[p]], differentiable in x, weight.

    Args:
        x: float (k, d).
        weight: float (R,).
        pointer: int64 (n + 1,), the entries of each row.
        index: int64 (e,).
        relation: int64 (e,), ascending within a row.
        factor: float (e,).

    Returns:
        float (n, d).
    """
    out: Tensor = _SumSampled.apply(x, weight, pointer, index, relation, factor)
    return out


class _SumSampled(torch.autograd.Function):
    """`sum_sampled`; its backward pass is a sum over the entries by their index."""

    @staticmethod
    def forward(ctx, x, weight, pointer, index, relation, factor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, weight, pointer, index, relation, factor)
        values = weight.index_select(0, relation) * factor
        return sum_rows(pointer, index, x.detach(), values)

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        x, weight, pointer, index, relation, factor = ctx.saved_tensors
        grad, grad_x, grad_weight = grad.contiguous(), None, None
        row = torch.repeat_interleave(pointer.diff())  # (e,)
        if ctx.needs_input_grad[0]:
            order = torch.argsort(index, stable=True)
            turned = pointer_of(torch.bincount(index, minlength=len(x)))
            values = (weight.index_select(0, relation) * factor).index_select(0, order)
            grad_x = sum_rows(turned, row.index_select(0, order), grad, values)
        if ctx.needs_input_grad[1]:
            groups = group_entries(row, relation, len(weight), index.dtype)
            grad_weight = relation_products(groups, index, factor, x.detach(), grad)
        return grad_x, grad_weight, None, None, None, None
