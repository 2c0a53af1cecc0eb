"""Under what names relations are audited: those that hold the same links are one."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from kgrec.graph.data import GraphData, IndexArray
from kgrec.schema import Role

_INVERSE = "rev_"
#: Share of the links of two relations together that both must hold to be one.
_SAME = 0.9
#: Between the names of relations that are one.
EQUALS = " = "

#: By relation, the name it has together with others; relations that stand alone are not in it.
Joined = Mapping[str, str]
NONE_JOINED: Joined = MappingProxyType({})


def relation_name(name: str, joined: Joined = NONE_JOINED) -> str:
    """The name under which a relation, its inverse (`rev_` before it) and its equals are one."""
    plain = name.removeprefix(_INVERSE)
    return joined.get(plain, plain)


def same_links(graph: GraphData) -> dict[str, str]:
    """Finds relations that say the same: nearly the same pairs of nodes, whichever way round.

    Some graphs hold a relation twice, once from either end (Book-Crossing's `0` and `1`). The model
    needs one of the two, and does as well with the other: left out one at a time, both would look
    worthless.

    Returns:
        By relation without its `rev_`, the name of all that share its links, `a = b`.
    """
    links = _links(graph)
    groups: list[list[str]] = []
    for name in sorted(links, key=lambda name: (-len(links[name]), name)):
        for group in groups:
            if _overlap(links[group[0]], links[name]) >= _SAME:
                group.append(name)
                break
        else:
            groups.append([name])
    return {name: EQUALS.join(group) for group in groups if len(group) > 1 for name in group}


def _links(graph: GraphData) -> dict[str, IndexArray]:
    """By relation, a sorted number for each pair of nodes that it links."""
    first, start = {}, 0
    for label, vocabulary in graph.vocabularies.items():
        first[label], start = start, start + len(vocabulary)
    parts: dict[str, list[IndexArray]] = {}
    for relation in graph.relations:
        if relation.role is Role.RELATION:
            head = relation.head_index + first[relation.key.head]
            tail = relation.tail_index + first[relation.key.tail]
            pair = np.minimum(head, tail) * start + np.maximum(head, tail)
            parts.setdefault(relation_name(relation.name), []).append(pair)
    return {name: np.unique(np.concatenate(pairs)) for name, pairs in parts.items()}


def _overlap(larger: IndexArray, smaller: IndexArray) -> float:
    """Gives the Jaccard index of two sorted sets."""
    if len(smaller) < _SAME * len(larger) or not len(smaller):
        return 0.0
    common = len(np.intersect1d(larger, smaller, assume_unique=True))
    return common / (len(larger) + len(smaller) - common)
