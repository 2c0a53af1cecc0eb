"""Smaller problems made of train alone for what must not be chosen on valid, and their searches."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from kgrec.evaluation.floors import places_of_most_popular, train_history
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, IndexArray, Interactions
from kgrec.model.incidence import Incidence, RelationRows
from kgrec.model.scorer import Scorer
from kgrec.schema import NodeLabel, Split
from kgrec.training.climbing import Axis, Budget, climb
from kgrec.vocabulary import Vocabulary

_Mask = npt.NDArray[np.bool_]


def history_of(graph: GraphData) -> Incidence:
    """Gives the training items of each user."""
    return train_history(graph)


def is_temporal(graph: GraphData) -> bool:
    """Whether valid holds what users did after what is in train.

    Then an inner split must hold out the latest as well, or it would ask another question.
    """
    valid = graph.held_out.get(Split.VALID)
    if valid is None or not len(valid) or valid.time is None or graph.train.time is None:
        return False
    latest = np.full(graph.num_users, -np.inf)
    np.maximum.at(latest, graph.train.user_index, np.nan_to_num(graph.train.time, nan=-np.inf))
    known = np.isfinite(latest[valid.user_index])  # of cold users nothing is in train to be after
    later = valid.time[known] >= latest[valid.user_index[known]]
    return bool(len(later) and later.mean() > 0.9)


def time_ranks(train: Interactions, history: Incidence) -> torch.Tensor | None:
    """Gives each entry's place among its user's by time, from 0, the earliest.

    Interactions of one moment share the mean of their places.

    Args:
        train: The interactions that the history was made of.
        history: The training items of each user.

    Returns:
        (n,) float32 in the order of the history's entries; None without times, or where some are
        unknown.
    """
    time = _times(train, history)
    if time is None:
        return None
    user = history.rows.numpy()
    order = np.lexsort((time, user))
    start = history.pointer[:-1].numpy()[user]
    rank = np.empty(len(user))
    rank[order] = np.arange(len(user)) - start[order]
    moment = np.empty(len(user), dtype=np.int64)
    is_new_moment = np.diff(user[order], prepend=-1).astype(bool) | np.diff(
        time[order], prepend=np.nan
    ).astype(bool)
    moment[order] = np.cumsum(is_new_moment) - 1
    mean = np.bincount(moment, rank) / np.maximum(np.bincount(moment), 1)
    return torch.from_numpy(mean[moment]).float()


def inner_ranks(train: Interactions, history: Incidence) -> torch.Tensor | None:
    """Gives `time_ranks` of an inner graph, whose times are places already, among all items.

    So what is found among a few items means the same among all.

    Args:
        train: The inner graph's train interactions.
        history: Made of them.
    """
    times = _times(train, history)
    return None if times is None else torch.from_numpy(times).float()


def _times(train: Interactions, history: Incidence) -> npt.NDArray[np.float64] | None:
    """Each entry's time in the order of the history's; None where some are unknown."""
    if train.time is None or not len(train) or np.isnan(train.time).any():
        return None
    time = np.full(len(history.columns), -np.inf)
    np.maximum.at(time, _entries(train, history), train.time)  # repeats of a pair: the last
    return time


def _entries(train: Interactions, history: Incidence) -> IndexArray:
    """Which entry of the history each interaction became."""
    keys = (history.rows * history.num_columns + history.columns).numpy()
    return np.searchsorted(keys, train.user_index * history.num_columns + train.item_index)


def inner_graph(
    graph: GraphData,
    relations: Sequence[RelationRows],
    most_items: int,
    seed: int,
    *,
    temporal: bool = False,
) -> tuple[GraphData, list[RelationRows]]:
    """Gives a smaller problem made of train alone: popular items, a tenth of each user held out.

    Users keep at least two items to learn from. Behaviours of the held-out pairs are left out, as
    those of valid and test are. Item indices are those of the kept items, times are places among
    all that the user did (`inner_ranks`).

    Args:
        graph: The graph; only train is read.
        relations: Its rows over items.
        most_items: So many of the most popular items are kept.
        seed: Of the draw.
        temporal: Whether each user's latest are held out instead of drawn ones.
    """
    train = graph.train
    place = places_of_most_popular(graph, most_items)
    inside = np.flatnonzero(place[train.item_index] >= 0)
    noise = np.random.default_rng(seed).random(len(inside))
    keys: tuple[npt.NDArray[Any], ...] = (noise, train.user_index[inside])
    if temporal and train.time is not None:
        keys = (noise, -train.time[inside], train.user_index[inside])
    entries = inside[np.lexsort(keys)]
    user, item = train.user_index[entries], place[train.item_index[entries]]
    time = _places_in_time(graph)
    time = None if time is None else time[entries]
    is_held_out = _held_out(user, graph.num_users)

    def part(mask: _Mask) -> Interactions:
        return Interactions(user[mask], item[mask], time=None if time is None else time[mask])

    inner = _over(graph, place, part(~is_held_out), {Split.VALID: part(is_held_out)})
    return inner, inner_rows(relations, place, user[is_held_out], item[is_held_out])


def most_popular_rows(
    graph: GraphData, relations: Sequence[RelationRows], most_items: int
) -> tuple[GraphData, list[RelationRows]]:
    """Gives the train interactions of the most popular items, and the relations' rows over them."""
    place = places_of_most_popular(graph, most_items)
    user, item = graph.train.user_index, place[graph.train.item_index]
    train = Interactions(user[item >= 0], item[item >= 0])
    none = np.empty(0, dtype=np.int64)
    return _over(graph, place, train, {}), inner_rows(relations, place, none, none)


