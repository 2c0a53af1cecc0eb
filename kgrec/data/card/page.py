"""The data card as one HTML page that needs nothing else: no script, no font, no network."""

import secrets
from pathlib import Path

from kgrec.data.card.card import Card
from kgrec.data.card.plots import Figures
from kgrec.errors import DataError
from kgrec.pages.render import render


def write_card_html(card: Card, path: Path) -> None:
    """Writes the page; what was there before stays until the new one is whole.

    Raises:
        DataError: If it cannot be written.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        beside.write_text(card_html(card), encoding="utf-8", errors="replace")
        beside.replace(path)
    except OSError as exc:
        raise DataError(
            f"cannot write the data card to {path}: {exc.strerror or exc}; give it a file in a "
            f"folder that exists and takes files"
        ) from exc
    finally:
        beside.unlink(missing_ok=True)


def card_html(card: Card) -> str:
    """Gives the page."""
    return render("card.html.j2", card=card, figures=Figures())
