"""The columns of each kind of source, and how each is cleaned.

The journal keeps cleaned rows in these schemas and the view reads them. Ids are str, never null or
empty where marked (!), stripped and in NFC. `time` is seconds since 1970 UTC; it and numbers
are finite float64 or null. `row` and `file` say where a row came from (`file` counts within the
load); events leave them out, there are too many.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgrec.config import NODE_KINDS, DataConfig, Kind, Source
from kgrec.data.cleaning.cells import Cleaned, Fault, missing, plain
from kgrec.data.cleaning.choices import Behaviours, clean_flags, clean_labels
from kgrec.data.cleaning.ids import ID, RELATION, clean_ids
from kgrec.data.cleaning.numbers import Bounds, clean_numbers
from kgrec.data.cleaning.prose import clean_cells, clean_texts
from kgrec.data.cleaning.report import REJECT_COLUMNS
from kgrec.data.cleaning.times import Clock
from kgrec.data.reading.columns import REQUIRED, is_row_number, required_columns
from kgrec.schema import NodeLabel

_TYPES: Mapping[str, pa.DataType] = {
    "behaviour": pa.dictionary(pa.int16(), pa.string()),
    "time": pa.float64(),
    **dict.fromkeys(("rating", "weight", "score"), pa.float64()),
    **dict.fromkeys(("deleted", "accepted"), pa.bool_()),
    "file": pa.int32(),
    "row": pa.int64(),
}


def _schema(*names: str) -> pa.Schema:
    """Gives a schema of columns, which are text unless they have a type of their own."""
    return pa.schema([(name, _TYPES.get(name, pa.string())) for name in names])


_PLACE = ("file", "row")

#: interactions: user!, item!, behaviour! (the settings' name of it); `split` is null unless given;
#: a row with `deleted` takes back what it names.
EVENTS = _schema("user", "item", "behaviour", "time", "rating", "weight", "split", "deleted")

#: items, users, entities: id!; every other column is a cell of the source as str under the
#: source's name of it (as `cell_columns` has it), null when empty. Types are found when all rows
#: of a column are known.
NODES = _schema("id", "time", "deleted", *_PLACE)

#: triples, social, item_edges: head!, relation!, tail!.
FACTS = _schema("head", "relation", "tail", "weight", "time", "deleted", *_PLACE)

#: reviews, queries: id! (made from the row's contents where the source has none), user and item
#: may be null (not both), text!. A row with `deleted` and an id of its own needs no more: its
#: text may be "".
TEXTS = _schema("id", "user", "item", "text", "time", "deleted", *_PLACE)

SCHEMAS: Mapping[Kind, pa.Schema] = {
    "interactions": EVENTS,
    "items": NODES,
    "users": NODES,
    "entities": NODES,
    "triples": FACTS,
    "social": FACTS,
    "item_edges": FACTS,
    # item!, entity!.
    "link": _schema("item", "entity", "deleted", *_PLACE),
    "reviews": TEXTS,
    "queries": TEXTS,
    # left! and right! name one thing; `label` is User, Item or Entity (default Item), or
    # Item/Entity where left is an item and right an entity.
    "same_as": _schema("left", "right", "label", "score", "method", "accepted", *_PLACE),
}

#: Columns of the schemas that no column of a source gives.
_ADDED = (*_PLACE, "split")
_IDS = ("user", "item", "id", "head", "tail", "entity", "left", "right")
_RELATIONS: Mapping[Kind, str] = {"social": "follows", "item_edges": "related"}


@dataclass(frozen=True)
class Part:
    """One column of cleaned rows.

    Attributes:
        name: Its name in the kind's schema, or that of a node's property.
        column: The source's name of it, "" if no column of the source gives it.
        cleaned: Its values.
    """

    name: str
    column: str
    cleaned: Cleaned


def wanted_columns(kind: Kind) -> tuple[str, ...]:
    """The columns of a kind that a source may give, by kgrec's names."""
    return tuple(name for name in SCHEMAS[kind].names if name not in _ADDED)


