"""JSON Lines: one object a line, its values as text."""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kgrec.config import Source
from kgrec.data.reading.columns import column_name, mapped_columns, needed_columns
from kgrec.data.reading.files import BadRow, ByteStream, Chunk, first_line, listed
from kgrec.data.reading.records import Block, read_blocks
from kgrec.errors import DataError

logger = logging.getLogger(__name__)

#: Objects take some ten times the bytes of their text while they are read.
_BLOCK_BYTES = 8 << 20
#: More different keys than this are data, not names of columns.
_MAX_KEYS = 1_000
#: Deeper objects are refused before Python's own limit is met somewhere.
_MAX_DEPTH = 100

# NaN and Infinity are no JSON, but usual; whoever wants a number refuses them.
_DECODER = json.JSONDecoder(parse_constant=str)
_ESCAPED = re.compile(rb"\\u(0000|[dD][89a-fA-F])")

Row = dict[str, Any]


def read_json_lines(path: Path, source: Source) -> Iterator[Chunk]:
    """Reads a file of JSON objects, one a line, in one pass.

    Text stays as it is, `null` is missing, 1 and 1.0 become "1", 1.5 "1.5", true "true"; lists and
    objects become JSON text. An empty object is as a blank line. A name in the settings' columns
    that holds dots reaches into objects. A column that occurred once is in every later chunk; one
    that the settings name is in every chunk.

    Args:
        path: The file, packed or not.
        source: Its settings.

    Raises:
        DataError: If the file is missing, empty, damaged, one array, or has more than 1,000
            different keys; a line that is no object is no error but a `BadRow`.
        ConfigError: If the settings name a column that rows of the kind do not have.
    """
    begin = first_line(path).strip()
    if begin == b"[" or begin.startswith(b"[{"):
        raise DataError(
            f"{path} is one JSON array; expected one object a line; convert it, for example with "
            f"jq -c '.[]'"
        )
    columns = _Columns(path, source)
    has_rows = False
    with ByteStream(path) as stream:
        for block in read_blocks(stream, str(path), size=_BLOCK_BYTES):
            chunk = _chunk(str(path), block, columns)
            has_rows = has_rows or bool(len(chunk.rows) or chunk.bad)
            yield chunk
    if not has_rows:
        raise DataError(f"{path} has only empty objects; expected at least one with values")
    for name in columns.unseen():
        logger.warning(
            "%s has no value of %r, which the columns of source %s name", path, name, source.name
        )


class _Columns:
    """The columns of a file, found from the keys met so far."""

    def __init__(self, path: Path, source: Source) -> None:
        self._path = path
        self._source = source
        mapped = mapped_columns(source)
        #: By column that the settings name: the keys to go through.
        self._ways = {mapped[c]: name.strip().split(".") for c, name in source.columns.items()}
        self._keys: dict[str, None] = {}
        self._nonempty: set[str] = set()

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """Gives rows as columns of text, as many as are needed; none for no rows."""
        if not rows:
            return pa.table({})
        self._keys.update(dict.fromkeys(chain.from_iterable(rows)))
        if len(self._keys) > _MAX_KEYS:
            raise DataError(
                f"{self._path} has more than {_MAX_KEYS:,} different keys; found "
                f"{listed(list(self._keys))}; expected names of columns; move ids from keys into "
                f"values"
            )
        spellings: dict[str, list[str]] = {}
        for key in self._keys:
            spellings.setdefault(column_name(key), []).append(key)
        names = list({**spellings, **self._ways})
        cells = {
            name: _cells(rows, spellings.get(name, []), self._ways.get(name, []))
            for name in needed_columns(self._source, names)
        }
        self._nonempty |= {
            name for name, column in cells.items() if column.null_count < len(column)
        }
        return pa.table(cells)

    def unseen(self) -> list[str]:
        """Gives the columns that the settings name and no row has."""
        return [name for name in self._ways if name not in self._nonempty]


def _chunk(origin: str, block: Block, columns: _Columns) -> Chunk:
    reasons = block.illegible()
    rows: list[Row] = []
    positions: list[int] = []
    escapes = _ESCAPED.search(block.data) is not None
    shapes: set[tuple[str, ...]] = set()
    bounds = block.bounds.tolist()
    for position in np.flatnonzero(~block.blank()).tolist():
        raw = block.data[bounds[position] : bounds[position + 1]].strip()
        if position in reasons or not raw:
            continue
        row = _row(raw, escapes, shapes)
        if isinstance(row, str):
            reasons[position] = row
        elif row:
            rows.append(row)
            positions.append(position)
    bad = tuple(
        BadRow(block.first + position, "", reason, block.text(position))
        for position, reason in sorted(reasons.items())
    )
    numbers = block.first + np.array(positions, dtype=np.int64)
    return Chunk(origin, columns.table(rows), numbers, bad)


def _row(raw: bytes, escapes: bool, shapes: set[tuple[str, ...]]) -> Row | str:
    """Reads a line.

    Args:
        raw: The line.
        escapes: Whether any line of the block escapes a NUL or half a character.
        shapes: Keys of objects that were found to be good names, which are added to.

    Returns:
        The object, or why it is none.
    """
    try:
        text = raw.decode("utf-8")
        row, end = _DECODER.raw_decode(text)
    except RecursionError:
        return f"expected at most {_MAX_DEPTH} objects in each other, got more"
    except json.JSONDecodeError as exc:
        return f"expected a JSON object, got no JSON: {exc.msg} at character {exc.pos + 1}"
    except ValueError:
        return "expected a JSON object, got a number of thousands of digits"
    if not isinstance(row, dict):
        return f"expected a JSON object, got {_KINDS[type(row)]}"
    if end < len(text):
        return "expected one JSON object, got more behind it"
    if raw.count(b"[") + raw.count(b"{") > _MAX_DEPTH and _depth(row) > _MAX_DEPTH:
        return f"expected at most {_MAX_DEPTH} objects in each other, got more"
    if escapes and _ESCAPED.search(raw):
        text = json.dumps(row, ensure_ascii=False)
        # A character as such is escaped once, text that talks of one twice.
        if "\\u0000" in text.replace("\\\\", ""):
            return "expected text, got a NUL character; remove it"
        if any("\ud800" <= character <= "\udfff" for character in text):
            return "expected text, got half a character (a lone surrogate); remove it"
    if (shape := tuple(row)) not in shapes:
        names = {column_name(key) for key in row}
        if len(names) < len(row) or "" in names:
            return f"expected a name for every value, each once, got {listed(shape)}"
        shapes.add(shape)
    return row


_KINDS = {
    list: "an array", str: "text", int: "a number", float: "a number", bool: "true or false",
    type(None): "null",
}  # fmt: skip


def _depth(row: Row) -> int:
    depth, level = 0, list[Any]([row])
    while level:
        depth += 1
        inner = chain.from_iterable(v.values() if isinstance(v, dict) else v for v in level)
        level = [value for value in inner if isinstance(value, dict | list)]
    return depth


def _cells(rows: Sequence[Row], spellings: list[str], way: list[str]) -> pa.Array:
    """Gives a column (n,): by its keys, which differ in case only; else by a way into objects."""
    if len(spellings) == 1:
        values = [row.get(spellings[0]) for row in rows]
    elif spellings:
        values = [next((row[key] for key in spellings if key in row), None) for row in rows]
    else:
        values = [_reached(row, way) for row in rows]
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([_text(value) for value in values], pa.string())


def _reached(value: Any, way: list[str]) -> Any:
    for key in way:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return json.dumps(value, ensure_ascii=False)
