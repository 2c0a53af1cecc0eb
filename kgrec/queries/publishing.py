"""Queries on what `kgrec publish` has written; all of them see the current publication alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kgrec.queries.results import TIMEOUT, QueryResult, ask
from kgrec.queries.rows import ItemRow, Row
from kgrec.queries.values import Names
from kgrec.store.base import GraphStore


@dataclass(frozen=True)
class PublicationRow(Row):
    """A publication, and how much of it is in the graph."""

    id: str
    state: str
    current: bool
    run: str
    graph_version: str
    slot: str
    created: str
    users: int | None
    recommended: int | None
    similar: int | None


@dataclass(frozen=True)
class PublishedItem(ItemRow):
    """A recommended item; `cold` marks what users get of whom nothing is known."""

    score: float
    rank: int
    cold: bool


@dataclass(frozen=True)
class PublishedSimilarItem(ItemRow):
    """An item that the run finds like another one."""

    score: float
    rank: int


@dataclass(frozen=True)
class NearItem(ItemRow):
    """An item near to a user by the network's vectors."""

    cosine: float


def publications(
    store: GraphStore, *, skip: int = 0, limit: int = 100, timeout: float | None = TIMEOUT
) -> QueryResult[PublicationRow]:
    """Gives what of runs is in the graph, the latest first.

    Args:
        store: Open for reading.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take; None leaves it to the store.
    """
    return ask(store, "publications", PublicationRow, timeout, skip=skip, limit=limit)


def published_recommendations(
    store: GraphStore,
    user: str,
    *,
    attributes: Mapping[str, Names] | Sequence[tuple[str, Names]] = (),
    ranges: Mapping[str, tuple[float | None, float | None]] | None = None,
    available: str | None = None,
    skip: int = 0,
    limit: int = 20,
    timeout: float | None = TIMEOUT,
) -> QueryResult[PublishedItem]:
    """Gives what is recommended to a user and meets all constraints, the best first.

    What the user has met or turned down since it was published is left out.

    Args:
        store: Open for reading.
        user: Id of the user.
        attributes: Ids by relation; an item has at least one of them in every relation named.
        ranges: By property `(low, high)`, both ends included, None for an open one; an item
            without the property is out.
        available: A property that must be true, or a number above zero.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    return ask(
        store, "published_recommendations", PublishedItem, timeout,
        user=user, attributes=attributes, ranges=ranges or {}, available=available, skip=skip,
        limit=limit,
    )  # fmt: skip


def published_similar(
    store: GraphStore,
    item: str,
    *,
    skip: int = 0,
    limit: int = 20,
    timeout: float | None = TIMEOUT,
) -> QueryResult[PublishedSimilarItem]:
    """Gives the items that the published run finds like an item, the closest first.

    Args:
        store: Open for reading.
        item: Id of the item.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    return ask(
        store, "published_similar", PublishedSimilarItem, timeout, item=item, skip=skip, limit=limit
    )


def recommend_filtered(
    store: GraphStore,
    user: str,
    *,
    attributes: Mapping[str, Names] | Sequence[tuple[str, Names]] = (),
    ranges: Mapping[str, tuple[float | None, float | None]] | None = None,
    available: str | None = None,
    fetch: int = 500,
    skip: int = 0,
    limit: int = 20,
    timeout: float | None = TIMEOUT,
) -> QueryResult[NearItem]:
    """Gives the items nearest to a user by the published vectors that meet all constraints.

    Where a filter leaves little of the published lists, the vectors still have more: the
    `fetch` nearest items are looked at, of which the constraints, and what the user knows, leave
    some. Neo4j finds them by its index, which is approximate; the embedded engine compares all.

    Args:
        store: Open for reading.
        user: Id of the user.
        attributes: Ids by relation; an item has at least one of them in every relation named.
        ranges: By property `(low, high)`, both ends included, None for an open one; an item
            without the property is out.
        available: A property that must be true, or a number above zero.
        fetch: Items to look at.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    return ask(
        store, "recommend_filtered", NearItem, timeout,
        user=user, attributes=attributes, ranges=ranges or {}, available=available, fetch=fetch,
        skip=skip, limit=limit,
    )  # fmt: skip
