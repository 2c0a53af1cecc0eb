"""A part of a source: cells under the source's own column names, and where its rows stand."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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
    """

    origin: str
    table: pa.Table
    rows: npt.NDArray[np.int64]
    bad: tuple[BadRow, ...] = ()
    line: Callable[[int], int] | None = None

    def where(self, row: int, column: str = "") -> str:
        """Names a cell as `origin:line:column`, by its row's number in `rows`."""
        at = f"{self.origin}:{self.line(row) if self.line else row}"
        return f"{at}:{column}" if column else at
