"""Properties of nodes: which tells them apart, which shows them, which are worth taking."""

from collections.abc import Container

from kgrec.adopt import words
from kgrec.adopt.facts import Label, Property
from kgrec.adopt.proposal import Choice
from kgrec.errors import DataError

#: Points of a key that has everything one can hope for.
_FULL = 6
#: Mean length from which a text says something, and above which it is no title.
_TEXT_LENGTH, _TITLE_LENGTH = 60, 120
#: A text of which so few values differ is shared by many nodes.
_SHARED = 0.2


def key_choice(label: Label) -> Choice:
    """Chooses the property that tells the nodes of a label apart."""
    scored = sorted(
        ((_key_points(found, label.name), found) for found in label.properties
         if found.type in ("STRING", "INTEGER")),
        key=lambda pair: (-pair[0][0], pair[1].name),
    )  # fmt: skip
    if not scored:
        raise DataError(
            f"nodes with the label {label.name!r} have no text or whole number as a property; "
            f"expected one that tells them apart; give them an id"
        )
    (points, reasons), found = scored[0]
    unsure = ""
    rest = tuple((other.name, round(p / _FULL, 2)) for (p, _), other in scored[1:4] if p > 0)
    if not found.tells_apart:
        unsure = (
            f"no property of {label.name} is on every node and different on each; {found.name} is "
            f"nearest, and nodes that share it would be one"
        )
    elif not found.unique and found.sampled < label.nodes:
        unsure = (
            f"{label.name}.{found.name} is unique on {found.sampled:,} of {label.nodes:,} nodes, "
            f"and no constraint says so of all"
        )
    return Choice(found.name, round(max(points, 0) / _FULL, 2), tuple(reasons), rest, unsure)


def _key_points(found: Property, label: str) -> tuple[float, list[str]]:
    points, reasons = 0.0, []
    if found.tells_apart:
        points += 2
        reasons.append(f"on every node and different on each of {found.sampled:,}")
    else:
        points += found.present * found.differing - 1
        reasons.append(f"on {found.present:.0%} of the nodes, {found.differing:.0%} differ")
    if found.unique:
        points += 2
        reasons.append("a constraint says that it is unique")
    if words.is_key(found.name, label):
        points += 2
        reasons.append("called as keys are")
    if found.length > 60 or found.mixed:
        points -= 2
        reasons.append("long or of several kinds")
    return points, reasons


def key_type(label: Label, key: Choice) -> str:
    """Gives the `key_type` of the settings for a chosen key."""
    found = next(one for one in label.properties if one.name == key.name)
    return "integer" if found.type == "INTEGER" else "string"


def title_choice(label: Label) -> Choice | None:
    """Chooses the property that shows a node to people; None if none is called like one."""
    called = [
        (words.TITLES.index(plain), found)
        for found in label.properties
        if (plain := words.bare(found.name).replace("_", "")) in words.TITLES
        and found.type == "STRING"
        and found.present >= 0.5
        and found.length <= _TITLE_LENGTH
    ]
    if not called:
        return None
    called.sort(key=lambda pair: (pair[0], pair[1].name))
    found = called[0][1]
    reasons = ("called as titles are", f"on {found.present:.0%} of the nodes")
    rest = tuple((other.name, round(other.present, 2)) for _, other in called[1:4])
    return Choice(found.name, round(found.present, 2), reasons, rest)


def item_columns(
    label: Label, used: Container[str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Gives the properties of items that are texts, shared values, and other worth taking."""
    text, attributes, plain = [], [], []
    for found in label.properties:
        if found.name in used or found.mixed or words.PRIVATE.search(words.bare(found.name)):
            continue
        if found.type in ("INTEGER", "FLOAT") and not words.is_key(found.name, label.name):
            plain.append(found.name)
        elif found.type == "STRING" and (
            found.length >= _TEXT_LENGTH or words.bare(found.name) in words.TEXTS
        ):
            text.append(found.name)
        elif found.type == "STRING" and found.differing <= _SHARED:
            attributes.append(found.name)
    return tuple(text), tuple(attributes), tuple(plain)


def numbers(label: Label, used: Container[str]) -> tuple[str, ...]:
    """Gives the numbers of users and entities that are no keys and tell nothing private."""
    return tuple(
        found.name
        for found in label.properties
        if found.type in ("INTEGER", "FLOAT")
        and not found.mixed
        and found.name not in used
        and not words.is_key(found.name, label.name)
        and not words.PRIVATE.search(words.bare(found.name))
    )
