"""Questions to the graph, each a named Cypher statement under `cypher/`.

    with kgrec.open_store("embedded:graph.kgl", read_only=True) as store:
        for row in queries.similar_items(store, "i7", limit=5):
            print(row.title, row.cosine)

Every function reads, and the store sees to it; none sees a synthetic edge, nor a held-out
interaction, but to leave out what a user has met, and `user_history`, which names the split. What
it gives is a sequence of frozen rows, with
`to_frame()`, `to_dict()` and, where the rows are pieces of a graph, `to_networkx()`.
docs/queries.md has them all.
"""

from collections.abc import Callable
from typing import Any

from kgrec.queries.catalogue import (
    attribute_statistics,
    cold_nodes,
    graph_state,
    loads,
    relations,
    schema_summary,
    sparse_nodes,
)
from kgrec.queries.nodes import (
    candidates,
    co_interacted,
    item_neighbourhood,
    paths,
    popular,
    shared_entities,
    similar_by_attributes,
    similar_by_vector,
    similar_items,
    trending,
    user_history,
    user_profile,
)
from kgrec.queries.publishing import (
    publications,
    published_recommendations,
    published_similar,
    recommend_filtered,
)
from kgrec.queries.results import GraphResult, QueryResult
from kgrec.queries.walks import random_walks, subgraph
from kgrec.queries.weights import relation_weights

#: All queries by name.
QUERIES: dict[str, Callable[..., QueryResult[Any]]] = {
    function.__name__: function
    for function in (
        attribute_statistics, candidates, co_interacted, cold_nodes, graph_state,
        item_neighbourhood, loads, paths, popular, publications, published_recommendations,
        published_similar, random_walks, recommend_filtered, relations, schema_summary,
        shared_entities, similar_by_attributes, similar_by_vector, similar_items, sparse_nodes,
        subgraph, trending, user_history, user_profile,
    )
}  # fmt: skip

__all__ = [
    "QUERIES",
    "GraphResult",
    "QueryResult",
    "attribute_statistics",
    "candidates",
    "co_interacted",
    "cold_nodes",
    "graph_state",
    "item_neighbourhood",
    "loads",
    "paths",
    "popular",
    "publications",
    "published_recommendations",
    "published_similar",
    "random_walks",
    "recommend_filtered",
    "relation_weights",
    "relations",
    "schema_summary",
    "shared_entities",
    "similar_by_attributes",
    "similar_by_vector",
    "similar_items",
    "sparse_nodes",
    "subgraph",
    "trending",
    "user_history",
    "user_profile",
]
