"""A run kept fresh: new data taken in and folded in as it comes, until somebody says stop."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kgrec.config import Config
from kgrec.data.journal.manifest import stamp_of
from kgrec.data.reading.files import find_files
from kgrec.errors import ConfigError, DataError, StoreBusy, StoreUnavailable
from kgrec.store.base import GraphStore
from kgrec.store.state import graph_version
from kgrec.training.directory import Run
from kgrec.upkeep.keeping import KeptGraph, KeptStore
from kgrec.upkeep.refresh import Refreshed
from kgrec.upkeep.republish import is_half_done, open_readers

logger = logging.getLogger(__name__)

#: Waits for so many seconds; False ends the watching.
Wait = Callable[[float], bool]

_Files = frozenset[tuple[str, object]]


def sleep(seconds: float) -> bool:
    """Waits; Ctrl-C during it ends the watching."""
    time.sleep(seconds)
    return True


def watch(
    run: Run, config: Config, *, every: float, published: bool = False, wait: Wait = sleep
) -> Iterator[Refreshed]:
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
        published: Whether the current publication is brought up to date as well.
        wait: Waits; another one for tests.

    Raises:
        RunError: If the run cannot be folded.
    """
    seen: _Files | None = None
    store, graphs = KeptStore(config.store), KeptGraph(config)
    try:
        while True:
            files = looked_at(config)
            report = None
            try:
                new = bool(files) and files != seen
                if new or not store.untouched():
                    with store as opened:
                        seconds = _take_in(graphs, opened) if new else {}
                        seen = files
                        report = _fold_if_new(run, config, opened, graphs, published)
            except (StoreBusy, StoreUnavailable) as error:
                logger.warning("%s; looked at again in %g s", error, every)
            except (DataError, ConfigError) as error:
                seen = files  # the same files would be refused again
                logger.warning("%s; looked at again when a file changes", error)
            if report is not None:
                run = report.run
                report.seconds.update(seconds)
                yield report
                graphs.write()
            if not wait(every):
                return
    finally:
        store.close()


def looked_at(config: Config) -> _Files:
    """Gives the files of all sources with their size, times and inode."""
    found: set[tuple[str, object]] = set()
    for source in config.data.all_sources():
        if source.path is not None:
            try:
                found |= {(str(path), stamp_of(Path(path))) for path in find_files(source)}
            except DataError:
                logger.debug("source=%s has no file now", source.name)
    return frozenset(found)


def _take_in(graphs: KeptGraph, store: GraphStore) -> dict[str, float]:
    return {"ingest": graphs.take_in(lambda: store).seconds}


def _fold_if_new(
    run: Run, config: Config, store: GraphStore, graphs: KeptGraph, published: bool
) -> Refreshed | None:
    version = run.record["graph_version"]
    same = graph_version(store) == version
    if same:
        graphs(store)  # read now, so that what comes next need not wait for it
    if not published:
        return None if same else graphs.fold_in(run, store)
    with open_readers(config, store) as readers:
        if same and not is_half_done(readers.store, version):
            return None
        return graphs.fold_in(run, store, published=True, readers=readers)
