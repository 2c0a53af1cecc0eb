"""Tables in the form of an engine's statements: one list a head goes in, one record a tail out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.schema import EDGE_PROPERTIES
from kgrec.store.base import EdgeBlock, Row

#: Edges an exported block aims at.
EDGE_BLOCK = 250_000


def edge_block(rows: Sequence[Row], properties: Sequence[str]) -> EdgeBlock:
    """Turns records into a block.

    Args:
        rows: Per tail `tail` (int), `heads` (ints) and, with properties, `values`: one list per
            property, in the order of the heads.
        properties: Names of the properties.
    """
    counts = np.fromiter((len(row["heads"]) for row in rows), dtype=np.int64, count=len(rows))
    tails = np.fromiter((row["tail"] for row in rows), dtype=np.int64, count=len(rows))
    total = int(counts.sum())
    heads = np.fromiter(chain.from_iterable(row["heads"] for row in rows), np.int64, count=total)
    columns = {
        name: _numbers(list(chain.from_iterable(row["values"][at] for row in rows)))
        for at, name in enumerate(properties)
    }
    return EdgeBlock(heads, np.repeat(tails, counts), columns)


def record_batches(records: Iterable[Mapping[str, Any]], edges: int) -> Iterator[list[Row]]:
    """Collects records as `edge_block` takes them until they hold about so many edges."""
    rows: list[Row] = []
    num_edges = 0
    for record in records:
        rows.append(dict(record))
        num_edges += len(rows[-1]["heads"])
        if num_edges >= edges:
            yield rows
            rows, num_edges = [], 0
    if rows:
        yield rows


def node_batches(frame: pd.DataFrame, size: int) -> Iterator[list[list[Any]]]:
    """Cuts nodes into batches of rows: id, map of properties, position in the frame.

    Args:
        frame: `id` and properties.
        size: Nodes a batch.
    """
    names = [str(name) for name in frame.columns if name != "id"]
    for start in range(0, len(frame), size):
        part = frame.iloc[start : start + size]
        values = zip(*(plain_values(part[name]) for name in names), strict=True)
        maps = [dict(zip(names, row, strict=True)) for row in values]
        positions = range(start, start + len(part))
        yield [list(row) for row in zip(part["id"], maps, positions, strict=True)]


@dataclass(frozen=True)
class EdgeBatch:
    """Edges of a first load in the form of the bulk statements.

    Attributes:
        rows: Per head its internal id and a list: of the internal ids of the tails, or of lists
            that begin with one and go on with values in the order of EDGE_PROPERTIES, as far as
            there are any.
        shared_values: What all these edges carry.
        has_values: Whether edges have values of their own.
        edges: Number of edges.
    """

    rows: list[list[Any]]
    shared_values: dict[str, Any]
    has_values: bool
    edges: int


def edge_batches(
    frame: pd.DataFrame,
    heads: npt.NDArray[np.int64],
    tails: npt.NDArray[np.int64],
    size: int,
) -> Iterator[EdgeBatch]:
    """Cuts edges into batches, grouped by head.

    A value that all edges of a batch share is sent once; so a load's number, or a weight that is
    always 1, costs nothing.

    Args:
        frame: `head` and `tail` (positions) and any of EDGE_PROPERTIES.
        heads: Internal ids of the head's label, by position.
        tails: Likewise of the tail's.
        size: Edges a batch.
    """
    order = np.argsort(frame["head"].to_numpy(), kind="stable")
    for start in range(0, len(frame), size):
        part = frame.iloc[order[start : start + size]]
        shared_values, value_lists = {}, []
        for name in (name for name in EDGE_PROPERTIES if name in part):
            values = plain_values(part[name])
            if values.count(values[0]) < len(values):
                value_lists.append((name, values))
            elif values[0] is not None:
                shared_values[name] = values[0]
        ends: list[Any] = tails[part["tail"].to_numpy()].tolist()
        if value_lists:
            values_by_name = dict(value_lists)
            reach = EDGE_PROPERTIES.index(value_lists[-1][0]) + 1
            absent = [None] * len(part)
            columns = [values_by_name.get(name, absent) for name in EDGE_PROPERTIES[:reach]]
            ends = [list(end) for end in zip(ends, *columns, strict=True)]
        head = part["head"].to_numpy()
        first = np.flatnonzero(np.diff(head, prepend=-1)).tolist()
        node = heads[head[first]].tolist()
        stops = [*first[1:], len(part)]
        rows = [[a, ends[low:high]] for a, low, high in zip(node, first, stops, strict=True)]
        yield EdgeBatch(rows, shared_values, bool(value_lists), len(part))


def plain_values(column: pd.Series) -> list[Any]:
    """Gives a column as Python values, None for what is missing."""
    missing_mask = column.isna()
    if not missing_mask.any():
        return column.tolist()
    return column.astype(object).where(~missing_mask, None).tolist()


def _numbers(values: list[Any]) -> npt.NDArray[np.float64]:
    """Turns values into numbers: None is NaN, and what is no number is infinite.

    No edge that kgrec wrote has anything but numbers; a comparison with what should be there finds
    an infinite one to be wrong.
    """
    try:
        # A list, as NumPy reads None in it as NaN, which fromiter does not.
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        numeric = [x is None or isinstance(x, int | float) for x in values]
        return np.array([x if ok else np.inf for x, ok in zip(values, numeric, strict=True)], float)
