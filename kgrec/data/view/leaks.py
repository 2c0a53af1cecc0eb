"""What is held out, and which other rows would give it away."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.data.journal.events import NO_TIME
from kgrec.data.view.pairs import Pairs, pair_keys
from kgrec.data.view.runs import Index, Mask, contains, starts_of
from kgrec.data.view.splits import NEVER, TRAIN, Moments

#: Rows that are looked up at a time, to need little memory.
_ROWS = 1_000_000

Codes = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class HeldOut:
    """The pairs of valid and test, and from when on nothing else may be known.

    Attributes:
        pairs: int64, `user * num_items + item` of every held-out pair, ascending.
        num_items: Number of the items' codes.
        user_from: int64 (num_users,), time of each user's first held-out pair in seconds since
            1970 UTC; the greatest int64 where nothing is held out, or the split is not by time.
        moments: From when on a global cut makes interactions valid's and test's; None for other
            splits.
    """

    pairs: Index
    num_items: int
    user_from: Index
    moments: Moments | None = None

    @classmethod
    def of(
        cls,
        targets: Pairs,
        parts: npt.NDArray[np.int8],
        num_users: int,
        num_items: int,
        *,
        by_time: bool,
        moments: Moments | None = None,
    ) -> "HeldOut":
        """Finds what is held out.

        Args:
            targets: All target pairs.
            parts: Position in `Split` of each (n,).
            num_users: Number of the users' codes.
            num_items: Number of the items' codes.
            by_time: Whether the split is by time.
            moments: Where a global cut was made.
        """
        rows = np.flatnonzero(parts != TRAIN)
        user = targets["user"][rows]
        user_from = np.full(num_users, NEVER, dtype=np.int64)
        if by_time and len(rows):
            starts = starts_of(user)
            user_from[user[starts]] = np.minimum.reduceat(targets["time"][rows], starts)
        keys = pair_keys(user, targets["item"][rows], num_items)
        return cls(keys, num_items, user_from, moments)

    @classmethod
    def joined(cls, parts: list["HeldOut"]) -> "HeldOut":
        """Joins what is held out of parts (at least one) of the users."""
        pairs = np.concatenate([part.pairs for part in parts])
        pairs.sort(kind="stable")
        user_from = np.minimum.reduce([part.user_from for part in parts])
        return cls(pairs, parts[0].num_items, user_from, parts[0].moments)

    def leaves(
        self, user: Codes | None, item: Codes | None, time: Index | pd.Series | None
    ) -> Mask:
        """Marks rows that would tell of held-out interactions, and so must leave.

        These are rows of a held-out pair; with a split by time also rows of a user from the user's
        first held-out interaction on, or any from a global cut on. Without a time nobody knows
        whether they are older, and they leave as well.

        Args:
            user: Codes (n,), negative where a row has no user; None if none has one.
            item: Codes (n,), negative where a row has no item; None if none has one.
            time: int64 (n,), seconds since 1970 UTC, or NO_TIME; in a series missing where
                unknown; None if none is known.

        Returns:
            Mask (n,).
        """
        length = len(next(part for part in (user, item, time) if part is not None))
        users = np.full(length, -1, dtype=np.int32) if user is None else np.asarray(user)
        items = np.full(length, -1, dtype=np.int32) if item is None else np.asarray(item)
        times = _seconds(time, length)
        leaving = np.empty(length, dtype=np.bool_)
        for start in range(0, length, _ROWS):
            rows = slice(start, start + _ROWS)
            leaving[rows] = self._leave(users[rows], items[rows], times[rows])
        return leaving

    def _leave(self, user: Codes, item: Codes, time: Index) -> Mask:
        leaving = contains(self.pairs, pair_keys(user, item, self.num_items))
        leaving &= (user >= 0) & (item >= 0)
        bound = np.full(len(user), NEVER, dtype=np.int64)
        bound[user >= 0] = self.user_from[user[user >= 0]]
        if self.moments is not None:
            np.minimum(bound, self.moments[0], out=bound)
        leaving |= (bound < NEVER) & ((time >= bound) | (time == NO_TIME))
        return leaving


def _seconds(time: Index | pd.Series | None, length: int) -> Index:
    if time is None:
        return np.full(length, NO_TIME, dtype=np.int64)
    if isinstance(time, pd.Series):
        return np.asarray(time.astype("Int64").to_numpy(na_value=NO_TIME), dtype=np.int64)
    return time
