"""A stream of bytes cut into records, each of which knows its number and its line.

A record is a line, unless quoted cells span lines. Finding where records end is the one thing that
must be right before anything else can be, so it is done here, for whole blocks at once, and a block
is parsed only once its ends are known. Quotes are read as RFC 4180 has them, and as the usual
readers bend it: a quote opens a cell only at the cell's beginning, and text after a closing quote
belongs to the cell. A quoted cell of one line may escape quotes by backslashes, as MySQL writes
them, where it cannot be read otherwise. A cell that spans lines must be strictly right, since a
stray quote would swallow rows up to the next one: else its first line alone is refused, and reading
goes on below it.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kgrec.errors import DataError

Positions = npt.NDArray[np.int64]

#: Bytes that are read and parsed at a time.
BLOCK_BYTES = 16 << 20
#: A record longer than this is none: a bomb, or a file that is no table.
MAX_RECORD_BYTES = 16 << 20
#: Characters kept of a bad row.
SHOWN_CHARACTERS = 10_000

_QUOTE, _LF, _CR = b'"'[0], b"\n"[0], b"\r"[0]

CLOSING = 'expected a closing quote, got none; close the cell, or double its quotes ("")'
_UTF8 = (
    "expected UTF-8, got other bytes; convert the file, for example with iconv -f latin1 -t utf-8"
)
_NUL = "expected text, got a NUL byte; remove it"


class Stream(Protocol):
    """What blocks are read from."""

    def read(self, size: int) -> bytes:
        """Gives the next `size` bytes, fewer only at the end."""


@dataclass(frozen=True)
class Lines:
    """Gives the line at which a record begins.

    Attributes:
        before: How many more lines than records there are before the block.
        records: Numbers of the block's records that span lines (m,), ascending.
        more: How many lines more than records there are up to and with each of them (m,).
    """

    before: int
    records: Positions
    more: Positions

    def __call__(self, record: int) -> int:
        """Gives the line, from 1, of a record of the block by its number."""
        earlier = int(np.searchsorted(self.records, record))
        return record + self.before + (int(self.more[earlier - 1]) if earlier else 0)


@dataclass(frozen=True)
class Block:
    """Whole, consecutive records.

    Attributes:
        data: The bytes; those after the last record belong to the next block.
        bounds: int64 (n + 1,); record k, with its line break, is `data[bounds[k]:bounds[k + 1]]`.
        first: Number of the first record, from 1.
        unclosed: int64, positions of records in which a quote opens and never closes.
        line: Gives the line of a record's number.
        escaped: How many cells of the block escaped quotes by backslashes; they are doubled now.
    """

    data: bytes
    bounds: Positions
    first: int
    unclosed: Positions
    line: Lines
    escaped: int = 0

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def record(self, position: int) -> bytes:
        """Gives the record at a position, from 0, without its line break."""
        return self.data[self.bounds[position] : self.bounds[position + 1]].rstrip(b"\r\n")

    def text(self, position: int) -> str:
        """Gives the record's first characters, whatever its bytes are."""
        begin, end = int(self.bounds[position]), int(self.bounds[position + 1])
        part = self.data[begin : min(end, begin + 4 * SHOWN_CHARACTERS)]
        return part.decode("utf-8", errors="replace").rstrip("\r\n")[:SHOWN_CHARACTERS]

    def blank(self) -> npt.NDArray[np.bool_]:
        """Which records (n,) are empty lines."""
        lengths = np.diff(self.bounds)
        data = np.frombuffer(self.data, dtype=np.uint8)
        begin, end = data[self.bounds[:-1]], data[self.bounds[1:] - 1]
        one_break = (lengths == 1) & ((end == _LF) | (end == _CR))
        return np.asarray(one_break | ((lengths == 2) & (begin == _CR) & (end == _LF)))

    def illegible(self) -> dict[int, str]:
        """Gives the positions of records that are no text or no record, with the reason."""
        reasons = {int(position): CLOSING for position in self.unclosed}
        size = int(self.bounds[-1])
        data = np.frombuffer(self.data, dtype=np.uint8)[:size]
        if not _is_utf8(self.data, size):
            for position in self._holding(data >= 0x80):
                try:
                    self.record(position).decode("utf-8")
                except UnicodeDecodeError:
                    reasons[position] = _UTF8
        if self.data.find(b"\0", 0, size) >= 0:
            reasons |= dict.fromkeys(self._holding(data == 0), _NUL)
        return reasons

    def without(self, excluded: Positions) -> pa.Buffer:
        """Gives the bytes of all records but those at the ascending positions."""
        view = memoryview(self.data)
        begins = self.bounds[np.concatenate([[0], excluded + 1])]
        ends = self.bounds[np.concatenate([excluded, [len(self)]])]
        runs = [view[b:e] for b, e in zip(begins.tolist(), ends.tolist(), strict=True) if b < e]
        return pa.py_buffer(runs[0] if len(runs) == 1 else b"".join(runs))

    def _holding(self, bytes_: npt.NDArray[np.bool_]) -> list[int]:
        """Gives the positions of the records that hold any of the marked bytes."""
        places = np.searchsorted(self.bounds, np.flatnonzero(bytes_), side="right") - 1
        return [int(place) for place in np.unique(places)]


