"""Pairs to look for leaks with: held out, drawn at random beside them, and seen."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.data.card.statistics import Positions, degrees_of, slices
from kgrec.data.tables import Dataset
from kgrec.schema import NodeLabel, Split

Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Held-out pairs that are looked at.
MOST_PAIRS = 20_000
#: Train interactions of their users that are looked at; heavy users leave fewer pairs.
MOST_OWN = 2_000_000
#: How often a control item is drawn again that the user knows.
_TRIES = 8


@dataclass(frozen=True)
class Pairs:
    """Users and items, both int64 (n,)."""

    user: Index
    item: Index

    def __len__(self) -> int:
        return len(self.user)

    def take(self, where: Mask | Index) -> "Pairs":
        """The pairs of a mask or of positions."""
        return Pairs(self.user[where], self.item[where])


@dataclass(frozen=True)
class Sample:
    """What is compared; row by row the three are of the same user.

    Attributes:
        held_out: Drawn from valid and test.
        control: The user with a random item that is about as popular in train and that the user
            does not know.
        train: The user with one of their train items.
        own: All train interactions of these users as `user * num_items + item`, ascending.
        held_out_keys: All held-out ones of theirs, likewise.
        num_items: Items there are.
    """

    held_out: Pairs
    control: Pairs
    train: Pairs
    own: Index
    held_out_keys: Index
    num_items: int

    def keys(self, pairs: Pairs) -> Index:
        """The pairs as `user * num_items + item`."""
        return pairs.user * self.num_items + pairs.item


def draw_sample(dataset: Dataset, rng: np.random.Generator) -> Sample | None:
    """Draws pairs whose users have two train interactions or more; None if there are none."""
    train = dataset.interactions[Split.TRAIN]
    held_frames = [
        dataset.interactions[s] for s in (Split.VALID, Split.TEST) if s in dataset.interactions
    ]
    num_users, num_items = (len(dataset.nodes[x]) for x in (NodeLabel.USER, NodeLabel.ITEM))
    history = degrees_of(ends(train)[0], num_users)
    pairs = _some(held_frames, rng)
    pairs = pairs.take(history[pairs.user] >= 2)
    pairs = pairs.take(_within_budget(pairs.user, history))
    if not len(pairs):
        return None
    users = np.zeros(num_users, bool)
    users[pairs.user] = True
    own = _keys([train], users, num_items)
    held_out = _keys(held_frames, users, num_items)
    control = _controls(pairs, degrees_of(ends(train)[1], num_items), own, held_out, rng)
    starts = np.searchsorted(own, pairs.user * num_items)
    train_items = own[starts + rng.integers(0, history[pairs.user])] % num_items
    has_control = control >= 0
    return Sample(
        pairs.take(has_control),
        Pairs(pairs.user, control).take(has_control),
        Pairs(pairs.user, train_items).take(has_control),
        own,
        held_out,
        num_items,
    )


def ends(edges: pd.DataFrame) -> tuple[Positions, Positions]:
    """Gives heads and tails, both (n,), as they are."""
    return edges["head"].to_numpy(), edges["tail"].to_numpy()


def contains(ascending: Index, values: Index) -> Mask:
    """Tells which values (n,) occur among ascending ones (m,)."""
    if not len(ascending):
        return np.zeros(len(values), bool)
    places = np.searchsorted(ascending, values)
    return np.asarray(ascending[np.minimum(places, len(ascending) - 1)] == values)


def edge_keys(
    edges: pd.DataFrame, heads: Mask, tails: Mask | None, num_tails: int
) -> Iterator[Index]:
    """Gives `head * num_tails + tail` of the edges between marked nodes, part by part."""
    head, tail = ends(edges)
    for part in slices(len(head)):
        mask = heads[head[part]]
        if tails is not None:
            mask &= tails[tail[part]]
        yield head[part][mask].astype(np.int64) * num_tails + tail[part][mask]


def _keys(frames: list[pd.DataFrame], users: Mask, num_items: int) -> Index:
    parts = [part for frame in frames for part in edge_keys(frame, users, None, num_items)]
    return np.sort(np.concatenate([np.empty(0, np.int64), *parts]))


def _some(frames: list[pd.DataFrame], rng: np.random.Generator) -> Pairs:
    """Draws rows of all frames alike, in random order."""
    sizes = [len(frame) for frame in frames]
    rows = rng.choice(sum(sizes), min(sum(sizes), MOST_PAIRS), replace=False)
    user, item = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    start = 0
    for frame, size in zip(frames, sizes, strict=True):
        here = (rows >= start) & (rows < start + size)
        for end, out in zip(ends(frame), (user, item), strict=True):
            out[here] = end[rows[here] - start]
        start += size
    return Pairs(user, item)


def _within_budget(user: Index, history: Index) -> Mask:
    """Keeps pairs, in order, until their users have MOST_OWN train interactions together."""
    first = np.zeros(len(user), bool)
    first[np.unique(user, return_index=True)[1]] = True
    spent = np.cumsum(np.where(first, history[user], 0))
    # The first pair stays whatever its user has.
    return np.asarray((spent <= MOST_OWN) | (np.arange(len(user)) == 0))


def _controls(
    pairs: Pairs, popularity: Index, own: Index, held_out: Index, rng: np.random.Generator
) -> Index:
    """Draws per pair an item of about the same rank by popularity; -1 where none is unknown."""
    num_items = len(popularity)
    by_rank = np.lexsort((rng.random(num_items), popularity))
    rank = np.empty(num_items, np.int64)
    rank[by_rank] = np.arange(num_items)
    width = min(max(25, num_items // 100), num_items)
    low = np.clip(rank[pairs.item] - width // 2, 0, num_items - width)
    control = np.full(len(pairs), -1)
    for _ in range(_TRIES):
        open_ = np.flatnonzero(control < 0)
        candidates = by_rank[low[open_] + rng.integers(0, width, len(open_))]
        keys = pairs.user[open_] * num_items + candidates
        interacted = contains(own, keys) | contains(held_out, keys)
        control[open_[~interacted]] = candidates[~interacted]
    return control
