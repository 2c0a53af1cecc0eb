"""Files into frames of text, and checked columns out of them.

Every cell is read as text, so that an id never turns into a number ("007", "1.0"), and is turned
into a number only where a number is meant. A frame keeps where its rows came from: its index is the
line in the file, and an error names `file:line:column`.
"""

import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.errors import DataError

#: Names by which a column is known, the first of which is kgrec's own.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "user": ("user", "user_id"),
    "item": ("item", "item_id"),
    "rating": ("rating",),
    "time": ("time", "timestamp"),
    "head": ("head", "head_id"),
    "relation": ("relation", "relation_id"),
    "tail": ("tail", "tail_id"),
    "entity": ("entity", "entity_id"),
}

_ATOMIC = re.compile(r"(?P<name>[^:]+):(token|token_seq|float|float_seq)")
_ATOMIC_SUFFIXES = frozenset({".inter", ".item", ".user", ".kg", ".link"})
# The year 5138; later than that, the unit is not seconds.
_LAST_SECOND = 10**11


@dataclass(frozen=True)
class Table:
    """One file as text.

    Attributes:
        path: The file.
        frame: All cells as str (missing cells are ""), stripped; its index is the row's line in
            the file, from 2 on.
        quoted: Whether cells may be quoted, and so may span lines.
    """

    path: Path
    frame: pd.DataFrame
    quoted: bool = False

    def find(self, column: str) -> str | None:
        """Gives the name that the file uses for one of kgrec's columns, or None."""
        return next((name for name in ALIASES[column] if name in self.frame.columns), None)

    def column(self, column: str) -> str:
        """Gives the name that the file uses for one of kgrec's columns.

        Raises:
            DataError: If the file has no such column.
        """
        name = self.find(column)
        if name is None:
            wanted = " or ".join(repr(alias) for alias in ALIASES[column])
            raise DataError(
                f"{self.path} has no column {wanted}; found {_listed(self.frame.columns)}; "
                f"name the columns in the first line"
            )
        return name

    def where(self, position: int, column: str) -> str:
        """Names a cell as `file:line:column`, by its row's position from 0."""
        line = int(self.frame.index[position])
        if self.quoted:
            line = _physical_line(self.path, line)
        return f"{self.path}:{line}:{column}"

    def refuse(self, bad: npt.NDArray[np.bool_], column: str, expected: str, step: str) -> None:
        """Raises for the first of the bad rows.

        Args:
            bad: bool (n,), which rows are bad.
            column: Column as the file names it.
            expected: What a cell should hold.
            step: What to do now.

        Raises:
            DataError: If any row is bad.
        """
        if not bad.any():
            return
        first = int(np.argmax(bad))
        others = int(bad.sum()) - 1
        more = f" (and {others:,} more)" if others else ""
        value = self.frame[column].iloc[first]
        raise DataError(
            f"{self.where(first, column)}: expected {expected}, got {value!r}{more}; {step}"
        )

    def ids(self, column: str) -> pd.Series:
        """Gives the column of ids under its name in the file; raises DataError for an empty id."""
        values = self.frame[column]
        bad = (values == "").to_numpy(dtype=bool)
        self.refuse(bad, column, "an id", "fill it in or remove the row")
        return values

    def numbers(self, column: str) -> npt.NDArray[np.float64]:
        """Gives the column as float64 (n,); raises DataError for anything not a finite number."""
        values = pd.to_numeric(self.frame[column], errors="coerce").to_numpy(dtype=np.float64)
        self.refuse(~np.isfinite(values), column, "a finite number", "correct it or remove the row")
        return np.asarray(values)

    def seconds(self, column: str) -> npt.NDArray[np.int64]:
        """Gives the column as int64 (n,) seconds since 1970 UTC; raises DataError otherwise."""
        values = self.numbers(column)
        self.refuse(
            np.abs(values) >= _LAST_SECOND,
            column,
            "seconds since 1970 UTC",
            "divide milliseconds by 1,000",
        )
        return np.floor(values).astype(np.int64)


def read_table(path: str | Path) -> Table:
    """Reads a TSV, CSV or RecBole atomic file, gzipped or not, with a header.

    RecBole's types (`user_id:token`) are taken off the names, and its files are split by tabs
    whatever their suffix. Else the suffix decides (`.tsv`, `.csv`), and the header where it does
    not fit or there is no such suffix.

    Raises:
        DataError: If the file is missing, empty, cut short, not UTF-8, or has rows of another
            width than its header.
    """
    path = Path(path)
    with _explained(path):
        with _opened(path) as stream:
            header = stream.readline()
        if not header.strip():
            raise DataError(f"{path} is empty; expected a header line and rows below it")
        separator = _separator(path, header)
        quoted = separator != "\t"
        names = _names(path, header, separator, quoted)
        frame = _read_rows(path, separator, quoted)
    if len(frame) == 0:
        raise DataError(f"{path} has a header and no rows; expected at least one row")
    frame.columns = pd.Index(names)
    for name in names:
        frame[name] = frame[name].str.strip()
    frame.index = pd.RangeIndex(2, 2 + len(frame), name="line")
    blank = np.logical_and.reduce([(frame[name] == "").to_numpy(dtype=bool) for name in names])
    if blank.any():
        frame = frame[~blank]
    if len(frame) == 0:
        raise DataError(f"{path} has only blank rows; expected at least one row")
    return Table(path, frame, quoted)


