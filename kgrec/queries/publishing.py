"""Queries on what `kgrec publish` has written; all of them see the current publication alone."""

from dataclasses import dataclass
from typing import Unpack

from kgrec.queries.results import Filters, Page, QueryResult, ask
from kgrec.queries.rows import ItemRow, Row
from kgrec.store.base import GraphStore
from kgrec.vocabulary import NodeId


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


def publications(store: GraphStore, **page: Unpack[Page]) -> QueryResult[PublicationRow]:
    """Gives what of runs is in the graph, the latest first.

    Args:
        store: Open for reading.
        **page: See `Page`.
    """
    return ask(store, "publications", PublicationRow, **page)


def published_recommendations(
    store: GraphStore, user: NodeId, **page: Unpack[Filters]
) -> QueryResult[PublishedItem]:
    """Gives what is recommended to a user and meets all constraints, the best first.

    What the user has met or turned down since it was published is left out.

    Args:
        store: Open for reading.
        user: Id of the user.
        **page: See `Filters`.
    """
    return ask(store, "published_recommendations", PublishedItem, user=user, **page)


def published_similar(
    store: GraphStore, item: NodeId, **page: Unpack[Page]
) -> QueryResult[PublishedSimilarItem]:
    """Gives the items that the published run finds like an item, the closest first.

    Args:
        store: Open for reading.
        item: Id of the item.
        **page: See `Page`.
    """
    return ask(store, "published_similar", PublishedSimilarItem, item=item, **page)


def recommend_filtered(
    store: GraphStore, user: NodeId, *, fetch: int = 500, **page: Unpack[Filters]
) -> QueryResult[NearItem]:
    """Gives the items nearest to a user by the published vectors that meet all constraints.

    Where a filter leaves little of the published lists, the vectors still have more: the
    `fetch` nearest items are looked at, of which the constraints, and what the user knows, leave
    some. Neo4j finds them by its index, which is approximate; the embedded engine compares all.

    Args:
        store: Open for reading.
        user: Id of the user.
        fetch: Items to look at.
        **page: See `Filters`.
    """
    return ask(store, "recommend_filtered", NearItem, user=user, fetch=fetch, **page)
