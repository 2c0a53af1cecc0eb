"""Cells of attribute columns into entities and the facts that join them to their nodes."""

import unicodedata
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.data.view.findings import note
from kgrec.data.view.properties import Column
from kgrec.data.view.rows import SourceRows
from kgrec.schema import NodeLabel

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
