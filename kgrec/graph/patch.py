"""A graph in memory brought to the next version by what was taken in, without reading it again.

What comes out is, bit by bit, what `fetch_graph` would read from a store that holds the next
version: nodes in the order of their ids, edges sorted by head and tail.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kgrec.data.tables import Changes
from kgrec.graph.data import GraphData, IndexArray, Interactions, RelationEdges
from kgrec.schema import EdgeKey, NodeLabel, Role, Split, interaction_key
from kgrec.store.base import GraphStore
from kgrec.store.state import read_relations, ready_state
from kgrec.vocabulary import Vocabulary

_Column = npt.NDArray[np.float64]


def patched(graph: GraphData, changes: Changes) -> GraphData | None:
    """Gives a graph at the version that changes lead to.

    Args:
        graph: As `fetch_graph` gave it.
        changes: What was taken in, named by ids.

    Returns:
        The graph; None if it has to be read: the changes apply to another version, remove nodes,
        or say more of nodes than that they are there.
    """
    node_columns = {name for frame in changes.nodes.values() for name in frame.columns}
    if changes.base != graph.version or changes.gone_nodes or not node_columns <= {"id", "load"}:
        return None
    extended = {
        label: _with_nodes(graph, label, changes.nodes.get(label)) for label in graph.vocabularies
    }
    if any(part is None for part in extended.values()):
        return None
    nodes = {label: part for label, part in extended.items() if part is not None}
    splits = {Split.TRAIN: graph.train, **graph.held_out}
    carried = _carried(graph, changes)
    interactions = {}
    for split, old in splits.items():
        before = {name: getattr(old, name) for name in carried}
        columns = {
            name: np.full(len(old), np.nan) if x is None else x for name, x in before.items()
        }
        heads, tails, columns = _with_edges(
            (old.user_index, old.item_index, columns), interaction_key(split), changes, nodes
        )
        interactions[split] = Interactions(heads, tails, columns.get("rating"), columns.get("time"))
    return GraphData(
        version=changes.version,
        vocabularies={label: part.vocabulary for label, part in nodes.items()},
        properties={label: part.properties for label, part in nodes.items()},
        train=interactions.pop(Split.TRAIN),
        held_out=interactions,
        relations=_with_relations(graph, changes, nodes, identities=False),
        identities=_with_relations(graph, changes, nodes, identities=True),
    )


def is_current(graph: GraphData, store: GraphStore) -> bool:
    """Whether reading a store would give this graph: version, catalogue and columns are the same.

    Edits by hand, which leave the version as it is, are not seen.

    Raises:
        StoreError: If the graph in the store is not whole.
    """
    state = ready_state(store)
    columns = {name for name in ("rating", "time") if getattr(graph.train, name) is not None}
    catalogue = sorted(
        (edges.key, edges.name, edges.role) for edges in graph.relations + graph.identities
    )
    stored = sorted((entry.key, entry.name, entry.role) for entry in read_relations(store))
    return (
        state.version == graph.version
        and columns == {"rating", "time"} & set(state.interaction_properties)
        and catalogue == stored
    )


@dataclass(frozen=True, eq=False)
class _Nodes:
    """The nodes of a label.

    Attributes:
        vocabulary: Their ids.
        properties: Row i describes node i.
        places: int64 (n,), where the old ones stand now, ascending.
    """

    vocabulary: Vocabulary
    properties: pd.DataFrame
    places: IndexArray


def _with_nodes(graph: GraphData, label: NodeLabel, frame: pd.DataFrame | None) -> _Nodes | None:
    """The nodes of a label and new ones, of which nothing is known; None if one was there."""
    old, properties = graph.vocabularies[label], graph.properties[label]
    if frame is None or not len(frame):
        return _Nodes(old, properties, np.arange(len(old), dtype=np.int64))
    fresh = frame["id"].tolist()
    if any(key in old for key in fresh):
        return None  # it is written anew, without what it had
    ids = np.array([*old.ids, *fresh], dtype=object)
    order = pc.sort_indices(pa.array(ids, type=pa.string())).to_numpy()
    places = np.empty(len(ids), dtype=np.int64)
    places[order] = np.arange(len(ids))
    columns = {}
    for name in properties.columns:
        values = [*properties[name].tolist(), *[None] * len(fresh)]
        columns[name] = pd.Series([values[at] for at in order.tolist()])
    return _Nodes(
        Vocabulary(ids[order], label),
        pd.DataFrame(columns, index=pd.RangeIndex(len(ids)), columns=properties.columns),
        places[: len(old)],
    )


def _carried(graph: GraphData, changes: Changes) -> tuple[str, ...]:
    """What any interaction has afterwards, or had once, of what is read."""
    none = pd.DataFrame()
    frames = [changes.edges.get(interaction_key(split), none) for split in Split]
    return tuple(
        name
        for name in ("rating", "time")
        if getattr(graph.train, name) is not None
        or any(name in frame and frame[name].notna().any() for frame in frames)
    )


def _with_relations(
    graph: GraphData, changes: Changes, nodes: Mapping[NodeLabel, _Nodes], *, identities: bool
) -> tuple[RelationEdges, ...]:
    old = {edges.key: edges for edges in graph.relations + graph.identities}
    empty = np.empty(0, dtype=np.int64)
    relations = []
    for name, key, role in sorted(changes.catalogue, key=lambda entry: entry[1]):
        if (role is Role.IDENTITY) is not identities:
            continue
        before = old.get(key)
        ends = (empty, empty) if before is None else (before.head_index, before.tail_index)
        heads, tails, _ = _with_edges((*ends, {}), key, changes, nodes)
        relations.append(RelationEdges(name, key, heads, tails, role))
    return tuple(relations)


def _with_edges(
    edges: tuple[IndexArray, IndexArray, dict[str, _Column]],
    key: EdgeKey,
    changes: Changes,
    nodes: Mapping[NodeLabel, _Nodes],
) -> tuple[IndexArray, IndexArray, dict[str, _Column]]:
    """An edge set after the changes: heads (n,), tails (n,) and columns (n,), sorted as before."""
    heads, tails, columns = edges
    width = np.int64(max(len(nodes[key.tail].vocabulary), 1))
    # Old nodes keep their order, so what was sorted stays sorted.
    codes = nodes[key.head].places[heads] * width + nodes[key.tail].places[tails]
    upserts, deletions = changes.edges.get(key), changes.gone_edges.get(key)
    stale = np.concatenate([_codes(frame, key, nodes, width) for frame in (upserts, deletions)])
    if len(stale):
        keep = ~np.isin(codes, stale)
        codes = codes[keep]
        columns = {name: column[keep] for name, column in columns.items()}
    if upserts is not None and len(upserts):
        fresh = _codes(upserts, key, nodes, width)
        order = np.argsort(fresh, kind="stable")
        at = np.searchsorted(codes, fresh[order])
        codes = np.insert(codes, at, fresh[order])
        columns = {
            name: np.insert(column, at, _numbers(upserts, name)[order])
            for name, column in columns.items()
        }
    return codes // width, codes % width, columns


def _codes(
    frame: pd.DataFrame | None, key: EdgeKey, nodes: Mapping[NodeLabel, _Nodes], width: np.int64
) -> IndexArray:
    """Where the ends of edges stand, int64 (n,): head times width plus tail."""
    if frame is None or not len(frame):
        return np.empty(0, dtype=np.int64)
    heads = nodes[key.head].vocabulary.indices(frame["head"].tolist())
    tails = nodes[key.tail].vocabulary.indices(frame["tail"].tolist())
    return heads * width + tails


def _numbers(frame: pd.DataFrame, name: str) -> _Column:
    if name not in frame:
        return np.full(len(frame), np.nan)
    return frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
