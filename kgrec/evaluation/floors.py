"""The floors, fitted on the same train and chosen on the same valid as everything else."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch

from kgrec.errors import DataError
from kgrec.evaluation.cohorts import distinct_counts
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, IndexArray, Interactions, RelationEdges
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import Ease, ItemKNN
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.schema import NodeLabel, Split
from kgrec.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

#: Ridges tried for EASE, and the one taken where there is no valid split.
RIDGES, DEFAULT_RIDGE = (50.0, 100.0, 200.0, 400.0, 800.0), 200.0
#: (neighbours, shrink) tried for ItemKNN, and those taken where there is no valid split.
NEIGHBOURHOODS = tuple((neighbours, shrink) for neighbours in (100, 300) for shrink in (0, 10, 100))
DEFAULT_NEIGHBOURHOOD = (100, 10)

#: Larger catalogues are searched on their so many most popular items.
_SEARCH_ITEMS = 4_000
#: At most so many users of valid judge a trial.
_SEARCH_USERS = 5_000

_Value = TypeVar("_Value")


def fit_floors(
    graph: GraphData,
    *,
    device: str = "cpu",
    max_items: int = 40_000,
    refit_splits: Sequence[Split] = (),
) -> dict[str, Scorer]:
    """Fits popularity, ItemKNN and EASE on train.

    EASE's ridge (50, 100, 200, 400 or 800) and ItemKNN's neighbours (100 or 300) and shrink (0, 10
    or 100) are those with the best NDCG@20 on valid; test is not looked at. Catalogues beyond 4,000
    items are searched on the 4,000 most popular ones and what happened among them, as each trial
    costs the cube of the items. Without a valid split the ridge is 200, neighbours and shrink are
    100 and 10.

    Args:
        graph: The graph.
        device: Where the floors live.
        max_items: Larger catalogues get no EASE, whose inverse is dense.
        refit_splits: Once chosen they are fitted on these as well, as the run beside them was:
            `run.config.training.refit_splits`.

    Returns:
        The scorers by name: `popularity`, `itemknn`, `ease`.
    """
    small = most_popular(graph, _SEARCH_ITEMS) if graph.num_items > _SEARCH_ITEMS else graph

    def ease(graph: GraphData, ridge: float) -> Scorer:
        return Ease.fit(train_history(graph, device), ridge=ridge)

    def itemknn(graph: GraphData, neighbourhood: tuple[int, int]) -> Scorer:
        neighbours, shrink = neighbourhood
        return ItemKNN.fit(train_history(graph, device), neighbours=neighbours, shrink=shrink)

    neighbourhood = choose(small, NEIGHBOURHOODS, DEFAULT_NEIGHBOURHOOD, itemknn)
    whole = graph.with_splits(*refit_splits)
    floors: dict[str, Scorer] = {
        "popularity": Popularity(train_history(whole, device)),
        "itemknn": itemknn(whole, neighbourhood),
    }
    if graph.num_items > max_items:
        logger.warning("no EASE floor: items=%d at_most=%d", graph.num_items, max_items)
        return floors
    ridge = choose(small, RIDGES, DEFAULT_RIDGE, ease)
    floors["ease"] = ease(whole, ridge)
    logger.info("floors=fitted neighbours=%d shrink=%d ridge=%g", *neighbourhood, ridge)
    return floors


def choose(
    graph: GraphData,
    values: Sequence[_Value],
    default: _Value,
    fit: Callable[[GraphData, _Value], Scorer],
) -> _Value:
    """Gives the value whose scorer has the best NDCG@20 on valid, or the default without valid."""
    try:
        task = RankingTask(graph, Split.VALID, max_users=_SEARCH_USERS)
    except DataError:
        return default
    quality = [task.run(fit(graph, value))["ndcg@20"].mean() for value in values]
    return values[int(np.argmax(quality))]


def most_popular(graph: GraphData, num_items: int) -> GraphData:
    """Gives the graph with only its most popular items in train, for searches.

    All users stay; interactions and relations of other items go. Equally popular items are kept in
    index order.
    """
    place = places_of_most_popular(graph, num_items)
    popular = np.flatnonzero(place >= 0)
    items = graph.vocabularies[NodeLabel.ITEM]
    properties = dict(graph.properties)
    if NodeLabel.ITEM in properties:
        properties[NodeLabel.ITEM] = properties[NodeLabel.ITEM].iloc[popular].reset_index(drop=True)
    return GraphData(
        version=f"{graph.version}-top{len(popular)}",
        vocabularies={
            **graph.vocabularies,
            NodeLabel.ITEM: Vocabulary((items.ids[i] for i in popular), items.label),
        },
        properties=properties,
        train=_among(graph.train, place),
        held_out={split: _among(part, place) for split, part in graph.held_out.items()},
        relations=tuple(_relation_among(edges, place) for edges in graph.relations),
    )


def places_of_most_popular(graph: GraphData, num_items: int) -> IndexArray:
    """Gives each item's index among the most popular in train, -1 for all others."""
    train = graph.train
    counts = distinct_counts(train.item_index, train.user_index, graph.num_items)
    popular = np.sort(np.argsort(-counts, kind="stable")[:num_items])
    place = np.full(graph.num_items, -1)
    place[popular] = np.arange(len(popular))
    return place


def _among(part: Interactions, place: IndexArray) -> Interactions:
    item = place[part.item_index]
    return replace(part, item_index=item).take(item >= 0)


def _relation_among(edges: RelationEdges, place: IndexArray) -> RelationEdges:
    head = place[edges.head_index] if edges.key.head is NodeLabel.ITEM else edges.head_index
    tail = place[edges.tail_index] if edges.key.tail is NodeLabel.ITEM else edges.tail_index
    return replace(edges, head_index=head, tail_index=tail).take((head >= 0) & (tail >= 0))


def train_history(graph: GraphData, device: str = "cpu") -> Incidence:
    """Gives the training items of each user."""
    user = torch.from_numpy(graph.train.user_index).to(device)
    item = torch.from_numpy(graph.train.item_index).to(device)
    return Incidence.from_pairs(user, item, graph.num_users, graph.num_items)
