"""Queries on the graph as a whole."""

from typing import Unpack

from kgrec.queries.results import TIMEOUT, Page, QueryResult, ask
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


def schema_summary(store: GraphStore, **page: Unpack[Page]) -> QueryResult[TypeSummary]:
    """Gives the relationship types that a model may learn from, the largest first.

    Args:
        store: Open for reading.
        **page: See `Page`.
    """
    return ask(store, "schema_summary", TypeSummary, **page)


def attribute_statistics(
    store: GraphStore, *, relations: Names = (), **page: Unpack[Page]
) -> QueryResult[AttributeStatistic]:
    """Gives the attributes of most items.

    Args:
        store: Open for reading.
        relations: Only these relations; all without any.
        **page: See `Page`.
    """
    return ask(store, "attribute_statistics", AttributeStatistic, relations=relations, **page)


def sparse_nodes(
    store: GraphStore, *, label: NodeLabel | str = "User", at_most: int = 5, **page: Unpack[Page]
) -> QueryResult[QuietNode]:
    """Gives users or items with few training interactions, the fewest first.

    Args:
        store: Open for reading.
        label: User or Item.
        at_most: Most interactions of a sparse node; it has at least one.
        **page: See `Page`.
    """
    return ask(store, "sparse_nodes", QuietNode, label=label, at_most=at_most, **page)


def cold_nodes(
    store: GraphStore, *, label: NodeLabel | str = "Item", **page: Unpack[Page]
) -> QueryResult[QuietNode]:
    """Gives users or items without training interactions, those with most relations first.

    Args:
        store: Open for reading.
        label: User or Item.
        **page: See `Page`.
    """
    return ask(store, "cold_nodes", QuietNode, label=label, **page)


def relations(store: GraphStore, *, timeout: float | None = TIMEOUT) -> QueryResult[CatalogueRow]:
    """Gives the catalogue: which edge set holds which relation, and what it says to a model.

    Args:
        store: Open for reading.
        timeout: Seconds it may take.
    """
    return ask(store, "relations", CatalogueRow, timeout=timeout)


def loads(store: GraphStore, *, timeout: float | None = TIMEOUT) -> QueryResult[LoadRow]:
    """Gives where the rows came from.

    Args:
        store: Open for reading.
        timeout: Seconds it may take.
    """
    return ask(store, "loads", LoadRow, timeout=timeout)


def graph_state(store: GraphStore, *, timeout: float | None = TIMEOUT) -> QueryResult[StateRow]:
    """Gives the graph's version, and whether the graph is whole.

    Args:
        store: Open for reading.
        timeout: Seconds it may take.
    """
    return ask(store, "graph_state", StateRow, timeout=timeout)
