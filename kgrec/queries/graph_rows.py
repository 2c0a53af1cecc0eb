"""The rows of queries that are pieces of a graph."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kgrec.queries.rows import Row
from kgrec.schema import NodeLabel

_AGAINST = "rev_"

#: A node of a graph: label, id, and what to call it.
GraphNode = tuple[str, str, str | None]

#: An edge of a graph: its ends, and its type.
GraphEdge = tuple[GraphNode, GraphNode, str]


@dataclass(frozen=True)
class GraphRow(Row):
    """A row that is a piece of a graph."""

    def edges(self, parameters: Mapping[str, Any]) -> Iterator[GraphEdge]:
        """Gives the edges, each in its own direction; `parameters` are those of the query."""
        raise NotImplementedError


@dataclass(frozen=True)
class Neighbour(GraphRow):
    """An item or entity beside an item; `outgoing` is whether the edge leaves the item."""

    relation: str
    type: str
    outgoing: bool
    label: str
    id: str
    name: str | None

    def edges(self, parameters: Mapping[str, Any]) -> Iterator[GraphEdge]:
        """Gives the one edge between them."""
        item: GraphNode = (NodeLabel.ITEM.value, parameters["item"], None)
        neighbour: GraphNode = (self.label, self.id, self.name)
        yield (item, neighbour, self.type) if self.outgoing else (neighbour, item, self.type)


@dataclass(frozen=True)
class Path(GraphRow):
    """A path from a user to an item; a step against its edge is named `rev_<type>`."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    names: tuple[str | None, ...]
    types: tuple[str, ...]
    steps: tuple[str, ...]
    score: float

    def edges(self, parameters: Mapping[str, Any]) -> Iterator[GraphEdge]:  # noqa: ARG002
        """Gives the edges in their order."""
        return _chain(self.labels, self.ids, self.names, self.steps)


@dataclass(frozen=True)
class Walk(GraphRow):
    """A random walk: the number of the walk from its start, its nodes and its steps."""

    walk: int
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    names: tuple[str | None, ...]
    steps: tuple[str, ...]

    def edges(self, parameters: Mapping[str, Any]) -> Iterator[GraphEdge]:  # noqa: ARG002
        """Gives the edges in their order."""
        return _chain(self.labels, self.ids, self.names, self.steps)


@dataclass(frozen=True)
class SubgraphEdge(GraphRow):
    """An edge of a subgraph; `hop` is the hop that found it."""

    head_label: str
    head: str
    head_name: str | None
    tail_label: str
    tail: str
    tail_name: str | None
    type: str
    hop: int

    def edges(self, parameters: Mapping[str, Any]) -> Iterator[GraphEdge]:  # noqa: ARG002
        """Gives the edge."""
        yield (
            (self.head_label, self.head, self.head_name),
            (self.tail_label, self.tail, self.tail_name),
            self.type,
        )


def _chain(
    labels: tuple[str, ...],
    ids: tuple[str, ...],
    names: tuple[str | None, ...],
    steps: tuple[str, ...],
) -> Iterator[GraphEdge]:
    nodes = list(zip(labels, ids, names, strict=True))
    for near, far, step in zip(nodes, nodes[1:], steps, strict=False):
        kind = step.removeprefix(_AGAINST)
        yield (near, far, kind) if kind == step else (far, near, kind)


def step_name(kind: str, outgoing: bool) -> str:
    """Names a step along or against an edge, as learned relation weights are named."""
    return kind if outgoing else f"{_AGAINST}{kind}"
