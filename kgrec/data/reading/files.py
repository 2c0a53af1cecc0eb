"""Files of a source, and the chunks that are read of them."""

import glob
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kgrec.config import Source
from kgrec.errors import DataError

#: Rows a chunk aims at; wide rows come in smaller ones.
CHUNK_ROWS = 500_000


@dataclass(frozen=True)
class BadRow:
    """A row that is no row of the table: too short, too long, not UTF-8, not JSON.

    Attributes:
        row: Its number in the file, as in `Chunk.rows`.
        column: The column it fails in, "" if it is the row as a whole.
        reason: What is wrong, as `expected …, got …`.
        text: The row as it stands in the file, at most 10,000 characters of it.
    """

    row: int
    column: str
    reason: str
    text: str


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of one file.

    Attributes:
        origin: What to call the file in messages: its path, or the table's or query's name.
        table: Cells by column, names lower-cased and stripped. Delimited text and JSON give str
            (a missing cell is null or ""); Parquet and Arrow keep their types.
        rows: int64 (n,), where each row stands: the record's number in a delimited file (the header
            is 1), the line in JSON Lines, the row from 1 on elsewhere.
        bad: Rows that could not be read as rows; they are not in `table`.
        line: Gives the physical line of a record in a file whose quoted cells may span lines.
        mended: What was set right in reading, by its words (they follow the count).
    """

    origin: str
    table: pa.Table
    rows: npt.NDArray[np.int64]
    bad: tuple[BadRow, ...] = ()
    line: Callable[[int], int] | None = None
    mended: Mapping[str, int] = field(default_factory=dict)

    def where(self, row: int, column: str = "") -> str:
        """Names a cell as `origin:line:column`, by its row's number in `rows`."""
        at = f"{self.origin}:{self.line(row) if self.line else row}"
        return f"{at}:{column}" if column else at


#: Suffixes of packed files: pyarrow's name of the codec.
CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}

UTF8_BOM = b"\xef\xbb\xbf"
#: `PAR1` and what the first page's header begins with; a column may be called PAR1.
PARQUET_MARK = b"PAR1\x15"
#: How files begin that are no text, and what to do about it.
_FOREIGN = {
    b"\xff\xfe": "is UTF-16; convert it with iconv -f utf-16 -t utf-8",
    b"\xfe\xff": "is UTF-16; convert it with iconv -f utf-16 -t utf-8",
    b"PK\x03\x04": "is a ZIP archive or a spreadsheet; unpack it, or save the table as CSV (UTF-8)",
    b"\x1f\x8b": "is packed with gzip; give it the suffix .gz",
    b"\x28\xb5\x2f\xfd": "is packed with zstd; give it the suffix .zst",
    b"BZh91AY&SY": "is packed with bzip2; give it the suffix .bz2",
    PARQUET_MARK: 'is a Parquet file; give it the suffix .parquet, or set format = "parquet"',
}
_FIRST_LINE_BYTES = 1 << 20
_LISTED = 20


def find_files(source: Source) -> list[Path]:
    """Gives the files of a source, sorted by name.

    A path is a file, a glob (`**` goes into folders), or a folder, which is all files directly in
    it but those whose names begin with `.` or `_`.

    Raises:
        DataError: If there is none.
    """
    if source.path is None:
        raise DataError(f"source {source.name!r} has no path; expected a file or a glob")
    path = source.path
    # A name that exists is that file, whatever brackets are in it.
    if path.is_file():
        return [path]
    if path.is_dir():
        names = [p for p in path.iterdir() if p.is_file() and p.name[0] not in "._"]
        if not names:
            raise DataError(
                f"{path} is a folder without files; expected at least one; check the path of "
                f"source {source.name!r}"
            )
        return sorted(names)
    if not glob.has_magic(str(path)):
        raise DataError(
            f"no file at {path}; expected a CSV, TSV, JSON Lines, Parquet or RecBole file; check "
            f"the path (relative paths are relative to the config file)"
        )
    matches = [Path(name) for name in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - absolute
    files = sorted(name for name in matches if name.is_file())
    if not files:
        raise DataError(
            f"no file matches {path}; expected at least one; check the path (relative paths are "
            f"relative to the config file)"
        )
    return files


def content_hash(path: str | Path) -> str:
    """Gives the SHA-256 of a file's bytes as they stand, its first 16 hex digits.

    Raises:
        DataError: If the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as exc:
        raise unreadable(path, exc) from exc


def unreadable(path: str | Path, exc: OSError) -> DataError:
    """What to say about a file that the system does not let us read."""
    if isinstance(exc, FileNotFoundError):
        return DataError(f"no file at {path}; expected the file that was there; check the path")
    return DataError(f"cannot read {path}: {exc.strerror or exc}; check the path and its rights")


def bare_suffix(path: Path) -> str:
    """The suffix without that of packing, in lower case: `.tsv` of `a.TSV.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in CODECS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


class ByteStream:
    """A file's bytes from the beginning, unpacked by its suffix, without a UTF-8 BOM.

    Raises:
        DataError: If the file is missing, cut short, or not packed as its suffix says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._codec = CODECS.get(path.suffix.lower())
        self._begun = False
        try:
            self._stream: Any = pa.input_stream(str(path), compression=self._codec)
        except OSError as exc:
            raise unreadable(path, exc) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read(self, size: int) -> bytes:
        """Gives the next `size` bytes, fewer only at the end."""
        parts, missing = [], size
        while missing:
            part = self._next(missing)
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if self._begun or not data:
            return data
        self._begun = True
        if data.startswith(UTF8_BOM):
            return data[len(UTF8_BOM) :] + self.read(len(UTF8_BOM))
        return data

    def _next(self, size: int) -> bytes:
        try:
            return bytes(self._stream.read(size))
        except (OSError, pa.ArrowException) as exc:
            if self._codec is None:
                raise unreadable(self.path, OSError(str(exc))) from exc
            raise DataError(
                f"{self.path} is cut short or no {self._codec} file: {exc}; fetch or pack it again"
            ) from exc


def first_line(path: Path) -> bytes:
    """Gives the first line of a text file that is not blank, at most 1 MB of it.

    Raises:
        DataError: As `ByteStream`, and if the file is empty or begins like no text does.
    """
    with ByteStream(path) as stream:
        data = stream.read(_FIRST_LINE_BYTES)
        for mark, problem in _FOREIGN.items():
            if data.startswith(mark):
                raise DataError(f"{path} {problem}")
        while data and not data.strip():
            data = stream.read(_FIRST_LINE_BYTES)
    if not data:
        raise DataError(f"{path} is empty; expected a header line and rows below it")
    return data.lstrip().splitlines()[0]


def listed(names: Sequence[str]) -> str:
    """Names for a message: quoted, long ones cut, the first twenty."""
    quoted = [repr(name if len(name) <= 60 else f"{name[:60]}…") for name in names[:_LISTED]]
    more = len(names) - _LISTED
    return ", ".join([*quoted, f"and {more:,} more"] if more > 0 else quoted)
