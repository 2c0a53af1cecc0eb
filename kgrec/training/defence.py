"""Sets interactions aside that look made up, before anything is learned from them.

How it goes: history -> of every user how badly others explain what the user has, and how like the
user is to others (`model.suspicion`) -> the most suspicious shares of the users, who exist in any
data -> items whose users are among them far more often than chance would bring are taken for
targets -> the suspicious users of a target are set aside. People with strange tastes are strange
each in their own way; the profiles of an attack share what they push.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr
from scipy.stats import rankdata

from kgrec.config import Config, DefenceConfig
from kgrec.errors import ConfigError
from kgrec.graph.data import GraphData, IndexArray
from kgrec.model.incidence import Incidence
from kgrec.model.suspicion import HistoryCore, alikeness, explain_users
from kgrec.schema import NodeLabel, Split
from kgrec.training.inner_split import history_of
from kgrec.training.parts.closed_form import ClosedFormConfig
from kgrec.training.record import DefenceRecord

logger = logging.getLogger(__name__)

#: Of a normal sample, the standard deviation by the median absolute deviation.
_NORMAL = 1.4826
#: An item with fewer suspicious users is no target: too few to push anything.
_LEAST = 3
#: What others say of a user is compared with the so large share of the users who are nearest in
#: number of items: the more of them, the more is there to explain one by another. It is wide, so
#: that an attack does not fill it.
_NEAREST = 1 / 3
#: Of a target's users so large a share, the least unexpected, tell how many are real.
_LAST = 0.25
#: Who is this many robust deviations more like so large a share of the users, ten at least, than
#: people are is too alike. Nobody was, on clean data (docs/robustness.md).
_ALIKE, _ALIKE_TO, _ALIKE_TO_LEAST = 3.0, 0.01, 10
#: People differ so much at least; where most are alike to nobody the median deviation says nothing.
_ALIKE_SPREAD = 0.03
#: Their share counts as this at least, or a few would make any item theirs.
_ALIKE_LEAST = 0.02

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Suspects:
    """Who looks made up.

    Attributes:
        suspicion: (num_users,) float64, robust deviations of the larger of two signs; 0 for users
            who cannot be judged.
        excess: (num_items,) float64, by how many deviations more of an item's users are suspicious
            than chance would bring.
        targets: (t,) int64, items taken for the targets of an attack, the clearest first.
        users: (s,) int64, the suspicious users of a target.
    """

    suspicion: _Floats
    excess: _Floats
    targets: IndexArray
    users: IndexArray


def defended(config: Config, graph: GraphData) -> tuple[GraphData, DefenceRecord | None]:
    """Gives the graph that is learned from, and what was set aside of it.

    Args:
        config: The settings; without `defence.filter` nothing is looked at.
        graph: The graph. Of users who are set aside train and valid leave; test and the other
            edges stay.

    Returns:
        The graph, and who was set aside for the record; None if the settings do not ask.

    Raises:
        ConfigError: If there are more items than the detector can take, or a trusted user is
            unknown.
    """
    settings = config.defence
    if not settings.filter:
        return graph, None
    most = ClosedFormConfig.of(config).max_items
    if graph.num_items > most:
        raise ConfigError(
            f"defence.filter inverts a matrix of {graph.num_items:,} items, expected at most "
            f"closed_form.max_items = {most:,}; raise that, or turn the "
            f"filter off"
        )
    vocabulary = graph.vocabularies[NodeLabel.USER]
    unknown = [name for name in settings.trusted if name not in vocabulary]
    if unknown:
        raise ConfigError(
            f"defence.trusted names {unknown[0]!r}, which is no user of this graph; correct the id"
        )
    suspicious = suspects(history_of(graph), settings)
    trusted = [vocabulary.index(name) for name in settings.trusted]
    users = np.setdiff1d(suspicious.users, np.asarray(trusted, dtype=np.int64))
    is_theirs = np.isin(graph.train.user_index, users)
    record = _record(graph, suspicious, users, int(is_theirs.sum()))
    logger.info("%s", record.words)
    if not len(users):
        return graph, record
    held_out = dict(graph.held_out)
    valid = held_out.get(Split.VALID)
    if valid is not None:
        held_out[Split.VALID] = valid.take(~np.isin(valid.user_index, users))
    return replace(graph.without_train(is_theirs), held_out=held_out), record


def suspects(history: Incidence, config: DefenceConfig) -> Suspects:
    """Finds users who look made up.

    There are two signs, in robust deviations from the median. A user is *unexpected* as far as the
    others explain the user's items badly, popularity aside and popularity included: the sum of
    both, with the standard errors that few items leave, against users with about as many items.
    And a user may be *too alike* to others. An attack whose profiles pass for people shows little
    in each of them, but in many, so for each item three shares of the unexpected are looked at, and
    the one that exceeds chance most counts. Of a target's users those are set aside who stand where
    most are made up (`_reach`).

    Args:
        history: What each user has.
        config: How many are looked at, and from where on an item is a target.

    References:
        Target items by the suspicious among their users: Zhou et al., "SVM-TIA: a shilling attack
        detection method based on SVM and target item analysis", Neurocomputing 2016.
    """
    core = HistoryCore.of(history)
    size, number = history.num_columns, len(core.users)
    if not number:
        empty = np.empty(0, dtype=np.int64)
        return Suspects(np.zeros(history.num_rows), np.zeros(size), empty, empty)
    unexpected, alike = _signs(core)
    place = (rankdata(unexpected) - 0.5) / number
    groups = [(place > 1 - share, share) for share in _shares(config)]
    groups.append((alike > _ALIKE, max(float((alike > _ALIKE).mean()), _ALIKE_LEAST)))
    row, item = core.history.rows.numpy(), core.history.columns.numpy()
    num_items = len(core.items)
    by_group = np.stack([_excess(row, item, num_items, *group) for group in groups])  # (g, b)
    item_excess = by_group.max(axis=0)  # (b,)
    members = np.zeros(number, dtype=bool)
    for target in np.flatnonzero(item_excess > config.threshold):
        group, share = groups[int(by_group[:, target].argmax())]
        users = row[item == target]
        if group is not groups[-1][0]:
            group = place > 1 - _reach(place[users], share)
        members[users[group[users]]] = True
    excess, suspicion = np.zeros(size), np.zeros(history.num_rows)
    excess[core.items.numpy()] = item_excess
    users = core.users.numpy()
    suspicion[users] = np.maximum(unexpected, alike)
    targets = np.flatnonzero(excess > config.threshold)
    targets = targets[np.argsort(-excess[targets], kind="stable")]
    return Suspects(suspicion, excess, targets, users[members])


def _shares(config: DefenceConfig) -> tuple[float, ...]:
    return config.suspicious, config.suspicious / 2, config.suspicious / 4


def _reach(places: _Floats, share: float) -> float:
    """Up to which share, from the most unexpected on, most of a target's users are made up.

    Real users stand anywhere, so those in the last quarter tell how many stand in any tenth (one
    more is counted, as none may be there by chance). Where twice as many do, half are made up.

    Args:
        places: (n,) float64, where its users stand among all users, 1 the most unexpected.
        share: At which it was found.
    """
    per_tenth = 0.1 / _LAST * (1 + np.count_nonzero(places <= _LAST))
    while share + 0.1 <= 1 - _LAST + 1e-9:
        next_tenth = (places <= 1 - share) & (places > 0.9 - share)
        if np.count_nonzero(next_tenth) < 2 * per_tenth:
            break
        share += 0.1
    return share


def _signs(core: HistoryCore) -> tuple[_Floats, _Floats]:
    """How unexpected and how alike the judged users are, (a,) each, in robust deviations."""
    typicality, lengths = explain_users(core), core.history.lengths.numpy()
    unexpected = sum(
        _below(values.numpy(), error.numpy(), lengths)
        for values, error in (
            (typicality.beyond, typicality.beyond_error),
            (typicality.place, typicality.place_error),
        )
    )
    neighbours = max(_ALIKE_TO_LEAST, round(_ALIKE_TO * len(core.users)))
    near = alikeness(core.history, neighbours).numpy()
    middle, spread = _middle_and_spread(near)
    return np.asarray(unexpected), (near - middle) / max(spread, _ALIKE_SPREAD)


def _excess(
    row: IndexArray, item: IndexArray, num_items: int, group: npt.NDArray[np.bool_], share: float
) -> _Floats:
    """By how many deviations more of each item's users are of a group than chance brings, (b,).

    √(2 n KL(k / n ‖ share)) of n users, k of whom are of it: the signed root of the likelihood
    ratio. (k - n share) / √(n share (1 - share)) would find 6 of 6 as striking as 29 of 100.
    """
    count = np.bincount(item, minlength=num_items)
    among = np.bincount(item, group[row], minlength=num_items)
    rate = among / np.maximum(count, 1)
    divergence = rel_entr(rate, share) + rel_entr(1 - rate, 1 - share)
    more = (among >= _LEAST) & (rate > share)
    return np.where(more, np.sqrt(2 * count * np.maximum(divergence, 0.0)), 0.0)


def _below(values: _Floats, error: _Floats, lengths: IndexArray) -> _Floats:
    """By how many robust deviations values (a,) are below the median of users alike in length."""
    order = np.argsort(lengths, kind="stable")
    number = len(lengths)
    deviations = np.zeros(number)
    for length in np.unique(lengths):
        first, last = (np.searchsorted(lengths[order], length, side) for side in ("left", "right"))
        half = max(round(_NEAREST * number / 2), (last - first + 1) // 2, 1)
        start = max(0, min((first + last) // 2 - half, number - 2 * half))
        middle, spread = _middle_and_spread(values[order[start : start + 2 * half]])
        same = order[first:last]
        deviation = np.sqrt(spread**2 + np.square(error[same]) + 1e-12)
        deviations[same] = (middle - values[same]) / deviation
    return deviations


def _middle_and_spread(values: _Floats) -> tuple[float, float]:
    """The median, and what the standard deviation of a normal sample would be."""
    middle = np.median(values)
    return float(middle), float(_NORMAL * np.median(np.abs(values - middle)))


def _record(
    graph: GraphData, suspicious: Suspects, users: IndexArray, interactions: int
) -> DefenceRecord:
    ids = {label: graph.vocabularies[label].ids for label in (NodeLabel.USER, NodeLabel.ITEM)}
    targets = {
        ids[NodeLabel.ITEM][t]: round(float(suspicious.excess[t]), 2) for t in suspicious.targets
    }
    words = (
        f"The defence sets aside {len(users):,} of {graph.num_users:,} users with "
        f"{interactions:,} of {len(graph.train):,} interactions, who look made up and share "
        f"{len(targets)} item{'' if len(targets) == 1 else 's'}. Nothing was learned from them; "
        f"name those who are real in defence.trusted and train again."
    )
    if not len(users):
        words = "The defence sets nobody aside: no item gathers suspicious users."
    return DefenceRecord(
        users=[ids[NodeLabel.USER][user] for user in users],
        suspicion=[round(float(suspicious.suspicion[user]), 2) for user in users],
        targets=targets,
        interactions=interactions,
        words=words,
    )
