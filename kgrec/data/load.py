"""The settings' sources into one validated `Dataset`, without a journal that stays."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kgrec.config import DataConfig
from kgrec.data.cleaning.report import Rejects, Report
from kgrec.data.intake import Intake, take_in
from kgrec.data.journal.events import Events
from kgrec.data.journal.journal import temporary_journal
from kgrec.data.tables import Dataset
from kgrec.data.view.build import build_dataset

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
