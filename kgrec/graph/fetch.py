"""The store's graph as arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.errors import StoreError
from kgrec.graph.data import GraphData, IndexArray, Interactions, RelationEdges
from kgrec.schema import EdgeKey, NodeLabel, Split, interaction_key
from kgrec.store.base import GraphStore
from kgrec.store.state import read_relations, read_state, ready_state
from kgrec.vocabulary import Vocabulary

_Columns = dict[str, npt.NDArray[np.float64]]


def fetch_graph(store: GraphStore) -> GraphData:
    """Reads the whole graph.

    Nodes come in the order of their `index`, edges sorted by head and tail, so that equal data
    give equal arrays from every store.

    Raises:
        StoreError: If the graph is empty, a load of it did not end, or it changed meanwhile.
    """
    state = ready_state(store)
    nodes = {label: store.export_nodes(label) for label in NodeLabel}
    positions = {label: _positions(frame) for label, frame in nodes.items()}

    interactions = {}
    for split in Split:
        heads, tails, columns = _edges(
            store, interaction_key(split), positions, state.interaction_properties
        )
        interactions[split] = Interactions(heads, tails, columns.get("rating"), columns.get("time"))
    relations = []
    for name, key in read_relations(store):
        heads, tails, _ = _edges(store, key, positions)
        relations.append(RelationEdges(name, key, heads, tails))
    if ready_state(store) != state:
        raise StoreError(
            f"the graph in {store.uri} changed while it was read, so what was read is of two "
            f"versions; read it again"
        )
    return GraphData(
        version=state.version,
        vocabularies={label: Vocabulary(frame["id"], label) for label, frame in nodes.items()},
        properties={label: frame.drop(columns=["id", "index"]) for label, frame in nodes.items()},
        train=interactions.pop(Split.TRAIN),
        held_out=interactions,
        relations=tuple(relations),
    )


def graph_summary(store: GraphStore) -> dict[str, Any]:
    """Counts what is in a store, for `kgrec status`.

    Returns:
        `engine`, `engine_version`, `uri`, `version`, `state` ("empty", "loading", "ready"),
        `nodes` (per label), `interactions` (per split) and `relations` (per edge set).
    """
    state = read_state(store)
    relations = read_relations(store)

    def edges(key: EdgeKey) -> int:
        return int(store.read("count_edges", key=key)[0]["count"])

    return {
        "engine": store.capabilities.engine,
        "engine_version": store.capabilities.version,
        "uri": store.uri,
        "version": state.version if state else None,
        "state": state.state if state else "empty",
        "nodes": {
            label.value: int(store.read("count_nodes", label=label)[0]["count"])
            for label in NodeLabel
        },
        "interactions": {split.value: edges(interaction_key(split)) for split in Split},
        "relations": {str(key): edges(key) for _, key in relations},
    }


def _positions(nodes: pd.DataFrame) -> IndexArray:
    """Where the node with each `index` stands; -1 for an index that no node has."""
    index = nodes["index"].to_numpy(dtype=np.int64)
    positions = np.full(int(index.max()) + 1 if len(index) else 0, -1, dtype=np.int64)
    positions[index] = np.arange(len(index))
    return positions


def _edges(
    store: GraphStore,
    key: EdgeKey,
    positions: Mapping[NodeLabel, IndexArray],
    properties: Sequence[str] = (),
) -> tuple[IndexArray, IndexArray, _Columns]:
    """Heads (n,), tails (n,) and property columns (n,) of an edge set, sorted by head, tail."""
    blocks = list(store.export_edges(key, properties))
    if not blocks:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty.copy(), {name: np.empty(0) for name in properties}
    heads = positions[key.head][np.concatenate([block.head_index for block in blocks])]
    tails = positions[key.tail][np.concatenate([block.tail_index for block in blocks])]
    order = np.argsort(heads * np.int64(len(positions[key.tail])) + tails, kind="stable")
    columns = {
        name: np.concatenate([block.properties[name] for block in blocks])[order]
        for name in properties
    }
    return heads[order], tails[order], columns
