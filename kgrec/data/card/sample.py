"""Pairs to look for leaks with: held out, drawn at random beside them, and seen."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.data.card.statistics import degrees_of, ends, slices
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
class Sample:
    """What is compared: pairs of a user with three items each.

    Attributes:
        user: int64 (n,).
        items: int64 (3, n): one drawn from the user's valid and test; a random one that is about as
            popular in train and that the user does not know; one of the user's train items.
        own: All train interactions of these users as `user * num_items + item`, ascending.
        held_out_keys: All held-out ones of theirs, likewise.
        num_items: Items there are.
    """

    user: Index
    items: Index
    own: Index
    held_out_keys: Index
    num_items: int

    def __len__(self) -> int:
        return len(self.user)

    @property
    def keys(self) -> Index:
        """The pairs as `user * num_items + item`, int64 (3, n)."""
        return self.user * self.num_items + self.items


def draw_sample(dataset: Dataset, rng: np.random.Generator) -> Sample | None:
    """Draws pairs whose users have two train interactions or more; None if there are none."""
    train = dataset.interactions[Split.TRAIN]
    held_frames = [
        dataset.interactions[s] for s in (Split.VALID, Split.TEST) if s in dataset.interactions
    ]
    num_users, num_items = (len(dataset.nodes[x]) for x in (NodeLabel.USER, NodeLabel.ITEM))
    history, popularity = (
        degrees_of(positions, size)
        for positions, size in zip(ends(train), (num_users, num_items), strict=True)
    )
    user, item = _some(held_frames, rng)
    enough = history[user] >= 2
    user, item = user[enough], item[enough]
    affordable = _within_budget(user, history)
    user, item = user[affordable], item[affordable]
    if not len(user):
        return None
    users = np.zeros(num_users, bool)
    users[user] = True
    own = _keys([train], users, num_items)
    held_out = _keys(held_frames, users, num_items)
    control = _controls(user, item, popularity, np.union1d(own, held_out), rng)
    starts = np.searchsorted(own, user * num_items)
    train_items = own[starts + rng.integers(0, history[user])] % num_items
    has_control = control >= 0
    items = np.stack([item, control, train_items])[:, has_control]
    return Sample(user[has_control], items, own, held_out, num_items)


def contains(ascending: Index, values: Index) -> Mask:
    """Tells which values, of any shape, occur among ascending ones (m,)."""
    if not len(ascending):
        return np.zeros(values.shape, bool)
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


def _some(frames: list[pd.DataFrame], rng: np.random.Generator) -> Index:
    """Draws heads and tails, int64 (2, n), of all frames' rows alike, in random order."""
    sizes = [len(frame) for frame in frames]
    rows = rng.choice(sum(sizes), min(sum(sizes), MOST_PAIRS), replace=False)
    pairs = np.empty((2, len(rows)), np.int64)
    start = 0
    for frame, size in zip(frames, sizes, strict=True):
        here = (rows >= start) & (rows < start + size)
        for end, values in enumerate(ends(frame)):
            pairs[end, here] = values[rows[here] - start]
        start += size
    return pairs


def _within_budget(user: Index, history: Index) -> Mask:
    """Keeps pairs, in order, until their users have MOST_OWN train interactions together."""
    first = np.zeros(len(user), bool)
    first[np.unique(user, return_index=True)[1]] = True
    spent = np.cumsum(np.where(first, history[user], 0))
    # The first pair stays whatever its user has.
    return np.asarray((spent <= MOST_OWN) | (np.arange(len(user)) == 0))


def _controls(
    user: Index, item: Index, popularity: Index, interacted: Index, rng: np.random.Generator
) -> Index:
    """Draws per pair an item of about the same rank by popularity; -1 where none is unknown."""
    num_items = len(popularity)
    by_rank = np.lexsort((rng.random(num_items), popularity))
    rank = np.empty(num_items, np.int64)
    rank[by_rank] = np.arange(num_items)
    width = min(max(25, num_items // 100), num_items)
    low = np.clip(rank[item] - width // 2, 0, num_items - width)
    control = np.full(len(user), -1)
    for _ in range(_TRIES):
        open_ = np.flatnonzero(control < 0)
        candidates = by_rank[low[open_] + rng.integers(0, width, len(open_))]
        unknown = ~contains(interacted, user[open_] * num_items + candidates)
        control[open_[unknown]] = candidates[unknown]
    return control
