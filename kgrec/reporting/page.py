"""The report as one HTML page that needs nothing else: no script, no font, no network."""

from datetime import UTC, datetime
from pathlib import Path

from kgrec import __version__
from kgrec.config import Config
from kgrec.errors import DataError
from kgrec.exploration.layout import LETTER, SMALL
from kgrec.exploration.look import TONES
from kgrec.files import os_errors_as, write_text
from kgrec.pages.render import render
from kgrec.reporting.gather import ReportData
from kgrec.reporting.plots import ReportFigures
from kgrec.reporting.view import view


def write_report(data: ReportData, path: Path | str) -> None:
    """Writes the page; what was there before stays until the new one is whole.

    Raises:
        DataError: If it cannot be written.
    """
    with os_errors_as(DataError, "report", path):
        write_text(path, report_html(data), errors="replace")


#: Names of files and sources that say nothing of the data; their folder does.
_PLAIN = frozenset(
    ("data", "events", "i", "interactions", "log", "logs", "purchases", "r", "ratings", "reviews",
     "train", "transactions", "views")
)  # fmt: skip


def data_name(config: Config) -> str:
    """Gives what to call the data: the file or table of the interactions, or its folder."""
    if config.adopt is not None:
        return config.adopt.database
    path = config.data.interactions
    for source in config.data.sources:
        if source.kind == "interactions" and path is None:
            if source.path is None:
                return source.table or source.name
            path = source.path
    if path is None:
        return "interactions"
    stem = path.name.partition(".")[0]
    return path.resolve().parent.name or stem if stem.lower() in _PLAIN else stem


def report_html(data: ReportData) -> str:
    """Gives the page."""
    return render(
        "report.html.j2",
        data=data,
        figures=ReportFigures(),
        name=data.run.directory.resolve().name,
        title=f"{data_name(data.run.config)}, {datetime.now(UTC):%-d %B %Y}",
        version=__version__,
        tones=TONES,
        letter=LETTER,
        small=SMALL,
        **view(data),
    )
