"""From the settings' sources to an up-to-date store: what `kgrec ingest` does.

    sources -> new loads, staged -> view derived (all that can be refused is refused here)
            -> journal commits -> store written -> journal notes what the store holds

Killed at any point, the next run completes to the same graph: before the commit nothing counts,
after it the store is derived from the journal again.
"""

import logging
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa

from kgrec.config import Config, Source
from kgrec.data.cache import user_data
from kgrec.data.cleaning.rejects import Rejects
from kgrec.data.cleaning.report import Report
from kgrec.data.intake import Intake, take_in
from kgrec.data.journal.journal import Journal
from kgrec.data.journal.manifest import Catalogue, GraphRecord, Manifest, stamp_of
from kgrec.data.tables import Changes, Dataset, Load
from kgrec.data.view.build import build_dataset, view_settings
from kgrec.data.view.delta import derive_changes
from kgrec.data.view.scaling import Scale
from kgrec.errors import DataError, StoreError
from kgrec.ingestion import apply_changes, ingest, write_offline
from kgrec.schema import Role
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.store.state import READY, GraphState, read_state

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class UpdateReport:
    """What an update did.

    Attributes:
        version: The graph version.
        nodes: Number of nodes.
        edges: Number of interactions and relation edges.
        loads: The loads it took in.
        changed: Whether anything was written to the store.
        findings: What cleaning mended, left out or refused.
        rejects: Folder of the rows that were refused; None if none was.
        seconds: How long it took.
    """

    version: str
    nodes: int
    edges: int
    loads: tuple[Load, ...]
    changed: bool
    findings: Report
    rejects: Path | None
    seconds: float


@dataclass(frozen=True)
class Marks:
    """Loads to take back, and loads to count again, by their numbers."""

    undo: tuple[int, ...] = ()
    redo: tuple[int, ...] = ()


def update(
    config: Config,
    intake: Intake | None = None,
    marks: Marks | None = None,
    *,
    offline: Path | None = None,
    progress: bool = True,
) -> UpdateReport:
    """Takes in what is new and brings the store to it.

    Args:
        config: The settings.
        intake: Tables from Python, replaced sources, mended rejects.
        marks: Loads to take back or to count again; with any, no source is read.
        offline: Writes files for Neo4j's offline importer into this folder instead of the store.
        progress: Whether bars are shown on a terminal.

    Raises:
        DataError: If a source cannot be used; nothing was changed.
        ConfigError: If a setting does not fit; nothing was changed.
        StoreError: If the store cannot be written; the loads are kept and the next update goes on.
    """
    started = time.perf_counter()
    intake, marks, report = intake or Intake(), marks or Marks(), Report()
    names = frozenset(source.name for source in config.data.all_sources())
    with Journal(journal_folder(config), names) as journal, Rejects() as rejects:
        work = _Work(config, journal, report, progress)
        with journal.staging() as staging:
            before = journal.manifest
            if marks.undo or marks.redo:
                journal.manifest = _marked(journal, marks)
            else:
                take_in(config.data, journal, staging, report, rejects, intake)
                journal.manifest = staging.place(journal.manifest)
            _note_unnamed(journal, names, report)
            planned = work.plan()
            if journal.manifest != before:
                journal.update(journal.manifest)
        kept = None
        if any(loaded.load.rejected for loaded in staging.loads):
            kept = journal.folder / "rejects" / f"{staging.loads[0].load.number:05d}"
            rejects.write(kept)
        if offline is None:
            record, changed = work.write(planned)
        else:
            record, changed = work.write_files(offline), False
        loads = tuple(loaded.load for loaded in staging.loads)
    return UpdateReport(
        record.version, record.nodes, record.edges, loads, changed, report, kept,
        time.perf_counter() - started,
    )  # fmt: skip


def journal_folder(config: Config) -> Path:
    """Gives the folder of the journal that belongs to the settings' store."""
    if config.data.journal is not None:
        return config.data.journal
    scheme, _, rest = config.store.uri.partition(":")
    if scheme == "embedded":
        return Path(f"{rest}.loads")
    server = re.sub(r"[^A-Za-z0-9.]+", "-", f"{rest.rpartition('@')[2]} {config.store.database}")
    return user_data() / "loads" / server.strip("-")


def foreign_query(source: Source) -> Iterator[pa.Table]:
    """Runs the Cypher query of a source on its own Neo4j; as `Intake.query`."""
    from kgrec.store.neo4j import stream_query

    assert source.uri is not None
    assert source.cypher is not None
    return stream_query(
        source.uri,
        source.database,
        source.cypher,
        user=os.environ.get("KGREC_SOURCE_USER") or "neo4j",
        password=os.environ.get("KGREC_SOURCE_PASSWORD") or "",
    )


def _note_unnamed(journal: Journal, names: frozenset[str], report: Report) -> None:
    """Says which loads are in the journal and yet not in the graph."""
    unnamed = [r.load for r in journal.manifest.active() if r.load.source not in names]
    report.add(
        "graph", "unnamed source", "noted", len(unnamed),
        "loads are of sources that the settings do not name, and do not count",
        sorted({load.source for load in unnamed}),
    )  # fmt: skip


