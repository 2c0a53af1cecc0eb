"""Relation-weighted adjacency: sums over layers, and gradients that need no (E, d) messages.

Every product is an `embedding_bag`, a sum of weighted rows for each target: on the CPU several
times faster than a product with a sparse CSR matrix (docs/performance.md has both).
"""

import torch
from torch import Tensor

from kgrec.errors import ShapeError
from kgrec.model.incidence import pointer_of
from kgrec.model.segments import Groups, Rows, group_entries, relation_products


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


def ordered(*keys: Tensor) -> Tensor:
    """Gives the order (n,) int64 by the last of some keys (n,), equal ones by the key before it."""
    order = torch.argsort(keys[0], stable=True)
    for key in keys[1:]:
        order = order[torch.argsort(key[order], stable=True)]
    return order


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
        self.norm = symmetric_norm(edge_index, edge_type, num_nodes)
        self.edge_type = edge_type  # (E,)
        self._edge_index = edge_index
        source, target = edge_index
        # Half the bytes of int64, which are read with every product.
        self._dtype = torch.int32 if max(len(edge_type), num_nodes) < 2**31 else torch.int64
        #: The edges by the node at which they arrive, there by relation, then by source.
        self.by_target = self._rows(target, source, ordered(source, edge_type, target))
        self._by_source: dict[int, Rows] = {}  # of the edges to the first so many targets
        self._groups: dict[int, Groups] = {}  # of the same

    def values(self, relation_weight: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Gives the weight (E,) of each edge, in the order of edge_index.

        Args:
            relation_weight: float (R,).
            hidden: int64 (h,), the places of edges that take no part; None is none.
        """
        values = relation_weight.index_select(0, self.edge_type) * self.norm
        return values if hidden is None else values.index_fill(0, hidden, 0.0)

    def accumulate(
        self,
        x: Tensor,
        relation_weight: Tensor,
        num_layers: int,
        hidden: Tensor | None = None,
        num_rows: int | None = None,
    ) -> Tensor:
        """Gives rows 0 … num_rows - 1 of Σ_{l=0..L} P^l x with P = Σ_r relation_weight[r] Â_r.

        By Horner's rule, H_0 = x and H_l = x + P H_{l-1}, so that the last product is made for the
        asked rows alone. It is differentiable in x and the weights; with G_L given,

            G_{l-1} = Pᵀ G_l,   ∂x = Σ_l G_l,
            ∂weight_r = Σ_l Σ_{e of r} norm_e ⟨H_{l-1}[source_e], G_l[target_e]⟩.

        Args:
            x: float (N, d).
            relation_weight: float (R,).
            num_layers: L.
            hidden: int64 (h,), the places of edges that take no part; None is none. The
                normalisation stays that of all.
            num_rows: How many rows are wanted; None is all N.

        Returns:
            float (num_rows, d).
        """
        rows = self.num_nodes if num_rows is None else num_rows
        if num_layers == 0:
            return x[:rows]
        out: Tensor = _Accumulate.apply(x, relation_weight, self, num_layers, hidden, rows)
        return out

    def _rows(self, row: Tensor, index: Tensor, order: Tensor) -> Rows:
        pointer = pointer_of(torch.bincount(row[order], minlength=self.num_nodes))
        return Rows(pointer.to(self._dtype), index[order].to(self._dtype), order.to(self._dtype))

    def _sources(self, num_targets: int) -> Rows:
        """The edges to the first `num_targets` nodes, by their source; made once."""
        if num_targets not in self._by_source:
            source, target = self._edge_index
            edges = torch.nonzero(target < num_targets).squeeze(1)
            order = edges[ordered(target[edges], source[edges])]
            self._by_source[num_targets] = self._rows(source, target, order)
        return self._by_source[num_targets]

    def _grouped(self, num_targets: int) -> Groups:
        """The entries of the first `num_targets` rows by row and relation; made once."""
        if num_targets not in self._groups:
            edge = self.by_target.first(num_targets).edge
            self._groups[num_targets] = group_entries(
                self._edge_index[1][edge], self.edge_type[edge], self.num_relations, self._dtype
            )
        return self._groups[num_targets]

    def _relation_products(self, x: Tensor, grad: Tensor, norm: Tensor) -> Tensor:
        """Gives Σ_{e of r} norm_e ⟨x[source_e], grad[target_e]⟩ for each relation r, (R,)."""
        rows = self.by_target.first(len(grad))
        norm = norm.index_select(0, rows.edge)
        return relation_products(self._grouped(len(grad)), rows.index, norm, x, grad)


class _Accumulate(torch.autograd.Function):
    """`RelationAdjacency.accumulate`; all layers at once, so that no sum is made twice."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx,
        x: Tensor,
        weight: Tensor,
        adjacency: RelationAdjacency,
        num_layers: int,
        hidden: Tensor | None,
        num_rows: int,
    ) -> Tensor:
        values = adjacency.values(weight, hidden)
        states = [x]
        for layer in range(1, num_layers + 1):
            rows = num_rows if layer == num_layers else adjacency.num_nodes
            # Detached, the kernel keeps nothing for a backward pass of its own.
            out = adjacency.by_target.first(rows).sum(states[-1].detach(), values)
            states.append(out.add_(x[:rows]))
        ctx.save_for_backward(weight, values, *states[:-1])
        ctx.adjacency, ctx.hidden = adjacency, hidden
        return states[-1]

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        weight, values, *states = ctx.saved_tensors
        adjacency: RelationAdjacency = ctx.adjacency
        needs_x, needs_weight = ctx.needs_input_grad[:2]
        grad_weight = None
        if needs_weight:
            norm = adjacency.values(torch.ones_like(weight), ctx.hidden)
            grad_weight = torch.zeros_like(weight)
        grads = [grad.contiguous()]
        for layer, state in zip(reversed(range(len(states))), reversed(states), strict=True):
            if grad_weight is not None:
                grad_weight += adjacency._relation_products(state.detach(), grads[-1], norm)
            if layer or needs_x:
                grads.append(adjacency._sources(len(grads[-1])).sum(grads[-1], values))
        total = None
        if needs_x:
            total = grads.pop()
            for part in grads:  # G_L has rows for the wanted nodes alone
                total[: len(part)] += part
        return total, grad_weight, None, None, None, None
