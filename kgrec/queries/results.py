"""What a query gives: a sequence of rows that turns into a table, a graph or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from kgrec.queries.graph_rows import GraphRow
from kgrec.queries.rows import Row

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

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
