"""GraphData into tensors by type, and into torch-geometric's HeteroData."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kgrec.graph.data import GraphData
from kgrec.schema import INTERACTION_TYPES, NodeLabel, Role, Split

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData


def typed_edges(graph: GraphData) -> Iterator[tuple[str, str, str, Tensor, str]]:
    """Gives the edges that a model may learn from, each set in both directions.

    Yields:
        Head label, name (`rev_<type>` is the reverse), tail label, `edge_index` int64 (2, e), role,
        a value of `kgrec.schema.Role`.
    """
    train = graph.train
    edge_sets = [
        (str(NodeLabel.USER), INTERACTION_TYPES[Split.TRAIN], str(NodeLabel.ITEM),
         train.user_index, train.item_index, Role.TARGET),
        *(
            (str(r.key.head), r.key.type, str(r.key.tail), r.head_index, r.tail_index, r.role)
            for r in graph.relations
        ),
    ]  # fmt: skip
    for head, kind, tail, heads, tails, role in edge_sets:
        edges = torch.from_numpy(np.stack([heads, tails]))
        yield head, kind, tail, edges, str(role)
        yield tail, f"rev_{kind}", head, edges.flip(0), str(role)


def build_hetero(
    graph: GraphData, text: Mapping[NodeLabel, npt.NDArray[np.float32]] | None = None
) -> HeteroData:
    """Gives the training graph: held-out interactions have no way into it.

    Args:
        graph: The graph in memory.
        text: Per label float32 (n, c) frozen text features.

    Returns:
        HeteroData with node types User, Item, Entity (`num_nodes`, `text`), one edge type per
        relation or behaviour and direction (`edge_index` int64 (2, e), `role`, a value of
        `kgrec.schema.Role`); the reverse is named `rev_<type>`. Neighbours of users are thus items
        through `rev_INTERACTED`.
    """
    from torch_geometric.data import HeteroData  # seconds to import

    data = HeteroData()
    for label in NodeLabel:
        data[str(label)].num_nodes = len(graph.vocabularies[label])
        if text is not None:
            data[str(label)].text = torch.from_numpy(text[label])
    for head, kind, tail, edges, role in typed_edges(graph):
        store = data[head, kind, tail]
        store.edge_index, store.role = edges, role
    return data
