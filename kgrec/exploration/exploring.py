"""What `kgrec explore` shows: why a user gets items, or what lies around nodes."""

from collections.abc import Sequence

from kgrec.errors import ConfigError, VocabularyError
from kgrec.exploration.around import fetch_subgraph
from kgrec.exploration.recommendation import recommendation_subgraph
from kgrec.exploration.subgraph import Subgraph
from kgrec.recommender import Recommender
from kgrec.store.base import GraphStore
from kgrec.training.directory import Run


def explore(
    run: Run,
    store: GraphStore,
    *,
    user: str | None = None,
    items: Sequence[str] = (),
    entities: Sequence[str] = (),
    k: int = 1,
    hops: int = 1,
    most_edges: int = 200,
    around: int = 0,
    num_own: int = 4,
) -> Subgraph:
    """Gives why a user gets items, or without a user what lies around items and entities.

    Args:
        run: What scores; its learned weights are those of the edges.
        store: The graph it was trained on.
        user: The id of a user, whose items are explained.
        items: Ids of items; with a user and without any, the user's `k` best are explained.
        entities: Ids of entities, without a user.
        k: How many of the user's best items are explained.
        hops: How far to go around items and entities.
        most_edges: At most so many edges a hop.
        around: Edges around each explained item that explain nothing but show where it is.
        num_own: So many of the user's own items of the largest share are there for each item.

    Raises:
        ConfigError: If there is nothing to look at, both a user and entities are given, or a number
            is out of range.
        VocabularyError: If the run or the graph knows no such node, or nothing of the user.
        RunError: If the store holds another version of the graph.
        StoreError: If the store fails.
    """
    if user is None:
        return fetch_subgraph(
            store, items=items, entities=entities, hops=hops, most_edges=most_edges, run=run
        )
    if entities:
        raise ConfigError(
            "a user's items are explained, around entities is shown what lies there: give one of "
            "the two"
        )
    item_ids = list(items) or _best_items(run, store, user, k)
    return recommendation_subgraph(run, store, user, item_ids, around=around, num_own=num_own)


def _best_items(run: Run, store: GraphStore, user: str, k: int) -> list[str]:
    recommendations = Recommender(run, store).recommend(user, k, num_reasons=0)
    if not recommendations or recommendations[0].cold:
        raise VocabularyError(
            f"run {run.directory} knows nothing of user {user!r} and would give the most popular "
            f"items, which no path explains; name a user with interactions, or only --item"
        )
    return [recommendation.item_id for recommendation in recommendations]
