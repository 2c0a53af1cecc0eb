"""What a store holds compared with what it shall hold, by ids, in arrays; and writing that.

Nothing is taken for granted about what is there: a load may have been killed anywhere in it, and
the catalogue may be another dataset's. So all nodes are read, and all edges of every set that the
catalogue of the store, the dataset or the interactions name.

What goes is written first, what is new or changed after it, in idempotent batches. Between any two
the process may be killed. What was written is then right or not yet swept, and the catalogue names
every set of edges that may be there, so that the next comparison finds it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.data.tables import Changes, Dataset
from kgrec.errors import StoreError
from kgrec.ingestion.tables import INTERACTION_KEYS, edge_frame, write_loads
from kgrec.schema import (
    DISPLAY_PROPERTY,
    EDGE_PROPERTIES,
    PUBLISHED_PROPERTIES,
    EdgeKey,
    NodeLabel,
)
from kgrec.store.base import SHADOWED_PROPERTIES, GraphStore
from kgrec.store.blocks import plain_values
from kgrec.store.state import CatalogueEntry, read_relations, write_relations

#: Nodes without id or index that a transaction deletes.
STRAY_ROWS = 1_000
#: Rows a transaction writes, and nodes (with their edges) it deletes.
WRITE_ROWS = 10_000
DELETE_NODES = 1_000

OnRows = Callable[[int], None]

_Indices = npt.NDArray[np.int64]
_Values = npt.NDArray[np.float64]
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
    edge_differences = {
        key: _compare_edges(store, key, edges.get(key), node_differences) for key in sorted(keys)
    }
    return Changes(
        base=None,
        version=dataset.fingerprint,
        nodes={x: nodes.upserts for x, nodes in node_differences.items() if len(nodes.upserts)},
        gone_nodes={x: nodes.removals for x, nodes in node_differences.items() if nodes.removals},
        edges={key: upserts for key, (upserts, _) in edge_differences.items() if len(upserts)},
        gone_edges={key: rest for key, (_, rest) in edge_differences.items() if len(rest)},
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
) -> tuple[_Indices, dict[str, _Values]]:
    """Gives the edges of a set whose ends stay: code (n,) and properties (n,)."""
    row = store.read("count_edge_properties", key=key)[0]
    names = [name for name in EDGE_PROPERTIES if row[name]]
    codes: list[_Indices] = []
    columns: dict[str, list[_Values]] = {name: [] for name in names}
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
    stored_values: Mapping[str, _Values],
    rows: _Indices,
) -> _Mask:
    """Says which edges (n,) carry the same; a missing value is as none.

    Those of the target where its mask is true are compared with the stored ones in rows (n,).
    """
    equal_mask, nothing = np.ones(len(rows), dtype=bool), np.full(len(rows), np.nan)
    for name in EDGE_PROPERTIES:
        of_target = of_stored = nothing
        if name in target:
            of_target = target[name].to_numpy(dtype=np.float64, na_value=np.nan)[target_mask]
        if name in stored_values:
            of_stored = stored_values[name][rows]
        equal_mask &= (of_target == of_stored) | (np.isnan(of_target) & np.isnan(of_stored))
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


def write_changes(
    changes: Changes,
    store: GraphStore,
    catalogue: Sequence[CatalogueEntry],
    on_rows: OnRows,
) -> None:
    """Writes changes; the state of the graph is the caller's business.

    A node that is written loses its text vector, as its text may have changed; what a run made of
    it stays until the next one is published.

    Args:
        changes: The changes.
        store: A store that is open for writing.
        catalogue: The catalogue afterwards.
        on_rows: Called with the number of rows that have just been written.

    Raises:
        StoreError: If an edge has an end that is not there, or edges are left in a set that is no
            longer in the catalogue.
    """
    keys_before = {entry.key for entry in read_relations(store)}
    write_relations(store, catalogue, only=False)
    for key, frame in changes.gone_edges.items():
        for part in _parts(frame):
            store.write("delete_edges", key=key, rows=part[["head", "tail"]].to_numpy().tolist())
            on_rows(len(part))
    for label, ids in changes.gone_nodes.items():
        for start in range(0, len(ids), DELETE_NODES):
            some_ids = ids[start : start + DELETE_NODES]
            store.write("delete_nodes", label=label, ids=some_ids)
            on_rows(len(some_ids))
    for label, frame in changes.nodes.items():
        _write_nodes(store, label, frame, on_rows)
    for key, frame in changes.edges.items():
        _write_edges(store, key, edge_frame(frame), on_rows)
    for key in keys_before - {entry.key for entry in catalogue}:
        if num_left := store.read("count_edges", key=key)[0]["count"]:
            raise StoreError(
                f"{num_left:,} edges are left in {key}, which the changes take out of the "
                f"catalogue; expected none; run kgrec ingest, which compares everything"
            )
    write_relations(store, catalogue)
    write_loads(store, changes.loads)


def _write_nodes(store: GraphStore, label: NodeLabel, frame: pd.DataFrame, on_rows: OnRows) -> None:
    bound = store.read("index_bound", label=label)[0]["bound"]
    display = DISPLAY_PROPERTY[label]
    if display is not None and display not in frame:
        # Without it the embedded engine would show a new node by its id.
        frame = frame.assign(**{display: None})
    names = [str(name) for name in frame.columns if name != "id"]
    untouched = {"id", "index", *PUBLISHED_PROPERTIES} | (SHADOWED_PROPERTIES - {display})
    for part in _parts(frame):
        ids = part["id"].tolist()
        stored_nodes = {row["id"]: row for row in store.read("known_nodes", label=label, ids=ids)}
        values = zip(*(plain_values(part[name]) for name in names), strict=True)
        rows: list[list[Any]] = []
        for key, cells in zip(ids, values if names else [()] * len(ids), strict=True):
            properties = dict(zip(names, cells, strict=True))
            if key in stored_nodes:
                stale = set(stored_nodes[key]["names"]) - untouched  # is given anew or goes
                properties = {**dict.fromkeys(stale), **properties}
            else:
                properties["index"] = bound
                bound += 1
            rows.append([key, properties])
        store.write("upsert_nodes", label=label, rows=rows)
        on_rows(len(rows))


def _write_edges(store: GraphStore, key: EdgeKey, frame: pd.DataFrame, on_rows: OnRows) -> None:
    names = [str(name) for name in frame.columns if name not in {"head", "tail"}]
    for part in _parts(frame):
        cells = zip(*(plain_values(part[name]) for name in names), strict=True)
        maps = [
            {name: value for name, value in zip(names, row, strict=True) if value is not None}
            for row in (cells if names else [()] * len(part))
        ]
        ends = part["head"].tolist(), part["tail"].tolist()
        rows = [list(row) for row in zip(*ends, maps, strict=True)]
        num_written = store.write("upsert_edges", key=key, rows=rows)[0]["written"]
        if num_written != len(rows):
            raise StoreError(
                f"{len(rows) - num_written:,} of {len(rows):,} edges of {key} have an end that is "
                f"not in the graph in {store.uri}; run kgrec ingest, which compares everything"
            )
        on_rows(len(rows))


def _parts(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Gives the rows that a transaction writes."""
    for start in range(0, len(frame), WRITE_ROWS):
        yield frame.iloc[start : start + WRITE_ROWS]
