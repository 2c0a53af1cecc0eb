"""A source as files, each of which can be told apart by its contents before it is read."""

import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import SEEK_END
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from kgrec.config import Source
from kgrec.data.reading.columnar import (
    arrow_table,
    read_parquet,
    read_tables,
    rows_hash,
    table_hash,
)
from kgrec.data.reading.columns import mapped_columns
from kgrec.data.reading.delimited import ATOMIC_SUFFIXES, read_delimited
from kgrec.data.reading.files import (
    PARQUET_MARK,
    ByteStream,
    Chunk,
    bare_suffix,
    content_hash,
    find_files,
    first_line,
    listed,
    unreadable,
)
from kgrec.data.reading.jsonl import read_json_lines
from kgrec.errors import ConfigError, DataError

Query = Callable[[Source], Iterator[pa.Table]]
Reader = Callable[[Path, Source], Iterator[Chunk]]

_BY_FORMAT: Mapping[str, Reader] = {
    "csv": read_delimited,
    "tsv": read_delimited,
    "atomic": read_delimited,
    "jsonl": read_json_lines,
    "parquet": read_parquet,
}
_BY_SUFFIX: Mapping[str, Reader] = {
    **dict.fromkeys((".csv", ".tsv", *ATOMIC_SUFFIXES), read_delimited),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), read_json_lines),
    **dict.fromkeys((".parquet", ".pq"), read_parquet),
}


@dataclass(frozen=True)
class SourceFile:
    """A file, a table or a query's answer.

    Attributes:
        origin: What to call it in messages: a file's path, else the table's or source's name.
    """

    origin: str
    _hash: Callable[[], str] = field(repr=False)
    _read: Callable[[], Iterator[Chunk]] = field(repr=False)

    @cached_property
    def content(self) -> str:
        """SHA-256 of its contents, 16 hex digits; found when it is first asked for.

        Raises:
            DataError: If a file cannot be read.
        """
        return self._hash()

    def chunks(self) -> Iterator[Chunk]:
        """Reads it from the beginning.

        Raises:
            DataError: If it cannot be used as it is; the message says why and what to do.
            ConfigError: If a setting does not fit it.
        """
        return self._read()


def open_source(
    source: Source, tables: Mapping[str, Any] | None = None, query: Query | None = None
) -> Iterator[SourceFile]:
    """Gives what a source is read from, files sorted by name; nothing is read yet.

    Args:
        source: The source.
        tables: pandas or Arrow tables by name, for a source that names one.
        query: Runs the query of a source that has one, and gives its rows in parts.

    Raises:
        ConfigError: If the table or the means to query are missing, or the settings name a column
            that rows of the kind do not have.
        DataError: If there is no file.
    """
    mapped_columns(source)
    if source.path is not None:
        yield from (_file(path, source) for path in find_files(source))
    elif source.table is not None:
        yield _table(source, source.table, tables or {})
    else:
        yield _query(source, query)


def _file(path: Path, source: Source) -> SourceFile:
    def read() -> Iterator[Chunk]:
        before = _stamp(path)
        yield from _reader(path, source)(path, source)
        if _stamp(path) != before:
            raise DataError(
                f"{path} changed while it was read; expected a finished file; try again when it "
                f"has been written"
            )

    return SourceFile(str(path), lambda: content_hash(path), read)


def _reader(path: Path, source: Source) -> Reader:
    """Tells a file's format: by the settings, its name, or its beginning."""
    if source.format != "auto":
        return _BY_FORMAT[source.format]
    reader = _BY_SUFFIX.get(bare_suffix(path))
    if reader is not None:
        return reader
    with ByteStream(path) as stream:
        if stream.read(len(PARQUET_MARK)) == PARQUET_MARK:
            return read_parquet
    return read_json_lines if first_line(path).startswith(b"{") else read_delimited


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as exc:
        raise unreadable(path, exc) from exc
    return status.st_size, status.st_mtime_ns


def _table(source: Source, name: str, tables: Mapping[str, Any]) -> SourceFile:
    if name not in tables:
        there = listed(list(tables)) if tables else "none"
        raise ConfigError(
            f"source {source.name!r} reads the table {name!r}, which was not given; got {there}; "
            f"give it from Python as tables={{{name!r}: frame}}"
        )
    table = arrow_table(name, tables[name])
    return SourceFile(name, lambda: table_hash(table), lambda: read_tables(name, source, [table]))


def _query(source: Source, query: Query | None) -> SourceFile:
    if query is None:
        raise ConfigError(
            f"source {source.name!r} is a query, and nothing here can run one; expected a file or "
            f"a table; load it with kgrec ingest"
        )
    answer = _Answer(source, query)
    return SourceFile(
        source.name,
        lambda: rows_hash(answer.tables()),
        lambda: read_tables(source.name, source, answer.tables()),
    )


class _Answer:
    """The rows of a query, which is run once: kept in a file that is gone when nobody needs it."""

    def __init__(self, source: Source, query: Query) -> None:
        self._source = source
        self._query = query
        self._spool: IO[bytes] | None = None

    def tables(self) -> Iterator[pa.Table]:
        """Gives the rows in the parts in which they came."""
        if self._spool is None:
            self._spool = self._run()
        end, at = self._spool.seek(0, SEEK_END), 0
        while at < end:
            self._spool.seek(at)
            table = pa.ipc.open_stream(self._spool).read_all()
            at = self._spool.tell()
            yield table

    def _run(self) -> IO[bytes]:
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the answer
        weakref.finalize(self, spool.close)
        for table in self._query(self._source):
            # A stream of its own for each part, one behind the other: their types may differ.
            with pa.ipc.new_stream(spool, table.schema) as stream:
                stream.write_table(table)
        return spool
