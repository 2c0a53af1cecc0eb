"""CSV, TSV, files with other separators, and RecBole's atomic files, every cell as text.

Text, so that an id never turns into a number ("007", "1.0") and no word into a missing value
("NA"). Cells are as they stand in the file; only names of columns are stripped and lower-cased.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from kgrec.config import Source
from kgrec.data.reading.columns import ROW_NUMBERS
from kgrec.data.reading.files import (
    CHUNK_ROWS,
    UTF8_BOM,
    BadRow,
    ByteStream,
    Chunk,
    bare_suffix,
    first_line,
    listed,
)
from kgrec.data.reading.records import CLOSING, Block, read_blocks
from kgrec.errors import ConfigError, DataError

#: Suffixes of RecBole's atomic files.
ATOMIC_SUFFIXES = frozenset({".inter", ".item", ".user", ".kg", ".link"})

_ATOMIC = re.compile(r"(?P<name>[^:]+):(token|token_seq|float|float_seq)")
_QUOTED = r'^"(?:[^"]|"")*"$'
_QUOTES = "cells of a file without quotes stood in quotes, which were taken off"
_ESCAPED = "cells had quotes escaped by backslashes, which were read as quotes"
_USUAL = {".tsv": "\t", ".csv": ","}


@dataclass(frozen=True)
class Dialect:
    """How a file separates cells.

    Attributes:
        separator: One ASCII character.
        quoted: Whether cells may be quoted, and so may hold separators and line breaks.
    """

    separator: str
    quoted: bool


def dialect(path: Path, source: Source) -> Dialect:
    """Tells how a file separates cells: by the settings, its name and its first line.

    RecBole's files are split by tabs whatever their suffix. Else the suffix decides (`.tsv`,
    `.csv`), and the header where it does not fit or there is no such suffix. Files split by tabs
    have no quotes, unless the settings call them CSV; a cell that stands in quotes loses them.

    Raises:
        DataError: If the file is missing, empty, damaged or no text.
        ConfigError: If the settings' separator is none.
    """
    line = first_line(path)
    own = source.separator
    if own is not None and (not own.isascii() or own in '"\r\n\0'):
        raise ConfigError(
            f"source {source.name!r}: the separator {own!r} cannot be used; expected one ASCII "
            f"character that is neither a quote nor a line break"
        )
    if source.format in ("tsv", "atomic"):
        return Dialect(own or "\t", quoted=False)
    suffix = ".csv" if source.format == "csv" else bare_suffix(path)
    separator = own or _separator(suffix, line.decode("utf-8", errors="replace"))
    return Dialect(separator, quoted=source.format == "csv" or separator != "\t")


def read_delimited(path: Path, source: Source) -> Iterator[Chunk]:
    """Reads a delimited file with a header, in one pass.

    Args:
        path: The file, packed or not.
        source: Its settings.

    Raises:
        DataError: If the file is missing, empty, damaged, no table, or without rows; a row that
            cannot be read is no error but a `BadRow`.
        ConfigError: As `dialect`.
    """
    form = dialect(path, source)
    names: list[str] = []
    has_rows = has_records = False
    with ByteStream(path) as stream:
        for block in read_blocks(stream, str(path), form.separator if form.quoted else None):
            begin = 0
            if not names:
                lines = np.flatnonzero(~block.blank()).tolist()
                header = next((k for k in lines if block.record(k).strip()), None)
                if header is None:
                    continue
                names = _names(path, block, header, form)
                begin = header + 1
            has_records = has_records or begin < len(block)
            for chunk in _chunks(str(path), block, begin, names, form):
                has_rows = has_rows or bool(len(chunk.table) or chunk.bad)
                yield chunk
    if not has_rows:
        actual = "only blank rows" if has_records else "a header and no rows"
        raise DataError(f"{path} has {actual}; expected at least one row below the header")


def _separator(suffix: str, header: str) -> str:
    first = header.split("\t")[0].strip()
    if suffix in ATOMIC_SUFFIXES or _ATOMIC.fullmatch(first):
        return "\t"
    usual = _USUAL.get(suffix)
    if usual is not None and usual in header:
        return usual
    return next((mark for mark in "\t,;|" if mark in header), usual or "\t")


def _names(path: Path, block: Block, position: int, form: Dialect) -> list[str]:
    """Gives the names in the header, which is the block's record at the position."""
    line = block.line(block.first + position)
    if position in block.unclosed:
        raise DataError(f"{path}:{line}: {CLOSING}")
    try:
        header = block.record(position).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise DataError(
            f"{path}:{line} is not UTF-8: {exc.reason} at byte {exc.start:,}; convert the file, "
            f"for example with iconv -f latin1 -t utf-8"
        ) from exc
    if "\0" in header:
        raise DataError(
            f"{path}:{line}: a NUL byte in the header; expected UTF-8 text; if the file is UTF-16, "
            f"convert it with iconv -f utf-16 -t utf-8"
        )
    cells = _header_cells(path, line, header, form)
    names: list[str] = []
    unique: set[str] = set()
    for column, cell in enumerate(cells, start=1):
        atomic = _ATOMIC.fullmatch(cell.strip())
        name = (atomic["name"] if atomic else cell).strip().lower()
        if not form.quoted and re.fullmatch(_QUOTED, name):
            name = name[1:-1].strip()
        if not name and column == 1 and len(cells) > 1:
            name = ROW_NUMBERS
        if not name or name in unique:
            problem = f"repeats {name!r}" if name else "has no name"
            raise DataError(
                f"{path}:{line}: column {column} {problem}; found {listed(cells)}; expected one "
                f"name a column; rename it"
            )
        names.append(name)
        unique.add(name)
    return names


