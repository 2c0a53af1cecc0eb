"""Columns of a table of nodes: what becomes of each, under which name, of which type."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import PropertyRule
from kgrec.data.cleaning.schemas import NODES
from kgrec.data.view.findings import note
from kgrec.data.view.rows import SourceRows
from kgrec.errors import ConfigError, DataError, SchemaError
from kgrec.schema import DISPLAY_PROPERTY, RESERVED_PROPERTIES, NodeLabel, property_name

_INTEGER = r"-?(0|[1-9]\d{0,17})"
_DECIMAL = r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,2})?"
_DISPLAY_NAMES = ("title", "name")
_OWN = frozenset({*NODES.names, "load"})


@dataclass(frozen=True)
class Column:
    """One column of a source of nodes.

    Attributes:
        column: What the source calls it.
        name: What the property, or the relation of an attribute, is called.
        rule: What becomes of it.
    """

    column: str
    name: str
    rule: PropertyRule


def columns_of(rows: SourceRows, label: NodeLabel) -> list[Column]:
    """Tells what becomes of the columns of a source, in their order; empty ones are left out.

    Args:
        rows: Rows of a source of nodes.
        label: What they describe.

    Raises:
        ConfigError: If the settings name a column that the source does not have.
        DataError: If a column's name is kgrec's own or no name for a property.
    """
    if rows.frame.empty:
        return []
    names = [str(column) for column in rows.frame.columns if column not in _OWN]
    rules = {column.strip().lower(): rule for column, rule in rows.source.properties.items()}
    if stray := sorted(set(rules) - set(names)):
        raise ConfigError(
            f"source {rows.source.name!r}: its properties (or item_lists) name {stray[0]!r}, but "
            f"it has {', '.join(names) or 'ids only'}; correct the name"
        )
    retained = [column for column in names if column not in rules or rules[column].kind != "drop"]
    unnamed = [Column(column, "", rules.get(column, PropertyRule())) for column in retained]
    columns = _with_names(rows.source.name, unnamed, label)
    empty = [c.column for c in columns if not _is_filled(rows.frame[c.column]).any()]
    note(rows.source.name, "empty column", len(empty), map(repr, empty))
    return [column for column in columns if column.column not in empty]


def typed(values: pd.Series) -> pd.Series:
    """Gives a column its type.

    int64 when all cells are integers written without leading zeros (so a zip code "00501" stays
    text), float64 when all are numbers or some integers are missing, and str otherwise.

    Args:
        values: str (n,); None, NaN or "" where missing.
    """
    missing = ~_is_filled(values)
    filled = values[~missing]
    if filled.str.fullmatch(_INTEGER).all():
        if not missing.any():
            return values.astype(np.int64)
        return values.where(~missing, "nan").astype(np.float64)
    if filled.str.fullmatch(_DECIMAL).all():
        return values.where(~missing, "nan").astype(np.float64)
    return values.where(~missing, None)


def numbers(rows: SourceRows, column: str) -> npt.NDArray[np.float64]:
    """Gives a column as float64 (n,), NaN where empty; raises DataError for what is no number."""
    cells = rows.frame[column]
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = _is_filled(cells).to_numpy(dtype=bool) & ~np.isfinite(values)
    rows.refuse(bad, column, "a finite number", 'correct it, or let the column be as = "property"')
    return np.asarray(values)


def display_clash(label: NodeLabel, names: Iterable[str]) -> None:
    """Raises DataError if a label would have both properties that show a node."""
    if set(_DISPLAY_NAMES) <= set(names):
        raise DataError(
            f"the sources of {label} nodes have both 'title' and 'name'; expected one of them, "
            f"since a store may keep them in one field; rename the other column"
        )


def _with_names(source: str, columns: list[Column], label: NodeLabel) -> list[Column]:
    attributes = [c for c in columns if c.rule.kind == "attribute"]
    properties = [c for c in columns if c.rule.kind != "attribute"]
    names = dict(
        zip((c.column for c in properties), _names(source, properties, label), strict=True)
    )
    names |= {c.column: c.rule.relation or c.column for c in attributes}
    renamed = [
        c.column for c in properties if c.column != names[c.column] != (c.rule.name or c.column)
    ]
    examples = (f"{column!r} is kept as {names[column]!r}" for column in renamed)
    note(source, "renamed column", len(renamed), examples)
    return [Column(c.column, names[c.column], c.rule) for c in columns]


def _names(source: str, columns: list[Column], label: NodeLabel) -> list[str]:
    """Gives the properties' names, in order."""
    names = [
        c.rule.name or re.sub(r"[^a-z0-9]+", "_", c.column.lower()).strip("_") for c in columns
    ]
    display = DISPLAY_PROPERTY[label]
    display_names = [name for name in names if name in _DISPLAY_NAMES]
    if len(set(display_names)) > 1:
        raise DataError(
            f"{source} has both 'title' and 'name'; expected one of them, since a store may keep "
            f"them in one field; rename the other column"
        )
    if display is not None and display_names and display_names[0] != display:
        names[names.index(display_names[0])] = display
    for column, name in zip(columns, names, strict=True):
        _check(source, column, name)
        if names.count(name) > 1:
            raise DataError(
                f"{source}: two columns would become the property {name!r}; rename one of them"
            )
    return names


def _check(source: str, column: Column, name: str) -> None:
    """Raises if a property cannot have this name: ConfigError where the settings gave it."""
    error = ConfigError if column.rule.name else DataError
    if name in RESERVED_PROPERTIES:
        raise error(
            f"{source}: the column {column.column!r} would become the property {name!r}, which "
            f"kgrec keeps for itself; rename the column"
        )
    try:
        property_name(name)
    except SchemaError as exc:
        raise error(f"{source}: column {column.column!r}: {exc}") from exc


def _is_filled(values: pd.Series) -> pd.Series:
    return values.notna() & (values != "")
