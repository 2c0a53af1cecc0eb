"""A run kept fresh: new data taken in and folded in as it comes, until somebody says stop.

Between two looks the store stays open, and its graph in memory as arrays.
"""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kgrec.config import Config, StoreConfig
from kgrec.data.journal.journal import Journal
from kgrec.data.journal.manifest import GraphRecord, graph_address, journal_folder
from kgrec.data.reading.files import find_files
from kgrec.data.tables import Changes
from kgrec.data.unchanged import view_settings
from kgrec.data.view.build import derive_changes
from kgrec.errors import ConfigError, DataError, StoreBusy, StoreUnavailable
from kgrec.files import stamp_of
from kgrec.graph.data import GraphData
from kgrec.graph.fetch import fetch_graph
from kgrec.graph.patch import is_current, patched
from kgrec.graph.snapshot import NAME, read_graph, read_note, write_graph
from kgrec.ingestion import IngestReport, ingest
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.store.state import graph_version
from kgrec.training.directory import Run
from kgrec.upkeep.refresh import RefreshReport, refresh
from kgrec.upkeep.republish import Readers, is_half_done, open_readers

logger = logging.getLogger(__name__)

#: Waits for so many seconds; False ends the watching.
Wait = Callable[[float], bool]

_Files = frozenset[tuple[str, object]]


def sleep(seconds: float) -> bool:
    """Waits; Ctrl-C during it ends the watching."""
    time.sleep(seconds)
    return True


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

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
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

    def take_in(self, store: GraphStore) -> IngestReport:
        """Takes in what is new, as `ingest`, and remembers what that changes; then `fold_in`.

        Args:
            store: The settings' store, open for writing.
        """
        report = ingest(self._config, store=lambda: store, progress=False)
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


def watch(
    run: Run, config: Config, *, every: float, publish: bool = False, wait: Wait = sleep
) -> Iterator[RefreshReport]:
    """Gives a report each time there was something new.

    Each round looks at names, sizes and times of the sources' files, takes in what is new, and
    compares the graph's version with the run's, which others may have changed as well. A store that
    is busy is looked at again in the next round, a file that is refused when a file has changed.

    The store and the graph's arrays stay in memory. Between rounds others may write the store; an
    embedded one is then read again, and is not looked at while its file stays as it is.

    Args:
        run: The run; each report holds the next one.
        config: The settings whose sources are watched and whose store is polled.
        every: Seconds between two looks.
        publish: Whether the current publication is brought up to date as well.
        wait: Waits; another one for tests.

    Raises:
        RunError: If the run cannot be folded.
    """
    last_files: _Files | None = None
    kept_store, graphs = KeptStore(config.store), KeptGraph(config)
    try:
        while True:
            files = source_stamps(config)
            report = None
            try:
                is_new = bool(files) and files != last_files
                if is_new or not kept_store.untouched():
                    with kept_store as store:
                        seconds = {"ingest": graphs.take_in(store).seconds} if is_new else {}
                        last_files = files
                        report = _fold_if_new(run, config, store, graphs, publish)
            except (StoreBusy, StoreUnavailable) as error:
                logger.warning("%s; looked at again in %g s", error, every)
            except (DataError, ConfigError) as error:
                last_files = files  # the same files would be refused again
                logger.warning("%s; looked at again when a file changes", error)
            if report is not None:
                run = report.run
                report.seconds.update(seconds)
                yield report
                graphs.write()
            if not wait(every):
                return
    finally:
        kept_store.close()


def source_stamps(config: Config) -> _Files:
    """Gives the files of all sources with their size, times and inode."""
    stamps: set[tuple[str, object]] = set()
    for source in config.data.all_sources():
        if source.path is not None:
            try:
                stamps |= {(str(path), stamp_of(Path(path))) for path in find_files(source)}
            except DataError:
                logger.debug("source=%s has no file now", source.name)
    return frozenset(stamps)


def _fold_if_new(
    run: Run, config: Config, store: GraphStore, graphs: KeptGraph, publish: bool
) -> RefreshReport | None:
    version = run.record.graph_version
    up_to_date = graph_version(store) == version
    if up_to_date:
        graphs(store)  # read now, so that what comes next need not wait for it
    if not publish:
        return None if up_to_date else graphs.fold_in(run, store)
    with open_readers(config, store) as readers:
        if up_to_date and not is_half_done(readers.store, version):
            return None
        return graphs.fold_in(run, store, publish=True, readers=readers)