def _header_cells(path: Path, line: int, header: str, form: Dialect) -> list[str]:
    if not form.quoted:
        return header.split(form.separator)
    try:
        return next(csv.reader(StringIO(header, newline=""), delimiter=form.separator))
    except csv.Error as exc:
        raise DataError(
            f"{path}:{line}: no header: {exc}; expected one name a column; check that the file is "
            f"a table"
        ) from exc


def _chunks(
    origin: str, block: Block, begin: int, names: list[str], form: Dialect
) -> Iterator[Chunk]:
    """Parses a block's records from the position `begin` on."""
    reasons = {p: reason for p, reason in block.illegible().items() if p >= begin}
    usable = np.ones(len(block), dtype=bool)
    usable[:begin] = False
    usable[list(reasons)] = False
    excluded = np.flatnonzero(~usable)
    positions = np.flatnonzero(usable & ~block.blank())
    table, widths = _parse(block.without(excluded), len(positions), names, form)
    wide = np.array(sorted(widths), dtype=np.int64)
    for row in wide:
        position = int(positions[row])
        if block.record(position).strip():
            hint = f"; quote cells that hold {form.separator!r}" if form.quoted else ""
            problem = f"expected {len(names)} columns, got {widths[int(row)]}{hint}"
            reasons[position] = problem
    rows = block.first + np.delete(positions, wide)
    mended = {_ESCAPED: block.escaped} if block.escaped else {}
    if not form.quoted and b'"' in block.data:
        table, mended = _without_quotes(table)
    filled = _filled(table)
    if filled is not None:
        table, rows = table.filter(pa.array(filled)), rows[filled]
    bad = tuple(
        BadRow(block.first + position, "", reason, block.text(position))
        for position, reason in sorted(reasons.items())
    )
    line = block.line if form.quoted else None
    for start in range(0, max(len(table), 1), CHUNK_ROWS):
        part = slice(start, start + CHUNK_ROWS)
        of_block = (bad, line, mended) if start == 0 else ((), line)
        yield Chunk(origin, table.slice(start, CHUNK_ROWS), rows[part], *of_block)


def _parse(
    data: pa.Buffer, records: int, names: list[str], form: Dialect
) -> tuple[pa.Table, dict[int, int]]:
    """Gives the rows as text, and the widths of those of another width by their position."""
    text = pa.string()
    if records == 0:
        return pa.table({name: pa.array([], text) for name in names}), {}
    widths: dict[int, int] = {}

    def skip(row: arrow_csv.InvalidRow) -> str:
        widths[row.number - 1] = row.actual_columns
        return "skip"

    begins = data.slice(0, min(3, data.size)).to_pybytes()
    if begins == UTF8_BOM:
        # pyarrow would take it for the file's; here it is part of a cell.
        data = pa.py_buffer(b"\n" + data.to_pybytes())
    table = arrow_csv.read_csv(
        pa.BufferReader(data),
        # Rows are numbered only where one thread reads them.
        arrow_csv.ReadOptions(use_threads=False, block_size=data.size + 1, column_names=names),
        arrow_csv.ParseOptions(
            delimiter=form.separator,
            quote_char='"' if form.quoted else False,
            double_quote=form.quoted,
            escape_char=False,
            newlines_in_values=form.quoted,
            ignore_empty_lines=True,
            invalid_row_handler=skip,
        ),
        arrow_csv.ConvertOptions(
            check_utf8=False,  # the block was checked
            column_types=dict.fromkeys(names, text),
            null_values=[],
            strings_can_be_null=False,
        ),
    )
    return table, widths


def _without_quotes(table: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """Takes the quotes off cells that stand in quotes as a whole, and counts them."""
    count = 0
    for place, name in enumerate(table.column_names):
        cells = pc.utf8_trim_whitespace(table[name])
        is_quoted = pc.match_substring_regex(cells, _QUOTED)
        if not (number := pc.sum(is_quoted).as_py()):
            continue
        count += number
        inner = pc.replace_substring(pc.utf8_slice_codeunits(cells, 1, -1), '""', '"')
        table = table.set_column(place, name, pc.if_else(is_quoted, inner, table[name]))
    return table, {_QUOTES: count} if count else {}


def _filled(table: pa.Table) -> npt.NDArray[np.bool_] | None:
    """Which rows (n,) have any cell that is not blank; None if all have."""
    blank = np.ones(len(table), dtype=bool)
    for column in table.columns:
        cells = pc.equal(pc.binary_length(pc.utf8_trim_whitespace(column)), 0)
        blank &= cells.to_numpy()
        if not blank.any():
            return None
    return ~blank
