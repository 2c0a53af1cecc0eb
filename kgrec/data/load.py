"""The settings' sources: what is new into the journal, or all into one validated `Dataset`."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from kgrec.config import DataConfig, Source
from kgrec.data.cleaning.report import Rejects, Report, current_report, rejects_source
from kgrec.data.cleaning.source import clean_source
from kgrec.data.journal.events import Events
from kgrec.data.journal.journal import Journal, temporary_journal
from kgrec.data.journal.manifest import FileRecord, LoadRecord
from kgrec.data.journal.staging import Staging
from kgrec.data.reading.files import Chunk
from kgrec.data.reading.open import Query, SourceFile, open_source
from kgrec.data.tables import Dataset
from kgrec.data.unchanged import reading_settings
from kgrec.data.view.build import build_dataset
from kgrec.errors import ConfigError, DataError
from kgrec.files import stamp_of

logger = logging.getLogger(__name__)

OnRows = Callable[[str, int], None]
_Files = list[tuple[SourceFile, FileRecord]]


@dataclass(frozen=True)
class Intake:
    """What to take in, besides the files of the settings.

    Attributes:
        tables: pandas or Arrow tables by the names that sources give as `table`.
        query: Runs a source's Cypher query.
        replace: Names of sources of which this delivery is all there is.
        mended: A file of mended rejects; then nothing else is read. Its name says the source.
        on_rows: Is told the source and the number of rows just read, for progress.
    """

    tables: Mapping[str, Any] = field(default_factory=dict)
    query: Query | None = None
    replace: frozenset[str] = frozenset()
    mended: Path | None = None
    on_rows: OnRows | None = None

    def sources(self, config: DataConfig) -> tuple[Source, ...]:
        """Gives the sources to read.

        Raises:
            ConfigError: If `replace` or `mended` names no source.
        """
        sources = {source.name: source for source in config.all_sources()}
        names = {*self.replace, *([] if self.mended is None else [self.mended.stem])}
        if stray := sorted(names - set(sources)):
            raise ConfigError(
                f"there is no source {stray[0]!r}; expected one of {', '.join(sources)}; a file of "
                f"mended rows is named after its source, as the file of rejects was"
            )
        if self.mended is None:
            return tuple(sources.values())
        mended = rejects_source(sources[self.mended.stem], self.mended)
        return (mended.model_copy(update={"replace": False}),)


def take_in(
    config: DataConfig, journal: Journal, staging: Staging, rejects: Rejects, intake: Intake
) -> tuple[LoadRecord, ...]:
    """Reads what is new, cleans it and stages one load a source.

    A file whose contents an active load already has is not read again; neither is one whose load
    was taken back.

    Args:
        config: Sources and how they are cleaned.
        journal: What was loaded before.
        staging: Takes the new loads.
        rejects: Takes the bad rows.
        intake: What else there is to say.

    Raises:
        DataError: If a source cannot be used, or has more bad rows than are tolerated.
        ConfigError: If a setting does not fit a source.
    """
    for source in intake.sources(config):
        settings = reading_settings(source, config)
        files, replaces = _delivery(source, settings, journal, intake)
        if not files:
            continue
        rows = clean_source(source, config, _chunks(source, files, intake), rejects)
        rows = journal.forgotten.remaining(source.name, source.kind, rows)
        records = [record for _, record in files]
        load = staging.add(
            source, records, rows, settings, replaces=replaces,
            rejected=partial(rejects.count, source.name),
        ).load  # fmt: skip
        logger.info("load=%d source=%s files=%d rows=%d", load.number, source.name, len(records),
                    load.rows)  # fmt: skip
    return tuple(staging.loads)


def _chunks(source: Source, files: _Files, intake: Intake) -> Iterator[Chunk]:
    for file, _ in files:
        for chunk in file.chunks():
            if intake.on_rows is not None:
                intake.on_rows(source.name, len(chunk.table))
            yield chunk


def _delivery(
    source: Source, settings: str, journal: Journal, intake: Intake
) -> tuple[_Files, bool]:
    """Tells which files of a source are to be read, and whether they replace its other loads."""
    of_source = [r for r in journal.manifest.loads if r.load.source == source.name]
    active = [r for r in journal.manifest.active() if r.load.source == source.name]
    pairs = _files_of(source, of_source, intake, optional=bool(active) and not source.replace)
    contents = sorted(record.content for _, record in pairs)
    new_settings = any(record.settings != settings for record in active)
    if new_settings and intake.mended is None:
        _refuse_lost(source, active, {r.origin for _, r in pairs}, set(contents), intake)
    undone = {f.content for r in of_source if r.load.undone for f in r.files}
    loaded = {file.content for record in active for file in record.files}
    fresh, seen = [], set()
    for file, record in pairs:
        if record.content in undone - loaded:
            current_report().add(
                source.name, "taken back", "noted", 1,
                "files were taken back and are not read again; kgrec ingest --redo LOAD brings "
                "them back", [record.origin],
            )  # fmt: skip
        elif record.content in seen:
            current_report().add(
                source.name, "same file", "dropped", 1,
                "files have the same contents as another and were read once", [record.origin],
            )  # fmt: skip
        else:
            fresh.append((file, record))
        seen.add(record.content)
    # Mended rows come beside what was loaded, whatever has become of the settings since.
    replaces = new_settings or source.replace or source.name in intake.replace
    if replaces and intake.mended is None:
        # Rejects that were mended since are no part of what the files say, and stay with it.
        stated = [r for r in active if r.replaces] if source.replace else active
        same = not new_settings and contents == sorted(f.content for r in stated for f in r.files)
        return [] if same else fresh, True
    return [pair for pair in fresh if pair[1].content not in loaded], False


def _files_of(source: Source, loads: list[LoadRecord], intake: Intake, *, optional: bool) -> _Files:
    """Finds a source's files; one that looks as it did when it was read need not be hashed."""
    try:
        files = list(open_source(source, intake.tables, intake.query))
    except DataError as exc:
        if not optional:
            raise
        # Logs are moved away once they are loaded.
        current_report().add(
            source.name, "no file", "noted", 1, "time without a file; what was loaded stays",
            [str(exc).partition(";")[0]],
        )  # fmt: skip
        return []
    read = {(f.origin, f.stamp): f.content for r in loads for f in r.files if f.stamp is not None}
    pairs = []
    for file in files:
        stamp = stamp_of(Path(file.origin)) if source.cypher is None and not source.table else None
        content = (stamp and read.get((file.origin, stamp))) or file.content
        pairs.append((file, FileRecord(file.origin, content, stamp)))
    return pairs


