"""Sets interactions aside that look made up, before anything is learned from them.

How it goes: history -> three suspicions of every user (`model.suspicion`), the largest of which
counts -> a tenth of the users are suspicious, in any data -> items whose users are among them far
more often than chance would bring are taken for targets -> the suspicious users of a target are
set aside. People with strange tastes are strange each in their own way; the profiles of an attack
share what they push.
"""

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from kgrec.config import Config, DefenceConfig
from kgrec.errors import ConfigError
from kgrec.graph.data import GraphData, IndexArray
from kgrec.model.incidence import Incidence
from kgrec.model.suspicion import alikeness, explain_users
from kgrec.schema import NodeLabel, Split
from kgrec.training.inner_split import history_of

logger = logging.getLogger(__name__)

#: Of a normal sample, the standard deviation by the median absolute deviation.
_NORMAL = 1.4826
#: An item with fewer suspicious users is no target: too few to push anything.
_LEAST = 3

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Suspects:
    """Who looks made up.

    Attributes:
        suspicion: (num_users,) float64, deviations of the most suspicious of three signs.
        excess: (num_items,) float64, by how many deviations more of an item's users are suspicious
            than chance would bring.
        targets: (t,) int64, items taken for the targets of an attack, the clearest first.
        users: (s,) int64, the suspicious users of a target.
    """

    suspicion: _Floats
    excess: _Floats
    targets: IndexArray
    users: IndexArray


def defended(config: Config, graph: GraphData) -> tuple[GraphData, dict[str, Any] | None]:
    """Gives the graph that is learned from, and what was set aside of it.

    Args:
        config: The settings; without `defence.filter` nothing is looked at.
        graph: The graph. Of users who are set aside train and valid leave; test and the other
            edges stay.

    Returns:
        The graph, and for the record `users` and `targets` by id, `interactions`, `suspicious` and
        `words`; None if nothing was asked for.

    Raises:
        ConfigError: If there are more items than the detector can take, or a trusted user is
            unknown.
    """
    settings = config.defence
    if not settings.filter:
        return graph, None
    if graph.num_items > config.closed_form.max_items:
        raise ConfigError(
            f"defence.filter inverts a matrix of {graph.num_items:,} items, expected at most "
            f"closed_form.max_items = {config.closed_form.max_items:,}; raise that, or turn the "
            f"filter off"
        )
    vocabulary = graph.vocabularies[NodeLabel.USER]
    unknown = [name for name in settings.trusted if name not in vocabulary]
    if unknown:
        raise ConfigError(
            f"defence.trusted names {unknown[0]!r}, which is no user of this graph; correct the id"
        )
    found = suspects(history_of(graph), settings)
    trusted = [vocabulary.index(name) for name in settings.trusted]
    users = np.setdiff1d(found.users, np.asarray(trusted, dtype=np.int64))
    held = np.isin(graph.train.user_index, users)
    told = _told(graph, found, users, int(held.sum()))
    logger.info("%s", told["words"])
    if not len(users):
        return graph, told
    held_out = dict(graph.held_out)
    valid = held_out.get(Split.VALID)
    if valid is not None:
        held_out[Split.VALID] = valid.take(~np.isin(valid.user_index, users))
    return replace(graph.without_train(held), held_out=held_out), told


def suspects(history: Incidence, config: DefenceConfig) -> Suspects:
    """Finds users who look made up.

    A user's suspicion is the largest of three, each in robust deviations from the median of all:
    the others explain the user's items badly (a) popularity aside, (b) popularity included, both
    with the standard error that few items leave; (c) the user is very like ten others.

    Args:
        history: What each user has.
        config: How many are looked at, and from where on an item is a target.

    References:
        Target items by the suspicious among their users: Zhou et al., "SVM-TIA: a shilling attack
        detection method based on SVM and target item analysis", Neurocomputing 2016.
    """
    explained = explain_users(history)
    signs = np.stack(
        [
            _below(explained.beyond.numpy(), explained.beyond_error.numpy()),
            _below(explained.place.numpy(), explained.place_error.numpy()),
            _below(-alikeness(history).numpy(), 0.0),
        ]
    )
    suspicion = signs.max(axis=0)
    place = (rankdata(suspicion) - 0.5) / len(suspicion)
    suspicious = place > 1 - config.suspicious
    item = history.columns.numpy()
    count = np.bincount(item, minlength=history.num_columns)
    among = np.bincount(item, suspicious[history.rows.numpy()], minlength=history.num_columns)
    share = config.suspicious
    chance = np.sqrt(share * (1 - share) * np.maximum(count, 1))
    excess = np.where(among >= _LEAST, (among - share * count) / chance, 0.0)
    targets = np.flatnonzero(excess > config.threshold)
    targets = targets[np.argsort(-excess[targets], kind="stable")]
    of_target = history.rows.numpy()[np.isin(item, targets)]
    users = np.unique(of_target[suspicious[of_target]])
    return Suspects(suspicion, excess, targets, users)


def _below(values: _Floats, error: _Floats | float) -> _Floats:
    """By how many robust deviations values (n,) are below the median; 0 where there is none."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.zeros(len(values))
    middle = np.median(known)
    spread = _NORMAL * np.median(np.abs(known - middle))
    deviations = (middle - values) / np.sqrt(spread**2 + np.square(error) + 1e-12)
    return np.asarray(np.nan_to_num(deviations), dtype=np.float64)


def _told(
    graph: GraphData, found: Suspects, users: IndexArray, interactions: int
) -> dict[str, Any]:
    ids = {label: graph.vocabularies[label].ids for label in (NodeLabel.USER, NodeLabel.ITEM)}
    targets = {ids[NodeLabel.ITEM][t]: round(float(found.excess[t]), 2) for t in found.targets}
    words = (
        f"The defence sets aside {len(users):,} of {graph.num_users:,} users with "
        f"{interactions:,} of {len(graph.train):,} interactions, who look made up and share "
        f"{len(targets)} item{'' if len(targets) == 1 else 's'}. Nothing was learned from them; "
        f"name those who are real in defence.trusted and train again."
    )
    if not len(users):
        words = "The defence sets nobody aside: no item gathers suspicious users."
    return {
        "users": [ids[NodeLabel.USER][user] for user in users],
        "suspicion": [round(float(found.suspicion[user]), 2) for user in users],
        "targets": targets,
        "interactions": interactions,
        "words": words,
    }
