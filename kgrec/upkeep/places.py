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

Gone = Mapping[NodeLabel, frozenset[str]]

#: Edges that models write, which no catalogue lists.
DERIVED_KEYS = (
    EdgeKey("RECOMMENDED", NodeLabel.USER, NodeLabel.ITEM),
    EdgeKey("SIMILAR", NodeLabel.ITEM, NodeLabel.ITEM),
    EdgeKey("SYNTHETIC", NodeLabel.USER, NodeLabel.ITEM),
)

#: Properties that hold vectors: of a node's text, and those that are published.
VECTORS = frozenset({"embedding", "vector_a", "vector_b"})


def edges_of(store: GraphStore, gone: Gone) -> dict[str, int]:
    """Counts by type the edges of some nodes, of every set that a store may hold."""
    keys = {entry.key for entry in read_relations(store)} | {*INTERACTION_KEYS, *DERIVED_KEYS}
    counts: dict[str, int] = {}
    for key in sorted(keys):
        for name, label in (("count_edges_from", key.head), ("count_edges_to", key.tail)):
            ids = sorted(gone.get(label, ()))
            if ids:
                rows = store.read(name, key=key, ids=ids)
                counts[key.type] = counts.get(key.type, 0) + (rows[0]["count"] if rows else 0)
    return {kind: count for kind, count in counts.items() if count}


def nodes_of(store: GraphStore, gone: Gone) -> dict[str, int]:
    """Counts by label which of some nodes a store has, and their vectors."""
    counts = {}
    for label, ids in gone.items():
        if not ids:
            continue
        known = store.read("known_nodes", label=label, ids=sorted(ids))
        counts[str(label)] = len(known)
        vectors = sum(not VECTORS.isdisjoint(row["names"]) for row in known)
        counts["vectors"] = counts.get("vectors", 0) + vectors
    return {name: count for name, count in counts.items() if count}


def rows_left(folder: Path, gone: Gone) -> int:
    """Reads a journal's files again and counts what they still say of some nodes."""
    manifest = read_manifest(folder)
    left = 0
    codes: dict[NodeLabel, npt.NDArray[np.int32]] = {}
    for label, names in manifest.ids.items():
        ids = [key for name in names for key in pq.read_table(folder / name)["id"].to_pylist()]
        left += sum(key in gone.get(label, ()) for key in ids)
        codes[label] = np.flatnonzero([is_placeholder(key) for key in ids]).astype(np.int32)
    for record in manifest.loads:
        if not record.rows_in:
            continue
        table = pq.read_table(folder / record.rows_in)
        kind = cast(Kind, record.load.kind)
        ids_of: Mapping[NodeLabel, Any] = {label: sorted(ids) for label, ids in gone.items()}
        kept = without(table, kind, among(codes if kind == "interactions" else ids_of))
        left += len(table) - len(kept)
    return left


def clean_rejects(folder: Path, gone: Gone) -> Place:
    """Takes rows that name some nodes out of the files of refused rows."""
    named = Forgotten().with_ids(gone)
    removed = left = 0
    for path in sorted((folder / "rejects").glob("*/*.csv")):
        for looking_again in (False, True):
            with path.open(encoding="utf-8", newline="") as file:
                header, *rows = csv.reader(file)
            said = [place for place, name in enumerate(header) if name != AT]
            kept = [row for row in rows if not named.named_in(row[place] for place in said)]
            if looking_again:
                left += len(rows) - len(kept)
            elif len(kept) < len(rows):
                removed += len(rows) - len(kept)
                _write_csv(path, [header, *kept])
    return Place("refused rows", str(folder / "rejects"), removed, left)


def in_run(run: Run, gone: Gone) -> int:
    """Counts which of some nodes a run knows."""
    return sum(key in run.vocabularies[label] for label, ids in gone.items() for key in ids)


def drop_leftovers(directory: Path) -> int:
    """Removes what interrupted trainings and refreshes left beside a run; gives what stayed.

    They are of a graph that is no more, so no training would go on from them.
    """
    left = 0
    partial = directory.with_name(f"{directory.name}.partial")
    for path in (partial, *hidden_folders(directory)):
        shutil.rmtree(path, ignore_errors=True)
        left += path.exists()
    return left


def _write_csv(path: Path, rows: list[list[str]]) -> None:
    try:
        with (
            atomic_file(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            csv.writer(file).writerows(rows)
    except OSError as exc:
        raise DataError(f"cannot write {path}: {exc.strerror or exc}; make room") from exc
