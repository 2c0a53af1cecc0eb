"""What `kgrec check` tells of the data before it fills a store."""

from dataclasses import replace
from pathlib import Path

from kgrec.config import Config
from kgrec.data.card.build import build_card
from kgrec.data.card.card import Card
from kgrec.data.card.statistics import EventStatistics
from kgrec.data.intake import Intake
from kgrec.data.load import read_dataset
from kgrec.ingestion.pipeline import foreign_query


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
    intake, events = intake or Intake(), EventStatistics()
    if intake.query is None:
        intake = replace(intake, query=foreign_query)
    dataset, report = read_dataset(
        config.data, config.seed, intake, rejects=rejects, on_events=events.add
    )
    return build_card(dataset, report, config.data, events, name=name, seed=config.seed)
