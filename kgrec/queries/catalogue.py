"""Queries on the graph as a whole."""

from kgrec.queries.results import TIMEOUT, QueryResult, ask
from kgrec.queries.rows import (
    AttributeStatistic,
    CatalogueRow,
    LoadRow,
    QuietNode,
    StateRow,
    TypeSummary,
)
from kgrec.queries.values import Names
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore


def schema_summary(
    store: GraphStore, *, skip: int = 0, limit: int = 200, timeout: float | None = TIMEOUT
) -> QueryResult[TypeSummary]:
    """Gives the relationship types that a model may learn from, the largest first.

    Args:
        store: Open for reading.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take; None leaves it to the store.
    """
    return ask(store, "schema_summary", TypeSummary, timeout, skip=skip, limit=limit)


def attribute_statistics(
    store: GraphStore,
    *,
    relations: Names = (),
    skip: int = 0,
    limit: int = 50,
    timeout: float | None = TIMEOUT,
) -> QueryResult[AttributeStatistic]:
    """Gives the attributes of most items.

    Args:
        store: Open for reading.
        relations: Only these relations; all without any.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    return ask(
        store, "attribute_statistics", AttributeStatistic, timeout,
        relations=relations, skip=skip, limit=limit,
    )  # fmt: skip


def sparse_nodes(
    store: GraphStore,
    *,
    label: NodeLabel | str = "User",
    at_most: int = 5,
    skip: int = 0,
    limit: int = 50,
    timeout: float | None = TIMEOUT,
) -> QueryResult[QuietNode]:
    """Gives users or items with few training interactions, the fewest first.

    Args:
        store: Open for reading.
        label: User or Item.
        at_most: Most interactions of a sparse node; it has at least one.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    return ask(
        store, "sparse_nodes", QuietNode, timeout,
        label=label, at_most=at_most, skip=skip, limit=limit,
    )  # fmt: skip


def cold_nodes(
    store: GraphStore,
    *,
    label: NodeLabel | str = "Item",
    skip: int = 0,
    limit: int = 50,
    timeout: float | None = TIMEOUT,
) -> QueryResult[QuietNode]:
    """Gives users or items without training interactions, those with most relations first.

    Args:
        store: Open for reading.
        label: User or Item.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    return ask(store, "cold_nodes", QuietNode, timeout, label=label, skip=skip, limit=limit)


def relations(store: GraphStore, *, timeout: float | None = TIMEOUT) -> QueryResult[CatalogueRow]:
    """Gives the catalogue: which edge set holds which relation, and what it says to a model.

    Args:
        store: Open for reading.
        timeout: Seconds it may take.
    """
    return ask(store, "relations", CatalogueRow, timeout)


def loads(store: GraphStore, *, timeout: float | None = TIMEOUT) -> QueryResult[LoadRow]:
    """Gives where the rows came from.

    Args:
        store: Open for reading.
        timeout: Seconds it may take.
    """
    return ask(store, "loads", LoadRow, timeout)


def graph_state(store: GraphStore, *, timeout: float | None = TIMEOUT) -> QueryResult[StateRow]:
    """Gives the graph's version, and whether the graph is whole.

    Args:
        store: Open for reading.
        timeout: Seconds it may take.
    """
    return ask(store, "graph_state", StateRow, timeout)