def _places_in_time(graph: GraphData) -> npt.NDArray[np.float64] | None:
    """Gives each interaction's place among its user's by time; None where some are unknown."""
    history = history_of(graph)
    ranks = time_ranks(graph.train, history)
    if ranks is None:
        return None
    places: npt.NDArray[np.float64] = ranks.double().numpy()[_entries(graph.train, history)]
    return places


def _over(
    graph: GraphData, place: IndexArray, train: Interactions, held_out: dict[Split, Interactions]
) -> GraphData:
    """A graph of the kept items, without properties and relations."""
    items = graph.vocabularies[NodeLabel.ITEM]
    ids = (items.ids[i] for i in np.flatnonzero(place >= 0))
    vocabularies = {**graph.vocabularies, NodeLabel.ITEM: Vocabulary(ids, items.label)}
    return GraphData(graph.version, vocabularies, {}, train, held_out, ())


def _held_out(user: IndexArray, num_users: int) -> _Mask:
    """A tenth of each user's, at least one where there are three: those that come first."""
    count = np.bincount(user, minlength=num_users)
    rank = np.arange(len(user)) - (np.cumsum(count) - count)[user]
    return rank < np.where(count >= 3, np.maximum(count // 10, 1), 0)[user]


def inner_rows(
    relations: Sequence[RelationRows],
    place: IndexArray,
    held_user: IndexArray,
    held_item: IndexArray,
) -> list[RelationRows]:
    """Gives the relations' rows over fewer items, without behaviours of held-out pairs.

    Args:
        relations: Rows over all items.
        place: (num_items,) each item's new index, -1 for those that go.
        held_user: (h,) users of held-out pairs.
        held_item: (h,) their items, in new indices.
    """
    size = int(place.max()) + 1 if len(place) else 0
    held_keys = torch.from_numpy(held_user * size + held_item)
    rows = []
    for relation in relations:
        owner, member = relation.rows.rows, torch.from_numpy(place)[relation.rows.columns]
        there = member >= 0
        if relation.by_user:
            there &= ~torch.isin(owner * size + member, held_keys)
        smaller = Incidence.from_pairs(owner[there], member[there], relation.rows.num_rows, size)
        rows.append(replace(relation, rows=smaller))
    return rows


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
