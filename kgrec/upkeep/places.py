"""The places that hold something of a node: taking it out, looking again, and the receipt of it."""

import csv
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from kgrec.config import Kind
from kgrec.data.cleaning.report import AT
from kgrec.data.journal.erasing import is_placeholder
from kgrec.data.journal.forgotten import UNFINISHED, Forgotten, among, without
from kgrec.data.journal.manifest import read_manifest
from kgrec.errors import DataError
from kgrec.files import atomic_file
from kgrec.ingestion.tables import INTERACTION_KEYS
from kgrec.schema import EdgeKey, NodeLabel
from kgrec.store.base import GraphStore
from kgrec.store.state import read_relations
from kgrec.training.directory import Run
from kgrec.training.partial import partial_of
from kgrec.upkeep.fold import hidden_folders
from kgrec.upkeep.intent import KEYS, Target

IdsByLabel = Mapping[NodeLabel, frozenset[str]]

#: Edges that models write, which no catalogue lists.
DERIVED_KEYS = (
    EdgeKey("RECOMMENDED", NodeLabel.USER, NodeLabel.ITEM),
    EdgeKey("SIMILAR", NodeLabel.ITEM, NodeLabel.ITEM),
    EdgeKey("SYNTHETIC", NodeLabel.USER, NodeLabel.ITEM),
)

#: Properties that hold vectors: of a node's text, and those that are published.
VECTORS = frozenset({"embedding", "vector_a", "vector_b"})

#: Files of a journal that name nobody once a forgetting is done.
_OWN = frozenset({"journal.json", "forgotten.json", UNFINISHED, KEYS, "journal.lock"})

#: What no forgetting can reach, said in every receipt.
NOT_COVERED = (
    "your own files and graphs, which the rows were read from: they are yours; what they bring "
    "again of a forgotten id is dropped at intake",
    "runs that were not named, and what of them is published in a graph that was adopted; copies "
    "and backups of journal, store and runs, and what a Neo4j server keeps in its transaction logs "
    "until it prunes them",
    "vectors in the text cache of texts that earlier versions of the graph told: they are kept "
    "under hashes and hold no id; remove the cache folder if they must go as well",
    "pages, pictures, tables and texts that were made earlier, by kgrec check, report, explore, "
    "explain, recommend and query, and what logs and terminals keep: remove them where they lie",
    "your settings, such as defence.trusted in kgrec.toml; generators of kgrec gan fit, and the "
    "work folders of kgrec bench, audit and demo: remove these, and make them anew",
    "what training learned from the rows: item weights, factors and other nodes' features stay; "
    "kgrec forget --retrain-exact measures it, kgrec train removes it",
)


@dataclass(frozen=True)
class Place:
    """One place that was looked at.

    Attributes:
        name: What it is.
        where: Path or address.
        removed: How many rows, edges, vectors … this call removed.
        left: How many were found when the place was read again; 0 is what is meant.
        detail: By kind what was removed, where there are several.
    """

    name: str
    where: str
    removed: int
    left: int
    detail: dict[str, int] | None = None


@dataclass(frozen=True)
class Receipt:
    """What was forgotten, where, and whether it is gone.

    Attributes:
        target: Who or what.
        ids: By label all ids that named it.
        places: Every place that was looked at.
        was_present: Whether anything of it was there when the call began.
        was_forgotten: Whether it was forgotten before.
        completed: Whether an earlier, interrupted forgetting was completed.
        version: The graph version afterwards; None if the store was not written.
        influence: What `--retrain-exact` measured, by run.
    """

    target: Target
    ids: dict[NodeLabel, frozenset[str]]
    places: tuple[Place, ...]
    was_present: bool
    was_forgotten: bool
    completed: bool
    version: str | None
    influence: dict[str, dict[str, float]] | None = None

    @property
    def verified(self) -> bool:
        """Whether nothing was left anywhere."""
        return not any(place.left for place in self.places)

    def to_json(self) -> dict[str, Any]:
        """The receipt as JSON values; it names who was forgotten, and is yours to keep or not."""
        return {
            "label": str(self.target.label),
            "id": self.target.id,
            "names": {str(label): sorted(ids) for label, ids in self.ids.items() if ids},
            "found": self.was_present,
            "forgotten_before": self.was_forgotten,
            "completed_an_interrupted_one": self.completed,
            "graph_version": self.version,
            "places": [asdict(place) for place in self.places],
            "verified": self.verified,
            "not_covered": list(NOT_COVERED),
            "influence": self.influence,
        }


def in_store(store: GraphStore, ids_by_label: IdsByLabel) -> dict[str, dict[str, int]]:
    """Counts what a store holds of some nodes: `nodes` and `vectors` by label, `edges` by type.

    Edges are looked for in every set that a store may hold.
    """
    nodes, vectors, edges = Counter[str](), Counter[str](), Counter[str]()
    sorted_ids = {label: sorted(ids) for label, ids in ids_by_label.items() if ids}
    for label, ids in sorted_ids.items():
        rows = store.read("known_nodes", label=label, ids=ids)
        nodes[str(label)] += len(rows)
        vectors[str(label)] += sum(not VECTORS.isdisjoint(row["names"]) for row in rows)
    keys = {entry.key for entry in read_relations(store)} | {*INTERACTION_KEYS, *DERIVED_KEYS}
    for key in sorted(keys) if nodes.total() else ():
        for name, label in (("count_edges_from", key.head), ("count_edges_to", key.tail)):
            if label in sorted_ids:
                counts = store.read(name, key=key, ids=sorted_ids[label])
                edges[key.type] += counts[0]["count"] if counts else 0
    return {"nodes": dict(+nodes), "edges": dict(+edges), "vectors": dict(+vectors)}


