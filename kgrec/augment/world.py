"""Dense users made to look like sparse ones, so that it is known what they really did next."""

from dataclasses import dataclass

import numpy as np
import torch

from kgrec.errors import DataError
from kgrec.graph.data import GraphData
from kgrec.model.incidence import Incidence


@dataclass(frozen=True, eq=False)
class World:
    """Users who are known, of whom a few interactions are told.

    Attributes:
        graph: Without the interactions of any user that the made ones come from.
        owner: (m,) int64, of which user of the graph each made user is a copy.
        history: (m, num_items), what is told of each.
        hidden: (m, num_items), what else the same user has.
    """

    graph: GraphData
    owner: torch.Tensor
    history: Incidence
    hidden: Incidence


def masked_world(
    graph: GraphData,
    history: Incidence,
    *,
    at_most: int,
    share: float = 0.5,
    most: int = 4_000,
    seed: int = 0,
) -> World:
    """Draws dense users and makes sparse users of them, several of each.

    A user is dense with more than twice `at_most` different items. Each copy is told as many items
    as a sparse user of the graph has, drawn anew; scorers that are fitted on the world's graph have
    seen none of them.

    Args:
        graph: The graph; train and behaviours are read.
        history: The training items of each user.
        at_most: So few interactions make a user sparse.
        share: Of the dense users; the others stay, for whatever is learned from them.
        most: About so many users are made, one a dense user at least, ten at most.
        seed: Of the draws.

    Raises:
        DataError: If fewer than two users are dense.
    """
    count = history.lengths.numpy()
    dense = np.flatnonzero(count > 2 * at_most)
    if len(dense) < 2:
        raise DataError(
            f"{len(dense)} users have more than {2 * at_most} different items in train, so it "
            f"cannot be learned what sparse users do next; expected two; lower augment.at_most, or "
            f"take a source that learns nothing"
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(dense, max(1, round(share * len(dense))), replace=False))
    owner = np.repeat(chosen, min(10, max(1, most // len(chosen))))
    few = count[(count >= 1) & (count <= at_most)]
    kept = rng.choice(few if len(few) else np.arange(1, at_most + 1), len(owner))  # (m,)
    items, lengths = history.take(torch.from_numpy(owner))
    made = np.repeat(np.arange(len(owner)), lengths.numpy())  # (n,)
    order = np.lexsort((rng.random(len(made)), made))
    rank = np.empty(len(made), dtype=np.int64)
    rank[order] = np.arange(len(made)) - np.repeat(
        lengths.cumsum(0).numpy() - lengths.numpy(), lengths.numpy()
    )
    told = torch.from_numpy(rank < kept[made])
    row = torch.from_numpy(made)
    size = len(owner), graph.num_items
    return World(
        graph.without_train(np.isin(graph.train.user_index, chosen)),
        torch.from_numpy(owner),
        Incidence.from_pairs(row[told], items[told], *size),
        Incidence.from_pairs(row[~told], items[~told], *size),
    )