def _marked(journal: Journal, marks: Marks) -> Manifest:
    manifest = journal.manifest
    known = {record.load.number: record.load for record in manifest.loads}
    for number in (*marks.undo, *marks.redo):
        if number not in known:
            listed = ", ".join(f"{n} ({load.source})" for n, load in list(known.items())[-10:])
            raise DataError(
                f"there is no load {number} in {journal.folder}; expected one of {listed or 'none'}"
            )
    for number in marks.undo:
        manifest = manifest.marked(number, undone=True)
    for number in marks.redo:
        manifest = manifest.marked(number, undone=False)
    return manifest


class _Work:
    """One update's way from the journal to the store."""

    def __init__(self, config: Config, journal: Journal, report: Report, progress: bool) -> None:
        self._config = config
        self._journal = journal
        self._report = report
        self._progress = progress
        self._settings = view_settings(config.data, config.seed)
        self._uri = f"{config.store.uri} {config.store.database}"

    def plan(self) -> Dataset | Changes | GraphRecord:
        """Derives what the store shall hold, and refuses here what can be refused.

        Returns:
            What the store holds already, if nothing changed; the changes that take it there; or
            the whole dataset.
        """
        held = self._journal.manifest.graphs.get(self._uri)
        if held is not None and held.settings == self._settings:
            if held.loads == self._loads():
                return held
            changes = derive_changes(
                self._journal, held, self._config.data, self._config.seed, self._report
            )
            if changes is not None:
                return changes
        return self._dataset()

    def write(self, planned: Dataset | Changes | GraphRecord) -> tuple[GraphRecord, bool]:
        """Brings the store to it; gives what it now holds and whether anything was written."""
        embedded = self._embedded_file()
        held = self._journal.manifest.graphs.get(self._uri)
        stamp = None if embedded is None else stamp_of(embedded)
        if isinstance(planned, GraphRecord) and stamp is not None and stamp == planned.stamp:
            # Opening a large file takes seconds; one that nobody touched holds what it held.
            return planned, False
        with open_store(self._config.store) as store:
            record, changed = self._written(planned, held, store)
        if embedded is not None:
            record = replace(record, stamp=stamp_of(embedded))
        self._journal.update(self._journal.manifest.with_graph(self._uri, record))
        return record, changed

    def write_files(self, folder: Path) -> GraphRecord:
        """Writes files for the offline importer instead."""
        dataset = self._dataset()
        write_offline(dataset, folder)
        return self._record(dataset)

    def _written(
        self,
        planned: Dataset | Changes | GraphRecord,
        held: GraphRecord | None,
        store: GraphStore,
    ) -> tuple[GraphRecord, bool]:
        state = read_state(store)
        as_held = (
            held is not None
            and state is not None
            and state.state == READY
            and state.version == held.version
        )
        if as_held and isinstance(planned, GraphRecord):
            return planned, False
        if as_held and isinstance(planned, Changes):
            assert held is not None
            apply_changes(planned, store, progress=self._progress)
            return (
                replace(
                    held,
                    version=planned.version,
                    loads=self._loads(),
                    catalogue=planned.catalogue,
                    nodes=held.nodes + planned.more_nodes,
                    edges=held.edges + planned.more_edges,
                ),
                planned.rows > 0,
            )
        dataset = planned if isinstance(planned, Dataset) else self._dataset()
        if held is None:
            self._refuse_unknown_loads(store, state)
        report = ingest(dataset, store, progress=self._progress)
        return self._record(dataset), report.changed

    def _dataset(self) -> Dataset:
        fitted = self._journal.manifest.scales.get(self._settings)
        scales = None if fitted is None else {k: Scale(**v) for k, v in fitted.items()}
        built = build_dataset(
            self._journal, self._config.data, self._config.seed, self._report, scales=scales
        )
        if built.scales and fitted is None:
            plain = {name: asdict(scale) for name, scale in built.scales.items()}
            self._journal.manifest = replace(self._journal.manifest, scales={self._settings: plain})
        return built.dataset

    def _loads(self) -> tuple[int, ...]:
        return tuple(record.load.number for record in self._journal.active())

    def _record(self, dataset: Dataset) -> GraphRecord:
        catalogue: Catalogue = tuple((t.name, t.key, Role(t.role)) for t in dataset.relations)
        return GraphRecord(
            dataset.fingerprint,
            self._settings,
            self._loads(),
            catalogue,
            nodes=sum(map(len, dataset.nodes.values())),
            edges=sum(map(len, dataset.edges().values())),
        )

    def _embedded_file(self) -> Path | None:
        scheme, _, rest = self._config.store.uri.partition(":")
        return Path(rest) if scheme == "embedded" else None

    def _refuse_unknown_loads(self, store: GraphStore, state: GraphState | None) -> None:
        """Raises StoreError if the graph holds loads that would be lost, as nobody has them."""
        if state is None:
            return
        sources = {source.name: source for source in self._config.data.all_sources()}
        known = {record.load.content for record in self._journal.manifest.loads}
        lost = [
            row
            for row in store.read("loads")
            if row["content"] not in known
            and not row["undone"]
            and not (row["source"] in sources and sources[row["source"]].replace)
        ]
        if lost:
            raise StoreError(
                f"the graph in {store.uri} holds load {lost[0]['number']} of "
                f"{lost[0]['source']!r} ({len(lost)} in all) that the journal "
                f"{self._journal.folder} does not know and that would be lost; set data.journal "
                f"to the folder that has them, or give kgrec an empty store"
            )
