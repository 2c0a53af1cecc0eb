"""Runs of equal keys in sorted arrays, and blocks of whole users."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Index = npt.NDArray[np.int64]


def is_start(keys: Array) -> Mask:
    """Marks where a run of equal keys (n,) starts."""
    first = np.ones(len(keys), dtype=np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    return first


def starts_of(keys: Array) -> Index:
    """Gives the position at which each run of equal keys (n,) starts."""
    return np.flatnonzero(is_start(keys))


def sizes_of(starts: Index, length: int) -> Index:
    """Gives how long the runs are that start there, in an array of `length`."""
    return np.diff(starts, append=length)


def rows_after(keys: Array) -> Index:
    """Gives for each row (n,) how many rows of the same run come after it."""
    starts = starts_of(keys)
    ends = starts + sizes_of(starts, len(keys))
    after: Index = np.repeat(ends - 1, ends - starts) - np.arange(len(keys))
    return after


def contains(keys: Array, candidates: Array) -> Mask:
    """Marks those of `candidates` (n,) that are among `keys`, which ascend."""
    if not len(keys):
        return np.zeros(len(candidates), dtype=np.bool_)
    at = np.searchsorted(keys, candidates)
    np.minimum(at, len(keys) - 1, out=at)
    is_member: Mask = keys[at] == candidates
    return is_member


def ordered(keys: Array, *ties: Array) -> Index:
    """Gives the order (n,) by `keys`, equal ones by the first of `ties`, then by the next.

    Most keys occur once, and one plain sort is all they need; the rest is sorted for the others
    only.
    """
    order = np.argsort(keys)
    first = is_start(keys[order])
    shared = ~first
    shared[:-1] |= shared[1:]
    if shared.any():
        rows = order[shared]
        order[shared] = rows[np.lexsort((*(tie[rows] for tie in reversed(ties)), keys[rows]))]
    return order


def user_blocks(
    user: npt.NDArray[np.int32], num_users: int, size: int
) -> Iterator[tuple[int, int]]:
    """Gives ranges of users [from, to) with about `size` rows each, at least one range.

    Rules that look at one user at a time are applied to a block at a time: a sort of few rows is
    quick, and what it needs besides is small.
    """
    ends = np.cumsum(np.bincount(user, minlength=num_users))
    low = offset = 0
    while True:
        high = int(np.searchsorted(ends, offset + size, side="left")) + 1
        high = min(max(high, low + 1), num_users)
        yield low, high
        if high >= num_users:
            return
        low, offset = high, int(ends[high - 1])
