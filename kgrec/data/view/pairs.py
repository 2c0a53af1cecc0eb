"""Folded events, one row a pair of user and item, and the runs of equal keys in sorted arrays."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.data.journal.events import NO_SPLIT, NO_TIME
from kgrec.schema import Split

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


#: What a column holds where it says nothing; one that says nothing at all is left out.
_NOTHING: Mapping[str, np.generic] = {
    "rating": np.float64(np.nan),
    "time": np.float64(NO_TIME),
    "weight": np.float64(1),
    "count": np.int32(1),
    "session": np.int32(0),
    "split": np.int8(NO_SPLIT),
}


class Pairs:
    """Pairs of user and item, each once, sorted by user, then item.

    Columns that carry nothing are not kept; `pairs[name]` shows them all the same.

    Args:
        columns: `user`, `item`, `load` (int32) and any of `rating`, `weight` (float64), `time`
            (float64 seconds, NO_TIME where unknown), `count`, `session` (int32, from 1; 0 is no
            session) and `split` (int8, position in `Split`, or NO_SPLIT), all (n,).
    """

    def __init__(self, columns: Mapping[str, Array]) -> None:
        self._columns = {
            name: column
            for name, column in columns.items()
            if name not in _NOTHING or _says(name, column).any()
        }

    def __len__(self) -> int:
        return len(self._columns["user"])

    def __getitem__(self, name: str) -> Array:
        if name in self._columns:
            return self._columns[name]
        return np.broadcast_to(_NOTHING[name], len(self))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that carry something."""
        return tuple(self._columns)

    def keys(self, num_items: int) -> Index:
        """Gives `user * num_items + item`, int64 (n,), ascending."""
        return pair_keys(self["user"], self["item"], num_items)

    def take(self, where: Mask | Index) -> Self:
        """The pairs of a mask or of positions."""
        return type(self)({name: column[where] for name, column in self._columns.items()})

    def keep(self, where: Mask) -> None:
        """Forgets all pairs but those of a mask, column by column."""
        for name in self.names:
            column = self._columns.pop(name)[where]
            if name not in _NOTHING or _says(name, column).any():
                self._columns[name] = column

    def with_column(self, name: str, column: Array) -> Self:
        """The same pairs with one column put in place."""
        return type(self)({**self._columns, name: column})

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Puts parts (at least one) one after the other."""
        names = sorted({name for part in parts for name in part.names})
        return cls({name: np.concatenate([part[name] for part in parts]) for name in names})

    def frame(self) -> pd.DataFrame:
        """Gives `head`, `tail`, what carries anything, and `load`, as `EDGE_PROPERTIES` say."""
        columns = {"head": self["user"], "tail": self["item"]}
        for name in ("rating", "time", "weight", "count", "session"):
            if name in self._columns:
                columns[name] = _with_nan(name, self._columns[name])
        columns["load"] = self["load"]
        return pd.DataFrame(columns, copy=False)

    def frames(self, part: Array) -> dict[Split, pd.DataFrame]:
        """Gives a frame per split and empties itself.

        Args:
            part: int8 (n,), position in `Split`.
        """
        where = [part == position for position in range(len(Split))]
        columns_of: list[dict[str, Array]] = [{} for _ in Split]
        for name in list(self._columns):
            column = self._columns.pop(name)
            for mask, columns in zip(where, columns_of, strict=True):
                columns[name] = column[mask]
        return {
            split: Pairs(columns).frame() for split, columns in zip(Split, columns_of, strict=True)
        }


class Gathered:
    """Pairs that come block by block, written into columns of their final size.

    Kept apart and joined at the end, blocks would need twice the memory; what a column has left
    over is never touched, and so takes none.

    Args:
        capacity: At least as many as the pairs that will come.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._length = 0
        self._columns: dict[str, Array] = {}

    def add(self, pairs: Pairs) -> None:
        """Adds pairs after all others."""
        start, stop = self._length, self._length + len(pairs)
        for name in {*self._columns, *pairs.names}:
            if name not in self._columns:
                self._columns[name] = np.empty(self._capacity, dtype=pairs[name].dtype)
                if name in _NOTHING:
                    self._columns[name][:start] = _NOTHING[name]
            self._columns[name][start:stop] = pairs[name]
        self._length = stop

    def pairs(self) -> Pairs:
        """Gives all that came, and forgets it."""
        columns = {name: self._columns.pop(name)[: self._length] for name in list(self._columns)}
        return Pairs(columns)


def pair_keys(user: Array, item: Array, num_items: int) -> Index:
    """Gives `user * num_items + item`, int64 (n,)."""
    keys = user.astype(np.int64)
    keys *= num_items
    keys += item
    return keys


def _says(name: str, column: Array) -> Mask:
    """Marks the values of a column that say something."""
    if name == "rating":
        return ~np.isnan(column)
    mask: Mask = column != _NOTHING[name]
    return mask


def _with_nan(name: str, column: Array) -> Array:
    """Puts NaN where a column says nothing; whole seconds without such places are int64."""
    mask = _says(name, column)
    if not mask.all():
        return np.where(mask, column, np.nan)
    if name == "time" and np.array_equal(whole := column.astype(np.int64), column):
        return whole
    return column