def read_blocks(
    stream: Stream, origin: str, separator: str | None = None, size: int = BLOCK_BYTES
) -> Iterator[Block]:
    r"""Cuts a stream into blocks of whole records; lines end with \n, \r\n or \r.

    Args:
        stream: The bytes.
        origin: What to call them in messages.
        separator: Of cells that may be quoted; None if quotes mean nothing.
        size: Bytes to read at a time.

    Raises:
        DataError: If a record is longer than MAX_RECORD_BYTES.
    """
    quotes = None if separator is None else _Quotes(separator)
    first, more, rest, last = 1, 0, b"", False
    while not last:
        new = stream.read(size)
        last = len(new) < size
        data = rest + new
        escaped = 0
        if quotes is not None and b'\\"' in data:
            data, escaped = quotes.doubled(data, int(data.rfind(b"\n")) + 1 if not last else None)
        breaks = _line_breaks(data, last)
        toggles = stray = np.empty(0, dtype=np.int64)
        if quotes is not None and b'"' in data:
            toggles, stray = quotes.find(data, breaks, last)
        quoted = np.searchsorted(toggles, breaks) % 2 == 1
        bounds = np.concatenate([[0], breaks[~quoted] + 1])
        if last and bounds[-1] < len(data):
            bounds = np.append(bounds, len(data))
        inside = breaks[quoted & (breaks < bounds[-1])]
        spanning, extra = np.unique(
            np.searchsorted(bounds, inside, side="right") - 1, return_counts=True
        )
        line = Lines(more, first + spanning, np.cumsum(extra))
        _refuse_giant(bounds, len(data), len(toggles) % 2 == 1, first, line, origin)
        if len(bounds) > 1:
            # A stray quote whose line goes on in the next block is found again there.
            inner = stray[stray < bounds[-1]]
            unclosed = np.unique(np.searchsorted(bounds, inner, side="right") - 1)
            yield Block(data, bounds, first, unclosed, line, escaped)
        first, more = first + len(bounds) - 1, more + len(inside)
        rest = data[bounds[-1] :]


