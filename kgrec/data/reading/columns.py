"""Which column of a source is which of kgrec's, by the settings or by its usual names."""

import re
from collections.abc import Iterator, Mapping, Sequence

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


def _node(label: str) -> Mapping[str, Names]:
    # A date among a node's properties is a fact about it, not when its row was made.
    own = {"id": ("id", *_USUAL[label]), "time": ("time", "updated_at")}
    return _aliases("id", "time", "deleted", **own)


#: A first column without a name, and all that pandas and Arrow call one: row numbers.
ROW_NUMBERS = "unnamed: 0"
_NAMELESS = re.compile(r"(unnamed: \d+|__index_level_\d+__|level_\d+)?")

_EDGE = ("head", "tail", "relation", "weight", "time", "deleted")
_TEXT = ("id", "user", "item", "text", "time", "deleted")

#: By kind, kgrec's columns and the names by which each is known, the first of which is its own.
ALIASES: Mapping[Kind, Mapping[str, Names]] = {
    "interactions": _aliases("user", "item", "rating", "time", "weight", "behaviour", "deleted"),
    "items": _node("item"),
    "users": _node("user"),
    "entities": _node("entity"),
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

    The settings say it, or a usual name does; the id of a node kind is else the first column that
    has a name. `guesses` says what of this was not sure.

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
    with_name = [name for name in free if not is_row_number(name)]
    for column in columns:
        if column in mapped:
            name_of[column] = mapped[column]
        elif usual := [name for name in aliases.get(column, ()) if name in free]:
            name_of[column] = usual[0]
        elif column == "id" and source.kind in NODE_KINDS and with_name:
            name_of["id"] = with_name[0]
        elif column in required:
            expected = " or ".join(repr(alias) for alias in aliases.get(column, (column,)))
            raise DataError(
                f"{origin} has no column {expected}; found {listed(names)}; name the columns in "
                f"the first line, or say which it is in columns.{column} of source {source.name!r}"
            )
    return name_of


def required_columns(source: Source) -> Names:
    """The columns that a source's rows cannot do without."""
    required = REQUIRED[source.kind]
    if source.relation is None:
        return required
    return tuple(column for column in required if column != "relation")


def guesses(
    source: Source, names: Sequence[str], name_of: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Says which columns `resolve_columns` had a choice of, as rules and words of findings."""
    aliases, mapped = ALIASES[source.kind], mapped_columns(source)
    numbers = [name for name in names if is_row_number(name) and name not in name_of.values()]
    if source.kind in NODE_KINDS and numbers:
        yield "row numbers", f"column without a name is left out as row numbers: {listed(numbers)}"
    for column, name in name_of.items():
        usual = [alias for alias in aliases.get(column, ()) if alias in names]
        others = [alias for alias in usual if alias not in (name, *mapped.values())]
        if column not in mapped and others:
            yield (
                f"columns of the {column}",
                f"columns can be the {column}: {name!r} is taken, not {listed(others)}; "
                f"columns.{column} of source {source.name!r} says another",
            )
        if column == "id" and source.kind in NODE_KINDS and column not in mapped:
            with_name = [x for x in names if not is_row_number(x)]
            by = f"not the first, {with_name[0]!r}" if name in usual else "as it is the first"
            if name != with_name[0] or not usual:
                yield (
                    "column of the id",
                    f"column, {name!r}, is taken for the id, {by}; columns.id of source "
                    f"{source.name!r} says another",
                )


def is_row_number(name: str) -> bool:
    """Whether a column is one without a name, as pandas and Arrow write row numbers."""
    return _NAMELESS.fullmatch(name) is not None


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


#: More properties than that are no properties, and take minutes.
MOST_PROPERTIES = 2_000


def needed_columns(source: Source, names: Sequence[str]) -> list[str]:
    """Gives the columns, in order, that rows of the source's kind can use.

    All, if the rows describe nodes, since every column is a property; and all, if one that is
    required is missing, so that whoever misses it can say what is there instead.

    Raises:
        ConfigError: As `resolve_columns`.
    """
    if source.kind in NODE_KINDS:
        dropped = {column_name(n) for n, rule in source.properties.items() if rule.kind == "drop"}
        id_column = resolve_columns(source, names, ["id"]).values()
        always = {*id_column, *mapped_columns(source).values()}
        needed = [
            name for name in names if name in always or not (name in dropped or is_row_number(name))
        ]
        if len(needed) > MOST_PROPERTIES:
            raise ConfigError(
                f"source {source.name!r} has {len(needed):,} columns, each of which would be a "
                f"property of its nodes; expected at most {MOST_PROPERTIES:,}; leave the others "
                f'out of the file, or drop them (properties.<column> = {{as = "drop"}})'
            )
        return needed
    name_of = resolve_columns(source, names, list(ALIASES[source.kind]))
    if not set(required_columns(source)) <= set(name_of):
        return list(names)
    return [name for name in names if name in name_of.values()]


def column_name(name: object) -> str:
    """Gives a column's name as `Chunk.table` has it: stripped and in lower case."""
    return str(name).strip().lower()
