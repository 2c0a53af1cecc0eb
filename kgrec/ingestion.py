"""Filling a store from a dataset: idempotent, resumable, never a half graph for a reader.

The graph's version is the dataset's fingerprint. A graph that already has it is left alone. An
empty graph is filled by the engine's fastest way. Any other graph (another version, or a load that
was interrupted) is brought to the new one by MERGE: everything the dataset holds is written and
stamped, and what does not carry the stamp is deleted afterwards, so that no interaction of an
older split stays behind. While this goes on the graph's state is "loading", and readers refuse it.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from kgrec.data.tables import Dataset
from kgrec.errors import SchemaError, StoreError
from kgrec.schema import (
    DISPLAY_PROPERTY,
    RESERVED_PROPERTIES,
    EdgeKey,
    NodeLabel,
    Split,
    interaction_key,
    property_name,
)
from kgrec.store.base import GraphStore
from kgrec.store.dialect import SHADOWED_PROPERTIES, plain_values
from kgrec.store.state import (
    LOADING,
    READY,
    GraphState,
    graph_version,
    read_relations,
    read_state,
    write_state,
)

__all__ = ["IngestReport", "graph_version", "ingest"]

logger = logging.getLogger(__name__)

#: What an interaction may carry.
INTERACTION_PROPERTIES = ("rating", "time")

_INTERACTION_KEYS = frozenset(interaction_key(split) for split in Split)

#: Rows a transaction writes on the MERGE path, and rows it deletes in the sweep.
MERGE_ROWS = 10_000
SWEEP_ROWS = 50_000

_OnRows = Callable[[int], None]


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        version: The graph version, equal to the dataset's fingerprint.
        nodes: Number of nodes in the dataset.
        edges: Number of interactions and relation edges in the dataset.
        seconds: How long it took.
        changed: Whether anything was written.
    """

    version: str
    nodes: int
    edges: int
    seconds: float
    changed: bool