class _Quotes:
    """Finds the quotes that open and close cells."""

    def __init__(self, separator: str) -> None:
        self._between = np.zeros(256, dtype=bool)  # bytes that stand between cells
        self._between[[ord(separator), _LF, _CR]] = True
        end = b"[%b\r\n]" % re.escape(separator.encode())
        inner = rb'(?:[^"\\\r\n]|""|\\(?!"%b)[^\r\n])*' % end
        self._cell = re.compile(rb'(?:(?<=%b)|\A)"%b\\"%b"(?=%b|\Z)' % (end, inner, inner, end))

    def doubled(self, data: bytes, end: int | None) -> tuple[bytes, int]:
        r"""Gives bytes that begin with a record with `\"` doubled in quoted cells of one line.

        Args:
            data: The bytes.
            end: Where to stop, since a line may go on in the next bytes; None is their end.

        Returns:
            As many bytes, and how many cells were changed.
        """
        head, count = self._cell.subn(lambda cell: cell[0].replace(b'\\"', b'""'), data[:end])
        return head + (b"" if end is None else data[end:]), count

    def find(self, data: bytes, breaks: Positions, last: bool) -> tuple[Positions, Positions]:
        """Gives the quotes at which quoting changes, and those that open and never close.

        Args:
            data: Bytes that begin with a record.
            breaks: Where its line breaks end, ascending.
            last: Whether nothing follows.
        """
        array = np.frombuffer(data, dtype=np.uint8)
        quotes = np.flatnonzero(array == _QUOTE)
        # Where all is strict, every other quote opens. The two of a doubled quote close and open.
        before = array[quotes - 1]
        before[0] = before[0] if quotes[0] else _LF
        opens = self._between[before] | (before == _QUOTE)
        after = array[np.minimum(quotes + 1, len(data) - 1)]
        closes = self._between[after] | (after == _QUOTE) | (quotes == len(data) - 1)
        strict = opens[0::2].all() and closes[1::2].all()
        if strict and len(quotes) % 2 == 1:
            begin = quotes[2 * int(np.flatnonzero(before[0::2] != _QUOTE)[-1])]
            strict = not last and len(data) - begin <= MAX_RECORD_BYTES
        if strict:
            return quotes, np.empty(0, dtype=np.int64)
        toggles, stray = self._walk(data, quotes.tolist(), breaks.tolist(), last)
        return np.array(toggles, dtype=np.int64), np.array(stray, dtype=np.int64)

    def _walk(
        self, data: bytes, quotes: list[int], breaks: list[int], last: bool
    ) -> tuple[list[int], list[int]]:
        """As `find`, quote by quote."""
        between = frozenset(np.flatnonzero(self._between).tolist())
        toggles: list[int] = []
        stray: list[int] = []
        at = 0
        while at < len(quotes):
            begin = quotes[at]
            if begin and data[begin - 1] not in between:
                at += 1  # within a cell: a quote like any other character
                continue
            close = _closing(quotes, at + 1)
            end = quotes[close] if close < len(quotes) else len(data)
            line = bisect_left(breaks, begin)
            spans = line < len(breaks) and breaks[line] < end
            if end == len(data):
                good = not last and end - begin <= MAX_RECORD_BYTES
            else:
                good = not spans or end + 1 == len(data) or data[end + 1] in between
            if good:
                toggles += quotes[at : at + 1] + quotes[close : close + 1]
                at = close + 1
                continue
            stray.append(begin)
            at = bisect_left(quotes, breaks[line]) if spans else len(quotes)
        return toggles, stray


def _closing(quotes: list[int], at: int) -> int:
    """Gives the index of the next quote, from `at` on, that is not one of a doubled pair."""
    while at + 1 < len(quotes) and quotes[at + 1] == quotes[at] + 1:
        at += 2
    return at


def _line_breaks(data: bytes, last: bool) -> Positions:
    """Gives where line breaks end (the last byte of each), ascending."""
    array = np.frombuffer(data, dtype=np.uint8)
    breaks = np.flatnonzero(array == _LF)
    if b"\r" not in data:
        return breaks
    returns = np.flatnonzero(array == _CR)
    alone = array[np.minimum(returns + 1, len(data) - 1)] != _LF
    # Whether the very last one stands alone is known when the next bytes are.
    alone[returns == len(data) - 1] = last
    return np.sort(np.concatenate([breaks, returns[alone]])) if alone.any() else breaks


def _is_utf8(data: bytes, size: int) -> bool:
    # As one long cell, since pyarrow checks far faster than Python decodes, and copies nothing.
    ends = pa.py_buffer(np.array([0, size], dtype=np.int64))
    cell = pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(data)])
    try:
        cell.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _refuse_giant(
    bounds: Positions, size: int, quoted: bool, first: int, line: Lines, origin: str
) -> None:
    lengths = np.append(np.diff(bounds), size - bounds[-1])
    # A cell still open gets so much from its quote on, and may then turn out to be a stray quote.
    lengths[-1] -= MAX_RECORD_BYTES if quoted else 0
    if lengths.max() <= MAX_RECORD_BYTES:
        return
    place = line(first + int(np.argmax(lengths > MAX_RECORD_BYTES)))
    raise DataError(
        f"{origin}:{place}: a row of more than {MAX_RECORD_BYTES >> 20} MB; expected one row a "
        f"line; check that the file is a table with line breaks"
    )
