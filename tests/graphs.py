"""Small graphs in memory, so that tests of models and training need no store."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from kgrec.graph.data import GraphData, IndexArray, Interactions, RelationEdges
from kgrec.graph.tensors import build_hetero
from kgrec.model.adjacency import RelationAdjacency
from kgrec.model.incidence import Incidence
from kgrec.model.linear_network import LinearNetwork
from kgrec.model.network import GraphTensors, RelationPropagation
from kgrec.schema import EdgeKey, NodeLabel, Role, Split, relation_type
from kgrec.vocabulary import Vocabulary

Pairs = Iterable[tuple[int, int]]
USER, ITEM, ENTITY = NodeLabel.USER, NodeLabel.ITEM, NodeLabel.ENTITY


def columns(pairs: Pairs) -> tuple[IndexArray, IndexArray]:
    """The two int64 columns of pairs."""
    table = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()


def relation(name: str, pairs: Pairs, head: NodeLabel = ITEM, tail: NodeLabel = ENTITY):
    """The edges of one relation."""
    return RelationEdges(name, EdgeKey(relation_type(name), head, tail), *columns(pairs))


def behaviour(name: str, pairs: Pairs, role: Role = Role.EVIDENCE):
    """What users did with items, beside the target."""
    return RelationEdges(name, EdgeKey(relation_type(name), USER, ITEM), *columns(pairs), role)


def make_graph(
    sizes: tuple[int, int, int],
    train: Pairs,
    relations: Sequence[RelationEdges] = (),
    valid: Pairs = (),
    test: Pairs = (),
) -> GraphData:
    """A graph of u0 …, i0 …, e0 …; items have titles, entities names."""
    frames = {
        USER: pd.DataFrame(index=range(sizes[0])),
        ITEM: pd.DataFrame({"title": [f"Item {n}" for n in range(sizes[1])]}),
        ENTITY: pd.DataFrame({"name": [f"Entity {n}" for n in range(sizes[2])]}),
    }
    return GraphData(
        version="v1",
        vocabularies={
            label: Vocabulary([f"{label[0].lower()}{n}" for n in range(size)], label)
            for label, size in zip(NodeLabel, sizes, strict=True)
        },
        properties=frames,
        train=Interactions(*columns(train)),
        held_out={
            Split.VALID: Interactions(*columns(valid)),
            Split.TEST: Interactions(*columns(test)),
        },
        relations=tuple(relations),
    )


def random_graph(seed: int, sizes: tuple[int, int, int] = (14, 11, 6)) -> GraphData:
    """Random edges of every kind; the last user and the last item have no interactions."""
    rng = np.random.default_rng(seed)
    users, items, entities = sizes

    def some(rows: int, cols: int, share: float) -> Pairs:
        return np.argwhere(rng.random((rows, cols)) < share).tolist()

    return make_graph(
        sizes,
        some(users - 1, items - 1, 0.35),
        (
            relation("genre", some(items, entities, 0.3)),
            relation("directed_by", some(items, entities, 0.15)),
            relation("features", some(entities, items, 0.15), ENTITY, ITEM),
            relation("sequel", some(items, items, 0.1), ITEM, ITEM),
            relation("genre", some(entities, entities, 0.2), ENTITY, ENTITY),
            relation("likes", some(users, entities, 0.2), USER, ENTITY),
            behaviour("view", some(users - 1, items - 1, 0.4)),
            behaviour("dismiss", some(users - 1, items - 1, 0.1), Role.NEGATIVE),
            relation("follows", some(users, users, 0.1), USER, USER),
        ),
    )


def checkerboard(users: int = 24, items: int = 16, *, held_out: int = 2) -> GraphData:
    """Users like the items of their own parity; each keeps `held_out` of them for valid.

    Who has learned the parity ranks exactly the held-out items first.
    """
    train, valid = [], []
    for user in range(users):
        own = [item for item in range(items) if item % 2 == user % 2]
        start = user // 2 % len(own)
        kept = {own[(start + step) % len(own)] for step in range(held_out)}
        train += [(user, item) for item in own if item not in kept]
        valid += [(user, item) for item in sorted(kept)]
    genres = relation("genre", [(item, item % 2) for item in range(items)])
    return make_graph((users, items, 2), train, (genres,), valid)


def history_of(graph: GraphData) -> Incidence:
    """The training items of each user."""
    return Incidence.from_pairs(
        torch.from_numpy(graph.train.user_index),
        torch.from_numpy(graph.train.item_index),
        graph.num_users,
        graph.num_items,
    )


def propagate(
    adjacency: RelationAdjacency, x: Tensor, weight: Tensor, hidden: Tensor | None = None
) -> Tensor:
    """P x, one product; `accumulate` makes all of a network's at once."""
    return adjacency.by_target.sum(x, adjacency.values(weight, hidden))


def linear_layers(network: LinearNetwork) -> list[Tensor]:
    """X, P X, …, P^L X of a trained network."""
    out = [network.x]
    for _ in range(network.num_layers):
        out.append(network.propagate(out[-1]))
    return out


def layers_of(encoder: RelationPropagation, x: Tensor) -> list[Tensor]:
    """X, P X, …, P^L X."""
    out = [x]
    for _ in range(encoder.num_layers):
        out.append(propagate(encoder.adjacency, out[-1], encoder.relation_weights()))
    return out


def tensors_of(graph: GraphData, *, use_graph: bool = True, text: int = 0) -> GraphTensors:
    """The graph as tensors, with `text` random text features a node."""
    features = None
    if text:
        rng = np.random.default_rng(text)
        features = {
            label: rng.normal(size=(len(graph.vocabularies[label]), text)).astype(np.float32)
            for label in NodeLabel
        }
    return GraphTensors.from_hetero(build_hetero(graph, features), use_graph=use_graph)
