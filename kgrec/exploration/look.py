"""Colours and captions, the same in every picture."""

import textwrap
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import networkx as nx

from kgrec.exploration.subgraph import TOGETHER, Key, Part, Subgraph
from kgrec.schema import INTERACTION_TYPES, NodeLabel
from kgrec.text.templates import relation_phrase


@dataclass(frozen=True)
class Tone:
    """A fill, its border (and, on light paper, its text), and what it means in a legend."""

    fill: str
    line: str
    words: str


#: Of nodes, by part or kind, in the order of a legend; text on them is dark.
TONES: Mapping[str, Tone] = {
    "user": Tone("#E4E9EF", "#51606F", "user"),
    "own": Tone("#D9EFEA", "#1F7A6C", "the user's own item"),
    "item": Tone("#EAF1FB", "#4A6FA5", "item"),
    "entity": Tone("#FBEFD5", "#96650B", "attribute or entity"),
    "recommended": Tone("#F6DDE6", "#A3195B", "recommended"),
}

#: Of relationship types in the order in which they are met; all tell apart on white, and from each
#: other for most who see colours differently.
TYPE_COLOURS = (
    "#0072B2", "#C44E00", "#00805E", "#A8518A", "#6A51A3", "#8C6D00", "#C0392B", "#3B7A9E",
    "#5B7F16", "#7F5539",
)  # fmt: skip
INTERACTION_COLOUR = "#7A8794"


def tone_name(data: Mapping[str, Any]) -> str:
    """Gives the name of a node's tone."""
    part = data["part"]
    if part == Part.RECOMMENDED:
        return "recommended"
    if data["label"] == NodeLabel.USER:
        return "user"
    if part == Part.OWN:
        return "own"
    return "item" if data["label"] == NodeLabel.ITEM else "entity"


def tones_of(graph: nx.MultiDiGraph) -> list[Tone]:
    """Gives the tones of a graph's nodes, in the order of a legend."""
    names = {tone_name(data) for _, data in graph.nodes(data=True)}
    return [tone for name, tone in TONES.items() if name in names]


def type_colours(graph: nx.MultiDiGraph) -> dict[str, str]:
    """Gives a colour to each relationship type of a graph, in alphabetic order."""
    types = sorted({kind for *_, kind in graph.edges(keys=True)})
    plain = {kind: INTERACTION_COLOUR for kind in types if _is_interaction(kind)}
    other_types = [kind for kind in types if kind not in plain]
    return plain | dict(zip(other_types, cycle(TYPE_COLOURS), strict=False))


def legend(graph: nx.MultiDiGraph) -> list[tuple[str, str]]:
    """Gives the relationship types of a graph in words, with their colours."""
    return [(relation_phrase(kind), colour) for kind, colour in type_colours(graph).items()]


def _is_interaction(kind: str) -> bool:
    return kind == TOGETHER or kind in INTERACTION_TYPES.values()


def caption(data: Mapping[str, Any]) -> str:
    """Gives an edge in words: "directed by", "taken together by 12 users"."""
    if data["type"] == TOGETHER:
        count = data["count"]
        return f"taken together by {count:,} user{'s' if count > 1 else ''}"
    return relation_phrase(data["type"])


def own_shares(subgraph: Subgraph) -> dict[Key, tuple[float, ...]]:
    """Gives what each own item of an explanation adds to the score of each recommended item."""
    shares: dict[Key, dict[Key, float]] = defaultdict(dict)
    for trail in subgraph.trails:
        if len(trail.nodes) > 1:
            shares[trail.nodes[1]][trail.nodes[-1]] = trail.own_share
    return {own: tuple(of_item.values()) for own, of_item in shares.items()}


def share_label(shares: Sequence[float]) -> str:
    """Writes what an own item adds: "+0.73", for two items "+0.73 / +0.12"."""
    return " / ".join(f"{share:+.2f}" for share in shares)


def widths(graph: nx.MultiDiGraph, low: float, high: float) -> dict[str, float]:
    """Gives a line width to each type, in proportion to the size of its learned weight."""
    weights = {kind: abs(data["weight"]) for *_, kind, data in graph.edges(keys=True, data=True)}
    known_weights = [weight for weight in weights.values() if weight == weight]
    most = max(known_weights, default=0.0)
    return {
        kind: low if weight != weight or not most else low + (high - low) * weight / most
        for kind, weight in weights.items()
    }


def text_width(text: str) -> float:
    """Estimates the width of a text in ems of a common sans serif face."""
    return sum(1.0 if unicodedata.east_asian_width(c) in "WF" else _em(c) for c in text)


def _em(character: str) -> float:
    if character in "ijltfI.,:;'|!()[] ":
        return 0.38
    return 0.95 if character in "mwMW@" else 0.72 if character.isupper() else 0.61


def fold(text: str, width: int = 24, lines: int = 2) -> tuple[str, ...]:
    """Breaks a name into lines; what does not fit is left out, and `…` says so."""
    plain = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    words = " ".join(plain.split()) or "?"
    if any(unicodedata.east_asian_width(c) in "WF" for c in words):
        width //= 2
    return tuple(textwrap.wrap(words, width, max_lines=lines, placeholder="…"))
