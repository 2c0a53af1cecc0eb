"""Asking a store a named query, and what it gives: rows that turn into a table, a graph or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, overload

from kgrec.queries.attributes import with_ids
from kgrec.queries.rows import Row
from kgrec.queries.values import Names, check_timeout, check_value
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.store.cypher import get_statement

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd


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
        return _chain(self)


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
        return _chain(self)


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


def _chain(row: Path | Walk) -> Iterator[GraphEdge]:
    nodes = list(zip(row.labels, row.ids, row.names, strict=True))
    for near, far, step in zip(nodes, nodes[1:], row.steps, strict=False):
        kind = step.removeprefix(_AGAINST)
        yield (near, far, kind) if kind == step else (far, near, kind)


def step_name(kind: str, outgoing: bool) -> str:
    """Names a step along or against an edge, as learned relation weights are named."""
    return kind if outgoing else f"{_AGAINST}{kind}"


R = TypeVar("R", bound=Row)
G = TypeVar("G", bound=GraphRow)


@dataclass(frozen=True)
class QueryResult(Sequence[R], Generic[R]):
    """The rows of a query, in its order.

    Attributes:
        query: Name of the query.
        parameters: What it was asked, in the form the statement takes.
        row_type: The rows' class; its fields are the columns.
        rows: The rows.
    """

    query: str
    parameters: Mapping[str, Any]
    row_type: type[R]
    rows: tuple[R, ...]

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[R, ...]: ...
    def __getitem__(self, index: int | slice) -> R | tuple[R, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(field.name for field in fields(self.row_type))

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values: `{"query": …, "rows": […]}`."""
        return {"query": self.query, "rows": [row.to_dict() for row in self.rows]}

    def to_frame(self) -> pd.DataFrame:
        """The result as a table, a row a row; without rows it has its columns all the same."""
        import pandas as pd

        return pd.DataFrame([row.to_dict() for row in self.rows], columns=list(self.columns))


@dataclass(frozen=True)
class GraphResult(QueryResult[G], Generic[G]):
    """Rows that are pieces of a graph."""

    def to_networkx(self) -> nx.MultiDiGraph:
        """The result as a graph.

        Returns:
            Nodes are pairs of label and id with the attributes `label`, `id` and `name`; edges
            have their own direction, their type as key and as attribute `type`. An edge that
            several rows share is there once.
        """
        import networkx as nx

        graph = nx.MultiDiGraph(query=self.query)
        for row in self.rows:
            for near, far, kind in row.edges(self.parameters):
                for label, key, name in (near, far):
                    graph.add_node((label, key), label=label, id=key)
                    if name is not None or "name" not in graph.nodes[label, key]:
                        graph.nodes[label, key]["name"] = name
                graph.add_edge(near[:2], far[:2], key=kind, type=kind)
        return graph


#: Seconds a statement may take unless said otherwise.
TIMEOUT = 30.0


class Page(TypedDict, total=False):
    """What of its rows a query gives; the default of `limit` is that of its statement.

    Attributes:
        skip: Rows to leave out, 0 unless said otherwise.
        limit: Rows to give at most.
        timeout: Seconds it may take, `TIMEOUT` unless said otherwise; None leaves it to the store.
    """

    skip: int
    limit: int
    timeout: float | None


class Filters(Page, total=False):
    """What an item must be to be among the rows, and what of these a query gives.

    Attributes:
        attributes: Ids or names by relation; an item has at least one of them in every relation
            named.
        ranges: By property `(low, high)`, both ends included, None for an open one; an item
            without the property is out.
        available: A property that must be true, or a number above zero.
    """

    attributes: Mapping[str, Names] | Sequence[tuple[str, Names]]
    ranges: Mapping[str, tuple[float | None, float | None]] | None
    available: str | None


def ask(
    store: GraphStore,
    query: str,
    row_type: type[R],
    *,
    timeout: float | None = TIMEOUT,
    **values: Any,
) -> QueryResult[R]:
    """Checks the parameters, runs the statement and gives its rows.

    Raises:
        ConfigError: If a parameter is of another kind or out of range.
        SchemaError: If the query has no such parameter.
        QueryTimedOut: If it takes longer than `timeout` seconds.
        StoreError: If the store refuses.
    """
    limit = check_timeout(query, timeout)
    statement = get_statement(store.capabilities.engine, query)
    params = {
        name: check_value(query, name, value, optional=statement.defaults.get(name, "") is None)
        for name, value in statement.bind(values).items()
    }
    if params.get("attributes"):
        params["attributes"] = with_ids(store, query, params["attributes"], limit)
    rows = tuple(row_type.of(row) for row in store.query(query, params, timeout=limit))
    return QueryResult(query, params, row_type, rows)


def ask_graph(store: GraphStore, query: str, row_type: type[G], **values: Any) -> GraphResult[G]:
    """Asks a query whose rows are pieces of a graph; see `ask`."""
    return GraphResult(**vars(ask(store, query, row_type, **values)))
