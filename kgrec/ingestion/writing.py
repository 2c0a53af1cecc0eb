"""Writing a difference: what goes first, what is new or changed after it, in idempotent batches.

Between any two batches the process may be killed. What was written is then right or not yet swept,
and the catalogue names every set of edges that may be there, so that the next comparison finds it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from kgrec.data.tables import Changes
from kgrec.errors import StoreError
from kgrec.ingestion.tables import edge_frame, write_loads
from kgrec.schema import DISPLAY_PROPERTY, PUBLISHED_PROPERTIES, EdgeKey, NodeLabel
from kgrec.store.base import SHADOWED_PROPERTIES, GraphStore
from kgrec.store.blocks import plain_values
from kgrec.store.state import CatalogueEntry, read_relations, write_relations

OnRows = Callable[[int], None]

#: Rows a transaction writes, and nodes (with their edges) it deletes.
WRITE_ROWS = 10_000
DELETE_NODES = 1_000


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
    for part in _parts(frame):
        ids = part["id"].tolist()
        stored_nodes = {row["id"]: row for row in store.read("known_nodes", label=label, ids=ids)}
        values = zip(*(plain_values(part[name]) for name in names), strict=True)
        rows: list[list[Any]] = []
        for key, cells in zip(ids, values if names else [()] * len(ids), strict=True):
            properties = dict(zip(names, cells, strict=True))
            if key in stored_nodes:
                properties = {
                    **dict.fromkeys(_stale(stored_nodes[key]["names"], label)),
                    **properties,
                }
            else:
                properties["index"] = bound
                bound += 1
            rows.append([key, properties])
        store.write("upsert_nodes", label=label, rows=rows)
        on_rows(len(rows))


def _stale(names: Iterable[str], label: NodeLabel) -> set[str]:
    """The properties of a stored node that must be given anew or go."""
    kept_names = {"id", "index", *PUBLISHED_PROPERTIES}
    return set(names) - kept_names - (SHADOWED_PROPERTIES - {DISPLAY_PROPERTY[label]})


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
