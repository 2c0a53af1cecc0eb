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
    compared = {label: _compare_nodes(store, label, frame) for label, frame in nodes.items()}
    known = {entry.key for entry in read_relations(store)} | set(INTERACTION_KEYS) | set(edges)
    written, gone = {}, {}
    for key in sorted(known):
        wanted, unwanted = _compare_edges(store, key, edges.get(key), compared)
        if len(wanted):
            written[key] = wanted
        if len(unwanted):
            gone[key] = unwanted
    return Changes(
        base=None,
        version=dataset.fingerprint,
        nodes={label: found.changed for label, found in compared.items() if len(found.changed)},
        gone_nodes={label: found.gone for label, found in compared.items() if found.gone},
        edges=written,
        gone_edges=gone,
        catalogue=tuple((entry.name, entry.key, entry.role) for entry in catalogue),
        loads=dataset.loads,
    )


@dataclass(frozen=True)
class _Nodes:
    """The nodes of one label, compared.

    Attributes:
        ids: object (n,), the ids that shall be there.
        place: int64 (m,), the position in `ids` by the index in the store; -1 where there is none.
        changed: What is to be written, without `index`.
        gone: Ids that are to be removed.
    """

    ids: npt.NDArray[np.object_]
    place: _Indices
    changed: pd.DataFrame
    gone: list[str]


def _compare_nodes(store: GraphStore, label: NodeLabel, frame: pd.DataFrame) -> _Nodes:
    frame = frame.drop(columns="index")
    ids = frame["id"].to_numpy(dtype=object)
    deleted = STRAY_ROWS
    while deleted == STRAY_ROWS:
        deleted = store.write("delete_strays", label=label, limit=STRAY_ROWS)[0]["deleted"]
    stored = store.export_nodes(label, provenance=True)
    # Edges are exported by index; of nodes that share one nobody could tell whose they are.
    shared = stored["index"].duplicated(keep=False).to_numpy()
    found = pd.Index(ids).get_indexer(pd.Index(stored["id"].to_numpy(dtype=object)))
    kept = (found >= 0) & ~shared
    index = stored["index"].to_numpy()
    place = np.full(int(index.max()) + 1 if len(index) else 0, -1, dtype=np.int64)
    place[index[kept]] = found[kept]
    changed = np.ones(len(ids), dtype=bool)
    changed[found[kept]] = _differ(
        frame.iloc[found[kept]], stored[kept].drop(columns=["id", "index"])
    )
    gone = stored["id"].to_numpy(dtype=object)[~kept].tolist()
    return _Nodes(ids, place, frame[changed].reset_index(drop=True), gone)


def _differ(wanted: pd.DataFrame, stored: pd.DataFrame) -> _Mask:
    """Says which rows (n,) of two frames differ in any property; a missing one is as none."""
    found = np.zeros(len(wanted), dtype=bool)
    for name in set(wanted.columns) - {"id"} | set(stored.columns):
        one, other = (
            np.fromiter(
                plain_values(frame[name]) if name in frame else [None] * len(found),
                dtype=object,
                count=len(found),
            )
            for frame in (wanted, stored)
        )
        found |= one != other
    return found


def _compare_edges(
    store: GraphStore,
    key: EdgeKey,
    frame: pd.DataFrame | None,
    nodes: Mapping[NodeLabel, _Nodes],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Gives the edges of a set that are to be written and those that are to be removed."""
    heads, tails = nodes[key.head], nodes[key.tail]
    width = np.int64(max(len(tails.ids), 1))
    codes, columns = _stored_edges(store, key, heads.place, tails.place, width)
    unique, first, counts = np.unique(codes, return_index=True, return_counts=True)
    # What is there more than once is removed and, if it shall be there, written anew.
    once = counts == 1
    if frame is None:
        frame = pd.DataFrame({"head": [], "tail": []}, dtype=np.int64)
    wanted = frame["head"].to_numpy(np.int64) * width + frame["tail"].to_numpy(np.int64)
    at = np.searchsorted(unique, wanted)
    same = at < len(unique)
    same[same] = (unique[at[same]] == wanted[same]) & once[at[same]]
    meant = np.zeros(len(unique), dtype=bool)
    meant[at[same]] = True
    same[same] = _equal(frame, same, columns, first[at[same]])
    new, gone = frame[~same], unique[~meant]
    pairs = pd.DataFrame({"head": gone // width, "tail": gone % width})
    return _named(new, heads.ids, tails.ids), _named(pairs, heads.ids, tails.ids)


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
        kept = (head >= 0) & (tail >= 0)
        codes.append(head[kept] * width + tail[kept])
        for name in names:
            columns[name].append(block.properties[name][kept])
    if not codes:
        return np.empty(0, dtype=np.int64), {}
    return np.concatenate(codes), {name: np.concatenate(part) for name, part in columns.items()}


def _equal(
    wanted: pd.DataFrame,
    chosen: _Mask,
    stored: Mapping[str, npt.NDArray[np.float64]],
    rows: _Indices,
) -> _Mask:
    """Says which edges carry the same; a missing value is as none.

    Args:
        wanted: Edges that shall be there.
        chosen: bool, which of them to compare, n in all.
        stored: Properties of the edges that are there.
        rows: int64 (n,), with which of these to compare them.

    Returns:
        bool (n,).
    """
    found = np.ones(len(rows), dtype=bool)
    for name in EDGE_PROPERTIES:
        if name in wanted and name in stored:
            one = wanted[name].to_numpy(dtype=np.float64, na_value=np.nan)[chosen]
            other = stored[name][rows]
            found &= (one == other) | (np.isnan(one) & np.isnan(other))
        elif name in wanted:
            found &= wanted[name].isna().to_numpy()[chosen]
        elif name in stored:
            found &= np.isnan(stored[name][rows])
    return found


def _named(
    edges: pd.DataFrame, heads: npt.NDArray[np.object_], tails: npt.NDArray[np.object_]
) -> pd.DataFrame:
    """Gives edges with ids as their ends."""
    ends = {
        end: pd.Series(ids[edges[end].to_numpy()], index=edges.index, dtype=object)
        for end, ids in (("head", heads), ("tail", tails))
    }
    return edges.assign(**ends).reset_index(drop=True)
