"""Columns of a table of nodes: properties of a type, or attributes whose values are entities."""

import ast
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kgrec.config import PropertyRule
from kgrec.data.cleaning.rows import NODES
from kgrec.data.view.findings import note
from kgrec.data.view.rows import SourceRows
from kgrec.errors import ConfigError, DataError, SchemaError
from kgrec.schema import DISPLAY_PROPERTY, RESERVED_PROPERTIES, NodeLabel, property_name

_INTEGER = r"-?(0|[1-9]\d{0,17})"
_DECIMAL = r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,2})?"
_DISPLAY_NAMES = ("title", "name")
#: Cells with bars of at most so many characters are lists if this share of a column are such.
_LONGEST_LIST, _SHARE_OF_LISTS = 200, 0.1
_OWN = frozenset({*NODES.names, "load"})


@dataclass(frozen=True)
class Column:
    """One column of a source of nodes.

    Attributes:
        rows: The rows of the source.
        column: What the source calls it.
        name: What the property, or the relation of an attribute, is called.
        rule: What becomes of it.
    """

    rows: SourceRows
    column: str
    name: str
    rule: PropertyRule

    def cells(self, kind: str) -> pd.Series:
        """Gives what the column says of each id: float64 for the kind `number`, else str.

        Raises:
            DataError: If a number is none.
        """
        ids = pd.Index(self.rows.frame["id"])
        if kind != "number":
            cells = self.rows.texts(self.column).set_axis(ids)
            return cells.where(cells != "", None)
        cells = self.rows.frame[self.column]
        values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        bad = _is_filled(cells).to_numpy(dtype=bool) & ~np.isfinite(values)
        step = 'correct it, or let the column be as = "property"'
        self.rows.refuse(bad, self.column, "a finite number", step)
        return pd.Series(values, index=ids)


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
    rules = {column: rules.get(column, PropertyRule()) for column in names}
    rules = {column: rule for column, rule in rules.items() if rule.kind != "drop"}
    name_of = {c: rule.relation or c for c, rule in rules.items() if rule.kind == "attribute"}
    properties = {c: rule for c, rule in rules.items() if rule.kind != "attribute"}
    name_of |= _property_names(rows.source.name, properties, label)
    empty = [column for column in rules if not _is_filled(rows.frame[column]).any()]
    note(rows.source.name, "empty column", len(empty), map(repr, empty))
    _say_lists(rows, {c: rule for c, rule in rules.items() if c not in empty})
    return [Column(rows, c, name_of[c], rule) for c, rule in rules.items() if c not in empty]


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


def refuse_two_displays(subject: str, names: Iterable[str]) -> None:
    """Raises DataError if both properties that show a node are among names."""
    if set(_DISPLAY_NAMES) <= set(names):
        raise DataError(
            f"{subject} both 'title' and 'name'; expected one of them, since a store may keep "
            f"them in one field; rename the other column"
        )


def _property_names(
    source: str, rules: Mapping[str, PropertyRule], label: NodeLabel
) -> dict[str, str]:
    """Gives the properties' names by column."""
    plain = {c: re.sub(r"[^a-z0-9]+", "_", c.lower()).strip("_") for c in rules}
    name_of = {column: rule.name or plain[column] for column, rule in rules.items()}
    display = DISPLAY_PROPERTY[label]
    refuse_two_displays(f"{source} has", name_of.values())
    shows = [column for column, name in name_of.items() if name in _DISPLAY_NAMES]
    if display is not None and shows:
        name_of[shows[0]] = display
    names = list(name_of.values())
    for column, name in name_of.items():
        _check(source, column, rules[column], name)
        if names.count(name) > 1:
            raise DataError(
                f"{source}: two columns would become the property {name!r}; rename one of them"
            )
    renamed = [c for c, name in name_of.items() if c != name != (rules[c].name or c)]
    examples = (f"{column!r} is kept as {name_of[column]!r}" for column in renamed)
    note(source, "renamed column", len(renamed), examples)
    return name_of


def _check(source: str, column: str, rule: PropertyRule, name: str) -> None:
    """Raises if a property cannot have this name: ConfigError where the settings gave it."""
    error = ConfigError if rule.name else DataError
    if name in RESERVED_PROPERTIES:
        raise error(
            f"{source}: the column {column!r} would become the property {name!r}, which "
            f"kgrec keeps for itself; rename the column"
        )
    try:
        property_name(name)
    except SchemaError as exc:
        raise error(f"{source}: column {column!r}: {exc}") from exc


def _is_filled(values: pd.Series) -> pd.Series:
    return values.notna() & (values != "")


#: Columns of a frame of values and their types: the relation, the node's id and the position of
#: its label in NodeLabel, one value, the load and the source.
VALUE_COLUMNS = {
    "relation": "str", "head": "str", "head_label": "int8", "value": "str", "load": "int64",
    "source": "str",
}  # fmt: skip


def list_values(values: pd.Series, separator: str | None = "auto") -> pd.Series:
    """Takes cells that hold lists apart.

    Args:
        values: str (n,), not missing; one that is a list in JSON or Python (`["x", "y, z"]`), as
            lists of other origins than delimited text come, is its elements, whatever separates.
        separator: Between the values of a cell. "auto" splits the whole column at `|` if any cell
            has one, else at `,` if any has one, else at spaces. None splits nothing.

    Returns:
        str (m,), one value a row, under the index of the cell it came from; no repeats in a cell.
    """
    lists = {cell: written_list(cell) for cell in values[_like_lists(values)].unique()}
    is_list = values.isin([cell for cell, elements in lists.items() if elements is not None])
    plain = values[~is_list]
    if separator == "auto":
        at = next((mark for mark in "|," if plain.str.contains(mark, regex=False).any()), None)
        plain = plain.str.split(at).explode()
    elif separator is not None:
        plain = plain.str.split(separator, regex=False).explode()
    if is_list.any():
        elements = values[is_list].astype("object").map(lists).explode()
        plain = pd.concat([plain, elements.dropna().astype("str")]).sort_index(kind="stable")
    single = plain.str.strip()
    single = single[single.notna() & (single != "")]
    is_first = ~pd.DataFrame({"cell": single.index, "value": single.to_numpy()}).duplicated()
    return single[is_first.to_numpy()]