def ingest(dataset: Dataset, store: GraphStore, *, progress: bool = True) -> IngestReport:
    """Brings the store's graph to the dataset's version.

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
    total = (
        sum(map(len, dataset.nodes.values())),
        sum(map(len, dataset.interactions.values())) + sum(len(t.edges) for t in dataset.relations),
    )
    state = read_state(store)
    changed = state is None or state.state != READY or state.version != dataset.fingerprint
    if changed:
        nodes, edges = _node_frames(dataset), _edge_frames(dataset)
        empty = not any(store.read("count_nodes", label=x)[0]["count"] for x in NodeLabel)
        if state is None and not empty:
            raise StoreError(
                f"{store.uri} holds nodes with the labels {', '.join(NodeLabel)} that kgrec did "
                f"not write; give it an empty database, or another file"
            )
        store.apply_schema()
        carried = tuple(
            name
            for name in INTERACTION_PROPERTIES
            if any(name in frame.columns for frame in dataset.interactions.values())
        )
        write_state(store, GraphState(dataset.fingerprint, LOADING, carried))
        with _progress_bar(sum(total), shown=progress) as on_rows:
            if empty:
                _write_catalogue(dataset, store)
                # A load of other data may have been killed after its catalogue.
                store.write("sweep_relations", load=dataset.fingerprint)
                store.bulk_load(nodes, edges, on_rows=on_rows)
            else:
                _merge(dataset, store, nodes, edges, on_rows)
        _refuse_rival(store, GraphState(dataset.fingerprint, LOADING, carried))
        write_state(store, GraphState(dataset.fingerprint, READY, carried))
        store.checkpoint()
    report = IngestReport(dataset.fingerprint, *total, time.perf_counter() - start, changed)
    logger.info(
        "ingest version=%s nodes=%d edges=%d seconds=%.1f changed=%s",
        report.version,
        report.nodes,
        report.edges,
        report.seconds,
        report.changed,
    )
    return report


def _refuse_rival(store: GraphStore, mine: GraphState) -> None:
    """Raises StoreError if another process began to load the graph while this one did."""
    found = read_state(store)
    if found != mine:
        raise StoreError(
            f"another process changed the graph in {store.uri} while this one loaded it; "
            f"expected {mine}, got {found}; run kgrec ingest again, one at a time"
        )


def _merge(
    dataset: Dataset,
    store: GraphStore,
    nodes: Mapping[NodeLabel, pd.DataFrame],
    edges: Mapping[EdgeKey, pd.DataFrame],
    on_rows: _OnRows,
) -> None:
    """Writes and stamps everything, then sweeps what carries no stamp of this load."""
    stamp = dataset.fingerprint
    stale = {key for _, key in read_relations(store)} | {interaction_key(split) for split in Split}
    for label, frame in nodes.items():
        known = {row["name"] for row in store.read("node_properties", label=label)}
        if "embedding" in known:  # of another version's texts
            store.clear_vectors(label)
        rows = _node_rows(frame, label, known)
        _write(store, "upsert_nodes", rows, on_rows, label=label, load=stamp)
    _write_catalogue(dataset, store)
    for key, frame in edges.items():
        ids = (nodes[key.head]["id"].to_numpy(object), nodes[key.tail]["id"].to_numpy(object))
        heads, tails = ids[0][frame["head"]], ids[1][frame["tail"]]
        columns: list[Any] = [heads.tolist(), tails.tolist()]
        name = "upsert_edges"
        if key in _INTERACTION_KEYS:
            name = "upsert_interactions"
            columns += [
                plain_values(frame[x]) if x in frame else [None] * len(frame)
                for x in INTERACTION_PROPERTIES
            ]
        rows = [list(row) for row in zip(*columns, strict=True)]
        _write(store, name, rows, on_rows, key=key, load=stamp)
    for key in sorted(stale | set(edges)):
        _sweep(store, "sweep_edges", key=key, load=stamp)
    for label in NodeLabel:
        _sweep(store, "sweep_nodes", label=label, load=stamp)
    store.write("sweep_relations", load=stamp)


def _write(
    store: GraphStore,
    name: str,
    rows: list[list[Any]],
    on_rows: _OnRows,
    *,
    key: EdgeKey | None = None,
    label: NodeLabel | None = None,
    load: str,
) -> None:
    for start in range(0, len(rows), MERGE_ROWS):
        batch = rows[start : start + MERGE_ROWS]
        store.write_rows(name, batch, key=key, label=label, batch_size=MERGE_ROWS, load=load)
        on_rows(len(batch))


def _sweep(
    store: GraphStore,
    name: str,
    *,
    key: EdgeKey | None = None,
    label: NodeLabel | None = None,
    load: str,
) -> None:
    deleted = SWEEP_ROWS
    while deleted == SWEEP_ROWS:
        rows = store.write(name, key=key, label=label, load=load, limit=SWEEP_ROWS)
        deleted = rows[0]["deleted"]


def _write_catalogue(dataset: Dataset, store: GraphStore) -> None:
    rows = [
        [str(table.key), table.name, table.key.type, table.key.head.value, table.key.tail.value]
        for table in dataset.relations
    ]
    store.write_rows("upsert_relations", rows, load=dataset.fingerprint)


def _node_frames(dataset: Dataset) -> dict[NodeLabel, pd.DataFrame]:
    """Per label `id`, `index` and properties, the property that shows it always among them."""
    frames = {}
    for label in NodeLabel:
        frame = dataset.nodes.get(label, pd.DataFrame({"id": pd.Series(dtype=object)}))
        display = DISPLAY_PROPERTY[label]
        refused = (RESERVED_PROPERTIES - {"id"}) | (SHADOWED_PROPERTIES - {display})
        for name in frame.columns:
            if name in refused:
                raise SchemaError(
                    f"{label} property {name!r} has a meaning of its own in a store; rename the "
                    f"column, for example to {label.lower()}_{name}"
                )
            property_name(name)
        if display and display not in frame.columns:
            frame = frame.assign(**{display: pd.Series([None] * len(frame), dtype=object)})
        index = np.arange(len(frame), dtype=np.int64)
        frames[label] = frame.reset_index(drop=True).assign(index=index)
    return frames


def _edge_frames(dataset: Dataset) -> dict[EdgeKey, pd.DataFrame]:
    """Per edge set `head`, `tail` (positions in the node frames) and properties."""
    positions = {label: pd.Index(frame["id"]) for label, frame in dataset.nodes.items()}
    tables = [
        (interaction_key(split), frame.rename(columns={"user": "head", "item": "tail"}))
        for split, frame in dataset.interactions.items()
    ]
    tables += [(table.key, table.edges) for table in dataset.relations]
    frames = {}
    for key, frame in tables:
        kept = [name for name in INTERACTION_PROPERTIES if name in frame.columns]
        frames[key] = pd.DataFrame(
            {
                "head": positions[key.head].get_indexer(pd.Index(frame["head"])),
                "tail": positions[key.tail].get_indexer(pd.Index(frame["tail"])),
                **{name: frame[name].to_numpy() for name in kept},
            }
        )
    return frames


def _node_rows(frame: pd.DataFrame, label: NodeLabel, known: set[str]) -> list[list[Any]]:
    """Rows of id and property map; properties that only an older version had become null."""
    display = DISPLAY_PROPERTY[label]
    kept = {"id", "type", "load", *frame.columns, *(SHADOWED_PROPERTIES - {display})}
    columns = {name: plain_values(frame[name]) for name in frame.columns if name != "id"}
    columns |= {name: [None] * len(frame) for name in sorted(known - kept)}
    maps = zip(*columns.values(), strict=True)
    return [
        [key, dict(zip(columns, values, strict=True))]
        for key, values in zip(frame["id"], maps, strict=True)
    ]


@contextmanager
def _progress_bar(total: int, *, shown: bool) -> Iterator[_OnRows]:
    columns = (TextColumn("ingest"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    disable = not shown or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=disable) as bar:
        task = bar.add_task("ingest", total=total)
        yield lambda count: bar.advance(task, count)
