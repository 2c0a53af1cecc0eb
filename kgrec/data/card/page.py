"""The data card as one HTML page that needs nothing else: no script, no font, no network."""

from pathlib import Path

from kgrec.data.card.card import Card, Caution, Level
from kgrec.data.card.markup import shown
from kgrec.data.card.numbers import percent, share
from kgrec.data.card.plots import Figures
from kgrec.data.card.sections import cleaning, degrees, graph, interactions, properties
from kgrec.data.card.style import CSS
from kgrec.errors import DataError
from kgrec.files import write_text

_LEVELS: dict[Level, str] = {
    "leak": "leak",
    "suspect": "look at this",
    "note": "good to know",
}


def write_card_html(card: Card, path: Path) -> None:
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
    figures = Figures()
    body = [
        _head(card),
        cautions_section(card.cautions),
        interactions(card, figures),
        degrees(card, figures),
        graph(card),
        properties(card),
        cleaning(card),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Data card: {shown(card.name)}</title><style>\n{CSS}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n<footer>Made by kgrec check. Times are UTC.</footer>\n</main></body></html>\n"
    )


def _head(card: Card) -> str:
    tiles = {
        "users": f"{card.users:,}",
        "items": f"{card.items:,}",
        "entities": f"{card.entities:,}",
        "interactions": f"{card.interactions:,}",
        "relation edges": f"{card.relation_edges:,}",
        "density": percent(card.density),
        "items with graph edges": share(card.items_with_edges, card.items),
        "items without train": share(card.item_degrees.without, card.items),
    }
    cells = "".join(f"<div><dt>{shown(k)}</dt><dd>{shown(v)}</dd></div>" for k, v in tiles.items())
    return (
        f'<header><h1>{shown(card.name)}</h1><p class="soft">Data card: what the data is like, and '
        f'what in it may mislead.</p><dl class="tiles">{cells}</dl></header>'
    )


def cautions_section(cautions: tuple[Caution, ...]) -> str:
    """Gives what may mislead."""
    if not cautions:
        return (
            "<section><h2>Cautions</h2><p>None. Relations, properties and splits were looked at "
            "for what gives held-out interactions away; that finds the usual leaks, not every one."
            "</p></section>"
        )
    told = "".join(
        f'<li class="{caution.level}"><span class="level">{_LEVELS[caution.level]}</span>'
        f"<b>{shown(caution.subject)}</b><p>{shown(caution.measured, 2000)}</p>"
        f"<p>{shown(caution.advice, 2000)}</p></li>"
        for caution in cautions[:100]
    )
    return f'<section><h2>Cautions</h2><ul class="cautions">{told}</ul></section>'
