"""Relationship types read as interactions: points for each, and the reasons in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from kgrec.adopt import words
from kgrec.adopt.facts import GraphFacts, Property, RelationshipType
from kgrec.adopt.proposal import Direction

#: Points of a type that has everything one can hope for.
_FULL = 15.5
#: Ends that so many relationships share look like a category, not like what one recommends.
_CATEGORY_NODES, _CATEGORY_EDGES = 60, 40


@dataclass(frozen=True)
class Candidate:
    """A type read in one direction, with the points for it."""

    kind: RelationshipType
    direction: Direction
    user: str
    item: str
    points: float
    reasons: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """From 0 to 1."""
        return round(min(max(self.points / _FULL, 0.0), 1.0), 2)

    def pattern(self) -> str:
        """As a pattern of Cypher."""
        arrow = ("-", "->") if self.direction == "out" else ("<-", "-")
        return f"(:{self.user}){arrow[0]}[:{self.kind.name}]{arrow[1]}(:{self.item})"


def readings(kind: RelationshipType, facts: GraphFacts) -> list[Candidate]:
    """Gives a type as an interaction in both directions; none if it joins a label to itself."""
    head = facts.main_label(kind.heads, kind.edges)
    tail = facts.main_label(kind.tails, kind.edges)
    if head is None or tail is None or head == tail:
        return []
    return [
        _candidate(kind, "out", head, tail, facts),
        _candidate(kind, "in", tail, head, facts),
    ]


def _candidate(
    kind: RelationshipType, direction: Direction, user: str, item: str, facts: GraphFacts
) -> Candidate:
    evidence: list[tuple[float, str]] = []
    name = words.bare(kind.name)
    if words.says(name, words.STRONG_TYPES):
        evidence.append((4, f"{kind.name} is what such a type is called"))
    elif words.says(name, words.WEAK_TYPES):
        evidence.append((2.5, f"{kind.name} is what looking at something is called"))
    elif words.says(name, words.NEGATIVE_TYPES):
        evidence.append((1.5, f"{kind.name} is what a dislike is called"))
    if words.says(user, words.USERS):
        weak = words.says(user, words.WEAK_USERS)
        evidence.append((1 if weak else 2, f"{user} is what users are called"))
    if words.says(item, words.ITEMS):
        evidence.append((1, f"{item} is what items are called"))
    if direction == "out":
        evidence.append((0.5, "it begins at them, as what somebody does begins at who does it"))
    if words.says(item, words.USERS - words.WEAK_USERS):
        evidence.append((-3, f"{item} is what users are called, not items"))
    rating, weight, time = roles(kind.properties)
    if rating is not None:
        evidence.append((2, f"it has ratings ({rating.name})"))
    if time is not None:
        evidence.append((2, f"it has times ({time.name})"))
    if weight is not None:
        evidence.append((1, f"it has quantities ({weight.name})"))
    evidence += _of_degrees(kind, direction, user, item, facts)
    return Candidate(
        kind, direction, user, item, sum(p for p, _ in evidence), tuple(why for _, why in evidence)
    )


def _of_degrees(
    kind: RelationshipType, direction: str, user: str, item: str, facts: GraphFacts
) -> list[tuple[float, str]]:
    """What the numbers say: many a user, items that several users share, not a few categories."""
    user_degrees, item_degrees = kind.outgoing, kind.incoming
    if direction == "in":
        user_degrees, item_degrees = item_degrees, user_degrees
    if user_degrees is None or item_degrees is None:
        return []
    evidence: list[tuple[float, str]] = []
    if user_degrees.mean >= 2:
        points = 2 if user_degrees.mean >= 5 else 1
        spread = f"median {user_degrees.median:.0f}, at most {user_degrees.largest:,}"
        evidence.append((points, f"{user_degrees.mean:.1f} of them a {user} ({spread})"))
    else:
        evidence.append((-2, f"only {user_degrees.mean:.1f} of them a {user}"))
    nodes, users = facts.label(item).nodes, facts.label(user).nodes
    if users <= _CATEGORY_NODES and kind.edges >= _CATEGORY_EDGES * users:
        evidence.append(
            (-2.5, f"only {users} {user} nodes have them all: these look like categories")
        )
    if nodes <= _CATEGORY_NODES and kind.edges >= _CATEGORY_EDGES * nodes:
        evidence.append(
            (-4, f"only {nodes} {item} nodes share them all: these look like categories")
        )
    elif item_degrees.mean >= 2:
        evidence.append((1, f"{item_degrees.mean:.1f} of them a {item}, so users share items"))
    if kind.edges == max(other_kind.edges for other_kind in facts.types):
        evidence.append((1, "it is the largest type"))
    return evidence


def roles(
    properties: Sequence[Property],
) -> tuple[Property | None, Property | None, Property | None]:
    """Gives the rating, the weight and the time among the properties of a type."""
    rating = weight = time = None
    for prop in properties:
        name, number = words.bare(prop.name), prop.type in ("INTEGER", "FLOAT")
        if prop.mixed:
            continue
        if number and rating is None and words.says(name, words.RATINGS):
            rating = prop
        elif number and weight is None and words.says(name, words.WEIGHTS):
            weight = prop
        elif time is None and _is_time(prop, name):
            time = prop
    return rating, weight, time


def _is_time(prop: Property, name: str) -> bool:
    if prop.type.startswith(("ZONED DATETIME", "LOCAL DATETIME", "DATE")):
        return True
    has_time_name = name in words.TIMES or name.endswith(("_at", "_time", "_date", "timestamp"))
    if prop.type == "INTEGER":  # seconds since 1970: not before 1980
        return has_time_name and all(int(value) > 300_000_000 for value in prop.examples)
    return has_time_name and prop.type == "STRING" and all(v[:4].isdigit() for v in prop.examples)


def time_unit(prop: Property | None) -> str:
    """Tells the unit of a time that is a number since 1970 from its size."""
    if prop is None or prop.type != "INTEGER":
        return "s"
    largest = max((int(value) for value in prop.examples), default=0)
    return next((u for u, least in (("ns", 1e17), ("us", 1e14), ("ms", 1e11)) if largest > least),
                "s")  # fmt: skip


def one_per_type(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Keeps one reading a type."""
    by_type: dict[str, Candidate] = {}
    for candidate in candidates:
        by_type.setdefault(candidate.kind.name, candidate)
    return list(by_type.values())
