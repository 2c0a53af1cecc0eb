"""Filling a store: idempotent, resumable, never a half graph for a reader.

The graph's version is the dataset's fingerprint. A graph that already has it, by the same loads,
is left alone. An empty graph is filled by the engine's fastest way. Any other graph (another
version, or a load that was interrupted) is read and compared, and only the difference is written.
Changes whose base is the graph's version are written without looking at the rest. While any of
this goes on the graph's state is "loading", and readers refuse it.

What goes is written first, what is new or changed after it, in idempotent batches. Between any two
the process may be killed. What was written is then right or not yet swept, and the catalogue names
every set of edges that may be there, so that the next comparison finds it.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from kgrec.data.tables import Changes, Dataset
from kgrec.errors import StoreError
from kgrec.ingestion import tables
from kgrec.schema import (
    DISPLAY_PROPERTY,
    EDGE_PROPERTIES,
    PUBLISHED_PROPERTIES,
    EdgeKey,
    NodeLabel,
)
from kgrec.store.base import SHADOWED_PROPERTIES, GraphStore
from kgrec.store.blocks import plain_values
from kgrec.store.state import (
    LOADING,
    READY,
    CatalogueEntry,
    GraphState,
    read_relations,
    read_state,
    ready_state,
    write_relations,
    write_state,
)
from kgrec.terminal import console_on

logger = logging.getLogger(__name__)

#: Rows a transaction writes, and nodes (with their edges) it deletes.
WRITE_ROWS = 10_000
DELETE_NODES = 1_000

OnRows = Callable[[int], None]


@dataclass(frozen=True)
class WriteReport:
    """What writing a dataset did.

    Attributes:
        version: The graph version it led to.
        num_written: Nodes and edges that were made or changed.
        num_removed: Nodes and edges that were removed, not counting the edges of removed nodes.
        seconds: How long it took.
        changed: Whether anything was written, be it only where rows came from.
    """

    version: str
    num_written: int
    num_removed: int
    seconds: float
    changed: bool


def write_dataset(dataset: Dataset, store: GraphStore, *, progress: bool = True) -> WriteReport:
    """Brings the store's graph to the dataset's version, from whatever state it is in.

    Args:
        dataset: The validated tables.
        store: A store that is open for writing.
        progress: Whether a bar is shown on stderr, if that is a terminal.

    Raises:
        SchemaError: If a property of the dataset cannot be stored under its name.
        StoreError: If the store holds nodes that kgrec did not write, or another process loaded
            it meanwhile.
    """
    start = time.perf_counter()
    state = read_state(store)
    loads = tuple(sorted(dataset.loads, key=lambda load: load.number))
    up_to_date = state is not None and state.is_ready(dataset.fingerprint)
    # Equal contents may have come by other loads, which nodes and edges name.
    if up_to_date and tables.read_loads(store) == loads:
        store.apply_schema()  # an offline import brings none
        return _logged_report(dataset.fingerprint, 0, 0, start, False)
    nodes = tables.node_frames(dataset)
    edges = {key: tables.edge_frame(frame) for key, frame in dataset.edges().items()}
    catalogue = tables.catalogue_of(dataset)
    empty = not any(store.read("count_nodes", label=x)[0]["count"] for x in NodeLabel)
    if state is None and not empty:
        raise StoreError(
            f"{store.uri} holds nodes with the labels {', '.join(NodeLabel)} that kgrec did "
            f"not write; give it an empty database, or another file"
        )
    properties = tables.edge_properties(*dataset.interactions.values())
    target = GraphState(dataset.fingerprint, LOADING, properties)
    with _loading(store, target, progress=progress) as (expect, on_rows):
        if empty:
            num_written, num_removed = sum(map(len, (*nodes.values(), *edges.values()))), 0
            expect(num_written)
            # A load of other data may have been killed after its catalogue.
            write_relations(store, catalogue)
            tables.write_loads(store, dataset.loads)
            store.bulk_load(nodes, edges, on_rows=on_rows)
        else:
            changes = tables.difference(dataset, store, nodes, edges, catalogue)
            num_written, num_removed = _counts(changes)
            expect(changes.rows)
            _write_changes(changes, store, catalogue, on_rows)
    store.checkpoint()
    return _logged_report(dataset.fingerprint, num_written, num_removed, start, True)


def apply_changes(
    changes: Changes, store: GraphStore, *, checkpoint: bool = True, progress: bool = True
) -> WriteReport:
    """Brings a graph from one version to another without looking at the rest of it.

    Killed on the way, it leaves a graph that readers refuse and that `write_dataset` completes.

    Args:
        changes: The changes.
        store: A store that is open for writing and holds the version they apply to.
        checkpoint: Whether the store is checkpointed; else that is left to the caller.
        progress: Whether a bar is shown on stderr, if that is a terminal.

    Raises:
        SchemaError: If a property cannot be stored under its name.
        StoreError: If the store holds another version, or a load of it did not end; if the
            changes name an edge with an end that is not there; if another process loaded the
            graph meanwhile.
    """
    start = time.perf_counter()
    state = ready_state(store)
    if state.version != changes.base:
        raise StoreError(
            f"the graph in {store.uri} is version {state.version}, but the changes apply to "
            f"{changes.base}; ingest the whole dataset, which compares everything"
        )
    for label, frame in changes.nodes.items():
        tables.check_properties(label, frame.columns)
    written_properties = {
        key: tables.edge_properties(frame) for key, frame in changes.edges.items()
    }
    stored_properties = {entry.key: entry.properties for entry in read_relations(store)}
    properties_of = {
        key: _either(stored_properties.get(key, ()), written_properties.get(key, ()))
        for _, key, _ in changes.catalogue
    }
    catalogue = [CatalogueEntry(*entry, properties_of[entry[1]]) for entry in changes.catalogue]
    splits = [written_properties.get(key, ()) for key in tables.INTERACTION_KEYS]
    target = GraphState(changes.version, LOADING, _either(state.interaction_properties, *splits))
    with _loading(store, target, progress=progress) as (expect, on_rows):
        expect(changes.rows)
        _write_changes(changes, store, catalogue, on_rows)
    if checkpoint:
        store.checkpoint()
    return _logged_report(changes.version, *_counts(changes), start, True)


@contextmanager
def _loading(
    store: GraphStore, target: GraphState, *, progress: bool
) -> Iterator[tuple[OnRows, OnRows]]:
    """Declares the graph loading and, after the block, ready; a bar over rows is on stderr.

    Yields:
        A function that says how many rows there will be, and one that advances the bar.

    Raises:
        StoreError: If another process began to load the graph while this one did.
    """
    store.apply_schema()
    write_state(store, target)
    columns = (TextColumn("ingest"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    disable = not progress or not sys.stderr.isatty()
    with Progress(*columns, console=console_on(sys.stderr), disable=disable) as bar:
        task = bar.add_task("ingest", total=None)
        yield lambda total: bar.update(task, total=total), lambda rows: bar.advance(task, rows)
    state = read_state(store)
    if state != target:
        raise StoreError(
            f"another process changed the graph in {store.uri} while this one loaded it; "
            f"expected {target}, got {state}; run kgrec ingest again, one at a time"
        )
    write_state(store, replace(target, state=READY))


def _write_changes(
    changes: Changes,
    store: GraphStore,
    catalogue: Sequence[CatalogueEntry],
    on_rows: OnRows,
) -> None:
    """Writes changes; the state of the graph is the caller's business.

    A node that is written loses its text vector, as its text may have changed; what a run made of
    it stays until the next one is published.

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
        _write_edges(store, key, tables.edge_frame(frame), on_rows)
    for key in keys_before - {entry.key for entry in catalogue}:
        if num_left := store.read("count_edges", key=key)[0]["count"]:
            raise StoreError(
                f"{num_left:,} edges are left in {key}, which the changes take out of the "
                f"catalogue; expected none; run kgrec ingest, which compares everything"
            )
    write_relations(store, catalogue)
    tables.write_loads(store, changes.loads)


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


def _either(*names_of_tables: tuple[str, ...]) -> tuple[str, ...]:
    """What edges may carry that are of several tables."""
    names = set().union(*names_of_tables)
    return tuple(name for name in EDGE_PROPERTIES if name in names)


def _counts(changes: Changes) -> tuple[int, int]:
    num_written = sum(map(len, (*changes.nodes.values(), *changes.edges.values())))
    return num_written, changes.rows - num_written


def _logged_report(
    version: str, num_written: int, num_removed: int, start: float, changed: bool
) -> WriteReport:
    report = WriteReport(version, num_written, num_removed, time.perf_counter() - start, changed)
    logger.info(
        "ingest version=%s written=%d removed=%d seconds=%.1f changed=%s",
        version, num_written, num_removed, report.seconds, changed,
    )  # fmt: skip
    return report