def count_rows_left(folder: Path, ids_by_label: IdsByLabel) -> int:
    """Reads a journal's files again and counts what they still say of some nodes."""
    manifest = read_manifest(folder)
    num_left = 0
    codes: dict[NodeLabel, npt.NDArray[np.int32]] = {}
    for label, names in manifest.ids.items():
        ids = [key for name in names for key in pq.read_table(folder / name)["id"].to_pylist()]
        num_left += sum(key in ids_by_label.get(label, ()) for key in ids)
        codes[label] = np.flatnonzero([is_placeholder(key) for key in ids]).astype(np.int32)
    sorted_ids = {label: sorted(ids) for label, ids in ids_by_label.items()}
    for record in manifest.loads:
        if not record.rows_in:
            continue
        table = pq.read_table(folder / record.rows_in)
        kind = cast(Kind, record.load.kind)
        is_gone = among(codes if kind == "interactions" else sorted_ids)
        num_left += len(table) - len(without(table, kind, is_gone))
    return num_left


def clean_rejects(folder: Path, ids_by_label: IdsByLabel) -> Place:
    """Takes rows that name some nodes out of the files of refused rows."""
    forgotten = Forgotten().with_ids(ids_by_label)
    num_removed = num_left = 0
    for path in sorted((folder / "rejects").rglob(".*"), reverse=True):
        # What a killed intake left; nobody else writes while the journal is locked.
        num_removed += 1
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path in sorted((folder / "rejects").rglob("*.csv")):
        remaining_rows, num_named = _unnamed_rows(path, forgotten)
        if num_named:
            num_removed += num_named
            _write_csv(path, remaining_rows)
        num_left += _unnamed_rows(path, forgotten)[1]
    return Place("refused rows", str(folder / "rejects"), num_removed, num_left)


def _unnamed_rows(path: Path, forgotten: Forgotten) -> tuple[list[list[str]], int]:
    """A file's header and the rows that name nobody who was forgotten; how many others it has."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    id_columns = [place for place, name in enumerate(header) if name != AT]
    remaining_rows = [
        row for row in rows if not forgotten.named_in(row[place] for place in id_columns)
    ]
    return [header, *remaining_rows], len(rows) - len(remaining_rows)


def other_files(folder: Path, ids_by_label: IdsByLabel) -> list[Place]:
    """Gives the files in a journal's folder that kgrec did not put there and that name a node.

    They are not removed: somebody else has put them there.
    """
    forgotten, rejects = Forgotten().with_ids(ids_by_label), folder / "rejects"
    places = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        is_own = path.parent == folder and (path.name in _OWN or path.suffix == ".parquet")
        if is_own or (rejects in path.parents and path.suffix == ".csv"):
            continue
        if forgotten.named_in(path.read_bytes().decode(errors="replace").splitlines()):
            places.append(Place("file of another origin", str(path), 0, 1))
    return places


def in_run(run: Run, ids_by_label: IdsByLabel) -> int:
    """Counts which of some nodes a run knows, or names in its settings and its record."""
    defence, users = run.record.defence, ids_by_label.get(NodeLabel.USER, frozenset())
    names = [*run.config.defence.trusted, *(() if defence is None else defence.users)]
    items = ids_by_label.get(NodeLabel.ITEM, frozenset())
    num_named = sum(name in users for name in names)
    num_named += 0 if defence is None else sum(name in items for name in defence.targets)
    return num_named + sum(
        key in run.vocabularies[label] for label, ids in ids_by_label.items() for key in ids
    )


def without_names(run: Run, ids_by_label: IdsByLabel) -> Run:
    """Gives a run whose settings and record do not name some nodes."""
    users, items = (ids_by_label.get(x, frozenset()) for x in (NodeLabel.USER, NodeLabel.ITEM))
    config, record = run.config, run.record
    trusted = tuple(user for user in config.defence.trusted if user not in users)
    config = config.model_copy(
        update={"defence": config.defence.model_copy(update={"trusted": trusted})}
    )
    if record.defence is not None:
        before = record.defence
        stays = [place for place, user in enumerate(before.users) if user not in users]
        lists = {
            "users": [before.users[place] for place in stays],
            "suspicion": [before.suspicion[place] for place in stays],
            "targets": {key: x for key, x in before.targets.items() if key not in items},
        }
        record = record.model_copy(update={"defence": before.model_copy(update=lists)})
    return replace(run, config=config, record=record)


def drop_leftovers(directory: Path) -> int:
    """Removes what interrupted trainings and refreshes left beside a run; gives what stayed.

    They are of a graph that is no more, so no training would go on from them.
    """
    num_left = 0
    for path in (partial_of(directory), *hidden_folders(directory)):
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
