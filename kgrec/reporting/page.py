"""The report as one HTML page that needs nothing else: no script, no font, no network."""

from pathlib import Path

from kgrec import __version__
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


def report_html(data: ReportData) -> str:
    """Gives the page."""
    return render(
        "report.html.j2",
        data=data,
        figures=ReportFigures(),
        name=data.run.directory.resolve().name,
        version=__version__,
        tones=TONES,
        letter=LETTER,
        small=SMALL,
        **view(data),
    )
