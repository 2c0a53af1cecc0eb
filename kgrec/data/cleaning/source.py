"""One source, cleaned chunk by chunk, within the share of bad rows that it may have."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from kgrec.config import CleaningConfig, DataConfig, Source
from kgrec.data.cleaning.cells import Fault, Mask, plain, quoted, shown_raw
from kgrec.data.cleaning.report import EXAMPLES, RAW, Rejects, current_report
from kgrec.data.cleaning.rows import SCHEMAS, Part, RowCleaner, name_texts, wanted_columns
from kgrec.data.reading.columns import guesses, required_columns, resolve_columns
from kgrec.data.reading.files import BadRow, Chunk
from kgrec.errors import DataError

# A share says little about fewer rows than that, so only the end of the source judges them.
_ENOUGH_ROWS = 100_000
_NUM_EXAMPLES = 3


class Tolerance:
    """Counts the bad rows of one source and gives up when they are too many.

    A number is a limit that must never be passed. A share is judged at the end, and on the way as
    soon as there are enough rows to know it, so that garbage stops early.

    Args:
        source: The source's name.
        cleaning: The settings, of which `max_bad_rows`.
    """

    def __init__(self, source: str, cleaning: CleaningConfig) -> None:
        self._source = source
        self._cleaning = cleaning
        self._share = cleaning.max_bad_rows.endswith("%")
        self._none = float(cleaning.max_bad_rows.rstrip("%")) == 0
        self._first: list[str] = []
        self.rows = 0
        self.bad = 0

    def add(self, rows: int, bad: int, first: Sequence[str]) -> None:
        """Counts the rows of a chunk.

        Args:
            rows: How many there are, bad ones included.
            bad: How many are bad.
            first: The first of these as `file:line:column: expected …, got …`, at least one if
                there is any.

        Raises:
            DataError: If there are too many bad rows.
        """
        self.rows += rows
        self.bad += bad
        self._first += first[: _NUM_EXAMPLES - len(self._first)]
        if bad and self._none:
            rest = f" (and {bad - 1:,} more)" if bad > 1 else ""
            raise DataError(f"{first[0]}{rest}; correct it, or tolerate it with --max-bad-rows")
        if not self._share or self.rows >= _ENOUGH_ROWS:
            self.judge()

    def judge(self) -> None:
        """Judges all rows so far; the last word at the end of the source.

        Raises:
            DataError: If there are too many bad rows.
        """
        allowed = self._cleaning.bad_rows_allowed(self.rows)
        if self.bad <= allowed:
            return
        raise DataError(
            f"source {self._source!r}: {self.bad:,} of {self.rows:,} rows read are bad; "
            f"max_bad_rows = {self._cleaning.max_bad_rows!r} tolerates {allowed:,}; the first are "
            f"{' | '.join(self._first)}; correct them, or tolerate more with --max-bad-rows"
        )


def clean_source(
    source: Source, config: DataConfig, chunks: Iterable[Chunk], rejects: Rejects
) -> Iterator[pa.Table]:
    """Cleans the rows of a source.

    Nothing may count before the last table came: only then are the bad rows known to be few enough.

    Args:
        source: Where they are from.
        config: The settings.
        chunks: The rows as read.
        rejects: Receives the bad rows.

    Returns:
        Tables in the schema of the source's kind (`SCHEMAS`); those of node kinds have a str column
        for every other column of the source. `file` counts the origins of the chunks from 0.

    Raises:
        ConfigError: If the settings of the source cannot be followed (its zone, its behaviour).
        DataError: While the tables are taken: if a column is missing, or too many rows are bad.
    """
    cleaner = RowCleaner(source, config)
    tolerance = Tolerance(source.name, config.cleaning)
    return _cleaned(source, cleaner, tolerance, chunks, rejects)


def _cleaned(
    source: Source,
    cleaner: RowCleaner,
    tolerance: Tolerance,
    chunks: Iterable[Chunk],
    rejects: Rejects,
) -> Iterator[pa.Table]:
    origins: dict[str, int] = {}
    for chunk in chunks:
        is_first = chunk.origin not in origins
        file = origins.setdefault(chunk.origin, len(origins))
        columns = _columns(source, chunk, is_first=is_first)
        parts = cleaner.clean(chunk.table, columns) if columns else []
        refused = _Refused(chunk, parts)
        current_report().read(source.name, len(chunk.table) + len(chunk.bad))
        for text, count in chunk.mended.items():
            current_report().add(source.name, text, "mended", count, text)
        refused.count(source.name)
        tolerance.add(len(chunk.table) + len(chunk.bad), len(refused), refused.first())
        refused.keep(source.name, rejects)
        keep = ~refused.rows
        _count_mended(source.name, chunk, parts, keep)
        if keep.any():
            yield _table(source, chunk, parts, keep, file)
    tolerance.judge()


def _columns(source: Source, chunk: Chunk, *, is_first: bool) -> Mapping[str, str]:
    """The source's names of its columns, by kgrec's; empty if the chunk has no rows at all.

    What was guessed is reported of the first chunk of an origin.
    """
    names = chunk.table.column_names
    if not names and not len(chunk.rows):
        return {}
    required = required_columns(source)
    columns = resolve_columns(
        source, names, wanted_columns(source.kind), required=required, origin=chunk.origin
    )
    if source.kind in ("reviews", "queries") and not {"user", "item"} & set(columns):
        raise DataError(
            f"{chunk.origin} has a column of neither users nor items; found "
            f"{', '.join(map(repr, names))}; say which it is in columns.user or columns.item of "
            f"source {source.name!r}"
        )
    for rule, text in guesses(source, names, columns) if is_first else ():
        current_report().add(source.name, rule, "noted", 1, text)
    return columns


def _table(source: Source, chunk: Chunk, parts: Sequence[Part], keep: Mask, file: int) -> pa.Table:
    """The rows that stay, in the schema of the kind."""
    schema = SCHEMAS[source.kind]
    values = {part.name: part.cleaned.values for part in parts}
    values["file"] = pa.array(np.full(len(keep), file, dtype=np.int32))
    values["row"] = pa.array(chunk.rows)
    cells = [part.name for part in parts if part.name not in schema.names]
    names = [*schema.names, *cells]
    table = pa.table([values[name] for name in names], names=names)
    if not keep.all():
        table = table.filter(pa.array(keep))
    if source.kind in ("reviews", "queries"):
        table = name_texts(table)
    for name in cells:
        schema = schema.append(pa.field(name, pa.string()))
    return table.cast(schema)


def _count_mended(source: str, chunk: Chunk, parts: Sequence[Part], keep: Mask) -> None:
    for part in parts:
        for mending in part.cleaned.mended:
            rows = np.flatnonzero(mending.rows & keep).tolist()
            examples = [_example(chunk, row, part.column) for row in rows[:EXAMPLES]]
            current_report().add(
                source, mending.rule, mending.effect, len(rows), mending.text, examples
            )


def _example(chunk: Chunk, row: int, column: str) -> str:
    """Place and value of a cell."""
    place = chunk.where(int(chunk.rows[row]), column)
    return f"{place} {quoted(chunk.table[column][row])}"


class _Refused:
    """The bad rows of a chunk, each for the first thing that is wrong with it."""

    def __init__(self, chunk: Chunk, parts: Sequence[Part]) -> None:
        self._chunk = chunk
        self._faults: list[tuple[str, Fault]] = [
            (part.column, fault) for part in parts for fault in part.cleaned.faults
        ]
        self._fault = np.full(len(chunk.table), -1, dtype=np.int32)
        for place, (_, fault) in enumerate(self._faults):
            self._fault[fault.rows & (self._fault < 0)] = place
        self._places = np.flatnonzero(self.rows)

    def __len__(self) -> int:
        return len(self._places) + len(self._chunk.bad)

    @property
    def rows(self) -> Mask:
        """Bool (n,), which rows of the chunk's table are bad."""
        return np.asarray(self._fault >= 0, dtype=bool)

    def count(self, source: str) -> None:
        """Reports them by rule."""
        chunk = self._chunk
        for place, (column, fault) in enumerate(self._faults):
            rows = np.flatnonzero(self._fault == place).tolist()
            examples = [_example(chunk, row, column) for row in rows[:EXAMPLES]]
            current_report().add(source, fault.rule, "rejected", len(rows), fault.text, examples)
        text = "rows that could not be read as rows of the table"
        examples = [f"{self._unread(bad)[0]} {bad.text[:80]!r}" for bad in chunk.bad[:EXAMPLES]]
        current_report().add(source, "unreadable row", "rejected", len(chunk.bad), text, examples)

    def first(self) -> list[str]:
        """The first of them, as `file:line:column: expected …, got …`."""
        chunk = self._chunk
        refusals = [(bad.row, self._unread(bad)) for bad in chunk.bad[:EXAMPLES]]
        rows = self._places[:EXAMPLES].tolist()
        refusals += [(int(chunk.rows[row]), self._misread(row)) for row in rows]
        return [f"{place}: {reason}" for _, (place, reason) in sorted(refusals)[:EXAMPLES]]

    def keep(self, source: str, rejects: Rejects) -> None:
        """Hands them over, as raw as they came."""
        table, bad = self._chunk.table, self._chunk.bad
        if len(self._places):
            rows = self._places.tolist()
            columns = zip(table.column_names, map(plain, table.columns), strict=True)
            cells = {name: [shown_raw(array[row]) for row in rows] for name, array in columns}
            places, reasons = zip(*map(self._misread, rows), strict=True)
            rejects.add(source, cells, places, reasons)
        if bad:
            empty = dict.fromkeys(table.column_names, [None] * len(bad))
            places, reasons = zip(*map(self._unread, bad), strict=True)
            rejects.add(source, empty | {RAW: [row.text for row in bad]}, places, reasons)

    def _misread(self, row: int) -> tuple[str, str]:
        """Where a row of the table is bad, and why."""
        column, fault = self._faults[self._fault[row]]
        place = self._chunk.where(int(self._chunk.rows[row]), column)
        actual = quoted(self._chunk.table[column][row])
        return place, f"expected {fault.expected}, got {actual}{fault.hint}"

    def _unread(self, bad: BadRow) -> tuple[str, str]:
        """Where what is no row stands, and why it is none."""
        return self._chunk.where(bad.row, bad.column), bad.reason
