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
    (points, reasons), key = candidates[0]
    unsure = ""
    alternatives = tuple(
        (prop.name, round(p / _FULL, 2)) for (p, _), prop in candidates[1:4] if p > 0
    )
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
    return Choice(key.name, round(max(points, 0) / _FULL, 2), tuple(reasons), alternatives, unsure)


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
    for prop in label.properties:
        if prop.name in used_names or prop.mixed or words.PRIVATE.search(words.bare(prop.name)):
            continue
        if prop.type in ("INTEGER", "FLOAT") and not words.is_key(prop.name, label.name):
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
        for prop in label.properties
        if prop.type in ("INTEGER", "FLOAT")
        and not prop.mixed
        and prop.name not in used_names
        and not words.is_key(prop.name, label.name)
        and not words.PRIVATE.search(words.bare(prop.name))
    )
