"""Texts that nobody vouches for, made fit for a page."""

import html
import re

#: Characters that HTML does not know.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: object, most: int = 400) -> str:
    """Gives a text without control characters, `most` characters of it."""
    plain = _CONTROL.sub("\ufffd", str(text))
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def escaped(text: object, most: int = 400) -> str:
    """Gives a text as HTML; only pictures need it, templates escape by themselves."""
    return html.escape(printable(text, most), quote=True)
