"""What a store holds compared with what it shall hold, by ids, in arrays.

Nothing is taken for granted about what is there: a load may have been killed anywhere in it, and
the catalogue may be another dataset's. So all nodes are read, and all edges of every set that the
catalogue of the store, the dataset or the interactions name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.data.tables import Changes, Dataset
from kgrec.errors import StoreError
from kgrec.ingestion.tables import INTERACTION_KEYS
from kgrec.schema import EDGE_PROPERTIES, EdgeKey, NodeLabel
from kgrec.store.base import GraphStore
from kgrec.store.blocks import plain_values
from kgrec.store.state import CatalogueEntry, read_relations

#: Nodes without id or index that a transaction deletes.
STRAY_ROWS = 1_000

_Indices = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]


def difference(
    dataset: Dataset,
    store: GraphStore,
    nodes: Mapping[NodeLabel, pd.DataFrame],
    edges: Mapping[EdgeKey, pd.DataFrame],
    catalogue: tuple[CatalogueEntry, ...],
) -> Changes:
    """Compares a store with a dataset; deletes nodes that cannot be compared, as they lack an id.

    Args:
        dataset: The dataset.
        store: A store that is open for writing.
        nodes: Its nodes as `node_frames` gives them.
        edges: Its edges as `edge_frame` gives them.
        catalogue: Its catalogue.

    Returns:
        What is to be written and removed.
    """
    node_differences = {
        label: _compare_nodes(store, label, frame) for label, frame in nodes.items()
    }
    keys = {entry.key for entry in read_relations(store)} | set(INTERACTION_KEYS) | set(edges)
    upserts, removals = {}, {}
    for key in sorted(keys):
        edge_upserts, edge_removals = _compare_edges(store, key, edges.get(key), node_differences)
        if len(edge_upserts):
            upserts[key] = edge_upserts
        if len(edge_removals):
            removals[key] = edge_removals
    return Changes(
        base=None,
        version=dataset.fingerprint,
        nodes={
            label: node_difference.upserts
            for label, node_difference in node_differences.items()
            if len(node_difference.upserts)
        },
        gone_nodes={
            label: node_difference.removals
            for label, node_difference in node_differences.items()
            if node_difference.removals
        },
        edges=upserts,
        gone_edges=removals,
        catalogue=tuple((entry.name, entry.key, entry.role) for entry in catalogue),
        loads=dataset.loads,
    )


@dataclass(frozen=True)
class _NodeDifference:
    """The nodes of one label, compared.

    Attributes:
        ids: object (n,), the ids that shall be there.
        place: int64 (m,), the position in `ids` by the index in the store; -1 where there is none.
        upserts: What is to be written, without `index`.
        removals: Ids that are to be removed.
    """

    ids: npt.NDArray[np.object_]
    place: _Indices
    upserts: pd.DataFrame
    removals: list[str]


def _compare_nodes(store: GraphStore, label: NodeLabel, frame: pd.DataFrame) -> _NodeDifference:
    frame = frame.drop(columns="index")
    ids = frame["id"].to_numpy(dtype=object)
    num_deleted = STRAY_ROWS
    while num_deleted == STRAY_ROWS:
        num_deleted = store.write("delete_strays", label=label, limit=STRAY_ROWS)[0]["deleted"]
    stored_nodes = store.export_nodes(label, provenance=True)
    # Edges are exported by index; of nodes that share one nobody could tell whose they are.
    shares_index = stored_nodes["index"].duplicated(keep=False).to_numpy()
    positions = pd.Index(ids).get_indexer(pd.Index(stored_nodes["id"].to_numpy(dtype=object)))
    keep_mask = (positions >= 0) & ~shares_index
    index = stored_nodes["index"].to_numpy()
    place = np.full(int(index.max()) + 1 if len(index) else 0, -1, dtype=np.int64)
    place[index[keep_mask]] = positions[keep_mask]
    upsert_mask = np.ones(len(ids), dtype=bool)
    upsert_mask[positions[keep_mask]] = _differ(
        frame.iloc[positions[keep_mask]], stored_nodes[keep_mask].drop(columns=["id", "index"])
    )
    removals = stored_nodes["id"].to_numpy(dtype=object)[~keep_mask].tolist()
    return _NodeDifference(ids, place, frame[upsert_mask].reset_index(drop=True), removals)


def _differ(target: pd.DataFrame, stored_nodes: pd.DataFrame) -> _Mask:
    """Says which rows (n,) of two frames differ in any property; a missing one is as none."""
    difference_mask = np.zeros(len(target), dtype=bool)
    for name in set(target.columns) - {"id"} | set(stored_nodes.columns):
        target_values, stored_values = (
            np.fromiter(
                plain_values(frame[name]) if name in frame else [None] * len(difference_mask),
                dtype=object,
                count=len(difference_mask),
            )
            for frame in (target, stored_nodes)
        )
        difference_mask |= target_values != stored_values
    return difference_mask


def _compare_edges(
    store: GraphStore,
    key: EdgeKey,
    frame: pd.DataFrame | None,
    nodes: Mapping[NodeLabel, _NodeDifference],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Gives the edges of a set that are to be written and those that are to be removed."""
    heads, tails = nodes[key.head], nodes[key.tail]
    width = np.int64(max(len(tails.ids), 1))
    stored_codes, columns = _stored_edges(store, key, heads.place, tails.place, width)
    unique, first, counts = np.unique(stored_codes, return_index=True, return_counts=True)
    # What is there more than once is removed and, if it shall be there, written anew.
    single_mask = counts == 1
    if frame is None:
        frame = pd.DataFrame({"head": [], "tail": []}, dtype=np.int64)
    target_codes = frame["head"].to_numpy(np.int64) * width + frame["tail"].to_numpy(np.int64)
    places = np.searchsorted(unique, target_codes)
    equal_mask = places < len(unique)
    at = places[equal_mask]
    equal_mask[equal_mask] = (unique[at] == target_codes[equal_mask]) & single_mask[at]
    keep_mask = np.zeros(len(unique), dtype=bool)
    keep_mask[places[equal_mask]] = True
    equal_mask[equal_mask] = _equal(frame, equal_mask, columns, first[places[equal_mask]])
    upserts, removal_codes = frame[~equal_mask], unique[~keep_mask]
    pairs = pd.DataFrame({"head": removal_codes // width, "tail": removal_codes % width})
    return _with_ids(upserts, heads.ids, tails.ids), _with_ids(pairs, heads.ids, tails.ids)


def _stored_edges(
    store: GraphStore, key: EdgeKey, heads: _Indices, tails: _Indices, width: np.int64
) -> tuple[_Indices, dict[str, npt.NDArray[np.float64]]]:
    """Gives the edges of a set whose ends stay: code (n,) and properties (n,)."""
    row = store.read("count_edge_properties", key=key)[0]
    names = [name for name in EDGE_PROPERTIES if row[name]]
    codes: list[_Indices] = []
    columns: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in names}
    for block in store.export_edges(key, names):
        if block.head_index.max() >= len(heads) or block.tail_index.max() >= len(tails):
            raise StoreError(
                f"the graph in {store.uri} changed while it was compared; run kgrec ingest again, "
                f"one at a time"
            )
        head, tail = heads[block.head_index], tails[block.tail_index]
        keep_mask = (head >= 0) & (tail >= 0)
        codes.append(head[keep_mask] * width + tail[keep_mask])
        for name in names:
            columns[name].append(block.properties[name][keep_mask])
    if not codes:
        return np.empty(0, dtype=np.int64), {}
    return np.concatenate(codes), {name: np.concatenate(part) for name, part in columns.items()}


def _equal(
    target: pd.DataFrame,
    target_mask: _Mask,
    stored_values: Mapping[str, npt.NDArray[np.float64]],
    rows: _Indices,
) -> _Mask:
    """Says which edges carry the same; a missing value is as none.

    Args:
        target: Edges that shall be there.
        target_mask: bool, which of them to compare, n in all.
        stored_values: Properties of the edges that are there.
        rows: int64 (n,), with which of these to compare them.

    Returns:
        bool (n,).
    """
    equal_mask = np.ones(len(rows), dtype=bool)
    for name in EDGE_PROPERTIES:
        if name in target and name in stored_values:
            target_column = target[name].to_numpy(dtype=np.float64, na_value=np.nan)[target_mask]
            stored_column = stored_values[name][rows]
            equal_mask &= (target_column == stored_column) | (
                np.isnan(target_column) & np.isnan(stored_column)
            )
        elif name in target:
            equal_mask &= target[name].isna().to_numpy()[target_mask]
        elif name in stored_values:
            equal_mask &= np.isnan(stored_values[name][rows])
    return equal_mask


def _with_ids(
    edges: pd.DataFrame, heads: npt.NDArray[np.object_], tails: npt.NDArray[np.object_]
) -> pd.DataFrame:
    """Gives edges with ids as their ends."""
    ends = {
        end: pd.Series(ids[edges[end].to_numpy()], index=edges.index, dtype=object)
        for end, ids in (("head", heads), ("tail", tails))
    }
    return edges.assign(**ends).reset_index(drop=True)
