"""HTML from texts that nobody vouches for: everything that is shown is escaped here."""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Rows of a table on the page; a card of thousands of relations is no card.
MOST_ROWS = 200

#: Characters that HTML does not know.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def shown(text: object, most: int = 400) -> str:
    """Gives a text as HTML: escaped, without control characters, `most` characters of it."""
    plain = _CONTROL.sub("\ufffd", str(text))
    if len(plain) > most:
        plain = plain[: most - 1] + "…"
    return html.escape(plain, quote=True)


@dataclass(frozen=True)
class Meter:
    """A share that is drawn beside its number."""

    share: float
    text: str


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its head.
        kind: `name` heads the row, `number` goes right, `text` wraps.
    """

    title: str
    kind: str = "number"


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> str:
    """Gives a table that scrolls by itself where the screen is narrow.

    Args:
        caption: What it shows; "" leaves it out.
        columns: Its columns (n,).
        rows: Cells of each row (n,); a `Meter` is drawn.
    """
    told = list(rows)
    head = "".join(
        f'<th scope="col"{_class(column.kind)}>{shown(column.title)}</th>' for column in columns
    )
    body = "".join(f"<tr>{''.join(map(_cell, columns, row))}</tr>" for row in told[:MOST_ROWS])
    if len(told) > MOST_ROWS:
        body += (
            f'<tr><td class="wide" colspan="{len(columns)}">and {len(told) - MOST_ROWS:,} more, '
            f"which kgrec check --json tells</td></tr>"
        )
    titled = f"<caption><span>{shown(caption)}</span></caption>" if caption else ""
    named = shown(caption or "numbers")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{named}">'
        f"<table>{titled}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def figure(caption: str, picture: str, numbers: str) -> str:
    """Gives a picture with its numbers folded away below it; both are HTML already."""
    return (
        f"<figure><figcaption>{shown(caption)}</figcaption>{picture}"
        f"<details><summary>numbers</summary>{numbers}</details></figure>"
    )


def _cell(column: Column, value: object) -> str:
    if column.kind == "name":
        return f'<th scope="row">{shown(value)}</th>'
    if isinstance(value, Meter):
        width = min(max(100 * value.share, 0), 100)
        drawn = f'<span class="meter" aria-hidden="true"><i style="width:{width:.1f}%"></i></span>'
        return f"<td{_class(column.kind)}>{shown(value.text)}{drawn}</td>"
    return f"<td{_class(column.kind)}>{shown(value)}</td>"


def _class(kind: str) -> str:
    return {"number": ' class="number"', "wide": ' class="wide"'}.get(kind, "")
