"""The places that hold something of a node: taking it out, and looking again."""

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from kgrec.config import Kind
from kgrec.data.cleaning.rejects import AT
from kgrec.data.journal.erasing import is_placeholder
from kgrec.data.journal.forgotten import Forgotten, among, without
from kgrec.data.journal.manifest import read_manifest
from kgrec.errors import DataError
from kgrec.files import atomic_file
from kgrec.ingestion.tables import INTERACTION_KEYS
from kgrec.schema import EdgeKey, NodeLabel
from kgrec.store.base import GraphStore
from kgrec.store.state import read_relations
from kgrec.training.directory import Run
from kgrec.upkeep.fold import hidden_folders
from kgrec.upkeep.receipt import Place

IdsByLabel = Mapping[NodeLabel, frozenset[str]]

#: Edges that models write, which no catalogue lists.
DERIVED_KEYS = (
    EdgeKey("RECOMMENDED", NodeLabel.USER, NodeLabel.ITEM),
    EdgeKey("SIMILAR", NodeLabel.ITEM, NodeLabel.ITEM),
    EdgeKey("SYNTHETIC", NodeLabel.USER, NodeLabel.ITEM),
)

#: Properties that hold vectors: of a node's text, and those that are published.
VECTORS = frozenset({"embedding", "vector_a", "vector_b"})


def edges_of(store: GraphStore, ids_by_label: IdsByLabel) -> dict[str, int]:
    """Counts by type the edges of some nodes, of every set that a store may hold."""
    keys = {entry.key for entry in read_relations(store)} | {*INTERACTION_KEYS, *DERIVED_KEYS}
    counts: dict[str, int] = {}
    for key in sorted(keys):
        for name, label in (("count_edges_from", key.head), ("count_edges_to", key.tail)):
            ids = sorted(ids_by_label.get(label, ()))
            if ids:
                rows = store.read(name, key=key, ids=ids)
                counts[key.type] = counts.get(key.type, 0) + (rows[0]["count"] if rows else 0)
    return {kind: count for kind, count in counts.items() if count}


def nodes_of(store: GraphStore, ids_by_label: IdsByLabel) -> dict[str, int]:
    """Counts by label which of some nodes a store has, and their vectors."""
    counts = {}
    for label, ids in ids_by_label.items():
        if not ids:
            continue
        node_rows = store.read("known_nodes", label=label, ids=sorted(ids))
        counts[str(label)] = len(node_rows)
        vectors = sum(not VECTORS.isdisjoint(row["names"]) for row in node_rows)
        counts["vectors"] = counts.get("vectors", 0) + vectors
    return {name: count for name, count in counts.items() if count}


def count_rows_left(folder: Path, ids_by_label: IdsByLabel) -> int:
    """Reads a journal's files again and counts what they still say of some nodes."""
    manifest = read_manifest(folder)
    num_left = 0
    codes: dict[NodeLabel, npt.NDArray[np.int32]] = {}
    for label, names in manifest.ids.items():
        ids = [key for name in names for key in pq.read_table(folder / name)["id"].to_pylist()]
        num_left += sum(key in ids_by_label.get(label, ()) for key in ids)
        codes[label] = np.flatnonzero([is_placeholder(key) for key in ids]).astype(np.int32)
    for record in manifest.loads:
        if not record.rows_in:
            continue
        table = pq.read_table(folder / record.rows_in)
        kind = cast(Kind, record.load.kind)
        sorted_ids: Mapping[NodeLabel, Any] = {
            label: sorted(ids) for label, ids in ids_by_label.items()
        }
        remaining_rows = without(
            table, kind, among(codes if kind == "interactions" else sorted_ids)
        )
        num_left += len(table) - len(remaining_rows)
    return num_left


def clean_rejects(folder: Path, ids_by_label: IdsByLabel) -> Place:
    """Takes rows that name some nodes out of the files of refused rows."""
    forgotten = Forgotten().with_ids(ids_by_label)
    num_removed = num_left = 0
    for path in sorted((folder / "rejects").glob("*/*.csv")):
        for looking_again in (False, True):
            with path.open(encoding="utf-8", newline="") as file:
                header, *rows = csv.reader(file)
            id_columns = [place for place, name in enumerate(header) if name != AT]
            remaining_rows = [
                row for row in rows if not forgotten.named_in(row[place] for place in id_columns)
            ]
            if looking_again:
                num_left += len(rows) - len(remaining_rows)
            elif len(remaining_rows) < len(rows):
                num_removed += len(rows) - len(remaining_rows)
                _write_csv(path, [header, *remaining_rows])
    return Place("refused rows", str(folder / "rejects"), num_removed, num_left)


def in_run(run: Run, ids_by_label: IdsByLabel) -> int:
    """Counts which of some nodes a run knows."""
    return sum(key in run.vocabularies[label] for label, ids in ids_by_label.items() for key in ids)


def drop_leftovers(directory: Path) -> int:
    """Removes what interrupted trainings and refreshes left beside a run; gives what stayed.

    They are of a graph that is no more, so no training would go on from them.
    """
    num_left = 0
    partial = directory.with_name(f"{directory.name}.partial")
    for path in (partial, *hidden_folders(directory)):
        shutil.rmtree(path, ignore_errors=True)
        num_left += path.exists()
    return num_left


def _write_csv(path: Path, rows: list[list[str]]) -> None:
    try:
        with (
            atomic_file(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            csv.writer(file).writerows(rows)
    except OSError as exc:
        raise DataError(f"cannot write {path}: {exc.strerror or exc}; make room") from exc
