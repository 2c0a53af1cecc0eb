"""Queries on a user, on an item, and on many items."""

from typing import Unpack

from kgrec.errors import ConfigError, StoreError
from kgrec.queries.results import (
    TIMEOUT,
    Filters,
    GraphResult,
    Neighbour,
    Page,
    Path,
    QueryResult,
    ask,
    ask_graph,
)
from kgrec.queries.rows import (
    AttributeSimilarItem,
    Interaction,
    NeighboursItem,
    PopularItem,
    SharedEntity,
    SimilarItem,
    TrendingItem,
    UserProfile,
    VectorSimilarItem,
)
from kgrec.queries.values import Ids, Names, Weights, check_value
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.vocabulary import NodeId

_VECTOR_INDEX = f"kgrec_{NodeLabel.ITEM}_embedding"


def user_history(store: GraphStore, user: NodeId, **page: Unpack[Page]) -> QueryResult[Interaction]:
    """Gives a user's interactions, those of valid and test as well, the latest first.

    Args:
        store: Open for reading.
        user: Id of the user.
        **page: See `Page`.
    """
    return ask(store, "user_history", Interaction, user=user, **page)


def user_profile(
    store: GraphStore, user: NodeId, *, limit: int = 5, timeout: float | None = TIMEOUT
) -> QueryResult[UserProfile]:
    """Gives one row on a user: counts, times, own properties, the items' most frequent attributes.

    Args:
        store: Open for reading.
        user: Id of the user.
        limit: Attributes a relation at most.
        timeout: Seconds it may take.
    """
    return ask(store, "user_profile", UserProfile, user=user, limit=limit, timeout=timeout)


def co_interacted(
    store: GraphStore, user: NodeId, *, neighbours: int = 100, **page: Unpack[Page]
) -> QueryResult[NeighboursItem]:
    """Gives the items new to a user that the users who share most items with them like.

    Args:
        store: Open for reading.
        user: Id of the user.
        neighbours: How many other users are asked.
        **page: See `Page`.
    """
    return ask(store, "co_interacted", NeighboursItem, user=user, neighbours=neighbours, **page)


