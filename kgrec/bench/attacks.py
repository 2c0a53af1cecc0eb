"""Made-up interactions: noise on real users, and fake users who push or nuke an item.

Interactions are binary here, as what models learn from is, so an attacker can only add pairs. Fake
users have an index behind all real ones, so that the real ones keep theirs.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.errors import DataError
from kgrec.graph.data import GraphData, IndexArray, Interactions
from kgrec.schema import NodeLabel
from kgrec.vocabulary import Vocabulary

_Floats = npt.NDArray[np.float64]
Kind = Literal["random", "average", "bandwagon", "segment", "clones"]
#: Profiles of a bandwagon or segment attack share so many items.
_SHARED = 10
#: A segment is around an item that so many users have: a taste that is shared, but not by all.
_SEGMENT = (30, 100)


@dataclass(frozen=True)
class Attack:
    """Fake users with one target.

    Attributes:
        kind: What a profile has beside the target. `random`: items drawn alike; `average`: drawn by
            popularity, as an average user's are; `bandwagon`: the ten most popular and items drawn
            alike; `segment`: ten items that go together (the nearest, by cosine of their users, to
            one drawn among those that 30 to 100 users have), so that who likes these sees the
            target, and items drawn alike; `clones`: all that a real user of the target has, but not
            the target, which teaches that its friends do without it: nukes it, where the candidates
            push it.
        share: Fake users as a share of the real ones.
        profile: Items of a profile, target included; clones have what the real user has.
    """

    kind: Kind
    share: float
    profile: int

    @property
    def pushes(self) -> bool:
        """Whether it shall lift its target; else it shall sink it."""
        return self.kind != "clones"


def attacked(graph: GraphData, attack: Attack, target: int, seed: int) -> GraphData:
    """Gives the graph with fake users behind the real ones; all their pairs are in train.

    Args:
        graph: The graph.
        attack: What they do.
        target: Index of the item.
        seed: Of what is drawn.

    Raises:
        DataError: If nobody has the item that is to be nuked.
    """
    rng = np.random.default_rng(seed)
    count = max(1, round(attack.share * graph.num_users))
    popularity = np.bincount(graph.train.item_index, minlength=graph.num_items)
    shared = _shared(graph, attack, target, popularity, rng)
    profiles = [_profile(graph, attack, target, shared, popularity, rng) for _ in range(count)]
    user = np.repeat(graph.num_users + np.arange(count), [len(profile) for profile in profiles])
    return _with_users(graph, count, user, np.concatenate(profiles))


def _shared(
    graph: GraphData,
    attack: Attack,
    target: int,
    popularity: IndexArray,
    rng: np.random.Generator,
) -> IndexArray:
    """The items that all profiles of an attack have beside the target."""
    if attack.kind == "bandwagon":
        order = np.argsort(-popularity, kind="stable")
        return np.asarray(order[order != target][:_SHARED], dtype=np.int64)
    if attack.kind != "segment":
        return np.empty(0, dtype=np.int64)
    low, high = _SEGMENT
    around = np.flatnonzero((popularity >= low) & (popularity <= high))
    around = around[around != target]
    if not len(around):
        raise DataError(f"no item has {low} to {high} users, so there is no segment to attack")
    centre = rng.choice(around)
    train = graph.train
    owners = np.unique(train.user_index[train.item_index == centre])
    theirs = train.item_index[np.isin(train.user_index, owners)]
    common = np.bincount(theirs, minlength=graph.num_items) / np.sqrt(np.maximum(popularity, 1))
    common[[centre, target]] = [np.inf, -np.inf]
    return np.asarray(np.argsort(-common, kind="stable")[:_SHARED], dtype=np.int64)


def _profile(
    graph: GraphData,
    attack: Attack,
    target: int,
    shared: IndexArray,
    popularity: IndexArray,
    rng: np.random.Generator,
) -> IndexArray:
    train = graph.train
    if attack.kind == "clones":
        owners = np.unique(train.user_index[train.item_index == target])
        if not len(owners):
            raise DataError(f"item index {target} has no users to clone; take another target")
        own = np.unique(train.item_index[train.user_index == rng.choice(owners)])
        return np.asarray(own[own != target], dtype=np.int64)
    candidates = np.flatnonzero(popularity > 0)
    candidates = np.setdiff1d(candidates, [target, *shared])
    weight = popularity[candidates] if attack.kind == "average" else np.ones(len(candidates))
    size = min(max(attack.profile - 1 - len(shared), 0), len(candidates))
    fillers = rng.choice(candidates, size, replace=False, p=weight / weight.sum())
    return np.concatenate([[target], shared, fillers]).astype(np.int64)


def with_noise(graph: GraphData, share: float, seed: int) -> GraphData:
    """Gives the graph with pairs added that nobody had: users by their activity, items alike.

    Args:
        graph: The graph; its held-out pairs are not drawn, as they are true.
        share: Added pairs as a share of train's.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    train, width = graph.train, graph.num_items
    parts = [train, *graph.held_out.values()]
    true_keys = np.concatenate([part.user_index * width + part.item_index for part in parts])
    count = round(share * len(train))
    new = np.empty(0, dtype=np.int64)
    while len(new) < count:
        user = rng.choice(train.user_index, 2 * count)
        keys = np.setdiff1d(user * width + rng.integers(width, size=len(user)), true_keys)
        new = np.union1d(new, keys)
    new = rng.permutation(new)[:count]
    return _with_users(graph, 0, new // width, new % width)


def _with_users(graph: GraphData, count: int, user: IndexArray, item: IndexArray) -> GraphData:
    """Adds users at the end, and pairs; ratings and times of pairs are those of nobody."""
    train = graph.train
    joined = Interactions(
        np.concatenate([train.user_index, user]),
        np.concatenate([train.item_index, item]),
        _longer(train.rating, len(user), np.nan),
        _longer(train.time, len(user), _middle(train.time)),
    )
    order = np.lexsort((joined.item_index, joined.user_index))  # as a store gives them
    ids = [*graph.vocabularies[NodeLabel.USER].ids, *(f"fake {n}" for n in range(count))]
    frame = graph.properties[NodeLabel.USER]
    longer = pd.concat([frame, pd.DataFrame(index=range(count))], ignore_index=True)
    return replace(
        graph,
        version=f"{graph.version}-attacked",
        train=joined.take(order),
        vocabularies={
            **graph.vocabularies,
            NodeLabel.USER: Vocabulary(ids, NodeLabel.USER),
        },
        properties={**graph.properties, NodeLabel.USER: longer.reindex(columns=frame.columns)},
    )


def _longer(values: _Floats | None, count: int, fill: float) -> _Floats | None:
    return None if values is None else np.concatenate([values, np.full(count, fill)])


def _middle(times: _Floats | None) -> float:
    """The median time: nothing gives a made-up pair away by when it was."""
    finite = np.empty(0) if times is None else times[np.isfinite(times)]
    return float(np.median(finite)) if len(finite) else float("nan")
