"""From the settings' sources to an up-to-date store, or only to what is in them.

What `kgrec ingest` and `kgrec.ingest` do (`kgrec check` stops before the journal):

    sources -> new loads, staged -> view derived (all that can be refused is refused here)
            -> journal commits -> store written -> journal notes what the store holds

Killed at any point, the next run completes to the same graph: before the commit nothing counts,
after it the store is derived from the journal again.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from kgrec.config import Config, Source
from kgrec.config.adopted import key_query
from kgrec.data.card.build import build_card
from kgrec.data.card.card import Card
from kgrec.data.card.statistics import EventStatistics
from kgrec.data.cleaning.report import Rejects, Report, current_report
from kgrec.data.journal.forgotten import UNFINISHED
from kgrec.data.journal.journal import Journal
from kgrec.data.journal.manifest import Load, Manifest, journal_folder
from kgrec.data.load import Intake, read_dataset, take_in
from kgrec.data.tables import Changes
from kgrec.errors import ConfigError, DataError
from kgrec.ingestion.work import StoreWork
from kgrec.store.base import GraphStore


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        version: The graph version.
        nodes: Number of nodes.
        edges: Number of interactions and relation edges.
        loads: The loads it took in.
        changed: Whether anything was written to the store.
        findings: What cleaning mended, left out or refused.
        rejects: Folder of the rows that were refused; None if none was.
        seconds: How long it took.
        changes: What was written to the store, where that is known without comparing all of it.
    """

    version: str
    nodes: int
    edges: int
    loads: tuple[Load, ...]
    changed: bool
    findings: Report
    rejects: Path | None
    seconds: float
    changes: Changes | None = None


@dataclass(frozen=True)
class Marks:
    """Loads to take back, and loads to count again, by their numbers."""

    undo: tuple[int, ...] = ()
    redo: tuple[int, ...] = ()


def ingest(
    config: Config,
    intake: Intake | None = None,
    marks: Marks | None = None,
    *,
    offline: Path | None = None,
    store: Callable[[], GraphStore] | None = None,
    progress: bool = True,
) -> IngestReport:
    """Takes in what is new and brings the store to it.

    Args:
        config: The settings.
        intake: Tables from Python, replaced sources, mended rejects.
        marks: Loads to take back or to count again; with any, no source is read.
        offline: Writes files for Neo4j's offline importer into this folder instead of the store.
        store: Gives the settings' store, open for writing, where it is the caller who
            checkpoints and closes it; asked only where there is something to write or to look at.
        progress: Whether bars are shown on a terminal.

    Raises:
        DataError: If a source cannot be used, or rejects cannot be written; nothing was changed.
        ConfigError: If a setting does not fit; nothing was changed.
        StoreError: If the store cannot be written; the loads are kept and the next call goes on.
    """
    start = time.perf_counter()
    config.refuse_adopted_store()
    marks = marks or Marks()
    names = frozenset(source.name for source in config.data.all_sources())
    with (
        Report() as report,
        Journal(journal_folder(config), names) as journal,
        StoreWork(config, journal, progress, store) as work,
        Rejects(journal.forgotten.named_in) as rejects,
    ):
        with journal.staging() as staging:
            previous_manifest = journal.manifest
            if marks.undo or marks.redo:
                journal.manifest = _apply_marks(journal, marks)
            else:
                _refuse_unfit_keys(config, intake)
                take_in(config.data, journal, staging, rejects, _with_query(intake))
                journal.manifest = staging.place(journal.manifest)
                if staging.loads and offline is None:
                    work.open_early()
            _note_unnamed(journal, names)
            target = work.plan(whole=offline is not None)
            rejects_folder = None
            if any(staged.load.rejected for staged in staging.loads):
                # Before the loads count: a row is in the graph or in a file, never in neither.
                rejects_folder = journal.folder / "rejects" / f"{staging.loads[0].load.number:05d}"
                rejects.write(rejects_folder)
            if journal.manifest != previous_manifest:
                journal.update(journal.manifest)
        record, store_changed = work.write(target, offline)
        loads = tuple(staged.load for staged in staging.loads)
    return IngestReport(
        record.version, record.nodes, record.edges, loads, store_changed, report, rejects_folder,
        time.perf_counter() - start, work.applied_changes,
    )  # fmt: skip