def read_interactions(path: str | Path) -> Table:
    """Reads interactions; the frame has `user`, `item` (str), `rating` (float64), `time` (int64).

    The last two only where the file has them. Rows are as in the file, repeats included.

    Raises:
        DataError: As `read_table`, and for a missing column, an empty id, or a rating or time that
            is not a number.
    """
    table = read_table(path)
    users, items = table.column("user"), table.column("item")
    columns: dict[str, object] = {"user": table.ids(users), "item": table.ids(items)}
    if (rating := table.find("rating")) is not None:
        columns["rating"] = table.numbers(rating)
    if (time := table.find("time")) is not None:
        columns["time"] = table.seconds(time)
    return Table(table.path, pd.DataFrame(columns, index=table.frame.index), table.quoted)


def read_ids(path: str | Path, columns: Sequence[str]) -> Table:
    """Reads a file of ids, such as triples (head, relation, tail) or a link (item, entity).

    Args:
        path: The file.
        columns: kgrec's names of the columns, which the frame then has, in this order.

    Raises:
        DataError: As `read_table`, and for a missing column or an empty id.
    """
    table = read_table(path)
    found = [table.column(column) for column in columns]
    frame = pd.DataFrame(
        {column: table.ids(name) for column, name in zip(columns, found, strict=True)}
    )
    return Table(table.path, frame, table.quoted)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns what the libraries raise about a file into a DataError that says what to do."""
    try:
        yield
    except FileNotFoundError as exc:
        raise DataError(
            f"no file at {path}; expected a TSV, CSV or RecBole file; check the path (relative "
            f"paths are relative to the config file)"
        ) from exc
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise DataError(
            f"{path} is cut short or no gzip file: {exc}; fetch or pack it again"
        ) from exc
    except UnicodeDecodeError as exc:
        raise DataError(
            f"{path} is not UTF-8: {exc.reason} at byte {exc.start:,}; convert it, for example "
            f"with iconv -f latin1 -t utf-8"
        ) from exc
    except OSError as exc:
        raise DataError(f"cannot read {path}: {exc.strerror or exc}; check the path") from exc


def _opened(path: Path) -> io.TextIOBase:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _separator(path: Path, header: str) -> str:
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    first = header.rstrip("\r\n").split("\t")[0].strip()
    if suffix in _ATOMIC_SUFFIXES or _ATOMIC.fullmatch(first):
        return "\t"
    usual = {".tsv": "\t", ".csv": ","}.get(suffix)
    if usual is not None and usual in header:
        return usual
    return next((mark for mark in "\t,;|" if mark in header), usual or "\t")


def _names(path: Path, header: str, separator: str, quoted: bool) -> list[str]:
    line = header.rstrip("\r\n")
    cells = next(csv.reader([line], delimiter=separator)) if quoted else line.split(separator)
    names = []
    for position, cell in enumerate(cells, start=1):
        atomic = _ATOMIC.fullmatch(cell.strip())
        name = (atomic["name"] if atomic else cell).strip().lower()
        if not name or name in names:
            problem = f"repeats {name!r}" if name else "has no name"
            raise DataError(
                f"{path}:1: column {position} {problem}; found {_listed(cells)}; expected one "
                f"name a column; rename it"
            )
        names.append(name)
    return names


def _read_rows(path: Path, separator: str, quoted: bool) -> pd.DataFrame:
    try:
        # A first row that is too long only raises a warning in pandas; here it is an error.
        with warnings.catch_warnings(), _opened(path) as stream:
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                stream,
                sep=separator,
                dtype=str,
                keep_default_na=False,
                index_col=False,
                quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
                skip_blank_lines=False,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning) as exc:
        if isinstance(exc.__context__, (EOFError, zlib.error)):
            raise exc.__context__ from None
        line = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(exc))
        if line is not None:
            got = f"{path}:{line[2]}: expected {line[1]} columns, got {line[3]}"
        elif isinstance(exc, pd.errors.ParserWarning):
            got = f"{path}:2: expected as many columns as the header has, got more"
        else:
            got = f"{path} is not a table: {exc}"
        raise DataError(f"{got}; correct the row, or quote cells that hold {separator!r}") from exc


def _physical_line(path: Path, record: int) -> int:
    """Gives the line at which a record begins, since quoted cells may span lines."""
    with _opened(path) as stream:
        separator = _separator(path, stream.readline())
        stream.seek(0)
        rows = csv.reader(stream, delimiter=separator)
        begin = 1
        for _ in range(record - 1):
            next(rows, None)
            begin = rows.line_num + 1
        return begin


def _listed(names: Sequence[str] | pd.Index) -> str:
    return ", ".join(repr(str(name)) for name in names)
