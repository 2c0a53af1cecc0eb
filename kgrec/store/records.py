"""Records of a query as Arrow tables."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from kgrec.errors import StoreError


def record_tables(
    names: Sequence[str], records: Iterable[Sequence[Any]], batch: int
) -> Iterator[pa.Table]:
    """Turns records into tables of at most `batch` rows.

    Numbers, strings, booleans, lists and maps keep their kinds; dates and times of day become
    Python's, durations ISO 8601 text, points their coordinates ("13.4 52.5"). A column of several
    kinds becomes text, one without values has Arrow's null type; so a column's type may differ
    from table to table.

    Args:
        names: Names of the columns.
        records: One sequence of values a row, in the order of the names.
        batch: Rows a table.

    Raises:
        StoreError: If a value is a node, a relationship or a path.
    """
    columns: list[list[Any]] = [[] for _ in names]
    for record in records:
        for name, column, value in zip(names, columns, record, strict=True):
            column.append(_plain(value, name))
        if len(columns[0]) == batch:
            yield _table(names, columns)
            columns = [[] for _ in names]
    if columns and columns[0]:
        yield _table(names, columns)


def _table(names: Sequence[str], columns: list[list[Any]]) -> pa.Table:
    return pa.table([_array(column) for column in columns], names=list(names))


def _array(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values])


def _plain(value: Any, name: str) -> Any:
    """Gives a value as Arrow reads it; the driver's own kinds are told apart by what they can."""
    if value is None or isinstance(value, str | int | float | bytes):
        return value
    if isinstance(value, list):
        return [_plain(part, name) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part, name) for key, part in value.items()}
    if hasattr(value, "to_native"):  # dates and times
        return value.to_native()
    if hasattr(value, "iso_format"):  # durations
        return value.iso_format()
    if isinstance(value, tuple):  # a point; durations are tuples as well
        return " ".join(map(str, value))
    raise StoreError(
        f"the query's column {name!r} holds a {type(value).__name__}; expected plain values; "
        f"return properties instead, for example n.id AS id"
    )
