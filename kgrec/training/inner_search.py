"""Settings judged on train alone: part of it is held out, on few users and items."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, Interactions
from kgrec.model.scorer import Scorer
from kgrec.schema import NodeLabel, Split
from kgrec.training.budget import Budget
from kgrec.training.climbing import Axis, climb
from kgrec.training.inner_split import inner_graph
from kgrec.vocabulary import Vocabulary

#: Users and items that settings are searched on.
MOST_ITEMS, MOST_USERS = 2_500, 4_000

#: A dataclass with a field `inner_ndcg`.
_Settings = TypeVar("_Settings", bound=Any)


def search_on(
    inner: GraphData,
    start: _Settings,
    axes: Sequence[Axis[_Settings]],
    fit: Callable[[_Settings], Scorer],
    budget: Budget,
    *,
    seed: int = 0,
) -> _Settings:
    """Climbs from some settings to the best NDCG@20 on an inner graph's valid split.

    Args:
        inner: See `most_active_inner`.
        start: The defaults.
        axes: Of the climb.
        fit: Fits a model with settings on the inner graph's train.
        budget: A wall limit, where there is one.
        seed: Draws the users who are asked, where there are many.

    Returns:
        The settings, with that value in `inner_ndcg`; the start where nothing is held out, or the
        time is over.
    """
    if not len(inner.held_out[Split.VALID]) or budget.is_spent():
        return start
    task = RankingTask(inner, Split.VALID, max_users=MOST_USERS, seed=seed)

    def judge(settings: _Settings) -> float:
        return float(task.run(fit(settings), k=(20,))["ndcg@20"].mean())

    summit = climb(start, axes, judge, budget)
    settings: _Settings = replace(summit.settings, inner_ndcg=summit.value)
    return settings


def most_active_inner(graph: GraphData, seed: int, *, temporal: bool) -> GraphData:
    """Gives an inner graph of the most active users and the most popular items.

    Args:
        graph: Only its train interactions are read.
        seed: Of the inner split.
        temporal: Whether the latest are held out.
    """
    train = graph.train
    count = np.bincount(train.user_index, minlength=graph.num_users)
    is_active = np.zeros(graph.num_users, dtype=bool)
    is_active[np.argsort(-count, kind="stable")[:MOST_USERS]] = True
    rows = is_active[train.user_index]
    index = np.cumsum(is_active) - 1
    time = None if train.time is None else train.time[rows]
    part = Interactions(index[train.user_index[rows]], train.item_index[rows], time=time)
    users = graph.vocabularies[NodeLabel.USER]
    few = Vocabulary((users.ids[user] for user in np.flatnonzero(is_active)), users.label)
    vocabularies = {**graph.vocabularies, NodeLabel.USER: few}
    most_active = GraphData(graph.version, vocabularies, {}, part, {}, ())
    inner: GraphData
    inner, _ = inner_graph(most_active, (), MOST_ITEMS, seed, temporal=temporal)
    return inner