def _refuse_lost(
    source: Source,
    active: list[LoadRecord],
    origins: set[str],
    contents: set[str],
    intake: Intake,
) -> None:
    """Raises DataError if other settings would lose rows whose file is gone."""
    lost = [
        file.origin
        for record in active
        for file in record.files
        if file.content not in contents and file.origin not in origins
    ]
    if lost and not source.replace and source.name not in intake.replace:
        raise DataError(
            f"the settings of source {source.name!r} changed, so its files must be read again, but "
            f"{lost[0]} is gone{f' (and {len(lost) - 1} more)' if len(lost) > 1 else ''}; bring it "
            f"back, or go on without its rows with --replace {source.name}"
        )


logger = logging.getLogger(__name__)


def load_dataset(
    config: DataConfig, seed: int, *, tables: Mapping[str, Any] | None = None
) -> Dataset:
    """Reads, cleans and joins all sources.

    Users and items are those of the interactions (whether or not they were rated too low) and of
    their tables. Entities are the other ends of triples, the values of attributes, and texts.

    Args:
        config: The sources and what to do with them.
        seed: Seeds the split.
        tables: pandas or Arrow tables by the names that sources give as `table`.

    Raises:
        DataError: If a source cannot be used as it is; the message names the place and the next
            step.
        ConfigError: If a setting does not fit the sources.
        SchemaError: If a relation's name gives no relationship type.
    """
    dataset, _ = read_dataset(config, seed, Intake(tables=tables or {}))
    for note in dataset.notes:
        logger.info("note=%s", note)
    return dataset


def read_dataset(
    config: DataConfig,
    seed: int,
    intake: Intake,
    *,
    rejects: Path | None = None,
    on_events: Callable[[Events], None] | None = None,
) -> tuple[Dataset, Report]:
    """Reads as `load_dataset`, and says what cleaning found.

    Args:
        config: The sources and what to do with them.
        seed: Seeds the split.
        intake: What else is to be taken in.
        rejects: Folder for the bad rows that are tolerated; None keeps them nowhere.
        on_events: Is given the cleaned events.

    Raises:
        KgrecError: As `load_dataset`.
    """
    with (
        Report() as report,
        temporary_journal() as journal,
        journal.staging() as staging,
        Rejects() as bad,
    ):
        take_in(config, journal, staging, bad, intake)
        journal.manifest = staging.place(journal.manifest)
        dataset, _ = build_dataset(journal, config, seed, on_events=on_events)
        if rejects is not None:
            bad.write(rejects)
    return dataset, report
