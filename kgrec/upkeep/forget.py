"""Forgetting a user or an item: everywhere that kgrec keeps it, in an order that survives a kill.

    names found -> rows erased beside, graph derived (all that can be refused is refused here)
        -> intent and tombstone written -> journal commits -> refused rows -> store -> text cache
        -> runs -> every place read again -> intent removed

Each step does nothing where it was done before, so a killed forgetting is completed by the next
one. The tombstone is written before the journal commits: no delivery in between brings rows back.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from kgrec.config import Config
from kgrec.data.cache import user_cache
from kgrec.data.cleaning.report import Report
from kgrec.data.journal.erasing import erased
from kgrec.data.journal.forgotten import write_forgotten
from kgrec.data.journal.journal import Journal
from kgrec.data.journal.place import journal_folder
from kgrec.errors import DataError
from kgrec.graph.fetch import fetch_graph
from kgrec.graph.snapshot import NAME
from kgrec.graph.texts import display_names, node_texts
from kgrec.publication import current
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.store.state import read_state
from kgrec.text.cache import drop_texts, text_key
from kgrec.updates.work import StoreWork
from kgrec.upkeep.fold import fold_run, is_there, recovered_run, write_folded
from kgrec.upkeep.intent import Intent, Target, read_intent, read_keys, remove_intent, write_intent
from kgrec.upkeep.naming import all_names, is_named
from kgrec.upkeep.places import (
    clean_rejects,
    drop_leftovers,
    edges_of,
    in_run,
    nodes_of,
    rows_left,
)
from kgrec.upkeep.receipt import Place, Receipt
from kgrec.upkeep.republish import is_of, open_readers, republish

logger = logging.getLogger(__name__)

OnStep = Callable[[str], None]


def forget(
    config: Config,
    target: Target | None,
    runs: Sequence[Path] = (),
    *,
    on_step: OnStep = lambda _: None,
    progress: bool = True,
) -> Receipt:
    """Removes a user or an item from journal, store, text cache and runs, and looks again.

    Args:
        config: The settings.
        target: Who or what; None completes what was interrupted.
        runs: Directories of runs to take it out of.
        on_step: Is told each step before it is taken.
        progress: Whether bars are shown on a terminal.

    Returns:
        What was done and what looking again found. If an earlier forgetting of another id was
        interrupted, that one is completed first.

    Raises:
        DataError: If there is nothing to complete, the id was never there, or nothing would be left
            without it; nothing was changed.
        StoreError: If the store cannot be written; the next call goes on.
        RunError: If a run cannot be taken over to the graph without it; the next call goes on.
    """
    folder = journal_folder(config)
    names = frozenset(source.name for source in config.data.all_sources())
    with Journal(folder, names) as journal:
        begun = read_intent(folder)
        if begun is None and target is None:
            raise DataError(f"no forgetting was interrupted in {folder}; give --user or --item")
        work = _Forgetting(config, journal, on_step, progress)
        if begun is not None:
            extra = runs if target in (None, begun.target) else ()
            receipt = work.carry_out(_still_there(begun, extra), completed=True)
            if target in (None, begun.target):
                return receipt
        assert target is not None
        return work.carry_out(work.begin(target, runs), completed=False)


def readmit(config: Config, target: Target) -> bool:
    """Lets a forgotten id come again with later deliveries; gives whether it was forgotten."""
    folder = journal_folder(config)
    with Journal(folder) as journal:
        known = journal.forgotten.holds(target.label, target.id)
        if known:
            write_forgotten(folder, journal.forgotten.without_ids({target.label: [target.id]}))
    return known


class _Forgetting:
    """One call's way through the places."""

    def __init__(self, config: Config, journal: Journal, on_step: OnStep, progress: bool) -> None:
        self._config, self._journal = config, journal
        self._on_step, self._progress = on_step, progress
        self._cache = user_cache() / "text"

    def begin(self, target: Target, runs: Sequence[Path]) -> Intent:
        """Finds out what there is to do; changes nothing."""
        gone = all_names(self._journal, self._config.data, target)
        return Intent(target, gone, tuple(Path(run).resolve() for run in runs))

    def carry_out(self, intent: Intent, *, completed: bool) -> Receipt:
        """Takes every step that is left, and looks again."""
        journal, folder, gone = self._journal, self._journal.folder, intent.gone
        known = journal.forgotten.holds(intent.target.label, intent.target.id)
        held = self._held(intent)
        if not (completed or any(held.values())):
            if not known:
                raise DataError(
                    f"there is no {intent.target.label.lower()} {intent.target.id!r} in journal "
                    f"{folder}, store {self._config.store.uri} or a given run, and none was "
                    f"forgotten; check the id"
                )
            return Receipt(intent.target, gone, (), False, True, False, None)
        places = []
        with StoreWork(self._config, journal, Report(), self._progress) as work:
            with journal.staging():
                self._on_step("derive")
                manifest, removed = erased(journal, gone)
                keys = frozenset() if completed else self._text_keys()
                journal.manifest = manifest
                journal.forget_codes()
                planned = work.plan(whole=True)
                self._on_step("intent")
                write_intent(folder, intent, keys)
                journal.forgotten = journal.forgotten.with_ids(gone)
                write_forgotten(folder, journal.forgotten)
                (folder / NAME).unlink(missing_ok=True)
                self._on_step("journal")
                journal.update(journal.manifest)
            places.append(Place("journal", str(folder), removed, rows_left(folder, gone)))
            self._on_step("rejects")
            places.append(clean_rejects(folder, gone))
            self._on_step("store")
            record, _ = work.write(planned)
        places += self._looked_at_store(intent, held)
        self._on_step("texts")
        places.append(self._text_place())
        places += self._runs(intent)
        receipt = Receipt(
            intent.target, gone, tuple(places), True, known and not completed, completed,
            record.version,
        )  # fmt: skip
        self._on_step("done")
        if receipt.verified:
            remove_intent(folder)
        logger.info("forgotten places=%d verified=%s", len(places), receipt.verified)
        return receipt

    def _held(self, intent: Intent) -> dict[str, dict[str, int]]:
        """What there is of the target: in the journal, and by kind in the store."""
        held: dict[str, dict[str, int]] = {"journal": {}, "nodes": {}, "edges": {}, "runs": {}}
        if is_named(self._journal, intent.target):
            held["journal"] = {"rows": 1}
        for directory in intent.runs:
            if count := in_run(recovered_run(directory), intent.gone):
                held["runs"][str(directory)] = count
        store = self._reader()
        if store is not None:
            with store:
                held["nodes"] = nodes_of(store, intent.gone)
                held["edges"] = edges_of(store, intent.gone) if held["nodes"] else {}
        return held

    def _reader(self) -> GraphStore | None:
        """The store, open for reading; None if there is none or no graph in it."""
        scheme, _, path = self._config.store.uri.partition(":")
        if scheme == "embedded" and not Path(path).exists():
            return None
        store = open_store(self._config.store, read_only=True)
        if read_state(store) is None:
            store.close()
            return None
        return store

    def _text_keys(self) -> frozenset[bytes]:
        """The keys of all texts that the graph tells, if any text was ever encoded here."""
        store = self._reader() if self._cache.is_dir() else None
        if store is None:
            return frozenset()
        with store:
            texts = node_texts(fetch_graph(store), self._config.text)
        return frozenset(text_key(text) for of_label in texts.values() for text in of_label if text)

    def _text_place(self) -> Place:
        """Drops the vectors of texts that the graph told with the target and no longer tells."""
        stale = read_keys(self._journal.folder)
        if stale:
            stale -= self._text_keys()
        removed, left = drop_texts(self._cache, stale) if stale else (0, 0)
        left += drop_texts(self._cache, stale)[0] if stale else 0
        return Place("text cache", str(self._cache), removed, left)

    def _looked_at_store(self, intent: Intent, held: dict[str, dict[str, int]]) -> list[Place]:
        uri = self._config.store.uri
        store = self._reader()
        if store is None:
            return []
        with store:
            nodes, edges = nodes_of(store, intent.gone), edges_of(store, intent.gone)
            listed = sum(
                key in intent.gone.get(label, ())
                for label in NodeLabel
                for key in store.vectors(label)[0]
            )
        vectors = held["nodes"].pop("vectors", 0)
        nodes.pop("vectors", 0)
        return [
            Place("nodes", uri, sum(held["nodes"].values()), sum(nodes.values()), held["nodes"]),
            Place("edges", uri, sum(held["edges"].values()), sum(edges.values()), held["edges"]),
            Place("vectors and their index", uri, vectors, listed),
        ]

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
                removed = in_run(run, intent.gone)
                if removed or run.record["graph_version"] != graph.version:
                    folded = fold_run(run, graph)
                    fresh = folded.as_run(directory, names)
                    with open_readers(self._config, store) as readers:
                        if is_of(current(readers.store), run):
                            republish(readers, folded, fresh)
                    write_folded(fresh, folded)
                left = in_run(recovered_run(directory), intent.gone) + drop_leftovers(directory)
                places.append(Place("run", str(directory), removed, left))
        return places


def _still_there(intent: Intent, runs: Sequence[Path]) -> Intent:
    """The intent with more runs, and without those that somebody moved away since."""
    begun = [run for run in intent.runs if is_there(run)]
    every = dict.fromkeys([*begun, *(Path(run).resolve() for run in runs)])
    return Intent(intent.target, intent.gone, tuple(every))
