"""A run kept fresh: new data taken in and folded in as it comes, until somebody says stop."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kgrec.config import Config
from kgrec.data.reading.files import find_files
from kgrec.errors import ConfigError, DataError, StoreBusy, StoreUnavailable
from kgrec.files import stamp_of
from kgrec.store.base import GraphStore
from kgrec.store.state import graph_version
from kgrec.training.directory import Run
from kgrec.upkeep.keeping import KeptGraph, KeptStore
from kgrec.upkeep.refresh import RefreshReport
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
                        seconds = _take_in(graphs, store) if is_new else {}
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


def _take_in(graphs: KeptGraph, store: GraphStore) -> dict[str, float]:
    return {"ingest": graphs.take_in(lambda: store).seconds}


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
