"""A graph in which users are items and items users, for whatever is learned of users alone."""

from dataclasses import replace

from kgrec.graph.data import GraphData, Interactions, RelationEdges
from kgrec.graph.synthetic import SyntheticEdges
from kgrec.schema import EdgeKey, NodeLabel
from kgrec.vocabulary import Vocabulary

_MIRROR = {
    NodeLabel.USER: NodeLabel.ITEM,
    NodeLabel.ITEM: NodeLabel.USER,
    NodeLabel.ENTITY: NodeLabel.ENTITY,
}


def mirrored(graph: GraphData) -> GraphData:
    """Gives the same graph seen from the items; mirrored twice it is as it was.

    What an item has are the users who took it. Edges between users and items still lead from who
    is called user to who is called item. Ratings and times stay out: nobody asks when an item took
    its users, nor how it liked them.

    Args:
        graph: Its train interactions and relations are kept, held-out ones are not.
    """
    return replace(
        graph,
        vocabularies={
            label: Vocabulary(graph.vocabularies[source].ids, label)
            for label, source in _MIRROR.items()
        },
        properties={
            label: graph.properties[source]
            for label, source in _MIRROR.items()
            if source in graph.properties
        },
        train=Interactions(graph.train.item_index, graph.train.user_index),
        held_out={},
        relations=tuple(_mirrored(edges) for edges in graph.relations),
        identities=(),
    )


def mirrored_edges(edges: SyntheticEdges) -> SyntheticEdges:
    """Gives edges of a mirrored graph as those of the graph, or the other way round."""
    return replace(edges, user_index=edges.item_index, item_index=edges.user_index)


def _mirrored(edges: RelationEdges) -> RelationEdges:
    head, tail = _MIRROR[edges.key.head], _MIRROR[edges.key.tail]
    if {head, tail} == {NodeLabel.USER, NodeLabel.ITEM}:
        return replace(edges, head_index=edges.tail_index, tail_index=edges.head_index)
    return replace(edges, key=EdgeKey(edges.key.type, head, tail))
