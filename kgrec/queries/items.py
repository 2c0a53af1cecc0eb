"""Queries on an item, and on many items."""

from collections.abc import Mapping, Sequence

from kgrec.errors import ConfigError, StoreError
from kgrec.queries.results import TIMEOUT, GraphResult, Neighbour, QueryResult, ask, ask_graph
from kgrec.queries.rows import (
    AttributeSimilarItem,
    PopularItem,
    SharedEntity,
    SimilarItem,
    TrendingItem,
    VectorSimilarItem,
)
from kgrec.queries.values import Names, Weights, check_value
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore

_VECTOR_INDEX = f"kgrec_{NodeLabel.ITEM}_embedding"


def item_neighbourhood(
    store: GraphStore,
    item: str,
    *,
    relations: Names = (),
    skip: int = 0,
    limit: int = 50,
    timeout: float | None = TIMEOUT,
) -> GraphResult[Neighbour]:
    """Gives the entities and items around an item, by relation.

    Args:
        store: Open for reading.
        item: Id of the item.
        relations: Only these relations; all without any.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take; None leaves it to the store.
    """
    return ask_graph(
        store, "item_neighbourhood", Neighbour, timeout,
        item=item, relations=relations, skip=skip, limit=limit,
    )  # fmt: skip


def similar_items(
    store: GraphStore,
    item: str,
    *,
    skip: int = 0,
    limit: int = 20,
    timeout: float | None = TIMEOUT,
) -> QueryResult[SimilarItem]:
    """Gives the items that share users with an item, by the cosine of their users.

    Args:
        store: Open for reading.
        item: Id of the item.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    return ask(store, "similar_items", SimilarItem, timeout, item=item, skip=skip, limit=limit)


def similar_by_attributes(
    store: GraphStore,
    item: str,
    *,
    weights: Weights = (),
    max_degree: int = 1000,
    skip: int = 0,
    limit: int = 20,
    timeout: float | None = TIMEOUT,
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
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    return ask(
        store, "similar_by_attributes", AttributeSimilarItem, timeout,
        item=item, weights=weights, max_degree=max_degree, skip=skip, limit=limit,
    )  # fmt: skip


def similar_by_vector(
    store: GraphStore,
    item: str,
    *,
    skip: int = 0,
    limit: int = 20,
    timeout: float | None = TIMEOUT,
) -> QueryResult[VectorSimilarItem]:
    """Gives the items with the most similar text vectors.

    The embedded engine compares all items. Neo4j's vector index, which is approximate and rounds
    the vectors, only proposes (a little more than twice as many as are asked for), and the exact
    cosine ranks.

    Args:
        store: Open for reading; its items have vectors (`text.write_to_store`).
        item: Id of the item.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.

    Raises:
        StoreError: If the store has no vectors of items.
    """
    result = ask(
        store, "similar_by_vector", VectorSimilarItem, timeout, item=item, skip=skip, limit=limit
    )
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
    store: GraphStore,
    own: Names,
    item: str,
    *,
    skip: int = 0,
    limit: int = 50,
    timeout: float | None = TIMEOUT,
) -> QueryResult[SharedEntity]:
    """Gives how own items are connected to an item: by one entity, or directly.

    Args:
        store: Open for reading.
        own: Ids of the own items.
        item: Id of the item.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    return ask(
        store, "shared_entities", SharedEntity, timeout,
        own=own, item=item, skip=skip, limit=limit,
    )  # fmt: skip


def candidates(
    store: GraphStore,
    *,
    attributes: Mapping[str, Names] | Sequence[tuple[str, Names]] = (),
    ranges: Mapping[str, tuple[float | None, float | None]] | None = None,
    available: str | None = None,
    user: str | None = None,
    unseen: bool = True,
    undisliked: bool = True,
    skip: int = 0,
    limit: int = 50,
    timeout: float | None = TIMEOUT,
) -> QueryResult[PopularItem]:
    """Gives the items that meet all constraints, the most popular first.

    Args:
        store: Open for reading.
        attributes: Ids by relation; an item has at least one of them in every relation named.
        ranges: By property `(low, high)`, both ends included, None for an open one; an item
            without the property is out.
        available: A property that must be true, or a number above zero.
        user: Whose interactions count for the next two.
        unseen: Whether items of the user's training interactions are out.
        undisliked: Whether items that a negative behaviour of the user names are out.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    return ask(
        store, "candidates", PopularItem, timeout,
        attributes=attributes, ranges=ranges or {}, available=available, user=user, unseen=unseen,
        undisliked=undisliked, skip=skip, limit=limit,
    )  # fmt: skip


def popular(
    store: GraphStore,
    *,
    since: float | None = None,
    until: float | None = None,
    skip: int = 0,
    limit: int = 20,
    timeout: float | None = TIMEOUT,
) -> QueryResult[PopularItem]:
    """Gives the items with the most training interactions.

    Args:
        store: Open for reading.
        since: Only interactions from here on, seconds since 1970 UTC.
        until: Only interactions before.
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    return ask(
        store, "popular", PopularItem, timeout, since=since, until=until, skip=skip, limit=limit
    )


def trending(
    store: GraphStore,
    since: float,
    until: float,
    *,
    skip: int = 0,
    limit: int = 20,
    timeout: float | None = TIMEOUT,
) -> QueryResult[TrendingItem]:
    """Gives the items with more interactions in a window than in the window before it.

    With n interactions in [since, until) and m in the window of the same length before, the score
    is (n - m) / √(n + m): how many standard deviations two equal Poisson counts would differ by.

    Args:
        store: Open for reading.
        since: Where the window begins, seconds since 1970 UTC.
        until: Where it ends. (In Cypher, `before` says where the window before begins.)
        skip: Rows to leave out.
        limit: Rows to give at most.
        timeout: Seconds it may take.
    """
    since, until = check_value("trending", "since", since), check_value("trending", "until", until)
    if not since < until:
        raise ConfigError(
            f"query trending: since={since} is not before until={until}; give a window of time"
        )
    return ask(
        store, "trending", TrendingItem, timeout,
        since=since, until=until, before=since - (until - since), skip=skip, limit=limit,
    )  # fmt: skip
