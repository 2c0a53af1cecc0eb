"""Queries that go from node to node: one statement a step."""

import hashlib
import json
from collections import Counter

from kgrec.queries.ask import TIMEOUT
from kgrec.queries.graph_rows import SubgraphEdge, Walk, step_name
from kgrec.queries.results import GraphResult
from kgrec.queries.values import Names, Nodes, checked, checked_timeout
from kgrec.store.base import GraphStore, Row

#: Walks that take a step in one statement.
_BATCH = 2_000

_Node = tuple[str, str]


def random_walks(
    store: GraphStore,
    nodes: Nodes,
    *,
    seed: int,
    length: int = 4,
    walks: int = 1,
    relations: Names = (),
    timeout: float | None = TIMEOUT,
) -> GraphResult[Walk]:
    """Gives random walks over training interactions and relations, either way round.

    Each step goes to one of the node's edges, all with the same chance. Which one is drawn from a
    hash of the seed, the start, the number of the walk and the step: the same graph gives the
    same walks on every engine, whatever else is asked for.

    Args:
        store: Open for reading.
        nodes: Where walks start: pairs of label and id, or texts like `Item:i1`. Nodes that are
            unknown or without edges start none.
        seed: Of the draws.
        length: Steps of a walk; it ends earlier at a node without edges.
        walks: Walks a start.
        relations: Only these types, INTERACTED among them; all without any.
        timeout: Seconds a statement may take; None leaves it to the store.
    """
    query = "random_walks"
    limit = checked_timeout(query, timeout)
    starts = checked(query, "nodes", nodes)
    types = checked(query, "relations", relations)
    seed = checked(query, "seed", seed)
    length, number = checked(query, "length", length), checked(query, "walks", walks)
    begun = [(label, key, walk) for label, key in starts for walk in range(number)]
    taken: list[list[Row]] = [[] for _ in begun]
    alive = list(range(len(begun)))
    for step in range(length):
        rows = []
        for at in alive:
            place = taken[at][-1] if taken[at] else {"label": begun[at][0], "id": begun[at][1]}
            rows.append([at, place["label"], place["id"], draw(seed, *begun[at], step)])
        alive = []
        for low in range(0, len(rows), _BATCH):
            params = {"steps": rows[low : low + _BATCH], "relations": types, "limit": _BATCH}
            for row in store.query(query, params, timeout=limit):
                taken[row["walk"]].append(row)
                alive.append(row["walk"])
        alive.sort()
    found = tuple(
        Walk(
            walk,
            (key, *(row["id"] for row in steps)),
            (label, *(row["label"] for row in steps)),
            (None, *(row["name"] for row in steps)),
            tuple(step_name(row["type"], row["outgoing"]) for row in steps),
        )
        for (label, key, walk), steps in zip(begun, taken, strict=True)
        if steps
    )
    asked = {"nodes": starts, "seed": seed, "length": length, "walks": number, "relations": types}
    return GraphResult(query, asked, Walk, found)


def subgraph(
    store: GraphStore,
    nodes: Nodes,
    *,
    hops: int = 2,
    relations: Names = (),
    max_degree: int = 200,
    per_node: int = 25,
    per_hop: int = 100,
    timeout: float | None = TIMEOUT,
) -> GraphResult[SubgraphEdge]:
    """Gives the graph around some nodes: training interactions and relations, hop by hop.

    Args:
        store: Open for reading.
        nodes: Where it begins: pairs of label and id, or texts like `Item:i1`.
        hops: How far it goes.
        relations: Only these types, INTERACTED among them; all without any.
        max_degree: Nodes of a higher degree are shown, but not gone on from; the nodes it begins
            at aside. The degree of an entity is the number of its relation edges, that of a user
            or item one more than its training interactions.
        per_node: Edges of a node that are followed: relations before interactions, in the order
            of the neighbours' labels and ids.
        per_hop: New nodes of a hop, those with most edges to the hop before.
        timeout: Seconds a statement may take; None leaves it to the store.
    """
    query = "subgraph"
    limit = checked_timeout(query, timeout)
    starts = checked(query, "nodes", nodes)
    types = checked(query, "relations", relations)
    hops, most = checked(query, "hops", hops), checked(query, "per_hop", per_hop)
    per_node = checked(query, "per_node", per_node)
    max_degree = checked(query, "max_degree", max_degree)
    known: set[_Node] = {(label, key) for label, key in starts}
    frontier, found = starts, dict[tuple[str, ...], SubgraphEdge]()
    for hop in range(1, hops + 1):
        params = {
            "nodes": frontier,
            "relations": types,
            "max_degree": None if hop == 1 else max_degree,
            "per_node": per_node,
            "limit": max(len(frontier) * per_node, 1),
        }
        rows = store.query(query, params, timeout=limit)
        fresh = _most_met(rows, known, most)
        known |= set(fresh)
        for row in rows:
            head, tail = _ends(row)
            if head in known and tail in known:
                found.setdefault((*head, *tail, row["type"]), SubgraphEdge.of({**row, "hop": hop}))
        frontier = [list(node) for node in fresh]
        if not frontier:
            break
    asked = {
        "nodes": starts, "hops": hops, "relations": types, "max_degree": max_degree,
        "per_node": per_node, "per_hop": most,
    }  # fmt: skip
    return GraphResult(query, asked, SubgraphEdge, tuple(found.values()))


def _most_met(rows: list[Row], known: set[_Node], most: int) -> list[_Node]:
    """The nodes that are new, those of most edges first."""
    met = Counter(end for row in rows for end in set(_ends(row)) if end not in known)
    return sorted(met, key=lambda node: (-met[node], node))[:most]


def _ends(row: Row) -> tuple[_Node, _Node]:
    return (row["head_label"], row["head"]), (row["tail_label"], row["tail"])


def draw(seed: int, label: str, key: str, walk: int, step: int) -> float:
    """A number in [0, 1) that depends on nothing else than these."""
    text = json.dumps([seed, label, key, walk, step])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
