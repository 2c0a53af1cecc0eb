"""A dataset's tables as a store keeps them, and how what a store holds differs from them.

Names are checked, and whole numbers become integers. Then ids are compared, in arrays. Nothing is
taken for granted about what is there: a load may have been killed anywhere in it, and the catalogue
may be another dataset's. So all nodes are read, and all edges of every set that the catalogue of
the store, the dataset or the interactions name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.data.journal.manifest import Load
from kgrec.data.tables import Changes, Dataset
from kgrec.errors import SchemaError, StoreError
from kgrec.schema import (
    DISPLAY_PROPERTY,
    EDGE_PROPERTIES,
    RESERVED_PROPERTIES,
    EdgeKey,
    NodeLabel,
    Role,
    Split,
    interaction_key,
    property_name,
)
from kgrec.store.base import SHADOWED_PROPERTIES, GraphStore
from kgrec.store.blocks import plain_values
from kgrec.store.state import CatalogueEntry, read_relations

INTERACTION_KEYS = tuple(interaction_key(split) for split in Split)

#: Nodes without id or index that a transaction deletes.
STRAY_ROWS = 1_000

_Indices = npt.NDArray[np.int64]
_Values = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]


def check_properties(label: NodeLabel, columns: Iterable[str]) -> None:
    """Checks that a store can keep properties under their names.

    Args:
        label: The label of the nodes.
        columns: The columns of their frame.

    Raises:
        SchemaError: If it cannot.
    """
    display = DISPLAY_PROPERTY[label]
    reserved_names = (RESERVED_PROPERTIES - {"id", "load"}) | (SHADOWED_PROPERTIES - {display})
    for name in columns:
        if name in reserved_names:
            raise SchemaError(
                f"{label} property {name!r} has a meaning of its own in a store; rename the "
                f"column, for example to {label.lower()}_{name}"
            )
        property_name(name)


def node_frames(dataset: Dataset) -> dict[NodeLabel, pd.DataFrame]:
    """Gives per label `id`, `index` and properties, the one that shows it always among them.

    Raises:
        SchemaError: As `check_properties`.
    """
    frames = {}
    for label in NodeLabel:
        frame = dataset.nodes.get(label, pd.DataFrame({"id": pd.Series(dtype=object)}))
        check_properties(label, frame.columns)
        frame = frame.reset_index(drop=True)
        display = DISPLAY_PROPERTY[label]
        if display and display not in frame.columns:
            frame = frame.assign(**{display: pd.Series([None] * len(frame), dtype=object)})
        frames[label] = frame.assign(index=np.arange(len(frame), dtype=np.int64))
    return frames


def edge_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Gives `head`, `tail` and those of EDGE_PROPERTIES that any edge has.

    A column of numbers that are all whole is made integers, which Int64 keeps where some are
    missing; ratings, weights and scores stay floats.
    """
    columns = {"head": frame["head"], "tail": frame["tail"]}
    for name in edge_properties(frame):
        columns[name] = _as_integers(frame[name]) if name in _COUNTED else frame[name]
    return pd.DataFrame(columns, copy=False).reset_index(drop=True)


def edge_properties(*frames: pd.DataFrame) -> tuple[str, ...]:
    """Gives which of EDGE_PROPERTIES any edge of the frames has."""
    return tuple(
        name
        for name in EDGE_PROPERTIES
        if any(name in frame and frame[name].notna().any() for frame in frames)
    )


def catalogue_of(dataset: Dataset) -> tuple[CatalogueEntry, ...]:
    """Gives the catalogue of a dataset."""
    return tuple(
        CatalogueEntry(table.name, table.key, Role(table.role), edge_properties(table.edges))
        for table in dataset.relations
    )


def read_loads(store: GraphStore) -> tuple[Load, ...]:
    """Gives the loads whose rows are, or were, in the graph, by number."""
    return tuple(Load(**{**row, "files": tuple(row["files"] or ())}) for row in store.read("loads"))


def write_loads(store: GraphStore, loads: Sequence[Load]) -> None:
    """Makes the list of loads the given one."""
    store.write_rows("upsert_loads", [[str(load.number), load_properties(load)] for load in loads])
    store.write("delete_loads", kept=[str(load.number) for load in loads])


def load_properties(load: Load) -> dict[str, object]:
    """Gives what a load's node holds beside its id."""
    return {**asdict(load), "files": list(load.files)}


#: What is counted or numbered, as opposed to measured.
_COUNTED = frozenset({"time", "count", "session", "load"})


def _as_integers(column: pd.Series) -> pd.Series:
    if not pd.api.types.is_float_dtype(column.dtype):
        return column
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    missing_mask = np.isnan(values)
    # Whole, and small enough to be exact as a float.
    if not ((np.floor(values) == values) & (np.abs(values) < 2**53) | missing_mask).all():
        return column
    integers = np.where(missing_mask, 0, values).astype(np.int64)
    if not missing_mask.any():
        return pd.Series(integers, index=column.index)
    return pd.Series(pd.arrays.IntegerArray(integers, missing_mask), index=column.index)


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
