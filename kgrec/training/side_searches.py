"""Finds the few settings of the closed form's companions on train alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, Interactions
from kgrec.model.directed import DirectedRidge
from kgrec.model.gram import user_weights
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import Scorer
from kgrec.model.user_side import UserSide
from kgrec.model.wmf import WeightedMF
from kgrec.schema import NodeLabel, Split
from kgrec.training.budget import Budget
from kgrec.training.climbing import Axis, climb, ladder, line, scaled, setting
from kgrec.training.inner_split import history_of, inner_graph, inner_ranks
from kgrec.training.parts.factors import FactorsConfig
from kgrec.vocabulary import Vocabulary

_MOST_ITEMS, _MOST_USERS = 2_500, 4_000
_USER_RIDGES, _ITEM_EXPONENTS = (100.0, 200.0, 400.0, 50.0, 800.0), (0.3, 0.0, 0.6)
_FACTOR_RIDGES, _UNOBSERVED = (5.0, 1.5, 15.0, 50.0), (0.2, 0.05, 0.6)
#: By what the directed ridge's settings are multiplied or divided as long as it helps, then finer.
_FACTORS = (3.0, 1.5)


@dataclass(frozen=True)
class UserSideSettings:
    """Settings of `UserSide`, and their NDCG@20 on an inner split; None if not searched."""

    ridge: float = 200.0
    item_exponent: float = 0.3
    inner_ndcg: float | None = None


@dataclass(frozen=True)
class FactorsSettings:
    """Settings of `WeightedMF`, and their NDCG@20 on an inner split; None if not searched."""

    ridge: float = 5.0
    unobserved: float = 0.2
    inner_ndcg: float | None = None


@dataclass(frozen=True)
class DirectedSettings:
    """Settings of `DirectedRidge`, and their NDCG@20 on an inner split; None if not searched."""

    ridge: float = 300.0
    bandwidth: float = 15.0
    recency: float = 15.0
    inner_ndcg: float | None = None


_Settings = TypeVar("_Settings", UserSideSettings, FactorsSettings, DirectedSettings)


def search_user_side(
    graph: GraphData, *, seed: int, temporal: bool, budget: Budget
) -> UserSideSettings:
    """Chooses ridge, then item exponent, on the most active users and most popular items.

    Args:
        graph: The graph; only its train interactions are read.
        seed: Of the inner split.
        temporal: Whether the latest are held out.
        budget: A wall limit, where there is one.
    """
    inner = _of_most_active(graph, seed, temporal=temporal)
    if inner is None:
        return UserSideSettings()
    task, history = RankingTask(inner, Split.VALID), history_of(inner)

    def fit(settings: UserSideSettings) -> Scorer:
        return UserSide.fit(history, settings.ridge, item_exponent=settings.item_exponent)

    axes: list[Axis[UserSideSettings]] = [
        ladder(setting("ridge"), _USER_RIDGES),
        ladder(setting("item_exponent"), _ITEM_EXPONENTS),
    ]
    return _climbed(UserSideSettings(), axes, fit, task, budget)


def fit_factors(
    history: Incidence,
    config: FactorsConfig,
    settings: FactorsSettings,
    seed: int,
    on_iteration: Callable[[str], None] = lambda _: None,
) -> WeightedMF:
    """Factorises with searched settings; arguments as of `WeightedMF.fit`."""
    return WeightedMF.fit(
        history,
        factors=config.dimensions,
        unobserved=settings.unobserved,
        ridge=settings.ridge,
        iterations=config.iterations,
        seed=seed,
        on_iteration=on_iteration,
    )


def search_factors(
    graph: GraphData,
    config: FactorsConfig,
    *,
    seed: int,
    temporal: bool,
    budget: Budget,
    on_trial: Callable[[str], None] = lambda _: None,
) -> FactorsSettings:
    """Chooses ridge, then what unobserved items count, as `search_user_side` does.

    Args:
        graph: The graph; only its train interactions are read.
        config: Dimensions and iterations.
        seed: Of the inner split and of the first factors.
        temporal: Whether the latest are held out.
        budget: A wall limit, where there is one.
        on_trial: Is told what is tried.
    """
    inner = _of_most_active(graph, seed, temporal=temporal)
    if inner is None:
        return FactorsSettings()
    task, history = RankingTask(inner, Split.VALID), history_of(inner)

    def fit(settings: FactorsSettings) -> Scorer:
        on_trial(f"{settings.ridge:g}, {settings.unobserved:g}")
        return fit_factors(history, config, settings, seed)

    axes: list[Axis[FactorsSettings]] = [
        ladder(setting("ridge"), _FACTOR_RIDGES),
        ladder(setting("unobserved"), _UNOBSERVED),
    ]
    return _climbed(FactorsSettings(), axes, fit, task, budget)


def search_directed(
    graph: GraphData,
    user_exponent: float,
    *,
    seed: int,
    budget: Budget,
    on_trial: Callable[[str], None] = lambda _: None,
) -> DirectedSettings:
    """Climbs from the defaults, one setting after the other, each user's latest held out.

    Args:
        graph: The graph; only its train interactions are read.
        user_exponent: Users weigh as in `gram.user_weights`.
        seed: Of the inner split.
        budget: A wall limit, where there is one.
        on_trial: Is told what is tried.
    """
    inner, _ = inner_graph(graph, (), _MOST_ITEMS, seed, temporal=True)
    history = history_of(inner)
    ranks = inner_ranks(inner.train, history)
    if ranks is None or not len(inner.held_out[Split.VALID]):
        return DirectedSettings()
    task = RankingTask(inner, Split.VALID, max_users=_MOST_USERS, seed=seed)
    weight = user_weights(history.lengths, user_exponent)

    def fit(settings: DirectedSettings) -> Scorer:
        on_trial(f"{settings.ridge:g}, {settings.bandwidth:g}, {settings.recency:g}")
        return DirectedRidge.fit(
            history,
            ranks,
            settings.ridge,
            bandwidth=settings.bandwidth,
            recency=settings.recency,
            user_weight=weight,
        )

    axes: list[Axis[DirectedSettings]] = [
        line(scaled(name), (factor, 1 / factor))
        for factor in _FACTORS
        for name in ("recency", "ridge", "bandwidth")
    ]
    return _climbed(DirectedSettings(), axes, fit, task, budget)


def _climbed(
    start: _Settings,
    axes: Sequence[Axis[_Settings]],
    fit: Callable[[_Settings], Scorer],
    task: RankingTask,
    budget: Budget,
) -> _Settings:
    """The best settings by NDCG@20 of the task, with that value; the start if there is no time."""
    if budget.is_spent():
        return start

    def judge(settings: _Settings) -> float:
        return float(task.run(fit(settings), k=(20,))["ndcg@20"].mean())

    summit = climb(start, axes, judge, budget)
    return replace(summit.settings, inner_ndcg=summit.value)


def _of_most_active(graph: GraphData, seed: int, *, temporal: bool) -> GraphData | None:
    """An inner graph of the most active users, most popular items; None if nothing is held out."""
    train = graph.train
    count = np.bincount(train.user_index, minlength=graph.num_users)
    is_active = np.zeros(graph.num_users, dtype=bool)
    is_active[np.argsort(-count, kind="stable")[:_MOST_USERS]] = True
    rows = is_active[train.user_index]
    index = np.cumsum(is_active) - 1
    time = None if train.time is None else train.time[rows]
    part = Interactions(index[train.user_index[rows]], train.item_index[rows], time=time)
    users = graph.vocabularies[NodeLabel.USER]
    few = Vocabulary((users.ids[user] for user in np.flatnonzero(is_active)), users.label)
    vocabularies = {**graph.vocabularies, NodeLabel.USER: few}
    most_active = GraphData(graph.version, vocabularies, {}, part, {}, ())
    inner, _ = inner_graph(most_active, (), _MOST_ITEMS, seed, temporal=temporal)
    return inner if len(inner.held_out[Split.VALID]) else None
