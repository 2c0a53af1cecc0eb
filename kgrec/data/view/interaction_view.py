"""All edges between users and items, by the journal's codes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import NamedTuple

import numpy as np
import pandas as pd

from kgrec.data.view.behaviours import Ratings
from kgrec.data.view.leaks import HeldOut
from kgrec.data.view.pairs import pair_keys
from kgrec.data.view.runs import Index, Mask, contains
from kgrec.errors import DataError
from kgrec.schema import EdgeKey, Role, Split


class BehaviourEdges(NamedTuple):
    """The edges of one behaviour that is no target, or of the dislikes.

    Attributes:
        name: The behaviour's name, or "disliked".
        key: Its edge set.
        role: What it says to a model.
        edges: A frame like those of `InteractionView.splits`.
    """

    name: str
    key: EdgeKey
    role: Role
    edges: pd.DataFrame


@dataclass(frozen=True)
class InteractionView:
    """All edges between users and items, by their codes.

    Attributes:
        splits: Per split a frame with `head`, `tail` (int32, codes of user and item), those of
            `rating`, `time`, `weight`, `count` and `session` that carry anything, and `load`
            (int32), sorted by head and tail. `weight` and `count` are NaN where they are 1; whole
            numbers are float64 where some are missing.
        behaviours: Every behaviour that is evidence or negative, with or without edges, and last
            the dislikes, if a target has a `min_rating`.
        held_out: What valid and test hold, and what else would give it away.
        users: Whether a user's code is in the graph, bool (num_users,): it occurs in an event that
            is no deletion, and no rule has left the user out.
        items: Likewise for items (num_items,).
        ratings: What ratings were met.

    Raises:
        DataError: If a pair is in two splits.
    """

    splits: Mapping[Split, pd.DataFrame]
    behaviours: tuple[BehaviourEdges, ...]
    held_out: HeldOut
    users: Mask
    items: Mask
    ratings: Ratings = field(compare=False)

    def __post_init__(self) -> None:
        keys = {split: _keys(frame, len(self.items)) for split, frame in self.splits.items()}
        for few, many in (
            (Split.TEST, Split.VALID),
            (Split.TEST, Split.TRAIN),
            (Split.VALID, Split.TRAIN),
        ):
            overlap = contains(keys[many], keys[few])
            if overlap.any():
                user, item = divmod(int(keys[few][overlap][0]), len(self.items))
                raise DataError(
                    f"the pair of user code {user} and item code {item} is in {many} and in {few}, "
                    f"as are {overlap.sum() - 1:,} others; expected disjoint splits"
                )

    @classmethod
    def joined(cls, views: list["InteractionView"]) -> "InteractionView":
        """Joins the views (at least one) of parts of the users, and empties them.

        Raises:
            ConfigError: If `min_rating` is set, but nothing is rated.
            DataError: If no rating reaches `min_rating`, or a user is in two parts.
        """
        num_items = len(views[0].items)
        splits = {
            split: _joined_frames([view.splits[split] for view in views], num_items)
            for split in Split
        }
        behaviours = tuple(
            first._replace(
                edges=_joined_frames([view.behaviours[at].edges for view in views], num_items)
            )
            for at, first in enumerate(views[0].behaviours)
        )
        held_out = HeldOut.joined([view.held_out for view in views])
        users = np.logical_or.reduce([view.users for view in views])
        items = np.logical_or.reduce([view.items for view in views])
        ratings = reduce(Ratings.plus, [view.ratings for view in views])
        views.clear()
        ratings.check()
        return cls(splits, behaviours, held_out, users, items, ratings)


def _keys(frame: pd.DataFrame, num_items: int) -> Index:
    return pair_keys(frame["head"].to_numpy(), frame["tail"].to_numpy(), num_items)


def _joined_frames(frames: list[pd.DataFrame], num_items: int) -> pd.DataFrame:
    """Puts frames together, sorted by head and tail, column by column, and empties them."""
    if len(frames) == 1:
        return frames[0]
    keys = np.concatenate([_keys(frame, num_items) for frame in frames])
    order = np.argsort(keys, kind="stable")  # quick on parts that are sorted
    del keys
    rows = [len(frame) for frame in frames]
    columns = {}
    for name in [n for n in _COLUMNS if any(n in frame for frame in frames)]:
        parts = [
            frame.pop(name).to_numpy() if name in frame else np.full(length, np.nan)
            for frame, length in zip(frames, rows, strict=True)
            if length
        ]
        whole = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
        del parts
        columns[name] = whole[order]
    return pd.DataFrame(columns, copy=False)


_COLUMNS = ("head", "tail", "rating", "time", "weight", "count", "session", "load")