def written_list(cell: str) -> list[str] | None:
    """Gives the elements of a list in JSON or Python as text, None if the cell is no such list."""
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    if not isinstance(value, list):
        return None
    return [_element(element) for element in value if element is not None]


def _element(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, default=str)


def _like_lists(values: pd.Series) -> pd.Series:
    cells = values.str.strip()
    return cells.str.startswith("[") & cells.str.endswith("]")


def _say_lists(rows: SourceRows, rules: Mapping[str, PropertyRule]) -> None:
    """Says which cells are lists and were taken apart, and which look like lists and were not."""
    for column, rule in rules.items():
        cells = rows.frame[column]
        cells = cells[_is_filled(cells)].astype("str")
        distinct = pd.Series(cells[_like_lists(cells)].unique(), dtype="str")
        are = cells.isin([cell for cell in distinct if written_list(cell) is not None])
        if rule.kind == "attribute":
            note(rows.source.name, "{column} lists", are, map(repr, cells[are]), column=column)
        if rule.kind in ("number", "text") or rule.split or column in _DISPLAY_NAMES:
            continue
        bars = cells.str.contains("|", regex=False) & (cells.str.len() <= _LONGEST_LIST)
        bars &= bars.mean() >= _SHARE_OF_LISTS
        left = bars & ~are if rule.kind == "attribute" else bars | are
        examples = map(repr, cells[left])
        note(rows.source.name, "{column} as text", left, examples, column=column)


def attribute_values(column: Column, label: NodeLabel) -> pd.DataFrame:
    """Gives the values of an attribute column, one a row, with VALUE_COLUMNS.

    Args:
        column: A column of a source of nodes.
        label: What its rows describe.

    Raises:
        DataError: If a value that is to be binned is no number, or none that has a bin.
    """
    rows = column.rows
    cells = rows.frame[column.column].dropna().astype("str")
    values = list_values(cells, column.rule.split)
    if column.rule.bin is not None:
        values = _binned(column, values)
    at = values.index.to_numpy()
    return pd.DataFrame(
        {
            "relation": pd.array([column.name], dtype="str").repeat(len(at)),
            "head": rows.frame["id"].iloc[at].array,
            "head_label": np.int8(list(NodeLabel).index(label)),
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
    forms = {value: unicodedata.normalize("NFC", value) for value in values["value"].unique()}
    composed = values["value"].map(forms)
    counts = values.assign(value=composed)[["relation", "value"]].value_counts().reset_index()
    counts["key"] = [unicodedata.normalize("NFC", value.casefold()) for value in counts["value"]]
    counts = counts.sort_values(["count", "value"], ascending=[False, True])
    counts["canonical"] = counts.groupby(["relation", "key"])["value"].transform("first")
    spelt = values.assign(value=composed).merge(
        counts[["relation", "value", "canonical"]], on=["relation", "value"], how="left"
    )
    spelt["was"] = values["value"].to_numpy()
    for source, rows in spelt[spelt["canonical"] != spelt["was"]].groupby("source", sort=False):
        examples = rows[["was", "canonical"]].drop_duplicates().values
        note(str(source), "spelling", len(rows), (f"{was!r} as {name!r}" for was, name in examples))
    return spelt.assign(value=spelt["canonical"])[list(VALUE_COLUMNS)]


def attribute_ids(values: pd.DataFrame) -> pd.Series:
    """Gives the ids (n,) of the entities that values are: `relation:value`."""
    return values["relation"] + ":" + values["value"]


def _binned(column: Column, values: pd.Series) -> pd.Series:
    codes, distinct = pd.factorize(values)
    sizes = pd.to_numeric(pd.Series(distinct, dtype="object"), errors="coerce")
    amounts = sizes.to_numpy(dtype=np.float64)
    kind = column.rule.bin
    # log2 takes sizes, the others years.
    least, expected = (0.0, "a number from 0 on") if kind == "log2" else (1.0, "a year from 1 on")
    unfit = ~(np.isfinite(amounts) & (amounts >= least))
    bad = np.zeros(len(column.rows.frame), dtype=bool)
    bad[values.index.to_numpy()[unfit[codes]]] = True
    column.rows.refuse(bad, column.column, expected, f"correct it, or take bin = {kind!r} away")
    whole = np.floor(amounts).astype(np.int64)
    labels = np.array([_BINS[str(kind)](number) for number in whole.tolist()], dtype=object)
    return pd.Series(labels[codes], index=values.index, dtype="str")


def _century(year: int) -> str:
    """The year 1900 is of the 19th century, 1901 of the 20th."""
    number = (year - 1) // 100 + 1
    endings = {} if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{endings.get(number % 10, 'th')} century"


def _doubling(size: int) -> str:
    low = 2 ** (size.bit_length() - 1) if size else 0
    return str(low) if size <= 1 else f"{low}-{2 * low - 1}"


_BINS: Mapping[str, Callable[[int], str]] = {
    "decade": lambda year: f"{year // 10 * 10}s",
    "century": _century,
    "log2": _doubling,
}
