"""Ids as they are compared and kept: stripped, in NFC, without control characters."""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgrec.data.cleaning.cells import (
    EDGES,
    EXACT,
    Cleaned,
    Fault,
    Mask,
    Mending,
    as_text,
    family,
    missing,
    nfc,
)
from kgrec.data.cleaning.screening import odd_values

#: The longest id, in characters.
MAX_ID = 512

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# What was found at a value, as bits.
_SPACE, _FORM, _CASE, _UTF8, _INSIDE, _LONG = 1, 2, 4, 8, 16, 32
_BAD = _UTF8 | _INSIDE | _LONG

_MENDED = (
    (_SPACE, "whitespace", "{whats} with whitespace around them, which was taken off"),
    (_FORM, "Unicode form", "{whats} that were not in Unicode's form NFC and now are"),
    (_CASE, "case", "{whats} that were put into lower case"),
)
_REFUSED = (
    (_UTF8, "not UTF-8", "rows whose {what} is not UTF-8", "{a} in UTF-8"),
    (
        _INSIDE,
        "control character",
        "rows with a control character inside the {what}",
        "{a} without control characters",
    ),
    (
        _LONG,
        "too long",
        f"rows whose {{what}} is longer than {MAX_ID} characters",
        f"{{a}} of at most {MAX_ID} characters",
    ),
)


@dataclass(frozen=True)
class Name:
    """How ids are called in messages: `an id`, `id`, `ids`."""

    a: str
    what: str
    whats: str

    def put(self, text: str) -> str:
        """Fills a sentence in."""
        return text.format(a=self.a, what=self.what, whats=self.whats)

    def missing(self, rows: Mask) -> tuple[Fault, ...]:
        """The fault of rows (n,) that lack one; none if no row does."""
        if not rows.any():
            return ()
        return (Fault(f"missing {self.what}", f"rows without {self.a}", self.a, rows),)


ID = Name("an id", "id", "ids")
RELATION = Name("a relation", "relation", "relations")


def clean_ids(
    cells: pa.Array, name: Name = ID, *, lower: bool = False, required: bool = True
) -> Cleaned:
    """Cleans plain cells (n,) into ids.

    Args:
        cells: Text, bytes or whole numbers; other scalars as they are written.
        name: How to call them.
        lower: Whether they lose their case.
        required: Whether a missing one makes a bad row.

    Returns:
        str (n,), never empty, stripped, in NFC; null where missing or bad.
    """
    kind = family(cells.type)
    if kind == "nested":
        return _all_refused(cells, name, required)
    found = _numbers(cells, name) if kind in ("float", "decimal") else Cleaned(as_text(cells))
    text = found.values
    if not odd_values(text, longest=MAX_ID, lower=lower).any():
        done = Cleaned(text.cast(pa.string()), found.faults, found.mended)
    else:
        done = _mend(text, name, lower, found)
    if not required:
        return done
    gone = missing(done.values)
    for fault in done.faults:
        gone &= ~fault.rows
    return Cleaned(done.values, (*done.faults, *name.missing(gone)), done.mended)


def _mend(text: pa.Array, name: Name, lower: bool, found: Cleaned) -> Cleaned:
    encoded = text.cast(pa.binary()).dictionary_encode()
    values = encoded.dictionary
    suspects = odd_values(values, longest=MAX_ID, lower=lower)
    flags = np.zeros(len(values) + 1, dtype=np.uint8)
    new: list[str | None] = []
    for place, raw in zip(
        np.flatnonzero(suspects), values.filter(pa.array(suspects)).to_pylist(), strict=True
    ):
        value, flags[place] = _mended(raw, lower)
        new.append(value)
    plain_values = pc.replace_with_mask(
        values, pa.array(suspects), pa.array([x and x.encode() for x in new], pa.binary())
    ).cast(pa.string())
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    rows = flags[codes]  # -1 is the last, which has no flags
    faults = tuple(
        Fault(f"{name.what} {rule}", name.put(said), name.put(wanted), (rows & bit) > 0)
        for bit, rule, said, wanted in _REFUSED
        if (flags & bit).any()
    )
    mended = tuple(
        Mending(f"{name.what} {rule}", name.put(said), (rows & bit) > 0)
        for bit, rule, said in _MENDED
        if (flags & bit).any()
    )
    return Cleaned(plain_values.take(encoded.indices), found.faults + faults, found.mended + mended)


def _mended(raw: bytes, lower: bool) -> tuple[str | None, int]:
    """One id and what was found; None if it is empty or bad."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None, _UTF8
    stripped = text.strip(EDGES)
    composed = nfc(stripped)
    small = nfc(composed.lower()) if lower else composed  # lower case may come apart
    if not small:
        return None, 0
    if _CONTROL.search(small):
        return None, _INSIDE
    if len(small) > MAX_ID:
        return None, _LONG
    found = (_SPACE if stripped != text else 0) | (_FORM if composed != stripped else 0)
    return small, found | (_CASE if small != composed else 0)


def _numbers(cells: pa.Array, name: Name) -> Cleaned:
    """Floats and decimals as ids: whole ones only, and none too large to be exact."""
    if family(cells.type) == "decimal":
        text = as_text(cells)
        given = ~missing(text)
        whole = pc.fill_null(pc.match_substring_regex(text, r"^-?\d+$"), False)
        fits = whole.to_numpy(zero_copy_only=False)
    else:
        text = as_text(cells)
        given = ~missing(text)
        numbers = np.nan_to_num(cells.to_numpy(zero_copy_only=False).astype(np.float64))
        fits = (np.abs(numbers) < EXACT) & (numbers == np.floor(numbers))
    bad = given & ~fits
    values = pc.if_else(pa.array(bad), pa.scalar(None, pa.string()), text)
    faults: tuple[Fault, ...] = ()
    if bad.any():
        said = name.put("rows whose {what} is a number with a fraction or too large to be exact")
        faults = (Fault(f"{name.what} with a fraction", said, name.a, bad),)
    kept = given & fits
    mended: tuple[Mending, ...] = ()
    if kept.any():
        said = name.put("{whats} that were floats and became whole numbers")
        mended = (Mending(f"{name.what} from a float", said, kept),)
    return Cleaned(values, faults, mended)


def _all_refused(cells: pa.Array, name: Name, required: bool) -> Cleaned:
    """Lists and structs name nothing."""
    gone = missing(cells)
    faults: tuple[Fault, ...] = ()
    if not gone.all():
        said = name.put("rows whose {what} is a list or a structure")
        faults = (Fault(f"{name.what} of parts", said, name.a, ~gone),)
    lost = name.missing(gone) if required else ()
    return Cleaned(pa.nulls(len(cells), pa.string()), faults + lost)
