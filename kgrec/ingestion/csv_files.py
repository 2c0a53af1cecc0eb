"""Tables in the CSV of Neo4j's offline importer.

Nodes are found by their position in their table, a number, which both sides handle faster than an
id; the id is a property like any other.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from kgrec.errors import DataError
from kgrec.schema import EdgeKey

#: Rows that are turned into text at once.
CHUNK_ROWS = 500_000

#: Stands between the elements of a list.
DELIMITER = "\x1f"


class ImporterFiles:
    """The files of one import, in one folder.

    Args:
        folder: An empty folder.

    Attributes:
        rows: Rows by file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._options: list[str] = []
        self._multiline: list[str] = []
        self.rows: dict[str, int] = {}

    def add_nodes(self, label: str, frame: pd.DataFrame) -> None:
        """Writes the nodes of a label: all columns are properties.

        Raises:
            DataError: If a number is infinite, or an element of a list holds the delimiter.
        """
        ends = {f":ID({label})": pd.Series(np.arange(len(frame)), index=frame.index)}
        self._write("nodes", label, f"{label}.csv", ends, frame)

    def add_edges(self, key: EdgeKey, frame: pd.DataFrame) -> None:
        """Writes edges: `head` and `tail` (positions of the nodes) and properties; as add_nodes."""
        ends = {f":START_ID({key.head})": frame["head"], f":END_ID({key.tail})": frame["tail"]}
        file = f"{key.type}.{key.head}.{key.tail}.csv"
        self._write("relationships", key.type, file, ends, frame.drop(columns=["head", "tail"]))

    def options(self) -> tuple[str, ...]:
        """Gives the importer's options, with paths relative to the folder."""
        common_options = ["--id-type=integer", f"--array-delimiter=U+{ord(DELIMITER):04X}"]
        if self._multiline:
            # Only named files are read in one piece; the edges, most by far, are read in parallel.
            common_options += [
                "--multiline-fields-format=v2",
                f"--multiline-fields={','.join(self._multiline)}",
            ]
        return (*common_options, *self._options)

    def _write(
        self, kind: str, name: str, file: str, ends: dict[str, pd.Series], frame: pd.DataFrame
    ) -> None:
        if not len(frame):
            return
        kinds = {str(column): _kind(frame[column]) for column in frame.columns}
        header = [*ends, *(f"{column}:{kind}" for column, kind in kinds.items())]
        spans_lines = False
        with pa.OSFile(str(self._folder / file), "wb") as sink:
            sink.write((",".join(header) + "\n").encode())
            for part in _parts(ends, frame, kinds, file):
                _append(part, sink)
                spans_lines = spans_lines or _spans_lines(part)
        self.rows[file] = len(frame)
        self._options.append(f"--{kind}={name}=./{file}")
        if spans_lines:
            self._multiline.append(f"./{file}")


def _parts(
    ends: dict[str, pd.Series], frame: pd.DataFrame, kinds: dict[str, str], file: str
) -> Iterator[pa.Table]:
    for start in range(0, len(frame), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        columns = {
            name: pa.array(positions.iloc[rows].to_numpy()) for name, positions in ends.items()
        }
        for name, kind in kinds.items():
            columns[name] = _cells(frame[name].iloc[rows], kind, f"{file}: {name}")
        yield pa.table(columns)


def _kind(column: pd.Series) -> str:
    """Gives the importer's type of a column."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(column.dtype):
        return "long"
    if pd.api.types.is_float_dtype(column.dtype):
        return "double"
    return "string[]" if isinstance(column.iloc[0], list) else "string"


def _cells(column: pd.Series, kind: str, where: str) -> pa.Array:
    if kind == "string[]":
        lists: list[list[str]] = column.tolist()
        if any(DELIMITER in element for elements in lists for element in elements):
            raise DataError(f"{where} holds U+001F, a control character; rename what it names")
        # No element is no property.
        return pa.array([DELIMITER.join(x) if x else None for x in lists], type=pa.string())
    if kind == "string":
        return pa.array(column, type=pa.string(), from_pandas=True)
    cells = pa.array(column, from_pandas=True)
    if kind == "double" and pc.any(pc.is_inf(cells)).as_py():
        raise DataError(f"{where} holds an infinite number; expected finite ones; correct the data")
    return cells


def _append(table: pa.Table, sink: Any) -> None:
    # Strings are quoted and missing values are not, which tells "" from nothing.
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
    pyarrow.csv.write_csv(table, sink, options)


def _spans_lines(table: pa.Table) -> bool:
    return any(
        pc.any(pc.match_substring_regex(column, "[\r\n]")).as_py()
        for column in table.columns
        if pa.types.is_string(column.type)
    )
