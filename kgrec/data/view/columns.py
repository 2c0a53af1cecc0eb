"""Columns of a table of nodes: properties of a type, or attributes whose values are entities."""

import re
import unicodedata
from collections.abc import Callable, Iterable
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


#: Columns of a frame of values: the relation, the node's id and the position of its label in
#: NodeLabel, one value, the load and the source.
VALUE_COLUMNS = ["relation", "head", "label", "value", "load", "source"]


def list_values(values: pd.Series, separator: str | None = "auto") -> pd.Series:
    """Takes cells that hold lists apart.

    Args:
        values: str (n,), not missing.
        separator: Between the values of a cell. "auto" splits the whole column at `|` if any cell
            has one, else at `,` if any has one, else at spaces. None splits nothing.

    Returns:
        str (m,), one value a row, under the index of the cell it came from; no repeats in a cell.
    """
    if separator is None:
        single = values.str.strip()
        return single[single != ""]
    if separator == "auto":
        at = next((mark for mark in "|," if values.str.contains(mark, regex=False).any()), None)
        cells = values.str.split(at)
    else:
        cells = values.str.split(separator, regex=False)
    single = cells.explode().str.strip()
    single = single[single.notna() & (single != "")]
    is_first = ~pd.DataFrame({"cell": single.index, "value": single.to_numpy()}).duplicated()
    return single[is_first.to_numpy()]


def no_values() -> pd.DataFrame:
    """Gives an empty frame with VALUE_COLUMNS."""
    kinds = {"label": "int8", "load": "int64"}
    return pd.DataFrame({name: pd.Series(dtype=kinds.get(name, "str")) for name in VALUE_COLUMNS})


def attribute_values(rows: SourceRows, column: Column, label: NodeLabel) -> pd.DataFrame:
    """Gives the values of an attribute column, one a row, with VALUE_COLUMNS.

    Args:
        rows: Rows of a source of nodes.
        column: One of its columns.
        label: What the rows describe.

    Raises:
        DataError: If a value that is to be binned is no number, or none that has a bin.
    """
    cells = rows.frame[column.column].dropna().astype("str")
    values = list_values(cells, column.rule.split)
    if column.rule.bin is not None:
        values = _binned(rows, column, values)
    at = values.index.to_numpy()
    return pd.DataFrame(
        {
            "relation": pd.array([column.name], dtype="str").repeat(len(at)),
            "head": rows.frame["id"].iloc[at].array,
            "label": np.int8(list(NodeLabel).index(label)),
            "value": values.array,
            "load": rows.frame["load"].to_numpy(np.int64)[at],
            "source": pd.array([rows.source.name], dtype="str").repeat(len(at)),
        }
    )


def one_spelling(values: pd.DataFrame) -> pd.DataFrame:
    """Gives values that differ in case or Unicode form only the spelling that is most frequent.

    Among spellings that are equally frequent, the first by code point counts.

    Args:
        values: VALUE_COLUMNS.
    """
    if values.empty:
        return values
    composed = values["value"].map(_forms(values["value"], _composed))
    counts = (
        pd.DataFrame({"relation": values["relation"], "value": composed})
        .value_counts()
        .rename("count")
        .reset_index()
    )
    counts["key"] = counts["value"].map(_forms(counts["value"], _folded))
    counts = counts.sort_values(["count", "value"], ascending=[False, True])
    counts["canonical"] = counts.groupby(["relation", "key"])["value"].transform("first")
    spelt = values.assign(value=composed).merge(
        counts[["relation", "value", "canonical"]], on=["relation", "value"], how="left"
    )
    respelt = spelt["canonical"] != values["value"].to_numpy()
    for source, rows in (
        spelt[respelt].assign(was=values["value"].to_numpy()[respelt]).groupby("source", sort=False)
    ):
        examples = rows.drop_duplicates(["was", "canonical"])
        note(
            str(source),
            "spelling",
            len(rows),
            (
                f"{was!r} as {canonical!r}"
                for was, canonical in examples[["was", "canonical"]].values
            ),
        )
    return spelt.assign(value=spelt["canonical"])[VALUE_COLUMNS]


def attribute_ids(values: pd.DataFrame) -> pd.Series:
    """Gives the ids (n,) of the entities that values are: `relation:value`."""
    return values["relation"] + ":" + values["value"]


def _binned(rows: SourceRows, column: Column, values: pd.Series) -> pd.Series:
    codes, distinct = pd.factorize(values)
    amounts = pd.to_numeric(pd.Series(distinct, dtype="object"), errors="coerce").to_numpy(
        dtype=np.float64
    )
    kind = column.rule.bin
    # log2 takes sizes, the others years.
    least, expected = (0.0, "a number from 0 on") if kind == "log2" else (1.0, "a year from 1 on")
    unfit = ~(np.isfinite(amounts) & (amounts >= least))
    bad = np.zeros(len(rows.frame), dtype=bool)
    bad[values.index.to_numpy()[unfit[codes]]] = True
    rows.refuse(bad, column.column, expected, f"correct it, or take bin = {kind!r} away")
    whole = np.floor(amounts).astype(np.int64)
    labels = {"decade": _decades, "century": _centuries, "log2": _doublings}[str(kind)](whole)
    return pd.Series(np.asarray(labels, dtype=object)[codes], index=values.index, dtype="str")


def _decades(years: npt.NDArray[np.int64]) -> list[str]:
    return [f"{year // 10 * 10}s" for year in years]


def _centuries(years: npt.NDArray[np.int64]) -> list[str]:
    """The year 1900 is of the 19th century, 1901 of the 20th."""
    return [f"{_ordinal((year - 1) // 100 + 1)} century" for year in years.tolist()]


def _doublings(sizes: npt.NDArray[np.int64]) -> list[str]:
    labels = []
    for size in sizes.tolist():
        low = 2 ** (size.bit_length() - 1) if size else 0
        labels.append(str(low) if size <= 1 else f"{low}-{2 * low - 1}")
    return labels


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _forms(values: pd.Series, form: Callable[[str], str]) -> dict[str, str]:
    return {value: form(value) for value in values.unique()}


def _composed(value: str) -> str:
    return unicodedata.normalize("NFC", value)


def _folded(value: str) -> str:
    return _composed(value.casefold())
