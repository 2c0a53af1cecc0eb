"""Parquet files, and pandas and Arrow tables: cells with types, rows that count from 1."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from io import RawIOBase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kgrec.config import Source
from kgrec.data.reading.columns import column_name, mapped_columns, needed_columns
from kgrec.data.reading.files import CHUNK_ROWS, CODECS, Chunk, listed, unreadable
from kgrec.errors import ConfigError, DataError

#: Bytes a chunk of wide rows aims at.
_CHUNK_BYTES = 64 << 20
_LEAST_ROWS = 1_000
#: What pandas calls an index without a name when it writes it.
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def read_parquet(path: Path, source: Source) -> Iterator[Chunk]:
    """Reads a Parquet file in batches, only the columns that are needed.

    A name in the settings' columns that holds dots reaches into structs.

    Raises:
        DataError: If the file is missing, empty, damaged, packed, without rows, or has two columns
            of one name.
        ConfigError: As `needed_columns`.
    """
    if path.suffix.lower() in CODECS:
        raise DataError(f"{path} is a packed Parquet file; expected it as such; unpack it")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty; expected a Parquet file; fetch it again")
        with path.open("rb") as opened:
            yield from _chunks_of_parquet(path, source, opened)
    except OSError as exc:
        if exc.errno is not None:
            raise unreadable(path, exc) from exc
        raise _damaged(path, exc) from exc
    except (pa.ArrowException, UnicodeDecodeError) as exc:
        raise _damaged(path, exc) from exc


def read_tables(origin: str, source: Source, tables: Iterable[pa.Table]) -> Iterator[Chunk]:
    """Gives consecutive tables as chunks, only the columns that are needed.

    Args:
        origin: What to call them in messages.
        source: Its settings.
        tables: The rows, in order.

    Raises:
        DataError: If there are no rows, or two columns of one name.
        ConfigError: As `needed_columns`.
    """
    begin = 1
    for table in tables:
        renamed = _with_column_names(origin, source, table)
        needed = renamed.select(needed_columns(source, renamed.column_names))
        size = _rows_at_once(needed.nbytes, len(needed))
        for start in range(0, len(needed), size):
            part = needed.slice(start, size)
            yield Chunk(origin, part, np.arange(begin, begin + len(part), dtype=np.int64))
            begin += len(part)
    if begin == 1 and not source.may_be_empty:
        of_query = "; check the labels and types in its query" if source.cypher else ""
        raise DataError(f"{origin} has no rows; expected at least one{of_query}")


def arrow_table(name: str, table: Any) -> pa.Table:
    """Gives a table from Python as an Arrow table.

    Args:
        name: What to call it in messages.
        table: A pandas frame (an index with a name is a column), an Arrow table or batch, or
            whatever offers Arrow's stream of data.

    Raises:
        ConfigError: If it is none of these.
        DataError: If its cells have no type in Arrow and are no text either.
    """
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pd.DataFrame):
        return _from_pandas(name, table)
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    if hasattr(table, "__arrow_c_stream__"):
        return pa.table(table)
    raise ConfigError(
        f"table {name!r} is a {type(table).__name__}; expected a pandas DataFrame or an Arrow table"
    )


def table_hash(table: pa.Table) -> str:
    """Gives the SHA-256 of a table's names, types and cells, its first 16 hex digits.

    How the rows are cut into batches does not matter.
    """
    digest = _Digest()
    bare = table.replace_schema_metadata(None).unify_dictionaries()
    with pa.ipc.new_stream(pa.PythonFile(digest, "w"), bare.schema) as stream:
        for start in range(0, len(bare), CHUNK_ROWS):
            stream.write(bare.slice(start, CHUNK_ROWS).combine_chunks())
    return digest.sha.hexdigest()[:16]


def rows_hash(tables: Iterable[pa.Table]) -> str:
    """Hashes rows whatever their order and batches, 16 hex digits.

    A server gives the rows of a query in an order that any other change to its data may alter.
    """
    total = rows = 0
    names: list[str] = []
    for table in tables:
        coded = pa.table([_coded(column) for column in table.columns], names=table.column_names)
        hashes = pd.util.hash_pandas_object(coded.to_pandas(), index=False).to_numpy()
        total = (total + int(hashes.sum(dtype=np.uint64))) % 2**64
        rows += len(table)
        names = table.column_names
    return hashlib.sha256(f"{names} {rows} {total}".encode()).hexdigest()[:16]


def _coded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Gives numbers as such, and other cells as text, each distinct one once."""
    if pa.types.is_integer(column.type):
        return column.cast(pa.int64()).fill_null(np.iinfo(np.int64).min)
    if pa.types.is_floating(column.type):
        return column.cast(pa.float64())
    try:
        texts = column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # lists, maps
        texts = pa.chunked_array(
            [pa.array([None if cell is None else str(cell) for cell in column.to_pylist()])],
            pa.string(),
        )
    return texts.dictionary_encode()


