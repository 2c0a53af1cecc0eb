"""Texts of reviews and queries, and the cells that become properties."""

import re

import numpy as np
import pyarrow as pa

from kgrec.data.cleaning.cells import (
    EDGES,
    Cleaned,
    Fault,
    Mask,
    Mending,
    as_text,
    encode,
    missing,
    nfc,
    replaced,
)
from kgrec.data.cleaning.screening import odd_values

# Line breaks and tabs belong to a text.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LONGEST = 2**31


def clean_texts(cells: pa.Array) -> Cleaned:
    """Cleans plain cells (n,) into texts: str (n,), stripped, in NFC; null where missing or bad.

    Control characters but line breaks and tabs are taken out; an empty text makes a bad row.
    """
    texts = encode(as_text(cells))
    odd = odd_values(texts.values, longest=_LONGEST)
    dirty = np.zeros(len(odd), dtype=bool)
    form = np.zeros(len(odd), dtype=bool)
    empty = texts.broken.copy()
    new: list[str | None] = []
    for place, text in zip(
        np.flatnonzero(odd), texts.values.filter(pa.array(odd)).to_pylist(), strict=True
    ):
        clear = _CONTROL.sub("", text)
        composed = nfc(clear).strip(EDGES)
        dirty[place], form[place], empty[place] = clear != text, nfc(clear) != clear, not composed
        new.append(composed or None)
    values = texts.spread(replaced(texts.values, odd, new))
    broken = texts.rows(texts.broken)
    lost = missing(values) & ~broken
    faults = (
        not_utf8(broken, "text"), Fault("missing text", "rows without a text", "a text", lost),
    )  # fmt: skip
    mended = (
        ("text control characters", "texts with control characters, taken out", dirty),
        ("text Unicode form", "texts that were not in Unicode's form NFC and now are", form),
    )
    mendings = (Mending(rule, text, texts.rows(rows & ~empty)) for rule, text, rows in mended)
    return Cleaned(values, faults, tuple(mendings))


def clean_cells(cells: pa.Array, name: str) -> Cleaned:
    """Cleans plain cells (n,) into str (n,), stripped; null where empty, a bad row if not UTF-8."""
    texts = encode(as_text(cells))
    broken = texts.rows(texts.broken)
    return Cleaned(texts.spread(texts.values), (not_utf8(broken, name),))


def not_utf8(rows: Mask, name: str) -> Fault:
    """The fault of rows (n,) whose cell is not UTF-8."""
    return Fault(f"{name} not UTF-8", f"rows whose {name} is not UTF-8", "text in UTF-8", rows)
