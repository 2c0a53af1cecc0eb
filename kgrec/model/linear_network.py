"""A trained network of linear propagation as a whole: features, edges, weights, layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from kgrec.errors import ShapeError
from kgrec.model.adjacency import ordered, symmetric_norm
from kgrec.model.incidence import pointer_of
from kgrec.model.segments import sum_rows

#: The tensors of a network, as they are named in a run.
TENSORS = ("x", "pointer", "source", "kind", "norm", "relation_weight")


@dataclass(frozen=True, eq=False)
class LinearNetwork:
    """Everything that Z = 1/(L + 1) Σ_{l=0..L} P^l X is made of, without gradients.

        P[v, u] = Σ_{e: u → v} a_e,   a_e = relation_weight[kind_e] norm_e

    Nodes stand in one index space: users, then items, then entities. Norms and relation weights
    are kept apart, so that another graph's norms can take the place of these.

    Attributes:
        x: X, float32 (N, d).
        pointer: int32 (N + 1,), node v receives the edges pointer[v] … pointer[v + 1] - 1.
        source: int32 (E,), where they come from.
        kind: int16 (E,), their directed relation, ascending within a node.
        norm: float32 (E,).
        relation_weight: float32 (R,), signed.
        num_layers: L.

    References:
        He et al., "LightGCN", arXiv:2002.02126, with one weight a relation.
    """

    x: Tensor
    pointer: Tensor
    source: Tensor
    kind: Tensor
    norm: Tensor
    relation_weight: Tensor
    num_layers: int

    def __post_init__(self) -> None:
        edges = len(self.source)
        if len(self.pointer) != len(self.x) + 1 or {len(self.kind), len(self.norm)} != {edges}:
            raise ShapeError(
                f"a network of {len(self.x)} nodes and {edges} edges needs a pointer of "
                f"{len(self.x) + 1}, kinds and norms of {edges}; got {len(self.pointer)}, "
                f"{len(self.kind)} and {len(self.norm)}"
            )

    @classmethod
    def of_edges(
        cls,
        x: Tensor,
        edge_index: Tensor,
        edge_type: Tensor,
        relation_weight: Tensor,
        num_layers: int,
        norm: Tensor | None = None,
    ) -> Self:
        """Puts edges in any order by the node at which they arrive.

        Args:
            x: X, float32 (N, d).
            edge_index: int64 (2, E), sources above targets.
            edge_type: int64 (E,).
            relation_weight: float32 (R,).
            num_layers: L.
            norm: float32 (E,); None counts degrees anew (`symmetric_norm`).
        """
        if norm is None:
            norm = symmetric_norm(edge_index, edge_type, len(x))
        source, target = edge_index
        order = ordered(source, edge_type, target)
        pointer = pointer_of(torch.bincount(target, minlength=len(x)))
        pointer, source = _small(pointer, source[order])
        kind = narrow(edge_type[order])
        return cls(x, pointer, source, kind, norm[order], relation_weight, num_layers)

    @cached_property
    def weight(self) -> Tensor:
        """a, float32 (E,): what each edge's message is multiplied by."""
        return self.relation_weight.index_select(0, self.kind.int()) * self.norm

    @cached_property
    def target(self) -> Tensor:
        """int64 (E,), where each edge arrives."""
        nodes = torch.arange(len(self.x), device=self.x.device)
        return torch.repeat_interleave(nodes, self.pointer.diff())

    def incoming(self, node: int) -> slice:
        """The places of a node's incoming edges."""
        return slice(int(self.pointer[node]), int(self.pointer[node + 1]))

    def propagate(self, x: Tensor, num_rows: int | None = None) -> Tensor:
        """Gives rows 0 … num_rows - 1 of P x for x (N, k); None is all rows."""
        rows = len(self.x) if num_rows is None else num_rows
        stop = int(self.pointer[rows])
        return sum_rows(self.pointer[: rows + 1], self.source[:stop], x, self.weight[:stop])

    def message(self) -> Tensor:
        """Gives y = 1/(L + 1) Σ_{l < L} P^l X (N, d), what each node tells its neighbours.

        Horner's rule: L - 1 products.
        """
        if self.num_layers == 0:
            return torch.zeros_like(self.x)
        out = self.x
        for _ in range(self.num_layers - 1):
            out = self.propagate(out) + self.x
        return out / (self.num_layers + 1)

    def without(self, edges: Tensor, *, renormalise: bool = False) -> Self:
        """The same network without some edges (k,) int64.

        Args:
            edges: Their places; both directions of a fact are two edges.
            renormalise: Whether degrees are counted anew; else every other edge keeps its norm.
        """
        keep = torch.ones(len(self.source), dtype=torch.bool, device=self.x.device)
        keep[edges] = False
        index = torch.stack([self.source.long(), self.target])[:, keep]
        return self.of_edges(
            self.x,
            index,
            self.kind[keep].long(),
            self.relation_weight,
            self.num_layers,
            None if renormalise else self.norm[keep],
        )

    def tensors(self) -> dict[str, Tensor]:
        """Gives what `from_tensors` needs, by name."""
        return {name: getattr(self, name) for name in TENSORS}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], num_layers: int) -> Self:
        """Makes the network of which `tensors` were given."""
        return cls(**{name: tensors[name] for name in TENSORS}, num_layers=num_layers)


def narrow(kind: Tensor) -> Tensor:
    """Gives relations (E,) in two bytes each, or four where there are more than int16 counts."""
    highest = int(kind.max()) if len(kind) else 0
    return kind.to(torch.int16 if highest < 2**15 else torch.int32)


def _small(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in int32 if all of their values fit, else in int64."""
    most = max((int(tensor.max()) for tensor in tensors if len(tensor)), default=0)
    return tuple(tensor.to(torch.int32 if most < 2**31 else torch.int64) for tensor in tensors)
