"""Ids as they are compared and kept: stripped, in NFC, without control characters."""

import re
from dataclasses import dataclass, replace

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
from kgrec.data.cleaning.prose import odd_values

#: The longest id, in characters.
MAX_ID = 512

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# What was found at a value, as bits.
_SPACE, _FORM, _CASE, _UTF8, _INSIDE, _LONG = 1, 2, 4, 8, 16, 32

_MENDED = (
    (_SPACE, "whitespace", "{plural} with whitespace around them, which was taken off"),
    (_FORM, "Unicode form", "{plural} that were not in Unicode's form NFC and now are"),
    (_CASE, "case", "{plural} that were put into lower case"),
)
_REFUSED = (
    (_UTF8, "not UTF-8", "rows whose {noun} is not UTF-8", "{singular} in UTF-8"),
    (
        _INSIDE,
        "control character",
        "rows with a control character inside the {noun}",
        "{singular} without control characters",
    ),
    (
        _LONG,
        "too long",
        f"rows whose {{noun}} is longer than {MAX_ID} characters",
        f"{{singular}} of at most {MAX_ID} characters",
    ),
)


@dataclass(frozen=True)
class Name:
    """How ids are called in messages: `an id`, `id`, `ids`."""

    singular: str
    noun: str
    plural: str

    def fill(self, text: str) -> str:
        """Fills a sentence in."""
        return text.format(singular=self.singular, noun=self.noun, plural=self.plural)

    def missing(self, rows: Mask) -> Fault:
        """The fault of rows (n,) that lack one."""
        return Fault(f"missing {self.noun}", f"rows without {self.singular}", self.singular, rows)


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
        cleaned = _all_refused(cells, name)
    else:
        is_number = kind in ("float", "decimal")
        cleaned = _numbers(cells, name) if is_number else _without_points(as_text(cells), name)
    text = cleaned.values
    if not odd_values(text, longest=MAX_ID, lower=lower).any():
        mended = replace(cleaned, values=text.cast(pa.string()))
    else:
        mended = _mend(text, name, lower, cleaned)
    if not required:
        return mended
    return replace(mended, faults=(*mended.faults, name.missing(mended.lacking())))


def _mend(text: pa.Array, name: Name, lower: bool, cleaned: Cleaned) -> Cleaned:
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
        Fault(f"{name.noun} {rule}", name.fill(template), name.fill(expected), (rows & bit) > 0)
        for bit, rule, template, expected in _REFUSED
    )
    mended = tuple(
        Mending(f"{name.noun} {rule}", name.fill(template), (rows & bit) > 0)
        for bit, rule, template in _MENDED
    )
    return Cleaned(
        plain_values.take(encoded.indices), cleaned.faults + faults, cleaned.mended + mended
    )


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
    flags = (_SPACE if stripped != text else 0) | (_FORM if composed != stripped else 0)
    return small, flags | (_CASE if small != composed else 0)


def _numbers(cells: pa.Array, name: Name) -> Cleaned:
    """Floats and decimals as ids: whole ones only, and none too large to be exact."""
    text = as_text(cells)
    present = ~missing(text)
    if family(cells.type) == "decimal":
        whole = pc.fill_null(pc.match_substring_regex(text, r"^-?\d+$"), False)
        fits = whole.to_numpy(zero_copy_only=False)
    else:
        numbers = np.nan_to_num(cells.to_numpy(zero_copy_only=False).astype(np.float64))
        fits = (np.abs(numbers) < EXACT) & (numbers == np.floor(numbers))
    bad = present & ~fits
    values = pc.if_else(pa.array(bad), pa.scalar(None, pa.string()), text)
    refused = name.fill("rows whose {noun} is a number with a fraction or too large to be exact")
    changed = name.fill("{plural} that were floats and became whole numbers")
    return Cleaned(
        values,
        (Fault(f"{name.noun} with a fraction", refused, name.singular, bad),),
        (Mending(f"{name.noun} from a float", changed, present & fits),),
    )


def _without_points(text: pa.Array, name: Name) -> Cleaned:
    """Takes `.0` off where all ids are whole numbers; where only some are, it is said."""
    if name != ID or not pa.types.is_string(text.type):
        return Cleaned(text)
    pointed = pc.fill_null(pc.match_substring_regex(text, r"^\s*-?\d+\.0+\s*$"), False)
    if not pc.any(pointed).as_py():
        return Cleaned(text)
    rows = pointed.to_numpy(zero_copy_only=False)
    if pc.all(pc.match_substring_regex(text, r"^\s*(-?\d+(\.0+)?)?\s*$")).as_py():
        changed = "ids were written as 12.0 and became whole numbers"
        short = pc.replace_substring_regex(text, r"\.0+(\s*)$", r"\1")
        return Cleaned(short, mended=(Mending("id from a float", changed, rows),))
    unchanged_words = "ids look like 12.0 among others that are no numbers, and stay as they are"
    return Cleaned(text, mended=(Mending("id with a point", unchanged_words, rows, "noted"),))


def _all_refused(cells: pa.Array, name: Name) -> Cleaned:
    """Lists and structs name nothing."""
    message = name.fill("rows whose {noun} is a list or a structure")
    fault = Fault(f"{name.noun} of parts", message, name.singular, ~missing(cells))
    return Cleaned(pa.nulls(len(cells), pa.string()), (fault,))
