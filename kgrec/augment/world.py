"""Dense users made to look like sparse ones, so that it is known what they really did next."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from kgrec.errors import DataError
from kgrec.graph.data import GraphData, IndexArray, RelationEdges
from kgrec.model.incidence import Incidence
from kgrec.schema import NodeLabel

#: With fewer dense users none could be made sparse while another stays.
LEAST_DENSE = 2
#: So many users are made of one at most.
_COPIES = 10
_USER_AND_ENTITY = {NodeLabel.USER, NodeLabel.ENTITY}


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


def dense_users(history: Incidence, at_most: int) -> IndexArray:
    """Gives users (d,) with more than twice as many items as make a user sparse."""
    return np.flatnonzero(history.lengths.numpy() > 2 * at_most)


def masked_world(
    graph: GraphData,
    history: Incidence,
    *,
    at_most: int,
    most: int,
    seed: int,
) -> World:
    """Draws dense users and makes sparse users of them, several of each.

    A user is dense with more than twice `at_most` different items. Each copy is told as many items
    as a sparse user of the graph has, drawn anew; scorers that are fitted on the world's graph have
    seen none of them.

    Args:
        graph: The graph; train and behaviours are read.
        history: The training items of each user.
        at_most: So few interactions make a user sparse.
        most: So many users are made at most, and ten of a dense one. Half of the dense users stay,
            for whatever is learned from them.
        seed: Of the draws.

    Raises:
        DataError: If fewer than two users are dense.
    """
    dense = dense_users(history, at_most)
    if len(dense) < LEAST_DENSE:
        raise DataError(
            f"{len(dense)} users have more than {2 * at_most} different items in train, so it "
            f"cannot be learned what sparse users do next; expected {LEAST_DENSE}; lower "
            f"augment.at_most, or take a source that learns nothing"
        )
    rng = np.random.default_rng(seed)
    owners = np.sort(rng.choice(dense, min(most, len(dense) // 2), replace=False))
    owner = np.repeat(owners, min(_COPIES, most // len(owners)))
    count = history.lengths.numpy()
    few = count[(count >= 1) & (count <= at_most)]
    num_shown = rng.choice(few if len(few) else np.arange(1, at_most + 1), len(owner))  # (m,)
    items, lengths = history.take(torch.from_numpy(owner))
    copy = np.repeat(np.arange(len(owner)), lengths.numpy())  # (n,)
    order = np.lexsort((rng.random(len(copy)), copy))
    rank = np.empty(len(copy), dtype=np.int64)
    rank[order] = np.arange(len(copy)) - np.repeat(
        lengths.cumsum(0).numpy() - lengths.numpy(), lengths.numpy()
    )
    is_shown = torch.from_numpy(rank < num_shown[copy])
    row = torch.from_numpy(copy)
    size = len(owner), graph.num_items
    return World(
        _without_their_own(graph, owners).without_train(np.isin(graph.train.user_index, owners)),
        torch.from_numpy(owner),
        Incidence.from_pairs(row[is_shown], items[is_shown], *size),
        Incidence.from_pairs(row[~is_shown], items[~is_shown], *size),
    )


def _without_their_own(graph: GraphData, users: IndexArray) -> GraphData:
    """Takes the edges off entities that only one of the users knows: searches tell what came."""
    empty = np.empty(0, dtype=np.int64)
    user, entity = empty, empty
    for edges in graph.relations:
        if {edges.key.head, edges.key.tail} == _USER_AND_ENTITY:
            ends = edges.head_index, edges.tail_index
            of_user, of_entity = ends if edges.key.head is NodeLabel.USER else ends[::-1]
            user, entity = np.concatenate([user, of_user]), np.concatenate([entity, of_entity])
    joined = np.unique(np.stack([entity, user]), axis=1)
    alone = np.bincount(joined[0], minlength=graph.num_entities)[joined[0]] == 1
    own = joined[0][alone & np.isin(joined[1], users)]

    def theirs(edges: RelationEdges) -> npt.NDArray[np.bool_]:
        mask = np.zeros(len(edges), dtype=bool)
        if edges.key.head is NodeLabel.ENTITY:
            mask |= np.isin(edges.head_index, own)
        if edges.key.tail is NodeLabel.ENTITY:
            mask |= np.isin(edges.tail_index, own)
        return mask

    return replace(graph, relations=tuple(edges.take(~theirs(edges)) for edges in graph.relations))
