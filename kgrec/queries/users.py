"""Queries on a user."""

from kgrec.queries.results import TIMEOUT, GraphResult, Path, QueryResult, ask, ask_graph
from kgrec.queries.rows import Interaction, NeighboursItem, UserProfile
from kgrec.queries.values import Weights
from kgrec.store.base import GraphStore


def user_history(
    store: GraphStore,
    user: str,
    *,
    skip: int = 0,
    limit: int = 20,
    timeout: float | None = TIMEOUT,
) -> QueryResult[Interaction]:
    """Gives a user's training interactions, the latest first.

    Args:
        store: Open for reading.
        user: Id of the user.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take; None leaves it to the store.
    """
    return ask(store, "user_history", Interaction, timeout, user=user, skip=skip, limit=limit)


def user_profile(
    store: GraphStore, user: str, *, limit: int = 5, timeout: float | None = TIMEOUT
) -> QueryResult[UserProfile]:
    """Gives one row on a user: counts, times, own properties, the items' most frequent attributes.

    Args:
        store: Open for reading.
        user: Id of the user.
        limit: Attributes a relation at most.
        timeout: Seconds it may take.
    """
    return ask(store, "user_profile", UserProfile, timeout, user=user, limit=limit)


def co_interacted(
    store: GraphStore,
    user: str,
    *,
    neighbours: int = 100,
    skip: int = 0,
    limit: int = 20,
    timeout: float | None = TIMEOUT,
) -> QueryResult[NeighboursItem]:
    """Gives the items new to a user that the users who share most items with them like.

    Args:
        store: Open for reading.
        user: Id of the user.
        neighbours: How many other users are asked.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    return ask(
        store, "co_interacted", NeighboursItem, timeout,
        user=user, neighbours=neighbours, skip=skip, limit=limit,
    )  # fmt: skip


def paths(
    store: GraphStore,
    user: str,
    item: str,
    *,
    hops: int = 3,
    weights: Weights = (),
    max_degree: int = 100,
    skip: int = 0,
    limit: int = 20,
    timeout: float | None = TIMEOUT,
) -> GraphResult[Path]:
    """Gives the best simple paths of 2 to `hops` steps from a user to an item.

    A path's score is the product of its steps' weights, over the product of its inner nodes'
    degrees: relations that matter, through nodes that are special. The degree of an entity is
    the number of its relation edges, that of a user or item one more than its interactions.

    Args:
        store: Open for reading.
        user: Id of the user.
        item: Id of the item.
        hops: Most steps, 2 to 4.
        weights: By directed relation, as `relation_weights` gives them; 1 where there is none.
            Steps whose weight is 0 are not taken.
        max_degree: Inner nodes of a higher degree are not entered, and so many of the user's own
            edges are followed, to the nodes of the lowest degree. The work grows with its third
            power at worst.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    return ask_graph(
        store, "paths", Path, timeout,
        user=user, item=item, hops=hops, weights=weights, max_degree=max_degree, skip=skip,
        limit=limit,
    )  # fmt: skip
