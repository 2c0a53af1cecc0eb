"""What types and properties may be read as: points for each reading, and the reasons in words."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

from kgrec.adopt import words
from kgrec.adopt.facts import GraphFacts, Label, Property, RelationshipType
from kgrec.adopt.proposal import Choice, Direction
from kgrec.errors import DataError

#: Points of a type that has everything one can hope for.
_FULL_TYPE = 15.5
#: Ends that so many relationships share look like a category, not like what one recommends.
_CATEGORY_NODES, _CATEGORY_EDGES = 60, 40

_NUMBERS = ("INTEGER", "FLOAT")


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
        return round(min(max(self.points / _FULL_TYPE, 0.0), 1.0), 2)

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
    properties = roles(kind.properties)
    for role, points, noun in (("rating", 2, "ratings"), ("time", 2, "times"),
                               ("weight", 1, "quantities")):  # fmt: skip
        if role in properties:
            evidence.append((points, f"it has {noun} ({properties[role].name})"))
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


def roles(properties: Sequence[Property]) -> dict[str, Property]:
    """Gives those of `rating`, `weight` and `time` that are among the properties of a type."""
    property_of: dict[str, Property] = {}
    for prop in properties:
        name, number = words.bare(prop.name), prop.type in _NUMBERS
        fits = {
            "rating": number and words.says(name, words.RATINGS),
            "weight": number and words.says(name, words.WEIGHTS),
            "time": _is_time(prop, name),
        }
        free = [role for role in fits if fits[role] and role not in property_of]
        if free and not prop.mixed:
            property_of[free[0]] = prop
    return property_of


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


#: Points of a key that has everything one can hope for.
_FULL_KEY = 6
#: Mean length from which a text says something, and above which it is no title.
_TEXT_LENGTH, _TITLE_LENGTH = 60, 120
#: A text of which so few values differ is shared by many nodes.
_SHARED = 0.2


def key_choice(label: Label) -> Choice:
    """Chooses the property that tells the nodes of a label apart."""
    candidates = sorted(
        ((_key_points(prop, label.name), prop) for prop in label.properties
         if prop.type in ("STRING", "INTEGER")),
        key=lambda pair: (-pair[0][0], pair[1].name),
    )  # fmt: skip
    if not candidates:
        raise DataError(
            f"nodes with the label {label.name!r} have no text or whole number as a property; "
            f"expected one that tells them apart; give them an id"
        )
    (_, reasons), key = candidates[0]
    unsure = ""
    if not key.tells_apart:
        unsure = (
            f"no property of {label.name} is on every node and different on each; {key.name} is "
            f"nearest, and nodes that share it would be one"
        )
    elif not key.unique and key.sampled < label.nodes:
        unsure = (
            f"{label.name}.{key.name} is unique on {key.sampled:,} of {label.nodes:,} nodes, "
            f"and no constraint says so of all"
        )
    scores = [(prop.name, round(max(points, 0) / _FULL_KEY, 2)) for (points, _), prop in candidates]
    alternatives = tuple(choice for choice in scores[1:4] if choice[1] > 0)
    return Choice(*scores[0], tuple(reasons), alternatives, unsure)


def _key_points(prop: Property, label: str) -> tuple[float, list[str]]:
    points, reasons = 0.0, []
    if prop.tells_apart:
        points += 2
        reasons.append(f"on every node and different on each of {prop.sampled:,}")
    else:
        points += prop.present * prop.differing - 1
        reasons.append(f"on {prop.present:.0%} of the nodes, {prop.differing:.0%} differ")
    if prop.unique:
        points += 2
        reasons.append("a constraint says that it is unique")
    if words.is_key(prop.name, label):
        points += 2
        reasons.append("called as keys are")
    if prop.length > 60 or prop.mixed:
        points -= 2
        reasons.append("long or of several kinds")
    return points, reasons


def key_type(label: Label, key: Choice) -> str:
    """Gives the `key_type` of the settings for a chosen key."""
    key_property = next(prop for prop in label.properties if prop.name == key.name)
    return "integer" if key_property.type == "INTEGER" else "string"


def title_choice(label: Label) -> Choice | None:
    """Chooses the property that shows a node to people; None if none is called like one."""
    candidates = [
        (words.TITLES.index(plain), prop)
        for prop in label.properties
        if (plain := words.bare(prop.name).replace("_", "")) in words.TITLES
        and prop.type == "STRING"
        and prop.present >= 0.5
        and prop.length <= _TITLE_LENGTH
    ]
    if not candidates:
        return None
    candidates.sort(key=lambda pair: (pair[0], pair[1].name))
    title = candidates[0][1]
    reasons = ("called as titles are", f"on {title.present:.0%} of the nodes")
    alternatives = tuple((prop.name, round(prop.present, 2)) for _, prop in candidates[1:4])
    return Choice(title.name, round(title.present, 2), reasons, alternatives)


def item_columns(
    label: Label, used_names: Container[str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Gives the properties of items that are texts, shared values, and other worth taking."""
    text, attributes, other_columns = [], [], []
    for prop in _open_properties(label, used_names):
        if prop.type in _NUMBERS and not words.is_key(prop.name, label.name):
            other_columns.append(prop.name)
        elif prop.type == "STRING" and (
            prop.length >= _TEXT_LENGTH or words.bare(prop.name) in words.TEXTS
        ):
            text.append(prop.name)
        elif prop.type == "STRING" and prop.differing <= _SHARED:
            attributes.append(prop.name)
    return tuple(text), tuple(attributes), tuple(other_columns)


def numbers(label: Label, used_names: Container[str]) -> tuple[str, ...]:
    """Gives the numbers of users and entities that are no keys and tell nothing private."""
    return tuple(
        prop.name
        for prop in _open_properties(label, used_names)
        if prop.type in _NUMBERS and not words.is_key(prop.name, label.name)
    )


def _open_properties(label: Label, used_names: Container[str]) -> list[Property]:
    """The properties of one type that have no use yet and tell nothing private."""
    return [
        prop
        for prop in label.properties
        if prop.name not in used_names
        and not prop.mixed
        and not words.PRIVATE.search(words.bare(prop.name))
    ]
