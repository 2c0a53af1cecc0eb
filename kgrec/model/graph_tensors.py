"""The graph as tensors: all of it, and what is drawn of it for a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:  # seconds to import, and serving a run does without
    from torch_geometric.data import HeteroData
    from torch_geometric.data.storage import EdgeStorage

#: Edges of one type: head label, name, tail label, `edge_index` int64 (2, e), role.
TypedEdges = tuple[str, str, str, Tensor, str]

_LABELS = ("User", "Item", "Entity")


@dataclass(frozen=True)
class GraphTensors:
    """The whole graph in one index space: users, then items, then entities.

    Attributes:
        num_users: U.
        num_items: I.
        num_nodes: N, all nodes.
        edge_index: int64 (2, E), sources above targets; both directions of every relation.
        edge_type: int64 (E,).
        relation_names: R names; "INTERACTED" and its reverse, then each relation or behaviour and
            its reverse.
        relation_signs: R times 1, or -1 for behaviours that speak against an item.
        text: float32 (N, c), zero rows where a node has no text; None without text features.
    """

    num_users: int
    num_items: int
    num_nodes: int
    edge_index: Tensor
    edge_type: Tensor
    relation_names: tuple[str, ...]
    relation_signs: tuple[int, ...]
    text: Tensor | None = None

    @classmethod
    def from_hetero(cls, data: HeteroData, *, use_graph: bool = True) -> GraphTensors:
        """Flattens a HeteroData with node types User, Item, Entity.

        Edge types of one name and role share one relation, hence one weight; a name that a second
        role has as well gets that role behind it (`VIEW`, a relation, and `VIEW_EVIDENCE`). Node
        stores may carry `text`, edge stores `role`: a value of `kgrec.schema.Role`, without which
        they are relations.

        Args:
            data: The graph; edge types come in both directions (`rev_` marks the reverse).
            use_graph: Whether relations take part; interactions and behaviours always do.
        """
        edges = [
            (*kind, data[kind].edge_index, _role(kind[1], data[kind])) for kind in data.edge_types
        ]
        text = None
        if all("text" in data[label] for label in _LABELS):
            text = {label: data[label].text for label in _LABELS}
        counts = {label: int(data[label].num_nodes) for label in _LABELS}
        return cls.from_edges(counts, edges, text, use_graph=use_graph)

    @classmethod
    def from_edges(
        cls,
        counts: Mapping[str, int],
        edges: Iterable[TypedEdges],
        text: Mapping[str, Tensor] | None = None,
        *,
        use_graph: bool = True,
    ) -> GraphTensors:
        """Flattens edge sets, as `from_hetero` does those of a HeteroData.

        Args:
            counts: The number of nodes of User, Item, Entity.
            edges: Edge sets, both directions of each; indices count within their labels.
            text: Per label float32 (n, c); None without text features.
            use_graph: Whether relations take part; interactions and behaviours always do.
        """
        offset, total = {}, 0
        for label in _LABELS:
            offset[label] = total
            total += counts[label]
        names: dict[tuple[str, str], str] = {}  # of each edge type's name and role
        index, kinds = [], []
        for head, name, tail, edge_index, role in edges:
            if not use_graph and role == "relation":
                continue
            if (name, role) not in names:
                is_used = name in names.values()
                names[name, role] = f"{name}_{role.upper()}" if is_used else name
            kind = list(names).index((name, role))
            index.append(edge_index + torch.tensor([[offset[head]], [offset[tail]]]))
            kinds.append(torch.full((edge_index.shape[1],), kind))
        return cls(
            num_users=counts["User"],
            num_items=counts["Item"],
            num_nodes=total,
            edge_index=torch.cat(index, dim=1),
            edge_type=torch.cat(kinds),
            relation_names=tuple(names.values()),
            relation_signs=tuple(-1 if role == "negative" else 1 for _, role in names),
            text=None if text is None else torch.cat([text[label] for label in _LABELS]),
        )

    def to(self, device: torch.device) -> GraphTensors:
        """The same graph on a device."""
        return replace(
            self,
            edge_index=self.edge_index.to(device),
            edge_type=self.edge_type.to(device),
            text=None if self.text is None else self.text.to(device),
        )


@dataclass(frozen=True)
class Block:
    """Drawn edges of one layer, by the node at which they arrive.

    Attributes:
        pointer: int64 (n + 1,), node i has the edges pointer[i] … pointer[i + 1] - 1.
        index: int64 (e,), the place of each edge's source among the sample's nodes.
        relation: int64 (e,).
        factor: float32 (e,), each edge's norm times what it stands for; 0 where it is hidden.
    """

    pointer: Tensor
    index: Tensor
    relation: Tensor
    factor: Tensor


@dataclass(frozen=True)
class SampledGraph:
    """Some nodes and, for each layer, some edges among them.

    Attributes:
        nodes: int64 (k,), distinct; the seeds first, then the others by their distance.
        blocks: L, the first layer's first; each layer's nodes are the first of the layer before.
    """

    nodes: Tensor
    blocks: tuple[Block, ...]


def _role(name: str, store: EdgeStorage) -> str:
    if name.removeprefix("rev_") == "INTERACTED":
        return "target"
    return str(store.role) if "role" in store else "relation"
