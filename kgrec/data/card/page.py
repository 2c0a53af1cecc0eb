"""The data card as one HTML page that needs nothing else: no script, no font, no network."""

from pathlib import Path

from kgrec.data.card.card import Card
from kgrec.data.card.plots import Figures
from kgrec.errors import DataError
from kgrec.files import write_text
from kgrec.pages.render import render


def write_card(card: Card, path: Path) -> None:
    """Writes the page; what was there before stays until the new one is whole.

    Raises:
        DataError: If it cannot be written.
    """
    path = Path(path)
    try:
        write_text(path, card_html(card), errors="replace")
    except OSError as exc:
        raise DataError(
            f"cannot write the data card to {path}: {exc.strerror or exc}; give it a file in a "
            f"folder that exists and takes files"
        ) from exc


def card_html(card: Card) -> str:
    """Gives the page."""
    return render("card.html.j2", card=card, figures=Figures())
