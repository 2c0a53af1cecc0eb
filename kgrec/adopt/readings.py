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

    def shown(self) -> str:
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
        _judged(kind, "out", head, tail, facts),
        _judged(kind, "in", tail, head, facts),
    ]


def _judged(
    kind: RelationshipType, direction: Direction, user: str, item: str, facts: GraphFacts
) -> Candidate:
    said: list[tuple[float, str]] = []
    name = words.bare(kind.name)
    if words.says(name, words.STRONG_TYPES):
        said.append((4, f"{kind.name} is what such a type is called"))
    elif words.says(name, words.WEAK_TYPES):
        said.append((2.5, f"{kind.name} is what looking at something is called"))
    elif words.says(name, words.NEGATIVE_TYPES):
        said.append((1.5, f"{kind.name} is what a dislike is called"))
    if words.says(user, words.USERS):
        weak = words.says(user, words.WEAK_USERS)
        said.append((1 if weak else 2, f"{user} is what users are called"))
    if words.says(item, words.ITEMS):
        said.append((1, f"{item} is what items are called"))
    if direction == "out":
        said.append((0.5, "it begins at them, as what somebody does begins at who does it"))
    if words.says(item, words.USERS - words.WEAK_USERS):
        said.append((-3, f"{item} is what users are called, not items"))
    rating, weight, time = roles(kind.properties)
    if rating is not None:
        said.append((2, f"it has ratings ({rating.name})"))
    if time is not None:
        said.append((2, f"it has times ({time.name})"))
    if weight is not None:
        said.append((1, f"it has quantities ({weight.name})"))
    said += _of_degrees(kind, direction, user, item, facts)
    return Candidate(
        kind, direction, user, item, sum(p for p, _ in said), tuple(why for _, why in said)
    )


def _of_degrees(
    kind: RelationshipType, direction: str, user: str, item: str, facts: GraphFacts
) -> list[tuple[float, str]]:
    """What the numbers say: many a user, items that several users share, not a few categories."""
    own, shared = kind.outgoing, kind.incoming
    if direction == "in":
        own, shared = shared, own
    if own is None or shared is None:
        return []
    said: list[tuple[float, str]] = []
    if own.mean >= 2:
        points = 2 if own.mean >= 5 else 1
        said.append((points, f"{own.mean:.1f} of them a {user} (median {own.median:.0f}, at most "
                             f"{own.largest:,})"))  # fmt: skip
    else:
        said.append((-2, f"only {own.mean:.1f} of them a {user}"))
    nodes, users = facts.label(item).nodes, facts.label(user).nodes
    if users <= _CATEGORY_NODES and kind.edges >= _CATEGORY_EDGES * users:
        said.append((-2.5, f"only {users} {user} nodes have them all: these look like categories"))
    if nodes <= _CATEGORY_NODES and kind.edges >= _CATEGORY_EDGES * nodes:
        said.append((-4, f"only {nodes} {item} nodes share them all: these look like categories"))
    elif shared.mean >= 2:
        said.append((1, f"{shared.mean:.1f} of them a {item}, so users share items"))
    if kind.edges == max(one.edges for one in facts.types):
        said.append((1, "it is the largest type"))
    return said


def roles(
    properties: Sequence[Property],
) -> tuple[Property | None, Property | None, Property | None]:
    """Gives the rating, the weight and the time among the properties of a type."""
    rating = weight = time = None
    for found in properties:
        name, number = words.bare(found.name), found.type in ("INTEGER", "FLOAT")
        if found.mixed:
            continue
        if number and rating is None and words.says(name, words.RATINGS):
            rating = found
        elif number and weight is None and words.says(name, words.WEIGHTS):
            weight = found
        elif time is None and _is_time(found, name):
            time = found
    return rating, weight, time


def _is_time(found: Property, name: str) -> bool:
    if found.type.startswith(("ZONED DATETIME", "LOCAL DATETIME", "DATE")):
        return True
    called = name in words.TIMES or name.endswith(("_at", "_time", "_date", "timestamp"))
    if found.type == "INTEGER":  # seconds since 1970: not before 1980
        return called and all(int(value) > 300_000_000 for value in found.examples)
    return called and found.type == "STRING" and all(v[:4].isdigit() for v in found.examples)


def time_unit(found: Property | None) -> str:
    """Tells the unit of a time that is a number since 1970 from its size."""
    if found is None or found.type != "INTEGER":
        return "s"
    largest = max((int(value) for value in found.examples), default=0)
    return next((u for u, least in (("ns", 1e17), ("us", 1e14), ("ms", 1e11)) if largest > least),
                "s")  # fmt: skip


def once(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Keeps one reading a type."""
    seen: dict[str, Candidate] = {}
    for candidate in candidates:
        seen.setdefault(candidate.kind.name, candidate)
    return list(seen.values())
