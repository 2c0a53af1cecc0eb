"""Target pairs into train, valid and test, before any graph exists, and what would give those away.

What a user's pairs become depends on the seed and the ids, never on codes, on the order of rows,
or (but for a global cut at shares) on other users.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import DataConfig, SplitConfig
from kgrec.data.fingerprint import Hashes, mix, pair_hashes
from kgrec.data.journal.events import NO_TIME
from kgrec.data.view.pairs import (
    Index,
    Mask,
    Pairs,
    contains,
    pair_keys,
    rows_after,
    starts_of,
    user_blocks,
)
from kgrec.errors import ConfigError
from kgrec.schema import NodeLabel

TRAIN, VALID, TEST = np.int8(0), np.int8(1), np.int8(2)  # positions in Split

#: A moment that no time reaches.
NEVER = math.inf

#: Kinds whose held-out pairs are later than what is known of the user.
TEMPORAL = frozenset({"temporal_user", "temporal_global", "leave_last_out"})

#: Rows that are looked up at a time, to need little memory.
_ROWS = 1_000_000

Codes = npt.NDArray[np.integer[Any]]
Moments = tuple[float, float]
Times = npt.NDArray[np.float64]
_Parts = npt.NDArray[np.int8]


def is_local(config: DataConfig) -> bool:
    """Whether what becomes of a user's events depends on no other user's."""
    cleaning, split = config.cleaning, config.split
    if cleaning.user_core > 1 or cleaning.item_core > 1:
        return False
    return split is None or split.kind != "temporal_global" or split.valid_from is not None


def split_pairs(
    pairs: Pairs,
    user_hash: Hashes,
    item_hash: Hashes,
    config: SplitConfig,
    seed: int,
    *,
    block: int = 1_000_000,
) -> tuple[_Parts, Moments | None]:
    """Says of each pair which part it is in.

    For `random`, `temporal_user` and `leave_last_out`, a user with at least `min_interactions`
    gives at least one pair to each part whose share is above zero and keeps at least one in train;
    `leave_last_out` gives exactly one to each. `temporal_global` cuts at two moments and asks
    nothing of single users: pairs of one moment stay together, and a user may have no past.
    `cold_item` and `cold_user` draw items or users, whose pairs stay together; of the other pairs
    the share `warm` is drawn for valid and for test.

    Args:
        pairs: The targets.
        user_hash: Hashes of the users' ids, by code.
        item_hash: Hashes of the items' ids, by code.
        config: Kind, shares and the least number of interactions.
        seed: Of the kinds that draw.
        block: About how many pairs are ordered at a time.

    Returns:
        Position in `Split` of each pair (n,), and where a global cut was made.

    Raises:
        ConfigError: If the kind needs times that are not there, or the shares leave nothing to
            train on.
    """
    if config.valid + config.test >= 1:
        raise ConfigError(
            f"data.split: valid {config.valid} and test {config.test} leave nothing to train on; "
            f"expected a sum below 1; lower one of them"
        )
    if config.kind in TEMPORAL and (undated := int((pairs["time"] == NO_TIME).sum())):
        raise ConfigError(
            f"data.split.kind = {config.kind!r} needs the time of every target (a column 'time' or "
            f"'timestamp'); {undated:,} of {len(pairs):,} have none; add it, or use "
            f'kind = "random"'
        )
    if config.kind == "temporal_global":
        cut = _moments(pairs["time"], config)
        time = pairs["time"]
        return (time >= cut[0]).astype(np.int8) + (time >= cut[1]), cut
    if config.kind in ("cold_item", "cold_user"):
        end, hashes = ("item", item_hash) if config.kind == "cold_item" else ("user", user_hash)
        parts = _random_parts(hashes, config, seed)[pairs[end]]
        return _with_warm(parts, pairs, user_hash, item_hash, config.warm, seed), None
    return _per_user(pairs, user_hash, item_hash, config, seed, block), None


def _moments(time: Times, config: SplitConfig) -> Moments:
    """Gives where to cut: as set, or so that the shares lie behind."""
    if config.valid_from is not None and config.test_from is not None:
        return config.valid_from, config.test_from
    num_test = round(len(time) * config.test)
    num_held = num_test + round(len(time) * config.valid)
    if not num_held:
        return NEVER, NEVER
    ranks = [len(time) - num_held, min(len(time) - num_test, len(time) - 1)]
    moments = np.partition(time, ranks)
    return float(moments[ranks[0]]), float(moments[ranks[1]]) if num_test else NEVER


def _random_parts(hashes: Hashes, config: SplitConfig, seed: int) -> _Parts:
    """Draws the part of items or users by their ids alone."""
    number = _uniform(mix(_word(seed), hashes))
    parts = (number < config.test + config.valid).astype(np.int8)
    parts[number < config.test] = TEST
    return parts


def _with_warm(
    parts: _Parts, pairs: Pairs, user_hash: Hashes, item_hash: Hashes, share: float, seed: int
) -> _Parts:
    """Draws pairs of train by the ids of both ends for valid and for test, a share each."""
    if share:
        number = _uniform(mix(_word(seed), user_hash[pairs["user"]], item_hash[pairs["item"]]))
        train = parts == TRAIN
        parts[train & (number < 2 * share)] = VALID
        parts[train & (number < share)] = TEST
    return parts


def _uniform(hashes: Hashes) -> npt.NDArray[np.floating]:
    """Numbers in [0, 1) of hashes."""
    return (hashes >> np.uint64(11)) * 2.0**-53


def _per_user(
    pairs: Pairs,
    user_hash: Hashes,
    item_hash: Hashes,
    config: SplitConfig,
    seed: int,
    block: int,
) -> _Parts:
    """Takes each user's last pairs for test and the ones before for valid.

    "Last" is by time, then by the hash of user and item; for the kind `random`, by a number drawn
    from the ids.
    """
    user, item = pairs["user"], pairs["item"]
    num_valid, num_test = _held_out_counts(
        np.bincount(user, minlength=len(user_hash)).astype(np.int64), config
    )
    parts = np.zeros(len(pairs), dtype=np.int8)
    for low, high in user_blocks(user, len(user_hash), block):
        rows = slice(*np.searchsorted(user, np.array([low, high], dtype=user.dtype)))
        users, ends = user[rows], (user_hash[user[rows]], item_hash[item[rows]])
        if config.kind == "random":
            order = np.lexsort((mix(_word(seed), *ends), users))
        else:
            order = np.lexsort((pair_hashes(*ends), pairs["time"][rows], users))
        later = np.empty(len(order), dtype=np.int64)
        later[order] = rows_after(users)  # users come in the same order, sorted or not
        test = later < num_test[users]
        held_out: Mask = later < num_test[users] + num_valid[users]
        parts[rows] = np.where(test, TEST, held_out.astype(np.int8))
    return parts


def _held_out_counts(counts: Index, config: SplitConfig) -> tuple[Index, Index]:
    """Gives how many interactions each user, of `counts` (users,), gives to valid and to test."""
    one_each = config.kind == "leave_last_out"
    least_valid, least_test = one_each or config.valid > 0, one_each or config.test > 0
    valid, test = np.full_like(counts, least_valid), np.full_like(counts, least_test)
    if not one_each:
        valid = np.maximum(valid, np.floor(counts * config.valid + 0.5).astype(np.int64))
        test = np.maximum(test, np.floor(counts * config.test + 0.5).astype(np.int64))
    # Rounded up, the two may ask for all a user has (3 of 3 at shares of .5 and .4): first valid
    # and then test gives back what train needs to keep one.
    valid = np.maximum(np.minimum(valid, counts - 1 - test), least_valid)
    test = np.maximum(np.minimum(test, counts - 1 - valid), least_test)
    enough = counts >= max(config.min_interactions, 1 + least_valid + least_test)
    return np.where(enough, valid, 0), np.where(enough, test, 0)


def _word(seed: int) -> np.uint64:
    return np.uint64(seed % 2**64)


@dataclass(frozen=True)
class HeldOut:
    """The pairs of valid and test, and from when on nothing else may be known.

    Attributes:
        pairs: int64, `user * num_items + item` of every held-out pair, ascending.
        num_items: Number of the items' codes.
        user_from: float64 (num_users,), time of each user's first held-out pair in seconds since
            1970 UTC; NEVER where nothing is held out, or the split is not by time.
        moments: From when on a global cut makes interactions valid's and test's; None for other
            splits.
    """

    pairs: Index
    num_items: int
    user_from: Times
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
        user_from = np.full(num_users, NEVER)
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

    def leaves(self, user: Codes, item: Codes, time: Times) -> Mask:
        """Marks rows that would tell of held-out interactions, and so must leave.

        These are rows of a held-out pair; with a split by time also rows of a user from the user's
        first held-out interaction on, or any from a global cut on. Without a time nobody knows
        whether they are older, and they leave as well.

        Args:
            user: Codes (n,), negative where a row has no user.
            item: Codes (n,), negative where a row has no item.
            time: float64 (n,), seconds since 1970 UTC, or NO_TIME.

        Returns:
            Mask (n,).
        """
        leaving = np.empty(len(user), dtype=np.bool_)
        for start in range(0, len(user), _ROWS):
            rows = slice(start, start + _ROWS)
            leaving[rows] = self._leave(user[rows], item[rows], time[rows])
        return leaving

    def _leave(self, user: Codes, item: Codes, time: Times) -> Mask:
        leaving = contains(self.pairs, pair_keys(user, item, self.num_items))
        leaving &= (user >= 0) & (item >= 0)
        bound = np.full(len(user), NEVER)
        bound[user >= 0] = self.user_from[user[user >= 0]]
        if self.moments is not None:
            np.minimum(bound, self.moments[0], out=bound)
        leaving |= (bound < NEVER) & ((time >= bound) | (time == NO_TIME))
        return leaving


class HeldOutIds:
    """What is held out, for rows that name users and items by ids.

    Args:
        held_out: What is held out, in codes.
        ids: Per label the id of each code, object (n,).

    Attributes:
        moment: Where one moment cuts the interactions, the first that is held out; facts of that
            moment or later leave. None where users are cut at their own.
    """

    def __init__(self, held_out: HeldOut, ids: Mapping[NodeLabel, npt.NDArray[np.object_]]) -> None:
        self._held_out = held_out
        self._users, self._items = pd.Index(ids[NodeLabel.USER]), pd.Index(ids[NodeLabel.ITEM])
        self.moment = None if held_out.moments is None else held_out.moments[0]

    def leaves(self, user: pd.Series, item: pd.Series, time: pd.Series) -> Mask:
        """Marks rows (n,) as `HeldOut.leaves` does; ids and times are missing where unknown."""
        users = self._users.get_indexer(pd.Index(user.fillna("")))
        items = self._items.get_indexer(pd.Index(item.fillna("")))
        seconds = time.to_numpy(dtype=np.float64, na_value=np.nan)
        return self._held_out.leaves(users, items, np.nan_to_num(seconds, nan=NO_TIME))
