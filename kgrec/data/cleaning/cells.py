"""Raw cells of any Arrow type: as plain arrays, as text, as distinct values with a code a row."""

import json
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]

Effect = Literal["mended", "dropped", "rejected", "noted"]
Family = Literal["none", "text", "whole", "float", "decimal", "flag", "moment", "clock", "nested"]

#: Taken off the ends of cells: whitespace, and what shows as nothing (zero-width spaces and
#: joiners, marks of direction, the byte order mark).
EDGES = "".join(chr(c) for c in range(0x3001) if chr(c).isspace()) + (
    "\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
)

#: Floats hold every whole number below.
EXACT = 2**53

_LONGEST_QUOTE = 80


@dataclass(frozen=True)
class Fault:
    """Rows that a column makes bad.

    Attributes:
        rule: Short name for the report.
        text: What the rows are, as it follows their count.
        expected: What the cell should hold.
        rows: bool (n,).
        hint: What the cell looks like or what to do, after what was got.
    """

    rule: str
    text: str
    expected: str
    rows: Mask
    hint: str = ""


@dataclass(frozen=True)
class Mending:
    """Rows of a column whose cells were changed, or are doubtful (`noted`); as in `Fault`."""

    rule: str
    text: str
    rows: Mask
    effect: Effect = "mended"


@dataclass(frozen=True)
class Cleaned:
    """A column after cleaning.

    Attributes:
        values: (n,), null where a cell is missing or bad.
        faults: Which rows it makes bad, and why; those that have no row are left out.
        mended: Which cells were changed, and how; likewise.
    """

    values: pa.Array
    faults: tuple[Fault, ...] = ()
    mended: tuple[Mending, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "faults", tuple(f for f in self.faults if f.rows.any()))
        object.__setattr__(self, "mended", tuple(m for m in self.mended if m.rows.any()))

    def lacking(self) -> Mask:
        """Which cells (n,) are missing, as opposed to bad."""
        mask = missing(self.values)
        for fault in self.faults:
            mask &= ~fault.rows
        return mask


@dataclass(frozen=True)
class Texts:
    """A column as its distinct values, so that each is looked at once.

    Attributes:
        values: str (d,), valid UTF-8, never null, EDGES taken off.
        codes: int64 (n,), position in `values`; -1 where the cell is missing or empty.
        broken: bool (d,), values that were not UTF-8.
    """

    values: pa.Array
    codes: Codes
    broken: Mask

    def rows(self, distinct: Mask) -> Mask:
        """The rows (n,) whose value is among the distinct (d,)."""
        if not distinct.any():
            return np.zeros(len(self.codes), dtype=bool)
        return np.append(distinct, False)[self.codes]

    def spread(self, values: pa.Array) -> pa.Array:
        """Values (d,) of the distinct as values (n,) of the rows, null where a cell is missing."""
        return values.take(pa.array(self.codes, mask=self.codes < 0))


def family(kind: pa.DataType) -> Family:
    """What a plain type holds: `moment` is a date or timestamp, `clock` a time or duration."""
    is_a = pa.types
    tests: tuple[tuple[Family, bool], ...] = (
        ("none", is_a.is_null(kind)),
        ("text", is_a.is_string(kind) or is_a.is_binary(kind)),
        ("whole", is_a.is_integer(kind)),
        ("float", is_a.is_floating(kind)),
        ("decimal", is_a.is_decimal(kind)),
        ("flag", is_a.is_boolean(kind)),
        ("moment", is_a.is_timestamp(kind) or is_a.is_date(kind)),
        ("clock", is_a.is_time(kind) or is_a.is_duration(kind)),
    )
    return next((name for name, holds in tests if holds), "nested")


def plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Gives a column as one array without dictionaries, views, extensions and large offsets."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array.type, pa.BaseExtensionType):
        if array.type.extension_name == "arrow.uuid":
            raw = array.storage.to_pylist()
            return pa.array([x and str(UUID(bytes=x)) for x in raw], pa.string())
        return plain(array.storage)
    kind = array.type
    if pa.types.is_dictionary(kind):
        return plain(array.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return plain(pc.run_end_decode(array))
    name = str(kind)
    if name in ("large_string", "string_view"):
        return array.cast(pa.string())
    if name in ("large_binary", "binary_view") or pa.types.is_fixed_size_binary(kind):
        return array.cast(pa.binary())
    return array.cast(pa.float32()) if name == "halffloat" else array


def missing(array: pa.Array) -> Mask:
    """Which cells (n,) are null."""
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=bool)


def as_text(array: pa.Array) -> pa.Array:
    """Gives plain cells as text (n,); text and bytes stay as they are.

    Whole floats and decimals lose their point, times become ISO 8601, lists and structs JSON; NaN
    is missing.
    """
    kind = family(array.type)
    if kind == "text":
        return array
    if kind == "none":
        return array.cast(pa.string())
    if kind == "float":
        numbers = array.to_numpy(zero_copy_only=False).astype(np.float64)
        whole = np.isfinite(numbers) & (np.abs(numbers) < EXACT) & (numbers == np.floor(numbers))
        short = pa.array(np.where(whole, numbers, 0).astype(np.int64)).cast(pa.string())
        is_nan = pa.array(np.isnan(numbers))
        text = pc.if_else(pa.array(whole), short, array.cast(pa.string()))
        return pc.if_else(is_nan, pa.scalar(None, pa.string()), text)
    if kind == "decimal":
        text = array.cast(pa.string())
        return pc.replace_substring_regex(text, r"\.0+$", "")
    if kind in ("whole", "flag") or pa.types.is_date32(array.type):
        return array.cast(pa.string())
    return pa.array([shown_raw(cell) for cell in array], pa.string())


def shown_raw(scalar: Any) -> str | None:
    """One raw cell as text that can be read back, None if it is missing."""
    value = python_value(scalar)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(as_text(pa.array([value]))[0]) if isinstance(value, bool | float) else str(value)


def python_value(scalar: Any) -> Any:
    """One raw cell as a Python value; text that is not UTF-8 as bytes."""
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        value = getattr(scalar, "value", scalar)  # of a dictionary
        return value.as_buffer().to_pybytes() if hasattr(value, "as_buffer") else str(value.type)
    except (KeyError, ValueError, OverflowError, pa.ArrowException):
        # A time beyond what Python can hold, or in a zone that it does not know.
        return str(getattr(scalar, "value", scalar.type))


def quoted(scalar: Any) -> str:
    """One raw cell for a message: `'x'`, `3.5`, `''` if it is missing; cut if it is long."""
    value = python_value(scalar)
    text = repr("" if value is None else value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def encode(array: pa.Array) -> Texts:
    """Gives plain text or bytes (n,) as distinct values."""
    encoded = array.dictionary_encode()
    values, broken = _decoded(encoded.dictionary)
    values = pc.utf8_trim(values, characters=EDGES)
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    empty = (pc.binary_length(values).to_numpy() == 0) & ~broken
    if empty.any():
        codes = np.append(np.where(empty, -1, np.arange(len(values))), -1)[codes]
    return Texts(values, codes, broken)


def replaced(values: pa.Array, where: Mask, new: list[str | None]) -> pa.Array:
    """Gives str (n,) with other values at the places of a mask, in order."""
    return pc.replace_with_mask(values, pa.array(where), pa.array(new, pa.string()))


def nfc(text: str) -> str:
    """Text in Unicode's composed form."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _decoded(values: pa.Array) -> tuple[pa.Array, Mask]:
    """Distinct text or bytes as valid text ("" where it is not UTF-8), and which is not."""
    try:
        text = values.cast(pa.string())
        text.validate(full=True)
        return text, np.zeros(len(text), dtype=bool)
    except pa.ArrowInvalid:
        pass
    decoded: list[str] = []
    broken = np.zeros(len(values), dtype=bool)
    for position, raw in enumerate(values.cast(pa.binary()).to_pylist()):
        try:
            decoded.append(raw.decode("utf-8"))
        except UnicodeDecodeError:
            decoded.append("")
            broken[position] = True
    return pa.array(decoded, pa.string()), broken
