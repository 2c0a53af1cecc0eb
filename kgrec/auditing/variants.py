"""Graphs that differ from a given one only in what the audit asks about."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from kgrec.auditing.names import NONE_JOINED, Joined, relation_name
from kgrec.graph.data import GraphData, IndexArray, RelationEdges
from kgrec.schema import Role

#: Rounds in which every edge is offered a partner and half of the allowed swaps are made.
_ROUNDS = 20


def relation_sizes(graph: GraphData, joined: Joined = NONE_JOINED) -> dict[str, int]:
    """Gives the relations of knowledge, inverses joined, with their number of edges."""
    sizes: dict[str, int] = {}
    for relation in graph.relations:
        if relation.role is Role.RELATION:
            name = relation_name(relation.name, joined)
            sizes[name] = sizes.get(name, 0) + len(relation)
    return dict(sorted(sizes.items()))


def without_relation(graph: GraphData, name: str, joined: Joined = NONE_JOINED) -> GraphData:
    """The same graph without a relation of knowledge; behaviours of the same name stay.

    Args:
        graph: The graph.
        name: As `relation_sizes` gives it; its inverse, and what it is joined with, go with it.
        joined: As it was given there.
    """
    relations = tuple(
        r
        for r in graph.relations
        if r.role is not Role.RELATION or relation_name(r.name, joined) != name
    )
    return replace(graph, relations=relations)


def without_behaviours(graph: GraphData) -> GraphData:
    """The same users, items, interactions and knowledge without what else users did."""
    return replace(graph, relations=tuple(r for r in graph.relations if r.role is Role.RELATION))


def permuted(graph: GraphData, seed: int, names: Iterable[str] | None = None) -> GraphData:
    """The same graph with the edges of its relations shuffled.

    Of every relation the number of edges and the degrees of both ends stay, no edge occurs twice
    that did not before, and no loop arises. A relation and its inverse are shuffled alike, if their
    edges mirror each other. Interactions and behaviours stay as they are.

    Args:
        graph: The graph.
        seed: Of the shuffle.
        names: Relations to shuffle, as `relation_sizes` gives them; None shuffles all.
    """
    shuffled_names = set(relation_sizes(graph) if names is None else names)
    relations: list[RelationEdges] = []
    for relation in graph.relations:
        name = relation_name(relation.name)
        if relation.role is not Role.RELATION or name not in shuffled_names:
            relations.append(relation)
            continue
        mirrored = _mirror(relation, graph.relations, relations)
        relations.append(_shuffled(relation, seed) if mirrored is None else mirrored)
    return replace(graph, relations=tuple(relations))


def _shuffled(relation: RelationEdges, seed: int) -> RelationEdges:
    # The name is part of the seed, so that a relation is shuffled alike whatever others there are.
    rng = np.random.default_rng([seed, *f"{relation.name} {relation.key}".encode()])
    tail = swapped_tails(
        relation.head_index,
        relation.tail_index,
        rng,
        one_label=relation.key.head == relation.key.tail,
    )
    return replace(relation, tail_index=tail)


def _mirror(
    relation: RelationEdges, before: Iterable[RelationEdges], after: Iterable[RelationEdges]
) -> RelationEdges | None:
    """Turns an inverse's shuffled edges round, if the relation's edges are the inverse's."""
    for original, shuffled in zip(before, after, strict=False):
        if (
            original.role is Role.RELATION
            and original.name != relation.name
            and relation_name(original.name) == relation_name(relation.name)
            and (original.key.tail, original.key.head) == (relation.key.head, relation.key.tail)
            and len(original) == len(relation)
        ):
            order = np.lexsort((original.head_index, original.tail_index))
            own = np.lexsort((relation.tail_index, relation.head_index))
            if np.array_equal(
                original.tail_index[order], relation.head_index[own]
            ) and np.array_equal(original.head_index[order], relation.tail_index[own]):
                head, tail = np.empty_like(relation.head_index), np.empty_like(relation.tail_index)
                head[own], tail[own] = shuffled.tail_index[order], shuffled.head_index[order]
                return replace(relation, head_index=head, tail_index=tail)
    return None


def swapped_tails(
    head: IndexArray, tail: IndexArray, rng: np.random.Generator, *, one_label: bool = False
) -> IndexArray:
    """Shuffles a graph by swaps: edges (a, b) and (c, d) become (a, d) and (c, b).

    A swap is refused that would make an edge that is there, or a loop. A round pairs all edges at
    random and makes every swap that is allowed and whose new edges no other swap of the round
    makes too, with a chance of one half; an edge that leaves in a round cannot come back in it.

    Args:
        head: (n,) int64.
        tail: (n,) int64.
        rng: Of the pairings.
        one_label: Whether heads and tails are nodes of one kind: then loops, and (b, a) where
            (a, b) is, count as edges that may not arise.

    Returns:
        (n,) int64, the new tails beside the old heads.

    References:
        Milo et al., arXiv:cond-mat/0312028, "the switching method".
    """
    tail = tail.copy()
    size = int(max(head.max(initial=0), tail.max(initial=0))) + 1
    half = len(head) // 2
    for _ in range(_ROUNDS):
        order = rng.permutation(len(head))
        first, second = order[:half], order[half : 2 * half]
        new = np.stack(  # (2, half) the edges that the swaps would make
            [
                _keys(head[first], tail[second], size, one_label),
                _keys(head[second], tail[first], size, one_label),
            ]
        )
        present = _keys(head, tail, size, one_label)
        allowed = ~np.isin(new, present).any(axis=0) & _made_once(new)
        # Each with a chance of one half: rounds that swap all they can never reach half the graphs.
        allowed &= rng.random(half) < 0.5
        if one_label:
            allowed &= (head[first] != tail[second]) & (head[second] != tail[first])
        first, second = first[allowed], second[allowed]
        tail[first], tail[second] = tail[second], tail[first]
    return tail


def _keys(head: IndexArray, tail: IndexArray, size: int, one_label: bool) -> IndexArray:
    """One number an edge, the same from both ends if they are of one label."""
    if one_label:
        head, tail = np.minimum(head, tail), np.maximum(head, tail)
    return head * size + tail


def _made_once(new: IndexArray) -> npt.NDArray[np.bool_]:
    """Says of which swaps (2, n) no edge is made twice in the round, (n,) bool."""
    _, place, count = np.unique(new, return_inverse=True, return_counts=True)
    once: npt.NDArray[np.bool_] = (count[place].reshape(new.shape) == 1).all(axis=0)
    return once