def check(
    config: Config,
    intake: Intake | None = None,
    *,
    name: str = "data",
    rejects: Path | None = None,
) -> Card:
    """Reads, cleans and joins all sources, and says what is in them and what may mislead.

    Args:
        config: The settings.
        intake: Tables from Python; what counts the rows that were read.
        name: What the data card calls the data.
        rejects: Folder for the rows that cannot be used; None keeps them nowhere.

    Raises:
        DataError: If a source cannot be used as it is.
        ConfigError: If a setting does not fit the sources.
    """
    _refuse_unfit_keys(config, intake)
    events = EventStatistics()
    dataset, report = read_dataset(
        config.data, config.seed, _with_query(intake), rejects=rejects, on_events=events.add
    )
    return build_card(dataset, report, config.data, events, name=name, seed=config.seed)


def _with_query(intake: Intake | None) -> Intake:
    """The intake, which runs queries on their own Neo4j unless it says otherwise."""
    intake = intake or Intake()
    return intake if intake.query is not None else replace(intake, query=foreign_query)


def foreign_query(source: Source) -> Iterator[pa.Table]:
    """Runs the Cypher query of a source on its own Neo4j; as `Intake.query`."""
    assert source.uri is not None
    assert source.cypher is not None
    return _rows_of(source.uri, source.database, source.cypher)


def _rows_of(uri: str, database: str, cypher: str) -> Iterator[pa.Table]:
    from kgrec.store.neo4j import stream_query

    return stream_query(
        uri,
        database,
        cypher,
        user=os.environ.get("KGREC_SOURCE_USER") or "neo4j",
        password=os.environ.get("KGREC_SOURCE_PASSWORD") or "",
    )


def _refuse_unfit_keys(config: Config, intake: Intake | None) -> None:
    """Refuses keys of an adopted graph by which `kgrec publish` would not find its nodes again."""
    adopt = config.adopt
    if adopt is None or (intake is not None and intake.query is not None):
        return
    for role, nodes in (("user", adopt.user), ("item", adopt.item)):
        for table in _rows_of(adopt.uri, adopt.database, key_query(nodes)):
            num_nodes, num_fitting, num_ids = (table[at][0].as_py() for at in range(3))
            place = f"{nodes.label}.{nodes.key} of {adopt.uri}"
            other = "integer" if nodes.key_type == "string" else "string"
            if num_nodes and not num_fitting:
                raise ConfigError(
                    f"adopt.{role}.key_type is {nodes.key_type!r}, but none of the {num_nodes:,} "
                    f"values of {place} is one, and nothing would be published to them; set "
                    f'key_type = "{other}", or take another key'
                )
            if num_ids < num_nodes:
                raise DataError(
                    f"{num_nodes - num_ids:,} of the {num_nodes:,} {nodes.label} nodes share their "
                    f"key with another one (1 and '1', 'a' and ' a' are one id): {place}; expected "
                    f"that no two share it; mend the nodes, or take another key"
                )


def _note_unnamed(journal: Journal, names: frozenset[str]) -> None:
    """Says which loads are in the journal and yet not in the graph, and what was interrupted."""
    unnamed_loads = [
        record.load for record in journal.manifest.active() if record.load.source not in names
    ]
    current_report().add(
        "graph", "unnamed source", "noted", len(unnamed_loads),
        "loads are of sources that the settings do not name, and do not count",
        sorted({load.source for load in unnamed_loads}),
    )  # fmt: skip
    current_report().add(
        "graph", "unfinished forgetting", "noted", int((journal.folder / UNFINISHED).exists()),
        "forgetting was interrupted; complete it with kgrec forget",
    )  # fmt: skip


def _apply_marks(journal: Journal, marks: Marks) -> Manifest:
    manifest = journal.manifest
    loads = [record.load for record in manifest.loads]
    for numbers, undone in ((marks.undo, True), (marks.redo, False)):
        for number in numbers:
            if all(load.number != number for load in loads):
                latest = ", ".join(f"{load.number} ({load.source})" for load in loads[-10:])
                raise DataError(
                    f"there is no load {number} in {journal.folder}; expected one of "
                    f"{latest or 'none'}"
                )
            manifest = manifest.marked(number, undone=undone)
    return manifest
