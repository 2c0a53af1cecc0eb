"""Words for nodes, from their properties and neighbours, the same for every data set.

item    Heat (1995); genre: Crime, Thriller; directed by Michael Mann
entity  Michael Mann; director of Heat, The Insider
review  The diner scene alone is worth it; reviews: Heat
user    age 24, occupation technician; country: France; lately: Heat, Fargo

A property called `text` is a text of its own: a review, a query, a description. It is told as it
stands, right behind the name, as a text that is cut loses its end.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_LEADS_ON = re.compile(r".*(\b(by|in|of|to|with|from|for|on|at)|ing)$")

#: What the tail of a relation is to its head, where the relation's own name does not say it.
_ROLES: Mapping[str, str] = {
    "authored by": "author of",
    "cinematography": "cinematographer of",
    "composed by": "composer of",
    "created by": "creator of",
    "designed by": "designer of",
    "directed by": "director of",
    "edited by": "editor of",
    "illustrated by": "illustrator of",
    "performed by": "performer of",
    "produced by": "producer of",
    "published by": "publisher of",
    "starring": "actor in",
    "written by": "writer of",
}
_VOWEL = re.compile("[aeiouyAEIOUY]")
# A property with longer values is prose (a synopsis) and needs no label.
_PROSE = 60
# A quoted text is a name, so it must be short.
_QUOTED = 60


@dataclass(frozen=True)
class Link:
    """The neighbours of one node over one relation in one direction.

    Attributes:
        relation: The relation's name.
        forward: Whether the node is the head.
        names: Names of the neighbours that are told, at least one.
        total: Number of neighbours, told or not.
    """

    relation: str
    forward: bool
    names: tuple[str, ...]
    total: int


def relation_phrase(relation: str) -> str:
    """Gives a relation's name in words: "film.film.directed_by" becomes "directed by"."""
    last = re.split(r"[./#:]", relation.rstrip("./#:"))[-1]
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", last)
    return re.sub(r"[\W_]+", " ", spaced).strip().lower() or relation


def leads_on(phrase: str) -> bool:
    """Says whether a phrase reads on into a name: "directed by" does, "language" does not."""
    return _LEADS_ON.fullmatch(phrase) is not None


def role_phrase(relation: str) -> str:
    """Gives what a relation's tail is to its head: "directed_by" becomes "director of"."""
    phrase = relation_phrase(relation)
    if phrase in _ROLES:
        return _ROLES[phrase]
    return f"“{phrase}” of" if leads_on(phrase) else f"{phrase} of"


def render_item(title: str | None, properties: Mapping[str, Any], links: Sequence[Link]) -> str:
    """Gives an item's text: title and year, its own text, what it is connected to, the rest."""
    text, rest = _text_apart(properties)
    year = _value(rest.pop("year", None))
    if title is None:
        lead = f"year {year}" if year else ""
    else:
        lead = f"{title} ({year})" if year else title
    return _joined([lead, text, *map(_link_phrase, links), *_stated(rest)])


def render_entity(name: str | None, properties: Mapping[str, Any], links: Sequence[Link]) -> str:
    """Gives an entity's text: name and text, if it has them, and what it is to its neighbours.

    A name that is only the beginning of the text is not told twice.
    """
    text, rest = _text_apart(properties)
    lead = name or ""
    if text.startswith(_value(lead).rstrip("…")):
        lead = ""
    return _joined([lead, text, *map(_link_phrase, links), *_stated(rest)])


def render_user(
    properties: Mapping[str, Any], history: Sequence[str], links: Sequence[Link] = ()
) -> str:
    """Gives a user's text: profile, attributes, titles of the latest training items, latest first.

    Args:
        properties: The user's properties.
        history: Titles, latest first.
        links: What the user is told by (a country), not what they did.
    """
    text, rest = _text_apart(properties)
    lately = f"lately: {', '.join(history)}" if history else ""
    return _joined([text, ", ".join(_stated(rest)), *map(_link_phrase, links), lately])


def quote(text: str) -> str:
    """Names what has no name by its text, the beginning of it: “The diner scene alone…”."""
    words = " ".join(text.split())
    if len(words) > _QUOTED:
        words = words[: _QUOTED - 1].rsplit(" ", 1)[0].rstrip(" ,;:.") + "…"
    return f"“{words}”"


def readable(key: str) -> str | None:
    """Gives an id that is words, without the kind before its colon ("tag:comedy"); else None.

    Words are of letters, at least one of them of three and in Latin with a vowel; numbers stand
    beside two words or more ("imdb top 250"), since "item 12" names nothing.
    """
    name = key.rsplit("/")[-1] if "://" in key else re.sub(r"^\w+:(?=\S)", "", key)
    parts = re.findall(r"[^\W_]+", name.replace("'", ""))
    words = [part for part in parts if part.isalpha()]
    numbers = [part for part in parts if re.fullmatch(r"\d{1,4}s?", part)]
    is_code = re.fullmatch(r"[0-9a-fA-F-]{8,}", name) is not None
    if is_code or len(words) + len(numbers) < len(parts) or (numbers and len(words) < 2):
        return None
    is_word = any(len(x) > 2 and (not x.isascii() or _VOWEL.search(x)) for x in words)
    is_word |= any(not x.isascii() for x in words)  # one sign may be a word
    return name if is_word else None


def describe(links: Sequence[Link]) -> str | None:
    """Names a nameless node by the link that tells most: "the director of Heat and 2 others".

    Args:
        links: The node's links; those in which it is the tail are preferred.

    Returns:
        None if there are no links.
    """
    if not links:
        return None
    link = min(links, key=lambda link: (link.forward, -link.total, link.relation))
    names = _and_others(link.names[:2], link.total)
    if link.forward:
        phrase = relation_phrase(link.relation)
        return f"the one {phrase if leads_on(phrase) else f'with {phrase}'} {names}"
    return f"the {role_phrase(link.relation)} {names}"


def _link_phrase(link: Link) -> str:
    names = ", ".join(link.names)
    if link.forward:
        return f"{_lead(relation_phrase(link.relation))} {names}"
    return f"{role_phrase(link.relation)} {names}"


def _lead(phrase: str) -> str:
    return phrase if leads_on(phrase) else f"{phrase}:"


def _and_others(names: Sequence[str], total: int) -> str:
    num_others = total - len(names)
    if num_others <= 0:
        return " and ".join(names)
    return f"{', '.join(names)} and {num_others} other{'s' if num_others > 1 else ''}"


def _text_apart(properties: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    rest = dict(properties)
    return _value(rest.pop("text", None)), rest


def _stated(properties: Mapping[str, Any]) -> list[str]:
    stated = [(relation_phrase(name), _value(value)) for name, value in properties.items()]
    short = [f"{name} {value}" for name, value in stated if 0 < len(value) <= _PROSE]
    return short + [value for _, value in stated if len(value) > _PROSE]


def _value(value: Any) -> str:
    """Writes a property's value; missing ones are empty, 1995.0 is 1995."""
    if value is None or (isinstance(value, int | float | np.number) and not math.isfinite(value)):
        return ""
    if isinstance(value, int | float | np.number) and float(value).is_integer():
        return str(int(value))
    return " ".join(str(value).split())


def _joined(parts: Sequence[str]) -> str:
    return "; ".join(part for part in parts if part)
