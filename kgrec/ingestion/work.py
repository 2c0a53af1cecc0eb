"""What an ingest does with a store: how it differs from the journal, and making it equal."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

from kgrec.config import Config
from kgrec.data.journal.journal import Journal
from kgrec.data.journal.manifest import Catalogue, GraphRecord, graph_address
from kgrec.data.tables import Changes, Dataset
from kgrec.data.unchanged import view_settings
from kgrec.data.view.build import build_dataset, derive_changes
from kgrec.data.view.scaling import Scale
from kgrec.errors import StoreError
from kgrec.files import stamp_of
from kgrec.ingestion.filling import apply_changes, write_dataset
from kgrec.ingestion.offline import write_offline
from kgrec.schema import Role
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.store.state import read_state


class StoreWork:
    """One ingest's way from the journal to the store; a context, whose end lets go of the store.

    Args:
        config: The settings.
        journal: The loads.
        progress: Whether bars are shown on a terminal.
        store: Gives the settings' store, open for writing, which is the caller's to checkpoint and
            to close; None opens it here.

    Attributes:
        applied_changes: The changes that were written to the store; None if none were, or others
            as well.
    """

    def __init__(
        self,
        config: Config,
        journal: Journal,
        progress: bool,
        store: Callable[[], GraphStore] | None = None,
    ) -> None:
        self._config = config
        self._journal = journal
        self._progress = progress
        self._settings = view_settings(config.data, config.seed)
        self._uri = graph_address(config)
        self._store = store
        self.applied_changes: Changes | None = None
        self._pool = ThreadPoolExecutor(1)
        self._store_future: Future[GraphStore] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._store_future is not None:
            with suppress(StoreError):
                self._store_future.result().close()  # nothing was written, or it is closed already
        self._pool.shutdown()

    def open_early(self) -> None:
        """Begins to open a store that will have to change: a large file takes half a second."""
        if self._store is None and self._uri in self._journal.manifest.graphs:
            self._store_future = self._pool.submit(open_store, self._config.store)

    def plan(self, *, whole: bool = False) -> Dataset | Changes | GraphRecord:
        """Derives what the store shall hold, and refuses here what can be refused.

        Args:
            whole: Whether the whole dataset is asked for, whatever the store holds.

        Returns:
            What the store holds already, if nothing changed; the changes that take it there; or
            the whole dataset.
        """
        record = self._journal.manifest.graphs.get(self._uri)
        if record is not None and record.settings == self._settings and not whole:
            if record.loads == self._loads():
                return record
            changes = derive_changes(self._journal, record, self._config.data, self._config.seed)
            if changes is not None:
                return changes
        return self._dataset()

    def write(
        self, target: Dataset | Changes | GraphRecord, offline: Path | None = None
    ) -> tuple[GraphRecord, bool]:
        """Brings the store to it, or writes a dataset for the offline importer instead.

        Returns:
            What the store now holds, or will hold, and whether anything was written to it.
        """
        if offline is not None and isinstance(target, Dataset):
            write_offline(target, offline)
            return self._record(target), False
        scheme, _, path = self._config.store.uri.partition(":")
        embedded = Path(path) if scheme == "embedded" else None
        previous_record = self._journal.manifest.graphs.get(self._uri)
        stamp = None if embedded is None else stamp_of(embedded)
        if isinstance(target, GraphRecord) and stamp is not None and stamp == target.stamp:
            # Opening a large file takes seconds; one that nobody touched holds what it held.
            return target, False
        with self._open() as store:
            record, changed = self._write_store(target, previous_record, store)
        if embedded is not None:
            # A store that the caller goes on to write has not come to its file yet.
            stamp = None if self._store is not None else stamp_of(embedded)
            record = replace(record, stamp=stamp)
        self._journal.update(self._journal.manifest.with_graph(self._uri, record))
        return record, changed

    def _open(self) -> AbstractContextManager[GraphStore]:
        if self._store is not None:
            return nullcontext(self._store())
        if self._store_future is not None:
            return self._store_future.result()
        return open_store(self._config.store)

    def _write_store(
        self,
        target: Dataset | Changes | GraphRecord,
        previous_record: GraphRecord | None,
        store: GraphStore,
    ) -> tuple[GraphRecord, bool]:
        state = read_state(store)
        if previous_record is None:
            if state is not None:
                self._refuse_unknown_loads(store)
        elif state is not None and state.is_ready(previous_record.version):
            if isinstance(target, GraphRecord):
                return target, False
            if isinstance(target, Changes):
                # A caller who goes on to write would write the whole file twice.
                checkpoint = self._store is None
                apply_changes(target, store, checkpoint=checkpoint, progress=self._progress)
                self.applied_changes = target
                record = replace(
                    previous_record,
                    version=target.version,
                    loads=self._loads(),
                    catalogue=target.catalogue,
                    nodes=previous_record.nodes + target.more_nodes,
                    edges=previous_record.edges + target.more_edges,
                )
                return record, target.rows > 0
        dataset = target if isinstance(target, Dataset) else self._dataset()
        report = write_dataset(dataset, store, progress=self._progress)
        return self._record(dataset), report.changed

    def _dataset(self) -> Dataset:
        manifest = self._journal.manifest
        records = manifest.scales.get(self._settings, {})
        scales = {name: Scale(**record) for name, record in records.items()}
        dataset, fitted_scales = build_dataset(
            self._journal, self._config.data, self._config.seed, scales=scales
        )
        if fitted_scales and self._settings not in manifest.scales:
            records = {name: asdict(scale) for name, scale in fitted_scales.items()}
            self._journal.manifest = replace(manifest, scales={self._settings: records})
        return dataset

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

    def _refuse_unknown_loads(self, store: GraphStore) -> None:
        """Raises StoreError if the graph holds loads that would be lost, as nobody has them."""
        replaced = {source.name for source in self._config.data.all_sources() if source.replace}
        journal_contents = {record.load.content for record in self._journal.manifest.loads}
        lost_loads = [
            row
            for row in store.read("loads")
            if row["content"] not in journal_contents
            and not row["undone"]
            and row["source"] not in replaced
        ]
        if lost_loads:
            raise StoreError(
                f"the graph in {store.uri} holds load {lost_loads[0]['number']} of "
                f"{lost_loads[0]['source']!r} ({len(lost_loads)} in all) that the journal "
                f"{self._journal.folder} does not know and that would be lost; set data.journal "
                f"to the folder that has them, or give kgrec an empty store"
            )
