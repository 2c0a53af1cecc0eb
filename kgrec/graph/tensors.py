"""GraphData into torch-geometric's HeteroData."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch_geometric.data import HeteroData

from kgrec.graph.data import GraphData
from kgrec.schema import INTERACTION_TYPES, NodeLabel, Role, Split


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
    data = HeteroData()
    for label in NodeLabel:
        data[str(label)].num_nodes = len(graph.vocabularies[label])
        if text is not None:
            data[str(label)].text = torch.from_numpy(text[label])
    interacted = INTERACTION_TYPES[Split.TRAIN]
    edge_sets = [
        (str(NodeLabel.USER), interacted, str(NodeLabel.ITEM),
         graph.train.user_index, graph.train.item_index, Role.TARGET),
        *(
            (str(r.key.head), r.key.type, str(r.key.tail), r.head_index, r.tail_index, r.role)
            for r in graph.relations
        ),
    ]  # fmt: skip
    for head, kind, tail, heads, tails, role in edge_sets:
        edges = torch.from_numpy(np.stack([heads, tails]))
        for store, index in (
            (data[head, kind, tail], edges),
            (data[tail, f"rev_{kind}", head], edges.flip(0)),
        ):
            store.edge_index, store.role = index, str(role)
    return data