def paths(
    store: GraphStore,
    user: NodeId,
    item: NodeId,
    *,
    hops: int = 3,
    weights: Weights = (),
    max_degree: int = 100,
    **page: Unpack[Page],
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
        **page: See `Page`.
    """
    return ask_graph(
        store, "paths", Path,
        user=user, item=item, hops=hops, weights=weights, max_degree=max_degree, **page,
    )  # fmt: skip


def item_neighbourhood(
    store: GraphStore, item: NodeId, *, relations: Names = (), **page: Unpack[Page]
) -> GraphResult[Neighbour]:
    """Gives the entities and items around an item, by relation.

    Args:
        store: Open for reading.
        item: Id of the item.
        relations: Only these relations; all without any.
        **page: See `Page`.
    """
    return ask_graph(store, "item_neighbourhood", Neighbour, item=item, relations=relations, **page)


def similar_items(
    store: GraphStore, item: NodeId, **page: Unpack[Page]
) -> QueryResult[SimilarItem]:
    """Gives the items that share users with an item, by the cosine of their users.

    Args:
        store: Open for reading.
        item: Id of the item.
        **page: See `Page`.
    """
    return ask(store, "similar_items", SimilarItem, item=item, **page)


def similar_by_attributes(
    store: GraphStore,
    item: NodeId,
    *,
    weights: Weights = (),
    max_degree: int = 1000,
    **page: Unpack[Page],
) -> QueryResult[AttributeSimilarItem]:
    """Gives the items that share attributes with an item, weighed by relation and rarity.

    The score is the sum over the shared attributes of the weight of the step to it, times that of
    the step from it, over the number of its relation edges: resource allocation (Zhou, Lü & Zhang,
    *Predicting missing links via local information*, arXiv:0901.0553) with weighted relations.

    Args:
        store: Open for reading.
        item: Id of the item.
        weights: By directed relation, as `relation_weights` gives them; 1 where there is none.
        max_degree: Attributes with more such edges are left out: they tell little and cost most.
        **page: See `Page`.
    """
    return ask(
        store, "similar_by_attributes", AttributeSimilarItem,
        item=item, weights=weights, max_degree=max_degree, **page,
    )  # fmt: skip


def similar_by_vector(
    store: GraphStore, item: NodeId, **page: Unpack[Page]
) -> QueryResult[VectorSimilarItem]:
    """Gives the items with the most similar text vectors.

    The embedded engine compares all items. Neo4j's vector index, which is approximate and rounds
    the vectors, only proposes (a little more than twice as many as are asked for), and the exact
    cosine ranks.

    Args:
        store: Open for reading; its items have vectors (`text.write_to_store`).
        item: Id of the item.
        **page: See `Page`.

    Raises:
        StoreError: If the store has no vectors of items.
    """
    result = ask(store, "similar_by_vector", VectorSimilarItem, item=item, **page)
    if not result and not _has_vectors(store):
        raise StoreError(
            f"{store.uri} has no text vectors of items; set text.write_to_store = true and run "
            f"kgrec train"
        )
    return result


def _has_vectors(store: GraphStore) -> bool:
    if store.capabilities.vector_index:
        return _VECTOR_INDEX in {row["name"] for row in store.read("index_names")}
    names = store.read("node_properties", label=NodeLabel.ITEM)
    return "embedding" in {row["name"] for row in names}


def shared_entities(
    store: GraphStore, own: Ids, item: NodeId, **page: Unpack[Page]
) -> QueryResult[SharedEntity]:
    """Gives how own items are connected to an item: by one entity, or directly.

    Args:
        store: Open for reading.
        own: Ids of the own items.
        item: Id of the item.
        **page: See `Page`.
    """
    return ask(store, "shared_entities", SharedEntity, own=own, item=item, **page)


def candidates(
    store: GraphStore,
    *,
    user: NodeId | None = None,
    unseen: bool = True,
    undisliked: bool = True,
    **page: Unpack[Filters],
) -> QueryResult[PopularItem]:
    """Gives the items that meet all constraints, the most popular first.

    Args:
        store: Open for reading.
        user: Whose interactions count for the next two.
        unseen: Whether items that the user has interacted with, in any split, are out.
        undisliked: Whether items that a negative behaviour of the user names are out.
        **page: See `Filters`.
    """
    return ask(
        store, "candidates", PopularItem, user=user, unseen=unseen, undisliked=undisliked, **page
    )


def popular(
    store: GraphStore,
    *,
    since: float | None = None,
    until: float | None = None,
    **page: Unpack[Page],
) -> QueryResult[PopularItem]:
    """Gives the items with the most training interactions.

    Args:
        store: Open for reading.
        since: Only interactions from here on, seconds since 1970 UTC.
        until: Only interactions before.
        **page: See `Page`.
    """
    return ask(store, "popular", PopularItem, since=since, until=until, **page)


def trending(
    store: GraphStore, since: float, until: float, **page: Unpack[Page]
) -> QueryResult[TrendingItem]:
    """Gives the items with more interactions in a window than in the window before it.

    With n interactions in [since, until) and m in the window of the same length before, the score
    is (n - m) / √(n + m): how many standard deviations two equal Poisson counts would differ by.

    Args:
        store: Open for reading.
        since: Where the window begins, seconds since 1970 UTC.
        until: Where it ends. (In Cypher, `before` says where the window before begins.)
        **page: See `Page`.
    """
    since, until = check_value("trending", "since", since), check_value("trending", "until", until)
    if not since < until:
        raise ConfigError(
            f"query trending: since={since} is not before until={until}; give a window of time"
        )
    before = since - (until - since)
    return ask(store, "trending", TrendingItem, since=since, until=until, before=before, **page)
