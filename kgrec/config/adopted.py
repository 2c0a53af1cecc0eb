"""From `[adopt]` to sources: queries on the adopted graph, which kgrec reads as any others.

Names in back-ticks and texts in quotes are made by `kgrec.schema` alone. Nothing here connects to
anything, so settings load where the graph cannot be reached.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kgrec.config.adopt import (
    AdoptConfig,
    AdoptedEntities,
    AdoptedInteraction,
    AdoptedItems,
    AdoptedUsers,
)
from kgrec.config.data import Behaviour
from kgrec.config.source import PropertyRule, Source
from kgrec.schema import OWN_TYPES, RESERVED_PROPERTIES, literal, quoted

#: Begins the names of the sources that are made here.
PREFIX = "adopt-"

#: What tells nodes apart whose label the settings do not list; the first one that they have.
FALLBACK_KEYS = ("id", "uuid", "key", "code", "name", "title", "value")
FALLBACK_NAMES = ("name", "title", "label", "value", "code", "key", "id", "uuid")

#: Columns of a source of nodes that mean something else than a property.
_RESERVED = RESERVED_PROPERTIES | {"time", "updated_at", "deleted", "is_deleted", "title", "name"}
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,62}")

Columns = list[tuple[str, str]]  # expression and name


def with_adopted(data: Mapping[str, Any], adopt: AdoptConfig) -> dict[str, Any]:
    """Gives the tree of `[data]` with everything that follows from `[adopt]`.

    Doing it again changes nothing, so saved settings can be read.
    """
    own = [
        source
        for source in data.get("sources", ())
        if not (isinstance(source, Mapping) and str(source.get("name", "")).startswith(PREFIX))
    ]
    behaviours = {
        interaction.behaviour(): Behaviour(
            role=interaction.role, min_rating=interaction.min_rating
        ).model_dump(mode="json")
        for interaction in adopt.interactions
    }
    adopted = [source.model_dump(mode="json", exclude_defaults=True) for source in sources(adopt)]
    return {
        "unknown_triples": "drop",  # much in a graph is about nothing that is recommended
        **data,
        "sources": [*own, *adopted],
        "behaviours": {**data.get("behaviours", {}), **behaviours},
    }


def sources(adopt: AdoptConfig) -> tuple[Source, ...]:
    """Gives the sources that read an adopted graph, in a fixed order."""
    return (
        *(_interactions(adopt, interaction) for interaction in adopt.interactions),
        _nodes(adopt, adopt.item, "items"),
        _nodes(adopt, adopt.user, "users"),
        *_entities(adopt),
        *_relations(adopt),
    )


def key_query(nodes: AdoptedUsers) -> str:
    """Gives a query for the number of nodes, of keys that are of `key_type`, and of their ids."""
    value, text = _property("n", nodes.key), _text("n", nodes.key)
    typed = text if nodes.key_type == "string" else f"toInteger({text})"
    return (
        f"MATCH (n:{quoted(nodes.label)})\nWHERE {value} IS NOT NULL\nRETURN count(n) AS nodes, "
        f"sum(CASE WHEN {value} = {typed} THEN 1 ELSE 0 END) AS fitting, "
        f"count(DISTINCT trim({text})) AS ids"
    )


def _source(
    adopt: AdoptConfig,
    name: str,
    kind: str,
    pattern: str,
    columns: Columns,
    conditions: Iterable[str] = (),
    **settings: Any,
) -> Source:
    """Each reading is all that the graph holds, so it takes the place of the one before."""
    where = " AND ".join(conditions)
    returned = ", ".join(f"{expression} AS {column}" for expression, column in columns)
    lines = [f"MATCH {pattern}", *([f"WHERE {where}"] if where else []), f"RETURN {returned}"]
    return Source.model_validate(
        {
            "name": f"{PREFIX}{name}"[:64],
            "kind": kind,
            "uri": adopt.uri,
            "database": adopt.database,
            "cypher": "\n".join(lines),
            "replace": True,
            **settings,
        }
    )


def _interactions(adopt: AdoptConfig, interaction: AdoptedInteraction) -> Source:
    left, right = ("-", "->") if interaction.direction == "out" else ("<-", "-")
    columns = [(_text("u", adopt.user.key), "user"), (_text("i", adopt.item.key), "item")]
    for name in ("rating", "weight", "time"):
        property_name = getattr(interaction, name)
        if property_name is not None:
            columns.append((_property("x", property_name), name))
    users, items = (quoted(nodes.label) for nodes in (adopt.user, adopt.item))
    return _source(
        adopt,
        f"interactions-{interaction.behaviour()}",
        "interactions",
        f"(u:{users}){left}[x:{quoted(interaction.type)}]{right}(i:{items})",
        columns,
        behaviour=interaction.behaviour(),
        time=interaction.time_format,
    )


def _nodes(adopt: AdoptConfig, nodes: AdoptedUsers, kind: str) -> Source:
    columns = [(_text("n", nodes.key), "id")]
    rules: dict[str, PropertyRule] = {}
    if isinstance(nodes, AdoptedItems):
        if nodes.title is not None:
            columns.append((_property("n", nodes.title), "title"))
        for rule, names in (("text", nodes.text), ("attribute", nodes.attributes)):
            for column in _add_columns(columns, names):
                rules[column] = PropertyRule.model_validate({"as": rule})
    _add_columns(columns, nodes.properties)
    return _source(adopt, kind, kind, f"(n:{quoted(nodes.label)})", columns, properties=rules)


def _entities(adopt: AdoptConfig) -> Iterator[Source]:
    before = [adopt.user.label, adopt.item.label]
    for number, entities in enumerate(adopt.entities, 1):
        name = _property("n", entities.name or entities.key)
        columns = [(_entity_id("n", entities), "id"), (name, "name")]
        _add_columns(columns, entities.properties)
        yield _source(
            adopt,
            f"entities-{number}",
            "entities",
            f"(n:{quoted(entities.label)})",
            columns,
            _none_of("n", before),
            may_be_empty=True,
        )
        before.append(entities.label)
    if adopt.other_labels:
        fallback = ", ".join(_property("n", name) for name in FALLBACK_NAMES)
        columns = [(_fallback_id("n"), "id"), (f"toString(coalesce({fallback}))", "name")]
        others = [*_none_of("n", before), _not_ours("n")]
        yield _source(
            adopt, "entities-others", "entities", "(n)", columns, others, may_be_empty=True
        )


def _relations(adopt: AdoptConfig) -> Iterator[Source]:
    """Those between items and entities, and those between users."""
    rules = adopt.relations
    # Neither interactions nor what is excluded, and nothing that kgrec wrote.
    types = ["NOT toLower(type(r)) STARTS WITH 'kgrec_'"]
    if not rules.include:
        left_out = [*(interaction.type for interaction in adopt.interactions), *rules.exclude]
        types.insert(0, f"NOT type(r) IN [{', '.join(map(literal, left_out))}]")
    edge = f"[r{':' * bool(rules.include)}{'|'.join(map(quoted, rules.include))}]"
    names = {kind: f"GRAPH_{kind}" for kind in sorted(OWN_TYPES)} | rules.rename
    cases = [f"WHEN {literal(kind)} THEN {literal(name)}" for kind, name in names.items()]
    relation = (f"CASE type(r) {' '.join(cases)} ELSE type(r) END", "relation")

    conditions = [*types]
    for end in ("a", "b"):
        conditions += _none_of(end, [adopt.user.label])
        if adopt.other_labels:
            conditions.append(_not_ours(end))
        else:
            labels = [adopt.item.label, *(entities.label for entities in adopt.entities)]
            conditions.append(f"({' OR '.join(f'{end}:{quoted(label)}' for label in labels)})")
    columns = [(_end_id("a", adopt), "head"), relation, (_end_id("b", adopt), "tail")]
    pattern = f"(a)-{edge}->(b)"
    yield _source(adopt, "relations", "triples", pattern, columns, conditions, may_be_empty=True)

    label, key = quoted(adopt.user.label), adopt.user.key
    columns = [(_text("a", key), "head"), relation, (_text("b", key), "tail")]
    pattern = f"(a:{label})-{edge}->(b:{label})"
    yield _source(adopt, "social", "social", pattern, columns, types, may_be_empty=True)


def _end_id(end: str, adopt: AdoptConfig) -> str:
    """The id of the node at an end of a relation: an item's as such, others' after their label."""
    cases = [f"WHEN {end}:{quoted(adopt.item.label)} THEN {_text(end, adopt.item.key)}"]
    cases += [f"WHEN {end}:{quoted(e.label)} THEN {_entity_id(end, e)}" for e in adopt.entities]
    rest = f" ELSE {_fallback_id(end)}" if adopt.other_labels else ""
    return f"CASE {' '.join(cases)}{rest} END"


def _entity_id(node: str, entities: AdoptedEntities) -> str:
    return f"{literal(entities.label + ':')} + {_text(node, entities.key)}"


def _fallback_id(node: str) -> str:
    keys = ", ".join(_property(node, name) for name in FALLBACK_KEYS)
    return f"head(labels({node})) + ':' + toString(coalesce({keys}))"


def _none_of(node: str, labels: Iterable[str]) -> list[str]:
    return [f"NOT {node}:{quoted(label)}" for label in labels]


def _not_ours(node: str) -> str:
    """What kgrec keeps in the graph about what it published is no data."""
    return f"NOT any(label IN labels({node}) WHERE toLower(label) STARTS WITH 'kgrec')"


def _add_columns(columns: Columns, names: Iterable[str]) -> list[str]:
    """Adds properties to the columns, each under a name that is free; gives these names."""
    added = []
    for name in names:
        column = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:50]
        if not _COLUMN.fullmatch(column) or column in _RESERVED:
            column = f"graph_{column}".rstrip("_")
        plain, number = column, 2
        while column in {present for _, present in columns}:
            column, number = f"{plain}_{number}", number + 1
        columns.append((_property("n", name), column))
        added.append(column)
    return added


def _property(variable: str, name: str) -> str:
    return f"{variable}.{quoted(name)}"


def _text(variable: str, key: str) -> str:
    return f"toString({_property(variable, key)})"