class RowCleaner:
    """Cleans the columns of one source's rows.

    Args:
        source: Where they are from.
        config: The settings.

    Raises:
        ConfigError: If the source's behaviour, zone or time format is none.
    """

    def __init__(self, source: Source, config: DataConfig) -> None:
        self._source = source
        self._lower = config.cleaning.case == "lower"
        self._clock = Clock(source.time, source.name)
        low, high = config.cleaning.rating_range or (-np.inf, np.inf)
        self._bounds = {
            "rating": Bounds("rating", low=low, high=high),
            "weight": Bounds("weight", above=0),
            "score": Bounds("score"),
        }
        self._behaviours = Behaviours(source, config) if source.kind == "interactions" else None

    def clean(self, table: pa.Table, columns: Mapping[str, str]) -> list[Part]:
        """Cleans raw rows.

        Args:
            table: Raw cells (n rows).
            columns: The source's names of columns, by kgrec's; it has the required ones.

        Returns:
            The columns of the kind's schema but those of places, each (n,), and for node kinds
            every other column of the source.
        """
        parts = []
        for name in wanted_columns(self._source.kind):
            column = columns.get(name)
            if column is None:
                parts.append(Part(name, "", self._absent(name, len(table))))
            else:
                parts.append(Part(name, column, self._present(name, plain(table[column]))))
        if self._source.kind == "interactions":
            split = pa.scalar(self._source.split and str(self._source.split), pa.string())
            parts.append(Part("split", "", Cleaned(pa.repeat(split, len(table)))))
        if self._source.kind in NODE_KINDS:
            extra = [
                name
                for name in table.column_names
                if name not in {*columns.values(), *REJECT_COLUMNS} and not is_row_number(name)
            ]
            for column, name in cell_columns(extra).items():
                cells = clean_cells(plain(table[column]), f"cell of {column!r}")
                parts.append(Part(name, column, cells))
        return _texts(parts) if self._source.kind in ("reviews", "queries") else parts

    def _present(self, name: str, cells: pa.Array) -> Cleaned:
        kind = self._source.kind
        if name in _IDS:
            required = name in REQUIRED[kind]
            cleaned = clean_ids(cells, ID, lower=self._lower, required=required)
            prefix = self._source.prefixes.get(name)
            if not prefix:
                return cleaned
            values = pc.binary_join_element_wise(prefix, cleaned.values, "")
            return replace(cleaned, values=values)
        if name == "relation":
            required = name in required_columns(self._source)
            cleaned = clean_ids(cells, RELATION, required=required)
            default = self._relation()
            return cleaned if default is None else _filled(cleaned, default)
        if name == "behaviour" and self._behaviours is not None:
            return self._behaviours.clean(cells)
        if name in self._bounds:
            return clean_numbers(cells, self._bounds[name])
        if name in ("deleted", "accepted"):
            return clean_flags(cells, name)
        cleaners: dict[str, Callable[[pa.Array], Cleaned]] = {
            "time": self._clock.clean,
            "label": clean_labels,
            "text": clean_texts,
            "method": lambda array: clean_cells(array, "method"),
        }
        return cleaners[name](cells)

    def _absent(self, name: str, rows: int) -> Cleaned:
        """What a column holds that the source does not have."""
        if name == "behaviour" and self._behaviours is not None:
            return self._behaviours.constant(rows)
        constants = {
            "relation": self._relation(),
            "deleted": False,
            "accepted": True,
            "label": str(NodeLabel.ITEM),
        }
        kind = SCHEMAS[self._source.kind].field(name).type
        return Cleaned(pa.repeat(pa.scalar(constants.get(name), kind), rows))

    def _relation(self) -> str | None:
        """The relation of rows that name none."""
        return self._source.relation or _RELATIONS.get(self._source.kind)


def cell_columns(names: Sequence[str]) -> dict[str, str]:
    """Names the cells of a node source: a column called as one of NODES gets `source_` before it.

    Args:
        names: The source's names of the columns that are neither id nor time nor deleted.

    Returns:
        The names of the cells in the cleaned rows, by the source's.
    """
    used = {*NODES.names, *names}
    columns = {}
    for name in names:
        cell = name
        if name in NODES.names:
            while cell in used:
                cell = f"source_{cell}"
            used.add(cell)
        columns[name] = cell
    return columns


def name_texts(table: pa.Table) -> pa.Table:
    """Gives texts without an id one made of what they say, so that the same row is the same text.

    It is the SHA-256 of user, item, time and text, its first 16 hex digits.
    """
    nameless = table["id"].combine_chunks().is_null()
    mask = nameless.to_numpy(zero_copy_only=False)
    if not mask.any():
        return table
    rows = table.filter(nameless).select(["user", "item", "time", "text"])
    digests = [
        # No cell has a NUL, so that the parts cannot run into each other.
        hashlib.sha256("\0".join(map(_plain, row)).encode())
        for row in zip(*(column.to_pylist() for column in rows.columns), strict=True)
    ]
    ids = pa.array([digest.hexdigest()[:16] for digest in digests], pa.string())
    filled = pc.replace_with_mask(table["id"].combine_chunks(), nameless, ids)
    return table.set_column(table.column_names.index("id"), "id", filled)


def _plain(cell: str | float | None) -> str:
    """Writes a cell; a whole number of seconds without a point."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cell)


def _filled(cleaned: Cleaned, default: str) -> Cleaned:
    """Puts a default where a cell is missing, not where it is bad."""
    filled = pc.if_else(
        pa.array(cleaned.lacking()), pa.scalar(default, pa.string()), cleaned.values
    )
    return replace(cleaned, values=filled)


def _texts(parts: list[Part]) -> list[Part]:
    """Holds the columns of texts against each other.

    A text is of a user or an item. A row that takes a text back needs nothing but its id.
    """
    of = {part.name: part.cleaned for part in parts}
    back = pc.fill_null(of["deleted"].values, False).to_numpy(zero_copy_only=False)
    back = back & ~missing(of["id"].values)
    text = of["text"]
    spared = tuple(
        replace(fault, rows=fault.rows & ~back) if fault.rule == "missing text" else fault
        for fault in text.faults
    )
    none = pa.array(back & missing(text.values))
    of["text"] = replace(
        text, values=pc.if_else(none, pa.scalar("", pa.string()), text.values), faults=spared
    )
    rule, message = "missing user and item", "rows with neither a user nor an item"
    lost = of["user"].lacking() & of["item"].lacking() & ~back
    end = "user" if any(part.name == "user" and part.column for part in parts) else "item"
    fault = Fault(rule, message, "a user or an item", lost)
    of[end] = replace(of[end], faults=(*of[end].faults, fault))
    return [replace(part, cleaned=of[part.name]) for part in parts]
