"""Queries that go from node to node: one statement a step."""

import hashlib
import json
from collections import Counter
from typing import Any

from kgrec.queries.results import TIMEOUT, GraphResult, SubgraphEdge, Walk, step_name
from kgrec.queries.values import Names, Nodes, check_timeout, check_value
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
    limit = check_timeout(query, timeout)
    parameters = _checked(
        query, nodes=nodes, relations=relations, seed=seed, length=length, walks=walks
    )
    walk_starts = [
        (label, key, walk)
        for label, key in parameters["nodes"]
        for walk in range(parameters["walks"])
    ]
    walk_steps: list[list[Row]] = [[] for _ in walk_starts]
    alive = list(range(len(walk_starts)))
    for step in range(parameters["length"]):
        rows = []
        for position in alive:
            start, steps = walk_starts[position], walk_steps[position]
            label, key = (steps[-1]["label"], steps[-1]["id"]) if steps else start[:2]
            rows.append([position, label, key, draw(parameters["seed"], *start, step)])
        alive = []
        for low in range(0, len(rows), _BATCH):
            params = {
                "steps": rows[low : low + _BATCH],
                "relations": parameters["relations"],
                "limit": _BATCH,
            }
            for row in store.query(query, params, timeout=limit):
                walk_steps[row["walk"]].append(row)
                alive.append(row["walk"])
        alive.sort()
    walk_rows = tuple(
        Walk(
            walk,
            (key, *(row["id"] for row in steps)),
            (label, *(row["label"] for row in steps)),
            (None, *(row["name"] for row in steps)),
            tuple(step_name(row["type"], row["outgoing"]) for row in steps),
        )
        for (label, key, walk), steps in zip(walk_starts, walk_steps, strict=True)
        if steps
    )
    return GraphResult(query, parameters, Walk, walk_rows)


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
    limit = check_timeout(query, timeout)
    parameters = _checked(
        query, nodes=nodes, relations=relations, hops=hops, per_hop=per_hop, per_node=per_node,
        max_degree=max_degree,
    )  # fmt: skip
    starts, per_node = parameters["nodes"], parameters["per_node"]
    visited: set[_Node] = {(label, key) for label, key in starts}
    frontier, edges = starts, dict[tuple[str, ...], SubgraphEdge]()
    for hop in range(1, parameters["hops"] + 1):
        params = {
            "nodes": frontier,
            "relations": parameters["relations"],
            "max_degree": None if hop == 1 else parameters["max_degree"],
            "per_node": per_node,
            "limit": max(len(frontier) * per_node, 1),
        }
        rows = store.query(query, params, timeout=limit)
        new_nodes = _most_connected(rows, visited, parameters["per_hop"])
        visited |= set(new_nodes)
        for row in rows:
            head, tail = _ends(row)
            if head in visited and tail in visited:
                edges.setdefault((*head, *tail, row["type"]), SubgraphEdge.of({**row, "hop": hop}))
        frontier = [list(node) for node in new_nodes]
        if not frontier:
            break
    return GraphResult(query, parameters, SubgraphEdge, tuple(edges.values()))


def _checked(query: str, **values: Any) -> dict[str, Any]:
    return {name: check_value(query, name, value) for name, value in values.items()}


def _most_connected(rows: list[Row], visited: set[_Node], max_nodes: int) -> list[_Node]:
    """The nodes that are new, those of most edges first."""
    edge_counts = Counter(end for row in rows for end in set(_ends(row)) if end not in visited)
    return sorted(edge_counts, key=lambda node: (-edge_counts[node], node))[:max_nodes]


def _ends(row: Row) -> tuple[_Node, _Node]:
    return (row["head_label"], row["head"]), (row["tail_label"], row["tail"])


def draw(seed: int, label: str, key: str, walk: int, step: int) -> float:
    """A number in [0, 1) that depends on nothing else than these."""
    text = json.dumps([seed, label, key, walk, step])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
