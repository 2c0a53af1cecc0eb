"""Texts that people write, and which of them need looking at.

The bytes of a column are screened in one go: nearly all ids of nearly all files are plain ASCII and
pass, without a Python object made of any.
"""

import re

import numpy as np
import numpy.typing as npt
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


def odd_values(text: pa.Array, *, longest: int, lower: bool = False) -> Mask:
    """Which text or bytes (n,) are not plain: not visible ASCII, with a space at an end, or empty.

    Args:
        text: str or bytes (n,); null is not odd.
        longest: Bytes from which on a value is odd, too.
        lower: Whether capital letters are odd.

    Returns:
        bool (n,).
    """
    start, data = _bytes(text)
    length = np.diff(start)
    is_odd = (length == 0) | (length > longest)
    filled = np.flatnonzero(length)
    odd = (data < 0x20) | (data > 0x7E)
    if lower:
        odd |= (data >= ord("A")) & (data <= ord("Z"))
    if odd.any():
        is_odd[np.searchsorted(start, np.flatnonzero(odd), side="right") - 1] = True
    is_odd[filled] |= (data[start[filled]] == 0x20) | (data[start[filled + 1] - 1] == 0x20)
    return np.asarray(is_odd & ~missing(text), dtype=bool)


def _bytes(text: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Where the values of text or bytes (n,) begin, int64 (n + 1,), and the bytes of them all."""
    if not len(text):
        return np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    _, offsets, data = text.buffers()
    start = np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1]
    start = start.astype(np.int64)
    if data is None or start[0] == start[-1]:
        return start - start[0], np.zeros(0, dtype=np.uint8)
    return start - start[0], np.frombuffer(data, np.uint8)[start[0] : start[-1]]


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
