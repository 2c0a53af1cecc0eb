"""Tables of users, items and entities: their ids, and typed properties that a store can keep."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kgrec.data.readers import read_table
from kgrec.errors import ConfigError, DataError, SchemaError
from kgrec.schema import DISPLAY_PROPERTY, RESERVED_PROPERTIES, NodeLabel, property_name

_INTEGER = r"-?(0|[1-9]\d{0,17})"
_DECIMAL = r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,2})?"
_SHOWN = ("title", "name")


@dataclass(frozen=True)
class Described:
    """What a table says of nodes, row by row as in the file.

    Attributes:
        frame: `id` (str, unique) and typed properties.
        lists: Per list column its cells as text, under the frame's index.
    """

    frame: pd.DataFrame
    lists: Mapping[str, pd.Series]


def read_nodes(
    path: Path, label: NodeLabel, notes: list[str], lists: Iterable[str] = ()
) -> Described:
    """Reads a table of nodes; its first column is the id, whatever it is called.

    A column is int64 when all its cells are integers written without leading zeros (so a zip code
    "00501" stays text), float64 when all are numbers or some integers are missing, and str
    otherwise.

    Args:
        path: The file.
        label: What its rows describe.
        notes: Receives sentences on what was renamed or left out.
        lists: Columns that hold lists, which are no properties.

    Raises:
        DataError: If the file cannot be read, an id is empty or occurs twice, or a column's name
            is kgrec's own or no name for a property.
        ConfigError: If there is no such list column.
    """
    table = read_table(path)
    key, *columns = table.frame.columns
    for column in lists:
        if column not in columns:
            raise ConfigError(
                f"data.item_lists names {column!r}, but {path} has {', '.join(columns)}; correct "
                f"the name"
            )
        columns.remove(column)
    ids = table.ids(key)
    table.refuse(
        ids.duplicated().to_numpy(dtype=bool),
        key,
        "every id once",
        "remove the repeated row",
    )
    frame = pd.DataFrame({"id": ids})
    for column, name in zip(columns, _property_names(path, columns, label, notes), strict=True):
        values = table.frame[column]
        if (values == "").all():
            notes.append(f"{path}: the column {column!r} is empty and was left out")
        else:
            frame[name] = _typed(values)
    return Described(frame, {column: table.frame[column] for column in lists})


def node_frame(described: pd.DataFrame | None, ids: Iterable[str]) -> pd.DataFrame:
    """Gives the node table of a label: all ids, with the properties of those described.

    Args:
        described: Frame with `id` and properties, or None.
        ids: Ids of the label; those in `described` need not be among them.

    Returns:
        Frame with `id` (str, unique, sorted) and the properties. Integers become float64 where
        some are missing.
    """
    wanted = pd.Index(sorted(set(ids)), dtype="str", name="id")
    if described is None:
        return wanted.to_frame(index=False)
    return described.set_index("id").reindex(wanted).reset_index()


def list_values(values: pd.Series) -> pd.Series:
    """Takes cells that hold lists apart.

    Args:
        values: str (n,); the whole column is split at `|` if any cell has one, else at `,` if any
            has one, else at spaces.

    Returns:
        str (m,), one value a row, under the index of the cell it came from; no repeats in a cell.
    """
    separator = next((mark for mark in "|," if values.str.contains(mark, regex=False).any()), None)
    single = values.str.split(separator).explode().str.strip()
    single = single[single.notna() & (single != "")]
    kept = ~pd.DataFrame({"cell": single.index, "value": single.to_numpy()}).duplicated()
    return single[kept.to_numpy()]


def _property_names(
    path: Path, columns: list[str], label: NodeLabel, notes: list[str]
) -> list[str]:
    names = [re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_") for column in columns]
    shown = DISPLAY_PROPERTY[label]
    both = [name for name in names if name in _SHOWN]
    if len(both) > 1:
        raise DataError(
            f"{path} has both 'title' and 'name'; expected one of them, since a store may keep "
            f"them in one field; rename the other column"
        )
    if shown is not None and both and both[0] != shown:
        names[names.index(both[0])] = shown
    for column, name in zip(columns, names, strict=True):
        if name in RESERVED_PROPERTIES:
            raise DataError(
                f"{path}: the column {column!r} would become the property {name!r}, which kgrec "
                f"keeps for itself; rename the column"
            )
        try:
            property_name(name)
        except SchemaError as exc:
            raise DataError(f"{path}: column {column!r}: {exc}") from exc
        if names.count(name) > 1:
            raise DataError(
                f"{path}: two columns would become the property {name!r}; rename one of them"
            )
        if name != column:
            notes.append(f"{path}: the column {column!r} is kept as {name!r}")
    return names


def _typed(values: pd.Series) -> pd.Series:
    missing = values == ""
    given = values[~missing]
    if given.str.fullmatch(_INTEGER).all():
        if not missing.any():
            return values.astype(np.int64)
        return values.where(~missing, "nan").astype(np.float64)
    if given.str.fullmatch(_DECIMAL).all():
        return values.where(~missing, "nan").astype(np.float64)
    return values.where(~missing, None)