class _Digest(RawIOBase):
    """A file that keeps nothing of what is written to it but its hash."""

    def __init__(self) -> None:
        self.sha = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.sha.update(data)
        return memoryview(data).nbytes

    def writable(self) -> bool:
        return True


def _chunks_of_parquet(path: Path, source: Source, opened: Any) -> Iterator[Chunk]:
    # Checksums are looked at where a file has them; buffers ahead would hold whole row groups.
    file = pq.ParquetFile(opened, page_checksum_verification=True, pre_buffer=False)
    if file.metadata.num_rows == 0:
        raise DataError(f"{path} has no rows; expected at least one")
    # The types alone tell what is needed, and so what need not be read.
    empty = _with_column_names(str(path), source, file.schema_arrow.empty_table())
    needed = needed_columns(source, empty.column_names)
    # A column counts itself, or for a field of it, at whatever depth.
    root_names = {name[:end] for name in needed for end in _ends(name)}
    roots = [name for name in file.schema_arrow.names if column_name(name) in root_names]
    size = sum(file.metadata.row_group(k).total_byte_size for k in range(file.num_row_groups))
    rows = _rows_at_once(size, file.metadata.num_rows)
    begin = 1
    for batch in file.iter_batches(batch_size=rows, columns=roots):
        table = _with_column_names(str(path), source, pa.Table.from_batches([batch])).select(needed)
        yield Chunk(str(path), table, np.arange(begin, begin + len(table), dtype=np.int64))
        begin += len(table)
    if begin - 1 != file.metadata.num_rows:
        raise DataError(
            f"{path} is damaged: it announces {file.metadata.num_rows:,} rows and holds "
            f"{begin - 1:,}; fetch it again"
        )


def _ends(name: str) -> Iterator[int]:
    """Where the names end that a dotted name may be the field of, and its own."""
    yield len(name)
    yield from (place for place, letter in enumerate(name) if letter == ".")


def _with_column_names(origin: str, source: Source, table: pa.Table) -> pa.Table:
    """Gives the table under names as `Chunk.table` has them, with the asked fields of structs."""
    table = table.drop_columns([n for n in table.column_names if _PANDAS_INDEX.fullmatch(n)])
    names = [column_name(name) for name in table.column_names]
    before: set[str] = set()
    for position, name in enumerate(names):
        if not name or name in before:
            problem = f"repeats {name!r}" if name else "has no name"
            raise DataError(
                f"{origin}: column {position + 1} {problem}; found {listed(table.column_names)}; "
                f"expected one name a column, whatever its case; rename it"
            )
        before.add(name)
    table = table.rename_columns(names)
    for mapped in mapped_columns(source).values():
        if mapped not in names and (field := _reached(table, mapped.split("."))) is not None:
            table = table.append_column(mapped, field)
    return table


def _reached(table: pa.Table, way: list[str]) -> pa.ChunkedArray | None:
    """Gives the field at the end of a way into structs, None if there is none."""
    if way[0] not in table.column_names:
        return None
    column = table[way[0]]
    for key in way[1:]:
        fields = column.type.fields if pa.types.is_struct(column.type) else []
        place = next((k for k, f in enumerate(fields) if column_name(f.name) == key), None)
        if place is None:
            return None
        column = pc.struct_field(column, [place])
    return column


def _from_pandas(name: str, frame: pd.DataFrame) -> pa.Table:
    if any(level is not None for level in frame.index.names):
        try:
            frame = frame.reset_index()
        except ValueError as exc:
            raise DataError(f"table {name!r}: {exc}; rename the index or the column") from exc
    arrays = [_from_series(name, frame.iloc[:, place]) for place in range(frame.shape[1])]
    return pa.table(arrays, names=[str(column) for column in frame.columns])


def _from_series(name: str, series: pd.Series) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        pass  # objects of several types: as text
    try:
        return pa.array([_text(value) for value in series], pa.string())
    except (pa.ArrowException, ValueError) as exc:
        raise DataError(
            f"table {name!r}: column {series.name!r} holds what is no text: {exc}; convert it to "
            f"text or numbers"
        ) from exc


def _text(value: object) -> str | None:
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return None
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def _rows_at_once(size: int, rows: int) -> int:
    """How many rows make a chunk of a table of so many bytes and rows."""
    return int(np.clip(_CHUNK_BYTES * rows // max(size, 1), _LEAST_ROWS, CHUNK_ROWS))


def _damaged(path: Path, exc: Exception) -> DataError:
    return DataError(f"{path} is damaged or no Parquet file: {exc}; fetch it again")
