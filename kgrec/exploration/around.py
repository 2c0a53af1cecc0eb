"""What lies around nodes."""

from collections import Counter
from collections.abc import Mapping, Sequence

from kgrec.errors import ConfigError, VocabularyError
from kgrec.exploration.subgraph import Builder, Key, Part, Subgraph
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.training.directory import Run

#: Hops beyond which a neighbourhood is the whole graph, and no picture.
_MOST_HOPS = 3
#: Edges that each node of a hop may have at least; those to the least connected nodes come first.
_FEWEST_EACH = 10


def fetch_subgraph(
    store: GraphStore,
    *,
    users: Sequence[str] = (),
    items: Sequence[str] = (),
    entities: Sequence[str] = (),
    hops: int = 1,
    most_edges: int = 200,
    run: Run | None = None,
) -> Subgraph:
    """Reads what lies around nodes.

    Args:
        store: Open for reading.
        users: Ids of users in the middle.
        items: Ids of items in the middle.
        entities: Ids of entities in the middle.
        hops: How far to go.
        most_edges: At most so many edges a hop, those to the least connected nodes first.
        run: A run on this graph: gives edges the weights it learned, and nameless entities names.

    Raises:
        ConfigError: If nothing is in the middle, or hops or most_edges are out of range.
        VocabularyError: If the graph has no such node.
        StoreError: If the store fails.
    """
    middle = {NodeLabel.USER: users, NodeLabel.ITEM: items, NodeLabel.ENTITY: entities}
    _check(middle, hops, most_edges)
    builder = builder_of(run)
    for label, ids in middle.items():
        _refuse_unknown(store, label, ids)
        for node_id in ids:
            builder.node(label, node_id, part=Part.CENTER)
    center_names = [data["name"] for _, data in builder.graph.nodes(data=True)]
    visited: set[Key] = set()
    complete = True
    for _ in range(hops):
        fringe = [key for key in builder.graph if key not in visited]
        if not fringe:
            break
        visited.update(fringe)
        complete &= _grow(store, builder, fringe, most_edges)
    names = ", ".join(center_names[:3]) + (
        f" and {len(center_names) - 3} more" if len(center_names) > 3 else ""
    )
    return builder.finished(f"Around {names}", complete=complete)


def builder_of(run: Run | None) -> Builder:
    """Gives an empty builder that knows a run's names and weights."""
    if run is None:
        return Builder()
    names = {
        label: dict(zip(vocabulary.ids, run.names[label], strict=True))
        for label, vocabulary in run.vocabularies.items()
    }
    return Builder(names, run.record.relation_weights)


def _grow(store: GraphStore, builder: Builder, fringe: Sequence[Key], most: int) -> bool:
    """Adds the edges around nodes; says whether all of them surely fitted."""
    nodes = [[builder.graph.nodes[key][name] for name in ("label", "id")] for key in fringe]
    per_node = max(_FEWEST_EACH, -(-most // len(nodes)))
    rows = store.read("subgraph", nodes=nodes, per_node=per_node, limit=most + 1)
    touched: Counter[Key] = Counter()
    for row in rows[:most]:
        head, tail = (
            builder.node(row[f"{end}_label"], row[end], row[f"{end}_name"])
            for end in ("head", "tail")
        )
        builder.edge(head, tail, row["type"])
        touched.update((head, tail))
    return len(rows) <= most and all(touched[key] < per_node for key in fringe)


def _check(middle: Mapping[NodeLabel, Sequence[str]], hops: int, most: int) -> None:
    if not any(middle.values()):
        raise ConfigError("nothing to look at: name a user, an item or an entity by its id")
    if not 1 <= hops <= _MOST_HOPS or most < 1:
        raise ConfigError(
            f"expected 1 to {_MOST_HOPS} hops and 1 edge or more, got {hops} and {most}; try 1 and "
            f"200"
        )


def _refuse_unknown(store: GraphStore, label: NodeLabel, ids: Sequence[str]) -> None:
    if not ids:
        return
    known_ids = {row["id"] for row in store.read("known_nodes", label=label, ids=list(ids))}
    for node_id in ids:
        if node_id not in known_ids:
            raise VocabularyError(
                f"no {label} has the id {node_id!r} in {store.uri}; check the id, or ingest it"
            )
