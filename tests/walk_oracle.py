"""What the queries that go from node to node must answer, in plain Python."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from query_oracle import Facts, Node, Row, weight_of

from kgrec.schema import NodeLabel

Step = tuple[str, bool, Node]

USER, ITEM = NodeLabel.USER, NodeLabel.ITEM


class WalkOracle(Facts):
    """Answers the queries that follow edges."""

    def steps(self, node: Node, types: Sequence[str] = ()) -> list[Step]:
        """Interactions and relations at a node: type, whether along the edge, far end."""
        label, key = node
        found = [(edge.key.type, out, far) for edge, out, far in self.relations_at(node)]
        found = [step for step in found if {label, step[2][0]} != {USER, ITEM}]
        if label == USER:
            found += [("INTERACTED", True, (ITEM, item)) for item in self.items_of.get(key, ())]
        if label == ITEM:
            found += [("INTERACTED", False, (USER, user)) for user in self.users_of.get(key, ())]
        kept = [step for step in found if not types or step[0] in types]
        return sorted(kept, key=lambda step: (step[0], not step[1], *step[2]))

    def paths(
        self,
        user: str,
        item: str,
        hops: int,
        weights: Mapping[str, float],
        max_degree: int,
        skip: int,
        limit: int,
    ) -> list[Row]:
        start, end = (USER, user), (ITEM, item)
        rows = []
        for nodes, steps in self._simple(start, end, hops, max_degree):
            score, degrees = 1.0, 1.0
            for step in steps:
                score *= weight_of(weights, step)
            for node in nodes[1:-1]:
                degrees *= self.degree(node)
            rows.append(
                {
                    "ids": [key for _, key in nodes],
                    "labels": [label.value for label, _ in nodes],
                    "names": [self.shown(node) for node in nodes],
                    "types": [step.removeprefix("rev_") for step in steps],
                    "steps": steps,
                    "score": score / degrees,
                }
            )
        rows = [row for row in rows if row["score"] > 0]
        order = ("labels", "ids", "types", "steps")
        rows.sort(key=lambda row: (-row["score"], len(row["ids"]), *(row[x] for x in order)))
        return rows[skip:][:limit]

    def _simple(
        self, start: Node, end: Node, hops: int, most: int
    ) -> Iterator[tuple[list[Node], list[str]]]:
        """Simple paths of 2 to `hops` steps whose inner nodes have at most so many edges."""
        first = [
            step
            for step in self.steps(start)
            if step[2] not in (start, end) and self.degree(step[2]) <= most
        ]
        first.sort(key=lambda x: (self.degree(x[2]), *x[2], x[1], x[0]))
        begun = [([start, far], [_named(kind, out)]) for kind, out, far in first[:most]]
        while begun:
            nodes, steps = begun.pop()
            for kind, out, far in self.steps(nodes[-1]):
                longer = [*nodes, far], [*steps, _named(kind, out)]
                if far == end:
                    yield longer
                elif far not in nodes and len(longer[1]) < hops and self.degree(far) <= most:
                    begun.append(longer)

    def subgraph(
        self,
        nodes: Sequence[Node],
        hops: int,
        relations: Sequence[str],
        max_degree: int,
        per_node: int,
        per_hop: int,
    ) -> list[Row]:
        known, found = set(nodes), {}
        frontier = list(nodes)
        for hop in range(1, hops + 1):
            edges = set()
            for node in frontier:
                if hop > 1 and self.degree(node) > max_degree:
                    continue
                near = [
                    (kind, *_ends(node, out, far)) for kind, out, far in self.steps(node, relations)
                ]
                far_of = {edge: edge[2] if edge[1] == node else edge[1] for edge in near}
                near.sort(key=lambda e: (e[0] == "INTERACTED", *far_of[e], e[1] != node, e[0]))
                edges |= set(near[:per_node])
            met = Counter(end for _, a, b in edges for end in {a, b} if end not in known)
            fresh = sorted(met, key=lambda node: (-met[node], node))[:per_hop]
            known |= set(fresh)
            for kind, head, tail in sorted(edges, key=lambda edge: (*edge[1], *edge[2], edge[0])):
                if head in known and tail in known and (kind, head, tail) not in found:
                    found[kind, head, tail] = hop
            frontier = fresh
        return [
            {
                "head_label": head[0].value,
                "head": head[1],
                "head_name": self.shown(head),
                "tail_label": tail[0].value,
                "tail": tail[1],
                "tail_name": self.shown(tail),
                "type": kind,
                "hop": hop,
            }
            for (kind, head, tail), hop in found.items()
        ]


def _ends(node: Node, outgoing: bool, far: Node) -> tuple[Node, Node]:
    return (node, far) if outgoing else (far, node)


def _named(kind: str, outgoing: bool) -> str:
    return kind if outgoing else f"rev_{kind}"
