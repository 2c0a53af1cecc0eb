"""Forgetting a user or an item: everywhere that kgrec keeps it, in an order that survives a kill.

    names found -> rows erased beside, graph derived (all that can be refused is refused here)
        -> intent and tombstone written -> journal commits -> refused rows -> store -> text cache
        -> runs -> every place read again -> intent removed

Each step does nothing where it was done before, so a killed forgetting is completed by the next
one. The tombstone is written before the journal commits: no delivery in between brings rows back.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kgrec.config import Config
from kgrec.data.cache import user_cache
from kgrec.data.journal.erasing import erased
from kgrec.data.journal.forgotten import write_forgotten
from kgrec.data.journal.journal import Journal
from kgrec.data.journal.manifest import journal_folder
from kgrec.errors import ConfigError, DataError
from kgrec.graph.fetch import fetch_graph
from kgrec.graph.snapshot import NAME
from kgrec.graph.texts import display_names, node_texts
from kgrec.ingestion.work import StoreWork
from kgrec.publication import current_publication
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.store.state import read_state
from kgrec.text.cache import drop_texts, text_key
from kgrec.upkeep.fold import fold_run, is_there, recovered_run, write_folded
from kgrec.upkeep.intent import (
    Intent,
    all_names,
    is_named,
    read_intent,
    read_keys,
    remove_intent,
    target_of,
    write_intent,
)
from kgrec.upkeep.places import (
    Place,
    Receipt,
    clean_rejects,
    count_rows_left,
    drop_leftovers,
    in_run,
    in_store,
    other_files,
    without_names,
)
from kgrec.upkeep.republish import is_of, open_readers, republish
from kgrec.vocabulary import NodeId

logger = logging.getLogger(__name__)

OnStep = Callable[[str], None]

#: What is counted in a store, and what it is called in a receipt.
_STORE_PLACES = {"nodes": "nodes", "edges": "edges", "vectors": "vectors and their index"}


def forget(
    config: Config,
    *,
    user: NodeId | None = None,
    item: NodeId | None = None,
    runs: Sequence[Path | str] = (),
    on_step: OnStep = lambda _: None,
    progress: bool = True,
) -> Receipt:
    """Removes a user or an item from journal, store, text cache and runs, and looks again.

    Without an id it completes what was interrupted.

    Args:
        config: The settings.
        user: The id of a user, or
        item: of an item.
        runs: Directories of runs to take it out of.
        on_step: Is told each step before it is taken.
        progress: Whether bars are shown on a terminal.

    Returns:
        What was done and what looking again found. If an earlier forgetting of another id was
        interrupted, that one is completed first.

    Raises:
        ConfigError: If both a user and an item are named.
        DataError: If there is nothing to complete, the id was never there, or nothing would be left
            without it; nothing was changed.
        StoreError: If the store cannot be written; the next call goes on.
        RunError: If a run cannot be taken over to the graph without it; the next call goes on.
    """
    target = target_of(user, item)
    folder = journal_folder(config)
    names = frozenset(source.name for source in config.data.all_sources())
    with Journal(folder, names) as journal:
        intent = read_intent(folder)
        if intent is None and target is None:
            raise DataError(f"no forgetting was interrupted in {folder}; give --user or --item")
        work = _Forgetting(config, journal, on_step, progress)
        if intent is not None:
            more_runs = runs if target in (None, intent.target) else ()
            receipt = work.carry_out(_with_runs_there(intent, more_runs), completed=True)
            if target in (None, intent.target):
                return receipt
        assert target is not None
        ids = all_names(journal, config.data, target)
        intent = Intent(target, ids, tuple(Path(run).resolve() for run in runs))
        return work.carry_out(intent, completed=False)


def readmit(config: Config, *, user: NodeId | None = None, item: NodeId | None = None) -> bool:
    """Lets a forgotten id come again with later deliveries; gives whether it was forgotten.

    Args:
        config: The settings.
        user: The id of a user, or
        item: of an item.

    Raises:
        ConfigError: If not one of the two is named.
    """
    target = target_of(user, item)
    if target is None:
        raise ConfigError("nothing to readmit; give a user or an item")
    folder = journal_folder(config)
    with Journal(folder) as journal:
        was_forgotten = journal.forgotten.holds(target.label, target.id)
        if was_forgotten:
            write_forgotten(folder, journal.forgotten.without_ids({target.label: [target.id]}))
    return was_forgotten


class _Forgetting:
    """One call's way through the places."""

    def __init__(self, config: Config, journal: Journal, on_step: OnStep, progress: bool) -> None:
        self._config, self._journal = config, journal
        self._on_step, self._progress = on_step, progress
        self._cache = user_cache() / "text"

    def carry_out(self, intent: Intent, *, completed: bool) -> Receipt:
        """Takes every step that is left, and looks again."""
        journal, folder, ids = self._journal, self._journal.folder, intent.ids
        was_forgotten = journal.forgotten.holds(intent.target.label, intent.target.id)
        in_runs = [in_run(recovered_run(directory), ids) for directory in intent.runs]
        with self._reader() as store:
            stored = {} if store is None else in_store(store, ids)
        is_present = any(in_runs) or any(stored.values()) or is_named(journal, intent.target)
        if not (completed or is_present):
            if not was_forgotten:
                raise DataError(
                    f"there is no {intent.target.label.lower()} {intent.target.id!r} in journal "
                    f"{folder}, store {self._config.store.uri} or a given run, and none was "
                    f"forgotten; check the id"
                )
            return Receipt(intent.target, ids, (), False, True, False, None)
        places = []
        with StoreWork(self._config, journal, self._progress) as work:
            with journal.staging():
                self._on_step("derive")
                manifest, num_removed = erased(journal, ids)
                keys = frozenset() if completed else self._text_keys()
                journal.manifest = manifest
                journal.forget_codes()
                store_target = work.plan(whole=True)
                self._on_step("intent")
                write_intent(folder, intent, keys)
                journal.forgotten = journal.forgotten.with_ids(ids)
                write_forgotten(folder, journal.forgotten)
                (folder / NAME).unlink(missing_ok=True)
                self._on_step("journal")
                journal.update(journal.manifest)
            places.append(Place("journal", str(folder), num_removed, count_rows_left(folder, ids)))
            self._on_step("rejects")
            places.append(clean_rejects(folder, ids))
            places += other_files(folder, ids)
            self._on_step("store")
            record, _ = work.write(store_target)
        places += self._store_places(intent, stored)
        self._on_step("texts")
        places.append(self._text_place())
        places += self._runs(intent)
        receipt = Receipt(
            intent.target, ids, tuple(places), True, was_forgotten and not completed, completed,
            record.version,
        )  # fmt: skip
        self._on_step("done")
        if receipt.verified:
            remove_intent(folder)
        logger.info("forgotten places=%d verified=%s", len(places), receipt.verified)
        return receipt

    @contextmanager
    def _reader(self) -> Iterator[GraphStore | None]:
        """The store, open for reading; None if there is none or no graph in it."""
        scheme, _, path = self._config.store.uri.partition(":")
        if scheme == "embedded" and not Path(path).exists():
            yield None
            return
        with open_store(self._config.store, read_only=True) as store:
            yield None if read_state(store) is None else store

    def _text_keys(self) -> frozenset[bytes]:
        """The keys of all texts that the graph tells, if any text was ever encoded here."""
        if not self._cache.is_dir():
            return frozenset()
        with self._reader() as store:
            texts = {} if store is None else node_texts(fetch_graph(store), self._config.text)
        return frozenset(text_key(text) for of_label in texts.values() for text in of_label if text)

    def _text_place(self) -> Place:
        """Drops the vectors of texts that the graph told with the target and no longer tells."""
        stale = read_keys(self._journal.folder)
        if stale:
            stale -= self._text_keys()
        num_removed, num_left = drop_texts(self._cache, stale) if stale else (0, 0)
        num_left += drop_texts(self._cache, stale)[0] if stale else 0
        return Place("text cache", str(self._cache), num_removed, num_left)

    def _store_places(self, intent: Intent, stored: dict[str, dict[str, int]]) -> list[Place]:
        """Looks into the store again, and at its vectors by their index."""
        with self._reader() as store:
            if store is None:
                return []
            left = in_store(store, intent.ids)
            left["vectors"] = {
                label: sum(key in intent.ids.get(label, ()) for key in store.vectors(label)[0])
                for label in NodeLabel
            }
        places = []
        for kind, name in _STORE_PLACES.items():
            removed, num_left = stored.get(kind, {}), sum(left[kind].values())
            detail = None if kind == "vectors" else removed
            uri = self._config.store.uri
            places.append(Place(name, uri, sum(removed.values()), num_left, detail))
        return places

    def _runs(self, intent: Intent) -> list[Place]:
        """Takes the target out of the runs: each is folded into the graph without it."""
        places: list[Place] = []
        if not intent.runs:
            return places
        with open_store(self._config.store) as store:
            graph = fetch_graph(store)
            names = display_names(graph)  # what a node is called may name its neighbours
            for directory in intent.runs:
                self._on_step(f"run {directory.name}")
                run = recovered_run(directory)
                num_removed = in_run(run, intent.ids)
                if num_removed or run.record.graph_version != graph.version:
                    folding = fold_run(run, graph)
                    new_run = without_names(folding.as_run(directory, names), intent.ids)
                    with open_readers(self._config, store) as readers:
                        if is_of(current_publication(readers.store), run):
                            republish(readers, folding, new_run)
                    write_folded(new_run, folding)
                num_left = in_run(recovered_run(directory), intent.ids) + drop_leftovers(directory)
                places.append(Place("run", str(directory), num_removed, num_left))
        return places


def _with_runs_there(intent: Intent, runs: Sequence[Path | str]) -> Intent:
    """The intent with more runs, and without those that somebody moved away since."""
    present_runs = [run for run in intent.runs if is_there(run)]
    run_paths = dict.fromkeys([*present_runs, *(Path(run).resolve() for run in runs)])
    return Intent(intent.target, intent.ids, tuple(run_paths))
