"""`kgrec check`."""

from pathlib import Path
from typing import Annotated

import typer

from kgrec.cli.options import AsJson, ConfigFile, MaxBadRows, Overrides, load_config
from kgrec.cli.output import Reporter

HtmlFile = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write the data card as a page, too."),
]
RejectsFolder = Annotated[
    Path | None,
    typer.Option("--rejects", metavar="DIR", help="Write the rows that cannot be used, too."),
]


def check(
    config: ConfigFile,
    overrides: Overrides = None,
    max_bad_rows: MaxBadRows = None,
    html: HtmlFile = None,
    rejects: RejectsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Look at the data before it fills a store: what is in it, and what may mislead."""
    settings = load_config(config, None, overrides, max_bad_rows)
    with Reporter(as_json) as reporter:
        from kgrec.cli.steps import row_progress
        from kgrec.data.card.build import build_card
        from kgrec.data.card.page import write_card
        from kgrec.data.card.statistics import EventStatistics
        from kgrec.data.card.terminal import card_tables
        from kgrec.data.load import Intake, read_dataset
        from kgrec.ingestion import foreign_query

        events = EventStatistics()
        with reporter.step("read") as notes, row_progress(reporter) as on_rows:
            dataset, report = read_dataset(
                settings.data,
                settings.seed,
                Intake(query=foreign_query, on_rows=on_rows),
                rejects=rejects,
                on_events=events.add,
            )
            notes.append(f"{sum(report.rows.values()):,} rows of {len(report.rows):,} sources")
        with reporter.step("card") as notes:
            card = build_card(
                dataset, report, settings.data, events, name=config.stem, seed=settings.seed
            )
            notes.append(f"cautions: {len(card.cautions)}")
        if html is not None:
            write_card(card, html)
        page_line = () if html is None else (f"page: {html}",)
        answer = {
            "card": card.to_json(),
            "html": None if html is None else str(html),
            "rejects": None if rejects is None else str(rejects),
            "seconds": reporter.seconds,
        }
        reporter.answer(answer, *card_tables(card), *page_line)
