"""A graph's relations over its items: as rows, and how many items an entity has."""

import numpy as np
import torch

from kgrec.graph.data import GraphData, IndexArray, RelationEdges
from kgrec.model.incidence import Incidence, RelationRows
from kgrec.schema import NodeLabel, Role


def relation_rows(graph: GraphData) -> list[RelationRows]:
    """Gives each relation, and each behaviour that speaks for items, as rows over the items.

    An entity's row has the items it is connected to by the relation, in either direction; for a
    relation between items, an item's row has itself and its neighbours; for a behaviour, a user's
    row has the items of it. What users are told by (a country, whom they follow) has no items, and
    what they turned down does not say which items go together: neither gives rows. Nor does a
    relation without a row of two items (the reviews, each of one).

    A behaviour that is named like a relation gets its role behind its name.
    """
    parts: dict[tuple[str, Role], list[tuple[IndexArray, IndexArray, int]]] = {}
    for relation in graph.relations:
        entry = _rows_of(relation, graph)
        if entry is not None and len(relation):
            parts.setdefault((relation.name, relation.role), []).append(entry)
    names = {name for name, role in parts if role is Role.RELATION}
    out = []
    for (name, role), entries in sorted(parts.items()):
        offsets = np.cumsum([0, *(size for *_, size in entries)])
        owner = np.concatenate(
            [part[0] + offset for part, offset in zip(entries, offsets, strict=False)]
        )
        member = np.concatenate([part[1] for part in entries])
        by_user = role is Role.EVIDENCE
        if by_user:
            count = graph.num_users
        else:  # rows of no item say nothing; keeping them would only cost memory
            owners, owner = np.unique(owner, return_inverse=True)
            count = len(owners)
        rows = Incidence.from_pairs(
            torch.from_numpy(owner), torch.from_numpy(member), count, graph.num_items
        )
        if int(rows.lengths.max()) > 1:
            called = f"{name}_{role}" if by_user and name in names else name
            out.append(RelationRows(called, rows, by_user))
    return out


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


def _rows_of(edges: RelationEdges, graph: GraphData) -> tuple[IndexArray, IndexArray, int] | None:
    """Gives owners of rows (n,), items (n,) and the number of owners; None if there are none."""
    head, tail = edges.head_index, edges.tail_index
    ends = edges.key.head, edges.key.tail
    if edges.role is Role.EVIDENCE:
        return head, tail, graph.num_users
    if edges.role is not Role.RELATION:
        return None
    if ends == (NodeLabel.ITEM, NodeLabel.ITEM):
        every = np.unique(np.concatenate([head, tail]))
        pairs = np.concatenate([head, tail, every]), np.concatenate([tail, head, every])
        return *pairs, graph.num_items
    if ends == (NodeLabel.ITEM, NodeLabel.ENTITY):
        return tail, head, graph.num_entities
    if ends == (NodeLabel.ENTITY, NodeLabel.ITEM):
        return head, tail, graph.num_entities
    return None
