"""What the parameters of queries may be, checked before a store sees them.

Every parameter of one name is of one kind in all queries. A kind checks a Python value and gives
it in the form that the statements take, and it reads the text of a command line.
"""

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgrec.errors import ConfigError, VocabularyError
from kgrec.files import parsed_json
from kgrec.schema import INTERACTION_TYPES, NodeLabel, Split, relation_type
from kgrec.vocabulary import NodeId, id_text

#: Most rows a query gives at once, and most it skips; beyond that, export the graph.
MAX_LIMIT = 10_000
MAX_SKIP = 10_000_000

#: Most entries of a parameter that is a list or a map.
MAX_ENTRIES = 10_000

_MAX_NUMBER = 2**62

#: Relation names, one or several.
Names = str | Sequence[str]

#: Ids, one or several.
Ids = NodeId | Sequence[NodeId]

#: Weights by directed relation: `GENRE` along an edge, `rev_GENRE` against it.
Weights = Mapping[str, float] | Sequence[tuple[str, float]]

#: Nodes by label and id, or as text "Label:id".
Nodes = Sequence[tuple[str, NodeId] | str]


@dataclass(frozen=True)
class Kind:
    """One kind of parameter.

    Attributes:
        expectation: What it must be, in words.
        check: Gives a value as statements take it; raises ValueError or TypeError.
        form: How a command line writes it: `text` as it is, `list` as one text or a JSON list,
            `json` as JSON.
    """

    expectation: str
    check: Callable[[Any], Any]
    form: str = "json"

    def read(self, text: str) -> Any:
        """Reads the text of a command line; what is no JSON is left to the check."""
        if self.form == "text" or (self.form == "list" and not text.startswith("[")):
            return text
        try:
            return parsed_json(text)
        except ValueError:
            return text


def check_value(query: str, name: str, value: Any, *, optional: bool = False) -> Any:
    """Gives a parameter's value as the statement takes it.

    Args:
        query: The query, for the message.
        name: The parameter.
        value: What was given.
        optional: Whether None is a value.

    Raises:
        ConfigError: If it is of another kind.
    """
    if value is None and optional:
        return None
    kind = kind_of(query, name)
    try:
        return kind.check(value)
    except (TypeError, ValueError, AttributeError) as exc:
        text = value if isinstance(value, str | int | float) else repr(value)
        reason = f" ({exc})" if str(exc) else ""
        raise ConfigError(
            f"query {query}: {name}={str(text)[:200]} does not fit{reason}; "
            f"expected {kind.expectation}"
        ) from exc


def check_timeout(query: str, timeout: Any) -> float | None:
    """Gives a time limit in seconds; raises ConfigError unless it is positive or None."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise ConfigError(
            f"query {query}: timeout={timeout} does not fit; expected a positive number of seconds"
        )
    return float(timeout)


def kind_of(query: str, name: str) -> Kind:
    """Gives the kind of a query's parameter."""
    return KINDS.get(f"{query}.{name}") or KINDS[name]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # a lone surrogate, which no store takes, is refused here
    return str(value)


def _id(value: Any) -> str:
    try:
        return _text(id_text(value))
    except VocabularyError as exc:
        raise TypeError("no id") from exc


def _ids(value: Any) -> list[str]:
    is_one = isinstance(value, str) or not isinstance(value, Iterable)
    return [_id(part) for part in ([value] if is_one else _entries(value))]


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value: Any) -> float | int:
    if isinstance(value, bool | str):
        raise TypeError
    number = value if isinstance(value, int) else float(value)
    if not math.isfinite(number) or abs(number) > _MAX_NUMBER:
        raise ValueError
    return number


def _integer_kind(low: int, high: int) -> Kind:
    def check(value: Any) -> int:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
        if not low <= number <= high:
            raise ValueError
        return number

    expectation = "a positive whole number" if low == 1 else f"a whole number from {low}"
    return Kind(f"{expectation}, at most {high}", check)


def _entries(value: Iterable[Any]) -> list[Any]:
    entries = list(value)
    if len(entries) > MAX_ENTRIES:
        raise ValueError(f"{len(entries)} entries, at most {MAX_ENTRIES}")
    return entries


def _texts(value: Any) -> list[str]:
    return [_text(part) for part in ([value] if isinstance(value, str) else _entries(value))]


def _type(name: Any) -> str:
    interaction_type = INTERACTION_TYPES[Split.TRAIN]
    return interaction_type if _text(name) == interaction_type else relation_type(name)


def _types(value: Any) -> list[str]:
    return [_type(name) for name in _texts(value)]


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, str):
        raise TypeError
    pairs = _entries(value.items() if isinstance(value, Mapping) else value)
    return [(key, part) for key, part in pairs]


def _weights(value: Any) -> dict[str, float]:
    return {_text(name): float(_number(weight)) for name, weight in _pairs(value)}


def _attributes(value: Any) -> list[list[Any]]:
    return [[_type(name), _ids(ids)] for name, ids in _pairs(value)]


def _ranges(value: Any) -> list[list[Any]]:
    ranges = []
    for name, (low, high) in _pairs({} if value is None else value):
        ends = [None if end is None else _number(end) for end in (low, high)]
        ranges.append([_text(name), *ends])
    return ranges


def _label(value: Any) -> str:
    label = NodeLabel(value)
    if label == NodeLabel.ENTITY:
        raise ValueError
    return label.value


def _nodes(value: Any) -> list[list[str]]:
    nodes = []
    for node in _entries([value] if isinstance(value, str) else value):
        label, key = node.split(":", 1) if isinstance(node, str) else node
        nodes.append([NodeLabel(label).value, _id(key)])
    return [list(node) for node in dict.fromkeys(map(tuple, nodes))]


_ID = Kind("text or a whole number, the id of a node", _id, "text")
_MANY = _integer_kind(1, MAX_LIMIT)
_FLAG = Kind("true or false", _flag)
_TIME = Kind("a number, seconds since 1970 UTC", _number)

#: The kind of each parameter, by its name, or by `query.name` where a query is narrower.
KINDS: dict[str, Kind] = {
    "user": _ID,
    "item": _ID,
    "own": Kind("a list of ids", _ids, "list"),
    "skip": _integer_kind(0, MAX_SKIP),
    "limit": _MANY,
    "neighbours": _MANY,
    "fetch": _MANY,
    "at_most": _integer_kind(1, _MAX_NUMBER),
    "max_degree": _integer_kind(1, _MAX_NUMBER),
    "paths.max_degree": _integer_kind(1, 1_000),
    "paths.hops": _integer_kind(2, 4),
    "hops": _integer_kind(1, 5),
    "per_node": _integer_kind(1, 1_000),
    "per_hop": _integer_kind(1, 1_000),
    "length": _integer_kind(1, 1_000),
    "walks": _integer_kind(1, 1_000),
    "seed": _integer_kind(0, _MAX_NUMBER),
    "since": _TIME,
    "until": _TIME,
    "before": _TIME,
    "unseen": _FLAG,
    "undisliked": _FLAG,
    "available": Kind("text, the name of a property", _text, "text"),
    "label": Kind("User or Item", _label, "text"),
    "relations": Kind("a list of relations", _types, "list"),
    "weights": Kind("numbers by directed relation, like GENRE and rev_GENRE", _weights),
    "attributes": Kind(
        "ids or names of attributes by relation, as {'genre': ['Drama']}", _attributes
    ),
    "ranges": Kind("[low, high] by property, null for an open end", _ranges),
    "nodes": Kind("pairs of a label and an id, or texts such as Item:i1", _nodes, "list"),
}
