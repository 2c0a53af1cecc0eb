"""What a watching process keeps between two looks: the store, open, and its graph as arrays."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from kgrec.config import Config, StoreConfig
from kgrec.data.journal.journal import Journal
from kgrec.data.journal.manifest import GraphRecord
from kgrec.data.journal.place import graph_address, journal_folder
from kgrec.data.settings import view_settings
from kgrec.data.tables import Changes
from kgrec.data.view.delta import derive_changes
from kgrec.errors import DataError, StoreBusy
from kgrec.graph.data import GraphData
from kgrec.graph.fetch import fetch_graph
from kgrec.graph.patch import is_current, patched
from kgrec.graph.snapshot import NAME, read_graph, read_note, write_graph
from kgrec.ingestion import IngestReport, ingest
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.training.directory import Run
from kgrec.upkeep.refresh import RefreshReport, refresh
from kgrec.upkeep.republish import Readers

logger = logging.getLogger(__name__)


class KeptStore:
    """A store that is opened once; a block has it for writing, between blocks others may write.

    An embedded graph stays in memory, and its file is read again only if others wrote it.

    Args:
        config: The store's settings.
    """

    def __init__(self, config: StoreConfig) -> None:
        self._config = config
        self._store: GraphStore | None = None

    def untouched(self) -> bool:
        """Whether it can be told that nobody wrote since the last block."""
        return self._store is not None and self._store.untouched()

    def __enter__(self) -> GraphStore:
        """Gives the store, as it is now.

        Raises:
            StoreBusy: If another process writes the embedded store.
            StoreUnavailable: If nothing answers there.
        """
        if self._store is None:
            self._store = open_store(self._config)
        else:
            self._store.resume()
        return self._store

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._store is not None
        self._store.rest(failed=kind is not None)

    def close(self) -> None:
        """Lets go of it; safe to call twice."""
        store, self._store = self._store, None
        if store is not None:
            store.close()


class KeptGraph:
    """A graph as arrays that follows what is taken in, instead of being read again.

    It lies beside the journal as well, so that the next process finds it and derives what came
    since from the journal's rows. What it gives is what `fetch_graph` would give: versions are
    hashes of all nodes and edges. Where that cannot be told, the store is read.

    Args:
        config: The settings.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._path = journal_folder(config) / NAME
        self._graph: GraphData | None = None
        self._changes: list[Changes | None] = []

    def take_in(self, store: Callable[[], GraphStore], *, progress: bool = False) -> IngestReport:
        """Takes in what is new, as `ingest`, and remembers what that changes; then `fold_in`.

        Args:
            store: Gives the settings' store, open for writing.
            progress: Whether bars are shown on a terminal.
        """
        report = ingest(self._config, store=store, progress=progress)
        if report.changed:
            self._changes.append(report.changes)
        return report

    def fold_in(
        self,
        run: Run,
        store: GraphStore,
        out: Path | None = None,
        *,
        publish: bool = False,
        readers: Readers | None = None,
    ) -> RefreshReport:
        """Folds a run into the graph that a store holds now, as `refresh`.

        What was taken in before comes to an embedded store's file with the lists that follow from
        it, and comes there as well if these cannot be made.
        """
        try:
            if not publish:
                store.checkpoint()  # before the run says so
            return refresh(run, store, out, publish=publish, readers=readers, graphs=self)
        except Exception:
            store.checkpoint()  # any list that was replaced is whole
            raise

    def __call__(self, store: GraphStore) -> GraphData:
        """Gives the graph that a store holds; raises as `fetch_graph`."""
        graph = self._graph or read_graph(self._path)
        changes, self._changes = self._changes, []
        for update_changes in changes:
            if graph is None or update_changes is None:
                break
            patched_graph = patched(graph, update_changes)
            if patched_graph is None:
                break
            graph = patched_graph
        if graph is not None and not is_current(graph, store):
            graph = self._graph_from_journal(graph)
        if graph is None or not is_current(graph, store):
            graph = fetch_graph(store)
        self._graph = graph
        return graph

    def _graph_from_journal(self, graph: GraphData) -> GraphData | None:
        """The graph after what others took in, by the journal; None if that is not told."""
        config, note = self._config, read_note(self._path)
        settings = view_settings(config.data, config.seed)
        if (note.get("version"), note.get("settings")) != (graph.version, settings):
            return None
        relations = sorted(graph.relations + graph.identities, key=lambda relation: relation.key)
        catalogue = tuple((relation.name, relation.key, relation.role) for relation in relations)
        record = GraphRecord(graph.version, settings, tuple(note["loads"]), catalogue, 0, 0)
        names = frozenset(source.name for source in config.data.all_sources())
        try:
            with Journal(self._path.parent, names) as journal:
                changes = derive_changes(journal, record, config.data, config.seed)
        except (StoreBusy, DataError) as exc:
            logger.debug("what was taken in is not told: %s", exc)
            return None
        return None if changes is None else patched(graph, changes)

    def write(self) -> None:
        """Writes it beside the journal, for the next process; if it cannot, that is no error."""
        graph, folder = self._graph, self._path.parent
        if graph is None or not folder.is_dir():
            return
        try:
            # With the journal in hand: what is being forgotten must not come back.
            with Journal(folder) as journal:
                record = journal.manifest.graphs.get(graph_address(self._config))
                if record is not None and record.version == graph.version:
                    note = {
                        "version": record.version,
                        "settings": record.settings,
                        "loads": record.loads,
                    }
                    write_graph(self._path, graph, note)
        except (StoreBusy, DataError, OSError) as exc:
            logger.warning("the graph is not kept for the next process: %s", exc)
