"""How many items an entity has, by relation."""

import numpy as np

from kgrec.graph.data import GraphData
from kgrec.schema import NodeLabel


def items_per_entity(graph: GraphData) -> dict[str, float]:
    """Gives by relationship type how many items an entity has on average; few tell more.

    Reviews and queries are left out: they are no knowledge to give reasons with, and may be
    somebody else's words.
    """
    is_knowledge = ~graph.text_entities()
    edges: dict[str, list[tuple[int, int]]] = {}
    for relation in graph.relations:
        ends = {relation.key.head: relation.head_index, relation.key.tail: relation.tail_index}
        if NodeLabel.ENTITY in ends and NodeLabel.ITEM in ends:
            entity = ends[NodeLabel.ENTITY]
            entity = entity[is_knowledge[entity]]
            if len(entity):
                count = (len(entity), len(np.unique(entity)))
                edges.setdefault(relation.key.type, []).append(count)
    return {
        kind: sum(count for count, _ in pairs) / sum(entities for _, entities in pairs)
        for kind, pairs in edges.items()
    }
