"""Node labels, relationship types and keys: the only source of names that reach a store.

Cypher cannot take labels and types as parameters, so every name that is written into a statement
is made or checked here, and nowhere else.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from kgrec.errors import SchemaError

_TYPE = re.compile(r"[A-Z][A-Z0-9_]{0,62}")
_PROPERTY = re.compile(r"[a-z][a-z0-9_]{0,62}")
#: Characters of a name of somebody else's graph; Neo4j itself allows more than anybody writes.
MAX_NAME = 255
#: Unicode's categories that no name may have: control, format, surrogate, line and paragraph.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # of Persian, of Indic scripts, of emoji: they are part of the spelling


class NodeLabel(StrEnum):
    """The node labels of the graph; every node has a string `id`, unique within its label."""

    USER = "User"
    ITEM = "Item"
    ENTITY = "Entity"


class Split(StrEnum):
    """The parts of the interactions."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


class Role(StrEnum):
    """What an edge set says to a model."""

    TARGET = "target"
    EVIDENCE = "evidence"
    NEGATIVE = "negative"
    RELATION = "relation"
    IDENTITY = "identity"


#: Held-out interactions have relationship types of their own, so that a statement which reads
#: INTERACTED cannot see them, whatever filters its author forgot.
INTERACTION_TYPES: dict[Split, str] = {
    Split.TRAIN: "INTERACTED",
    Split.VALID: "HELD_OUT_VALID",
    Split.TEST: "HELD_OUT_TEST",
}

#: The property that shows a node to people. Never two of them on one label (kglite keeps
#: `title` and `name` in one field).
DISPLAY_PROPERTY: dict[NodeLabel, str | None] = {
    NodeLabel.USER: None,
    NodeLabel.ITEM: "title",
    NodeLabel.ENTITY: "name",
}

#: Joins a node to the one it was found to be the same as, and which has its edges.
SAME_AS = "SAME_AS"

#: User-item pairs that were proposed, not observed: no statement that reads interactions sees them.
SYNTHETIC = "SYNTHETIC"

#: A target that was rated below its behaviour's `min_rating`.
DISLIKED = "DISLIKED"

#: Types of kgrec's own edges, which no relation can have.
OWN_TYPES = frozenset({*INTERACTION_TYPES.values(), "RECOMMENDED", "SIMILAR", SYNTHETIC, SAME_AS})

#: What an edge may carry: the rating (of the event that counts), its time in seconds since 1970
#: UTC, the folded weight, the number of events, the user's session it last fell into, the score of
#: an identity, and the number of the load that it is from.
EDGE_PROPERTIES = ("rating", "time", "weight", "count", "session", "score", "load")

#: Where published vectors are: two places that take turns.
PUBLISHED_PROPERTIES = ("vector_a", "vector_b")

#: Properties that kgrec keeps on nodes and relationships for itself.
RESERVED_PROPERTIES = frozenset(
    {"id", "index", "load", "embedding", "synthetic", *PUBLISHED_PROPERTIES}
)


@dataclass(frozen=True, order=True)
class EdgeKey:
    """One set of edges: a relationship type between two labels.

    Attributes:
        type: Relationship type, as `relation_type` makes it.
        head: Label at the start of the edge.
        tail: Label at the end of the edge.
    """

    type: str
    head: NodeLabel
    tail: NodeLabel

    def __post_init__(self) -> None:
        if not _TYPE.fullmatch(self.type):
            raise SchemaError(
                f"relationship type {self.type!r} is not a name kgrec writes into Cypher; "
                f"expected {_TYPE.pattern}; make it with kgrec.schema.relation_type"
            )
        object.__setattr__(self, "head", NodeLabel(self.head))
        object.__setattr__(self, "tail", NodeLabel(self.tail))

    def __str__(self) -> str:
        return f"({self.head})-[{self.type}]->({self.tail})"


def interaction_key(split: Split) -> EdgeKey:
    """Gives the edge set that holds the interactions of a split."""
    return EdgeKey(INTERACTION_TYPES[Split(split)], NodeLabel.USER, NodeLabel.ITEM)


def synthetic_key() -> EdgeKey:
    """Gives the edge set that holds proposed pairs, of all runs."""
    return EdgeKey(SYNTHETIC, NodeLabel.USER, NodeLabel.ITEM)


def relation_type(name: str) -> str:
    """Gives the relationship type of a relation's name in the data.

    `film.film.directed_by` becomes `FILM_FILM_DIRECTED_BY`, `7` becomes `REL_7`.

    Raises:
        SchemaError: If nothing of the name is left, it is too long, or it would be taken for an
            interaction.
    """
    kind = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
    if kind[:1].isdigit():
        kind = f"REL_{kind}"
    if not _TYPE.fullmatch(kind):
        raise SchemaError(
            f"relation {name!r} gives no relationship type; expected a name with Latin letters or "
            f"digits, at most 63 of them; rename it under [data.relations]"
        )
    if kind in OWN_TYPES:
        raise SchemaError(
            f"relation {name!r} would become {kind}, which kgrec keeps for its own edges; "
            f"rename it under [data.relations]"
        )
    return kind


def property_name(name: str) -> str:
    """Checks a property name before it is written into a statement.

    Raises:
        SchemaError: If it is not a plain lower-case identifier.
    """
    if not _PROPERTY.fullmatch(name):
        raise SchemaError(
            f"property {name!r} cannot be written into Cypher; expected {_PROPERTY.pattern}; "
            f"rename the column"
        )
    return name


def quoted(name: str) -> str:
    """Gives a name of somebody else's graph as it may stand in a statement: in back-ticks.

    This is the only place that makes such text. A back-tick within is doubled. A backslash is
    refused: Neo4j replaces the escape of a back-tick (backslash, u0060) by a back-tick before it
    reads the statement, and so before it looks for the end of the name.

    Args:
        name: A label, relationship type or property, as the graph has it.

    Raises:
        SchemaError: If it is empty, longer than `MAX_NAME`, or has characters that cannot be seen
            or a backslash.
    """
    return f"`{_checked(name, 'a label, type or property').replace('`', '``')}`"


def literal(text: str) -> str:
    """Gives a short text as a string of Cypher, for what cannot be a parameter.

    Raises:
        SchemaError: As `quoted`.
    """
    inner = _checked(text, "a text in a statement").replace("'", "\\'")
    return f"'{inner}'"


def _checked(name: str, role: str) -> str:
    problem = None
    if not name:
        problem = "is empty"
    elif len(name) > MAX_NAME:
        problem = f"has {len(name):,} characters"
    elif "\\" in name:
        problem = "has a backslash"
    else:
        hidden = [c for c in name if unicodedata.category(c) in _HIDDEN and c not in _JOINERS]
        if hidden:
            problem = f"has the character U+{ord(hidden[0]):04X}, which cannot be seen"
    if problem is not None:
        raise SchemaError(
            f"{name[:40]!r} cannot be {role}: it {problem}; expected 1 to {MAX_NAME} visible "
            f"characters without a backslash; correct the name, or rename it in the graph"
        )
    return name
