"""The columns of cleaned rows, by kind of source; what the journal keeps and the view reads.

Ids are str, never null or empty where marked (!), stripped and in NFC. `time` is int64 seconds
since 1970 UTC or null; numbers are finite float64 or null. `row` and `file` say where a row came
from (`file` counts within the load); events leave them out, there are too many.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from kgrec.config import Kind

_TEXT, _NUMBER, _TIME, _FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()
_PLACE = [("file", pa.int32()), ("row", pa.int64())]

#: interactions: user!, item!, behaviour! (the settings' name of it); `split` is null unless given;
#: a row with `deleted` takes back what it names.
EVENTS = pa.schema(
    [
        ("user", _TEXT),
        ("item", _TEXT),
        ("behaviour", pa.dictionary(pa.int16(), pa.string())),
        ("time", _TIME),
        ("rating", _NUMBER),
        ("weight", _NUMBER),
        ("split", _TEXT),
        ("deleted", _FLAG),
    ]
)

#: items, users, entities: id!; every other column is a cell of the source as str under the
#: source's name of it (as `cell_columns` has it), null when empty. Types are found when all rows
#: of a column are known.
NODES = pa.schema([("id", _TEXT), ("time", _TIME), ("deleted", _FLAG), *_PLACE])

#: triples, social, item_edges: head!, relation!, tail!.
FACTS = pa.schema(
    [
        ("head", _TEXT),
        ("relation", _TEXT),
        ("tail", _TEXT),
        ("weight", _NUMBER),
        ("time", _TIME),
        ("deleted", _FLAG),
        *_PLACE,
    ]
)

#: link: item!, entity!.
LINK = pa.schema([("item", _TEXT), ("entity", _TEXT), ("deleted", _FLAG), *_PLACE])

#: reviews, queries: id! (made from the row's contents where the source has none), user and item
#: may be null (not both), text!. A row with `deleted` and an id of its own needs no more: its
#: text may be "".
TEXTS = pa.schema(
    [
        ("id", _TEXT),
        ("user", _TEXT),
        ("item", _TEXT),
        ("text", _TEXT),
        ("time", _TIME),
        ("deleted", _FLAG),
        *_PLACE,
    ]
)

#: same_as: left! and right! name one thing; `label` is User, Item or Entity (default Item), or
#: Item/Entity where left is an item and right an entity.
SAME_AS = pa.schema(
    [
        ("left", _TEXT),
        ("right", _TEXT),
        ("label", _TEXT),
        ("score", _NUMBER),
        ("method", _TEXT),
        ("accepted", _FLAG),
        *_PLACE,
    ]
)

SCHEMAS: Mapping[Kind, pa.Schema] = {
    "interactions": EVENTS,
    "items": NODES,
    "users": NODES,
    "entities": NODES,
    "triples": FACTS,
    "social": FACTS,
    "item_edges": FACTS,
    "link": LINK,
    "reviews": TEXTS,
    "queries": TEXTS,
    "same_as": SAME_AS,
}


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
