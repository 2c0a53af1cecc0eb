"""Which column of a source is which of kgrec's, by the settings or by its usual names."""

from collections.abc import Mapping, Sequence

from kgrec.config import NODE_KINDS, Kind, Source
from kgrec.data.reading.files import listed
from kgrec.errors import ConfigError, DataError

Names = tuple[str, ...]

#: What kgrec's columns are usually called, unless a kind says otherwise.
_USUAL: Mapping[str, Names] = {
    "user": ("user", "user_id", "userid", "customer_id", "customerid", "visitor_id", "visitorid"),
    "item": ("item", "item_id", "itemid", "product_id", "productid", "movie_id", "movieid"),
    "entity": ("entity", "entity_id", "entityid"),
    "behaviour": ("behaviour", "behavior", "event", "event_type", "action"),
    "time": ("time", "timestamp", "datetime", "date", "event_time", "created_at"),
    "weight": ("weight", "quantity"),
    "relation": ("relation", "relation_id"),
    "head": ("head", "head_id"),
    "tail": ("tail", "tail_id"),
    "left": ("left", "left_id"),
    "right": ("right", "right_id"),
    "deleted": ("deleted", "is_deleted"),
}


def _aliases(*columns: str, **own: Names) -> Mapping[str, Names]:
    """Gives the names of a kind's columns: its own, the usual ones, or kgrec's alone."""
    return {column: own.get(column) or _USUAL.get(column, (column,)) for column in columns}


# A date among a node's properties is a fact about it, not when its row was made.
_NODE = _aliases("id", "time", "deleted", time=("time", "updated_at"))
_EDGE = ("head", "tail", "relation", "weight", "time", "deleted")
_TEXT = ("id", "user", "item", "text", "time", "deleted")

#: By kind, kgrec's columns and the names by which each is known, the first of which is its own.
ALIASES: Mapping[Kind, Mapping[str, Names]] = {
    "interactions": _aliases("user", "item", "rating", "time", "weight", "behaviour", "deleted"),
    "items": _NODE,
    "users": _NODE,
    "entities": _NODE,
    "triples": _aliases("head", "relation", "tail", "time", "deleted"),
    "link": _aliases("item", "entity", "deleted"),
    "social": _aliases(
        *_EDGE,
        head=("head", "head_id", "user", "user_id", "userid"),
        tail=("tail", "tail_id", "friend", "friend_id", "friendid"),
    ),
    "item_edges": _aliases(*_EDGE),
    "reviews": _aliases(
        *_TEXT,
        id=("id", "review_id", "reviewid"),
        text=("text", "review", "review_text", "reviewtext"),
    ),
    "queries": _aliases(*_TEXT, id=("id", "query_id", "queryid"), text=("text", "query")),
    "same_as": _aliases("left", "right", "label", "score", "method", "accepted"),
}

#: By kind, the columns that its rows cannot do without.
REQUIRED: Mapping[Kind, Names] = {
    "interactions": ("user", "item"),
    "items": ("id",),
    "users": ("id",),
    "entities": ("id",),
    "triples": ("head", "relation", "tail"),
    "link": ("item", "entity"),
    "social": ("head", "tail"),
    "item_edges": ("head", "tail"),
    "reviews": ("text",),
    "queries": ("text",),
    "same_as": ("left", "right"),
}


def resolve_columns(
    source: Source,
    names: Sequence[str],
    columns: Sequence[str],
    *,
    required: Sequence[str] = (),
    origin: str | None = None,
) -> dict[str, str]:
    """Finds kgrec's columns among those of a source.

    The settings say it, or a usual name does; the id of a node kind is else the first column.

    Args:
        source: The source and its settings.
        names: Its columns, as in `Chunk.table`.
        columns: kgrec's names of the columns to find.
        required: Those of them that must be there.
        origin: What to call the data in messages; None is the source's name.

    Returns:
        The source's name of every wanted column that it has.

    Raises:
        ConfigError: If the settings name a column that is not there, or one that rows of the kind
            do not have.
        DataError: If a required column is not there.
    """
    mapped = mapped_columns(source)
    origin = origin or f"source {source.name!r}"
    for column, name in mapped.items():
        if name not in names:
            raise ConfigError(
                f"{origin} has no column {name!r}, which columns.{column} of source "
                f"{source.name!r} names; found {listed(names)}; correct the name"
            )
    aliases = ALIASES[source.kind]
    name_of = {}
    free = [name for name in names if name not in mapped.values()]
    for column in columns:
        if column in mapped:
            name_of[column] = mapped[column]
        elif column == "id" and source.kind in NODE_KINDS and free:
            name_of["id"] = free[0]
        elif usual := [name for name in aliases.get(column, ()) if name in free]:
            name_of[column] = usual[0]
        elif column in required:
            expected = " or ".join(repr(alias) for alias in aliases.get(column, (column,)))
            raise DataError(
                f"{origin} has no column {expected}; found {listed(names)}; name the columns in "
                f"the first line, or say which it is in columns.{column} of source {source.name!r}"
            )
    return name_of


def mapped_columns(source: Source) -> dict[str, str]:
    """Gives what the settings call the source's columns, lower-cased like the columns themselves.

    Raises:
        ConfigError: If rows of the source's kind have no such column.
    """
    aliases = ALIASES[source.kind]
    for column in source.columns:
        if column not in aliases:
            raise ConfigError(
                f"source {source.name!r}: columns names {column!r}, which {source.kind} do not "
                f"have; expected some of {', '.join(aliases)}"
            )
    return {column: column_name(name) for column, name in source.columns.items()}


def needed_columns(source: Source, names: Sequence[str]) -> list[str]:
    """Gives the columns, in order, that rows of the source's kind can use.

    All, if the rows describe nodes, since every column is a property; and all, if one that is
    required is missing, so that whoever misses it can say what is there instead.

    Raises:
        ConfigError: As `resolve_columns`.
    """
    if source.kind in NODE_KINDS:
        dropped = {column_name(n) for n, rule in source.properties.items() if rule.kind == "drop"}
        always = {*names[:1], *mapped_columns(source).values()}
        return [name for name in names if name not in dropped or name in always]
    name_of = resolve_columns(source, names, list(ALIASES[source.kind]))
    if not set(REQUIRED[source.kind]) <= set(name_of):
        return list(names)
    return [name for name in names if name in name_of.values()]


def column_name(name: object) -> str:
    """Gives a column's name as `Chunk.table` has it: stripped and in lower case."""
    return str(name).strip().lower()
