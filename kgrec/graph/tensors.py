"""GraphData into torch-geometric's HeteroData."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch_geometric.data import HeteroData

from kgrec.graph.data import GraphData
from kgrec.schema import INTERACTION_TYPES, NodeLabel, Split


def build_hetero(
    graph: GraphData, text: Mapping[NodeLabel, npt.NDArray[np.float32]] | None = None
) -> HeteroData:
    """Gives the training graph: held-out interactions have no way into it.

    Args:
        graph: The graph in memory.
        text: Per label float32 (n, c) frozen text features.

    Returns:
        HeteroData with node types User, Item, Entity (`num_nodes`, `text`), one edge type per
        relation and direction (`edge_index` int64 (2, e)); the reverse is named `rev_<type>`.
        Neighbours of users are thus items through `rev_INTERACTED`.
    """
    data = HeteroData()
    for label in NodeLabel:
        data[str(label)].num_nodes = len(graph.vocabularies[label])
        if text is not None:
            data[str(label)].text = torch.from_numpy(text[label])
    interacted = INTERACTION_TYPES[Split.TRAIN]
    edge_sets = [
        (str(NodeLabel.USER), interacted, str(NodeLabel.ITEM),
         graph.train.user_index, graph.train.item_index),
        *(
            (str(r.key.head), r.key.type, str(r.key.tail), r.head_index, r.tail_index)
            for r in graph.relations
        ),
    ]  # fmt: skip
    for head, kind, tail, heads, tails in edge_sets:
        edges = torch.from_numpy(np.stack([heads, tails]))
        data[head, kind, tail].edge_index = edges
        data[tail, f"rev_{kind}", head].edge_index = edges.flip(0)
    return data
