"""Dense users made to look like sparse ones, so that it is known what they really did next."""

from dataclasses import dataclass

import numpy as np

from kgrec.errors import DataError
from kgrec.evaluation.cohorts import distinct_counts
from kgrec.graph.data import GraphData, IndexArray, Interactions


@dataclass(frozen=True, eq=False)
class World:
    """A graph in which some dense users have few interactions, and what was hidden of them.

    Attributes:
        graph: Without the hidden interactions, and without behaviours that speak of them.
        users: (a,) int64, whose interactions were hidden.
        hidden: What was hidden.
    """

    graph: GraphData
    users: IndexArray
    hidden: Interactions


def masked_world(graph: GraphData, *, at_most: int, share: float = 0.5, seed: int = 0) -> World:
    """Hides most interactions of dense users.

    A user is dense with more than twice `at_most` different items. Each chosen one keeps as many as
    a sparse user has, drawn from those of the graph; which ones, is drawn too.

    Args:
        graph: The graph; only train and behaviours change.
        at_most: So few interactions make a user sparse.
        share: Of the dense users; the others stay, for whatever is learned from them.
        seed: Of the draws.

    Raises:
        DataError: If no user is dense.
    """
    train = graph.train
    count = distinct_counts(train.user_index, train.item_index, graph.num_users)
    dense = np.flatnonzero(count > 2 * at_most)
    if not len(dense):
        raise DataError(
            f"no user has more than {2 * at_most} different items in train, so no sparse user can "
            f"be made of one; lower augment.at_most, or take a source that learns nothing"
        )
    rng = np.random.default_rng(seed)
    users = np.sort(rng.choice(dense, max(1, round(share * len(dense))), replace=False))
    few = count[(count >= 1) & (count <= at_most)]
    keep = np.zeros(graph.num_users, dtype=np.int64)
    keep[users] = rng.choice(few if len(few) else np.arange(1, at_most + 1), len(users))
    pairs, place = np.unique(
        train.user_index * graph.num_items + train.item_index, return_inverse=True
    )
    owner = pairs // max(graph.num_items, 1)
    order = np.lexsort((rng.random(len(pairs)), owner))
    first = np.searchsorted(owner, np.arange(graph.num_users))
    rank = np.empty(len(pairs), dtype=np.int64)
    rank[order] = np.arange(len(pairs)) - first[owner]
    masked = np.zeros(graph.num_users, dtype=bool)
    masked[users] = True
    held = (masked[owner] & (rank >= keep[owner]))[place]
    return World(graph.without_train(held), users, train.take(held))
