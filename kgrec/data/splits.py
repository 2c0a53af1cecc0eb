"""One set of interactions into train, valid and test, before any graph exists.

The order of the rows in the file never matters: rows are ordered by their ids (and times) first.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import SplitConfig
from kgrec.errors import ConfigError
from kgrec.schema import Split

_Index = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]


def split_interactions(
    interactions: pd.DataFrame, config: SplitConfig, rng: np.random.Generator
) -> dict[Split, pd.DataFrame]:
    """Splits interactions; every row lands in exactly one part.

    For all kinds but `temporal_global`, a user with at least `min_interactions` gives at least one
    interaction to each part whose share is above zero and keeps at least one in train;
    `leave_last_out` gives exactly one to each. `temporal_global` cuts at two moments and asks
    nothing of single users: rows of one moment stay together, and a user may have no past.

    Args:
        interactions: Columns `user`, `item` (str, pairs unique), `time` (int64) for the temporal
            kinds.
        config: Kind, shares and the least number of interactions.
        rng: Draws for the kind `random`; untouched by the others.

    Returns:
        A frame per split, sorted by user and item.

    Raises:
        ConfigError: If the kind needs a column `time` that is not there, or the shares leave
            nothing to train on.
    """
    if config.valid + config.test >= 1:
        raise ConfigError(
            f"data.split: valid {config.valid} and test {config.test} leave nothing to train on; "
            f"expected a sum below 1; lower one of them"
        )
    if config.kind != "random" and "time" not in interactions.columns:
        raise ConfigError(
            f"data.split.kind = {config.kind!r} needs a column 'time' (or 'timestamp'); found "
            f'{", ".join(interactions.columns)}; add it, or use kind = "random"'
        )
    rows = interactions.sort_values(["user", "item"], ignore_index=True)
    if config.kind == "temporal_global":
        valid, test = _cut_at_moments(rows["time"].to_numpy(), config)
    else:
        valid, test = _cut_per_user(rows, config, rng)
    parts = {Split.TRAIN: ~valid & ~test, Split.VALID: valid, Split.TEST: test}
    return {split: rows[mask].reset_index(drop=True) for split, mask in parts.items()}


def _cut_at_moments(time: _Index, config: SplitConfig) -> tuple[_Mask, _Mask]:
    """Cuts at the moments after which the shares lie; all rows of a moment go to one side."""
    moments = np.sort(time)
    num_test = round(len(time) * config.test)
    num_held = num_test + round(len(time) * config.valid)
    never = moments[-1] + 1 if len(moments) else 0
    from_test = moments[len(time) - num_test] if num_test else never
    from_valid = moments[len(time) - num_held] if num_held else never
    test = time >= from_test
    return (time >= from_valid) & ~test, test


def _cut_per_user(
    rows: pd.DataFrame, config: SplitConfig, rng: np.random.Generator
) -> tuple[_Mask, _Mask]:
    """Takes each user's last rows for test and the ones before for valid.

    "Last" is by time, then by item id; for the kind `random`, by a drawn number.
    """
    user, _ = pd.factorize(rows["user"])  # rows are sorted by user: codes ascend
    rank_in = rng.random(len(rows)) if config.kind == "random" else rows["time"].to_numpy()
    order = np.lexsort((np.arange(len(rows)), rank_in, user))
    counts = np.bincount(user)
    ends = np.cumsum(counts)
    # How many rows of the same user come after a row, 0 for the last.
    later = np.empty(len(rows), dtype=np.int64)
    later[order] = ends[user[order]] - 1 - np.arange(len(rows))

    num_valid, num_test = _held_out_counts(counts, config)
    test = later < num_test[user]
    return (later < (num_test + num_valid)[user]) & ~test, test


def _held_out_counts(counts: _Index, config: SplitConfig) -> tuple[_Index, _Index]:
    """Gives how many interactions each user, of `counts` (users,), gives to valid and to test."""
    one_each = config.kind == "leave_last_out"
    least_valid, least_test = one_each or config.valid > 0, one_each or config.test > 0
    valid, test = np.full_like(counts, least_valid), np.full_like(counts, least_test)
    if not one_each:
        valid = np.maximum(valid, _rounded(counts, config.valid))
        test = np.maximum(test, _rounded(counts, config.test))
    # Rounded up, the two may ask for all a user has (3 of 3 at shares of .5 and .4): first valid
    # and then test gives back what train needs to keep one.
    valid = np.maximum(np.minimum(valid, counts - 1 - test), least_valid)
    test = np.maximum(np.minimum(test, counts - 1 - valid), least_test)
    enough = counts >= max(config.min_interactions, 1 + least_valid + least_test)
    return np.where(enough, valid, 0), np.where(enough, test, 0)


def _rounded(counts: _Index, share: float) -> _Index:
    rounded: _Index = np.floor(counts * share + 0.5).astype(np.int64)
    return rounded
