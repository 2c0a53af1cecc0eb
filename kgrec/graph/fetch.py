"""The store's graph as arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kgrec.errors import StoreError
from kgrec.graph.data import GraphData, IndexArray, Interactions, RelationEdges
from kgrec.schema import EdgeKey, NodeLabel, Role, Split, interaction_key
from kgrec.store.base import GraphStore
from kgrec.store.state import read_relations, read_state, ready_state
from kgrec.vocabulary import Vocabulary

_Columns = dict[str, npt.NDArray[np.float64]]
_BEHAVIOURS = (Role.EVIDENCE, Role.NEGATIVE)


def fetch_graph(store: GraphStore, *, behaviour_properties: bool = False) -> GraphData:
    """Reads the whole graph.

    Nodes come in the order of their ids, edges sorted by head and tail, so that equal data give
    equal arrays from every store and from every order of deliveries. A store's own `index`, which
    depends on that order and may have gaps, is not seen above this.

    Of edges the ratings and times of interactions are read, as far as there are any. What else
    they carry (weights, counts, sessions) no model reads; it stays in the store.

    Args:
        store: Open for reading.
        behaviour_properties: Whether weights and times of behaviours are read as well.

    Raises:
        StoreError: If the graph is empty, a load of it did not end, or it changed meanwhile.
    """
    state = ready_state(store)
    nodes = {label: _by_id(store.export_nodes(label)) for label in NodeLabel}
    positions = {label: _positions(frame) for label, frame in nodes.items()}
    rated = [name for name in ("rating", "time") if name in state.interaction_properties]
    interactions = {}
    for split in Split:
        heads, tails, columns = _edges(store, interaction_key(split), positions, rated)
        interactions[split] = Interactions(heads, tails, columns.get("rating"), columns.get("time"))
    relations = []
    for entry in read_relations(store):
        optional = ("weight", "time") if behaviour_properties and entry.role in _BEHAVIOURS else ()
        properties = [name for name in optional if name in entry.properties]
        heads, tails, columns = _edges(store, entry.key, positions, properties)
        relations.append(
            RelationEdges(
                entry.name, entry.key, heads, tails, entry.role,
                columns.get("weight"), columns.get("time"),
            )
        )  # fmt: skip
    if ready_state(store) != state:
        raise _version_conflict(store)
    return GraphData(
        version=state.version,
        vocabularies={label: Vocabulary(frame["id"], label) for label, frame in nodes.items()},
        properties={label: frame.drop(columns=["id", "index"]) for label, frame in nodes.items()},
        train=interactions.pop(Split.TRAIN),
        held_out=interactions,
        relations=tuple(r for r in relations if r.role is not Role.IDENTITY),
        identities=tuple(r for r in relations if r.role is Role.IDENTITY),
    )


def status(store: GraphStore) -> dict[str, Any]:
    """Counts what is in a store.

    Args:
        store: Open for reading.

    Returns:
        `engine`, `engine_version`, `uri`, `version`, `state` ("empty", "loading", "ready"),
        `nodes` (per label), `interactions` (per split), `behaviours` (per edge set its `role` and
        `count`), `relations` and `identities` (per edge set), `loads` (what was taken in).
    """
    state = read_state(store)
    catalogue = read_relations(store)

    def edges(key: EdgeKey) -> int:
        return int(store.read("count_edges", key=key)[0]["count"])

    def of_role(role: Role) -> dict[str, int]:
        return {str(entry.key): edges(entry.key) for entry in catalogue if entry.role is role}

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
        "behaviours": {
            key: {"role": role.value, "count": count}
            for role in _BEHAVIOURS
            for key, count in of_role(role).items()
        },
        "relations": of_role(Role.RELATION),
        "identities": of_role(Role.IDENTITY),
        "loads": store.read("loads"),
    }


def _by_id(nodes: pd.DataFrame) -> pd.DataFrame:
    order = pc.sort_indices(pa.array(nodes["id"], type=pa.string())).to_numpy()
    return nodes.take(order).reset_index(drop=True)


def _version_conflict(store: GraphStore) -> StoreError:
    return StoreError(
        f"the graph in {store.uri} changed while it was read, so what was read is of two "
        f"versions; read it again"
    )


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
    heads, tails = (
        _placed(store, positions[label], np.concatenate([getattr(block, end) for block in blocks]))
        for label, end in ((key.head, "head_index"), (key.tail, "tail_index"))
    )
    order = np.argsort(heads * np.int64(len(positions[key.tail])) + tails, kind="stable")
    columns = {
        name: np.concatenate([block.properties[name] for block in blocks])[order]
        for name in properties
    }
    return heads[order], tails[order], columns


def _placed(store: GraphStore, positions: IndexArray, index: IndexArray) -> IndexArray:
    in_range = (index >= 0) & (index < len(positions))
    placed = positions[np.where(in_range, index, 0)] if len(positions) else index
    if not in_range.all() or (placed < 0).any():  # a node that came after the nodes were read
        raise _version_conflict(store)
    return placed
