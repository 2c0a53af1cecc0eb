"""Relation-weighted adjacency whose backward pass never makes a dense N × N matrix."""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from kgrec.errors import ShapeError


def symmetric_norm(edge_index: Tensor, edge_type: Tensor, num_nodes: int) -> Tensor:
    """Gives 1 / sqrt(d_r(source) d_r(target)) for each edge of relation r.

    Degrees count within one relation, so that a relation with few edges is not drowned by the
    degrees of one with many.

    Args:
        edge_index: int64 (2, E), sources above targets.
        edge_type: int64 (E,).
        num_nodes: Number of nodes N.

    Returns:
        float32 (E,).

    References:
        Kipf and Welling, "Semi-supervised classification with graph convolutional networks",
        arXiv:1609.02907; per relation as in Schlichtkrull et al., arXiv:1703.06103.
    """
    num_relations = int(edge_type.max()) + 1 if edge_type.numel() else 0
    degrees = []
    for end in edge_index:
        key = edge_type * num_nodes + end  # (E,)
        count = torch.bincount(key, minlength=num_relations * num_nodes)
        degrees.append(count[key])
    norm: Tensor = (degrees[0] * degrees[1]).to(torch.float32).rsqrt()
    return norm


@dataclass(frozen=True)
class _Csr:
    """One orientation of the pattern: rows are where messages arrive."""

    crow: Tensor  # (N + 1,) int64
    col: Tensor  # (E,) int64
    order: Tensor  # (E,) int64, position of each entry in the edge list

    def matrix(self, values: Tensor) -> Tensor:
        size = len(self.crow) - 1
        with warnings.catch_warnings():
            # torch says that its CSR support is in beta; which operations we use is tested.
            warnings.filterwarnings(
                "ignore", message="Sparse CSR tensor support", category=UserWarning
            )
            # The pattern is checked by how it is made; saying so also silences a warning.
            return torch.sparse_csr_tensor(
                self.crow, self.col, values, (size, size), check_invariants=False
            )


class RelationAdjacency:
    """A fixed sparse pattern, its normalisation, and the relation of each entry.

    Args:
        edge_index: int64 (2, E), sources above targets.
        edge_type: int64 (E,) in 0 … num_relations - 1.
        num_nodes: Number of nodes N.
        num_relations: Number of directed relations R.

    Raises:
        ShapeError: If edge_index and edge_type do not belong together.
    """

    def __init__(
        self, edge_index: Tensor, edge_type: Tensor, num_nodes: int, num_relations: int
    ) -> None:
        if edge_index.shape != (2, len(edge_type)):
            raise ShapeError(
                f"edge_index has shape {tuple(edge_index.shape)}, expected (2, {len(edge_type)}) "
                f"as edge_type has {len(edge_type)} entries"
            )
        self.num_nodes = num_nodes
        self.num_relations = num_relations
        self.norm = symmetric_norm(edge_index, edge_type, num_nodes)  # (E,)
        self.edge_type = edge_type
        source, target = edge_index
        self._by_target = _compress(target, source, num_nodes)
        self._by_source = _compress(source, target, num_nodes)

    def propagate(self, x: Tensor, relation_weight: Tensor, keep: Tensor | None = None) -> Tensor:
        """Gives P x with P = Σ_r relation_weight[r] Â_r, differentiable in both.

        Args:
            x: float (N, d).
            relation_weight: float (R,).
            keep: bool (E,), which edges take part; None is all. Normalisation stays that of all.

        Returns:
            float (N, d).
        """
        out: Tensor = _Propagate.apply(x, relation_weight, self, keep)
        return out

    def values(self, relation_weight: Tensor, keep: Tensor | None = None) -> Tensor:
        """Gives the weight (E,) of each edge, in the order of edge_index."""
        values = relation_weight[self.edge_type] * self.norm
        return values if keep is None else values * keep


def _compress(rows: Tensor, cols: Tensor, num_nodes: int) -> _Csr:
    order = torch.argsort(rows * num_nodes + cols, stable=True)
    crow = torch.zeros(num_nodes + 1, dtype=torch.int64, device=rows.device)
    crow[1:] = torch.bincount(rows, minlength=num_nodes).cumsum(0)
    return _Csr(crow, cols[order].contiguous(), order)


class _Propagate(torch.autograd.Function):
    """P x; backward is Pᵀ g and, per relation, Σ_e norm_e ⟨x[source_e], g[target_e]⟩."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, x: Tensor, weight: Tensor, adjacency: RelationAdjacency, keep: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.adjacency, ctx.keep = adjacency, keep
        pattern = adjacency._by_target
        out: Tensor = pattern.matrix(adjacency.values(weight, keep)[pattern.order]) @ x
        return out

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:  # type: ignore[no-untyped-def]
        x, weight = ctx.saved_tensors
        adjacency: RelationAdjacency = ctx.adjacency
        keep: Tensor | None = ctx.keep
        grad = grad.contiguous()
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            pattern = adjacency._by_source
            grad_x = pattern.matrix(adjacency.values(weight, keep)[pattern.order]) @ grad
        if ctx.needs_input_grad[1]:
            pattern = adjacency._by_target
            mask = pattern.matrix(grad.new_zeros(len(pattern.col)))
            # Only the E products that have an edge are computed, never grad @ xᵀ as a whole.
            products = torch.sparse.sampled_addmm(mask, grad, x.t(), beta=0.0).values()  # (E,)
            products = products * adjacency.values(torch.ones_like(weight), keep)[pattern.order]
            grad_weight = torch.zeros_like(weight).index_add_(
                0, adjacency.edge_type[pattern.order], products
            )
        return grad_x, grad_weight, None, None
