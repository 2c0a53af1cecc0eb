"""A plausible first history for users of whom a profile is known and nothing else."""

import logging
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from kgrec.augment.unseen import USERS_AT_ONCE
from kgrec.config import Config
from kgrec.graph.data import GraphData, IndexArray
from kgrec.graph.synthetic import SyntheticEdges
from kgrec.graph.texts import text_features
from kgrec.model.fusion import standardise
from kgrec.schema import NodeLabel
from kgrec.training.cold_user_folds import ColdUserSettings
from kgrec.training.cold_user_search import expect, search_cold_users
from kgrec.training.cold_user_views import UserView, user_views

logger = logging.getLogger(__name__)

SOURCE = "profile"
#: Fewer warm users than this say nothing about cold ones.
_LEAST_WARM = 30
#: Warm users that are read; their kernel is dense.
_MOST_WARM = 6_000
#: How much the likeness of texts may count beside what users alike took, both of standard size.
_TEXT_WEIGHTS = (0.0, 0.5, 1.0, 2.0)
#: Of the noise, beside scores of standard size: another seed, another history as plausible.
_TEMPERATURE = 0.3

_Text = Mapping[NodeLabel, npt.NDArray[np.float32]]


def starting_histories(
    graph: GraphData, config: Config, per_user: int, seed: int
) -> SyntheticEdges:
    """Proposes items for users without an interaction in train, by what else is known of them.

    score = what users alike took (and log popularity) + w · cos(profile's text, item's text)

    Likeness is that of `cold_user_views`: relations, properties, and texts that tell no history.
    Its settings, and w, are found on warm users who are taken for cold. Nothing is proposed where
    profiles tell no more than popularity, nor for a user of whom nothing is known.

    Args:
        graph: The graph; train, relations, properties and texts are read.
        config: Its `text` counts.
        per_user: Items for each.
        seed: Of samples and draws.
    """
    text = None
    if config.text.enabled:
        told = config.text.model_copy(update={"history": 0})
        text = text_features(graph, told)
    views = user_views(graph, text)
    warm, cold = _users(graph, views)
    rng = np.random.default_rng(seed)
    if not len(cold) or len(warm) < _LEAST_WARM:
        return _edges([], [], seed)
    settings = search_cold_users(graph, views, warm, seed)
    if not settings.pays:
        logger.warning(
            "no starting histories: what is known of users tells no more than popularity does"
        )
        return _edges([], [], seed)
    warm = np.sort(rng.permutation(warm)[:_MOST_WARM])
    weight = _text_weight(graph, views, settings, text, warm, per_user, rng)
    users, items = [], []
    for block, scores in _scores(graph, views, settings, text, weight, (warm, cold), rng):
        uniform = torch.from_numpy(rng.random(tuple(scores.shape))).clamp(min=1e-20)
        drawn = standardise(scores) - _TEMPERATURE * (-uniform.log()).log().float()
        chosen = drawn.topk(min(per_user, scores.shape[1]), dim=1).indices
        users.append(block[:, None].expand_as(chosen).flatten().numpy())
        items.append(chosen.flatten().numpy())
    return _edges(users, items, seed)


def _users(graph: GraphData, views: list[UserView]) -> tuple[IndexArray, IndexArray]:
    """Users of whom something is known, with interactions and without."""
    known = np.zeros(graph.num_users, dtype=bool)
    for view in views:
        known |= view.known.numpy()
    is_warm = np.bincount(graph.train.user_index, minlength=graph.num_users) > 0
    return np.flatnonzero(known & is_warm), np.flatnonzero(known & ~is_warm)


def _text_weight(
    graph: GraphData,
    views: list[UserView],
    settings: ColdUserSettings,
    text: _Text | None,
    warm: IndexArray,
    k: int,
    rng: np.random.Generator,
) -> float:
    """How much texts shall count: what gives warm users, taken for cold, most of their items."""
    if text is None or not k:
        return 0.0
    taken = np.sort(rng.permutation(warm)[: max(1, len(warm) // 4)])
    left = np.setdiff1d(warm, taken)
    rest = graph.without_train(np.isin(graph.train.user_index, taken))
    own = np.unique(graph.train.user_index * graph.num_items + graph.train.item_index)

    def precision(weight: float) -> float:
        hits = []
        ends = left, taken
        for block, scores in _scores(rest, views, settings, text, weight, ends, rng):
            top = scores.topk(min(k, scores.shape[1]), dim=1).indices
            hits.append(np.isin((block[:, None] * graph.num_items + top).numpy(), own))
        return float(np.concatenate(hits).mean())

    return max(_TEXT_WEIGHTS, key=precision)  # of equal ones the least


def _scores(
    graph: GraphData,
    views: list[UserView],
    settings: ColdUserSettings,
    text: _Text | None,
    weight: float,
    ends: tuple[IndexArray, IndexArray],
    rng: np.random.Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Scores cold users, read off warm ones, block by block: (B,) and (B, num_items)."""
    warm, cold = map(torch.from_numpy, ends)
    profiles = expect(graph, views, settings, warm, cold, rng)
    for start in range(0, len(cold), USERS_AT_ONCE):
        block = slice(start, start + USERS_AT_ONCE)
        scores = profiles.base + profiles.factors[block] @ profiles.directions
        if text is not None and weight:
            scores = standardise(scores) + weight * standardise(_alike(text, cold[block]))
        yield cold[block], scores


def _alike(text: _Text, users: Tensor) -> Tensor:
    """Cosines of users' texts (B,) with those of all items, (B, num_items)."""
    mine, theirs = (torch.from_numpy(text[label]) for label in (NodeLabel.USER, NodeLabel.ITEM))
    own = functional.normalize(mine[users], dim=1, eps=1e-9)
    return own @ functional.normalize(theirs, dim=1, eps=1e-9).T


def _edges(users: list[IndexArray], items: list[IndexArray], seed: int) -> SyntheticEdges:
    empty = np.empty(0, dtype=np.int64)
    user, item = np.concatenate([empty, *users]), np.concatenate([empty, *items])
    return SyntheticEdges(user, item, np.ones(len(user), dtype=np.float32), SOURCE, seed)
