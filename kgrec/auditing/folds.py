"""Several held-out parts of the same interactions, so that a small difference can be told."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from kgrec.errors import ConfigError, DataError
from kgrec.graph.data import GraphData, IndexArray, Interactions
from kgrec.schema import Split

#: Users with fewer interactions than this in train keep all of them to learn from.
_FEWEST = 3


def audit_folds(graph: GraphData, split: Split, count: int, seed: int) -> list[GraphData]:
    """Gives the same graph with different interactions held out.

    In each of them a model is tuned on VALID and judged on TEST, so that what it is judged on has
    chosen nothing. The first is judged on the interactions of `split`; the others on a tenth of
    each user's train interactions, no interaction twice. Where `split` is VALID, the first is tuned
    on a tenth of train in its place; test is then in none of them.

    Args:
        graph: The graph; its relations are kept as they are.
        split: VALID or TEST.
        count: How many are judged on a tenth of train, 0 to 9.
        seed: Of the tenths.

    Raises:
        ConfigError: If the split is TRAIN or the count is out of range.
        DataError: If the split is empty.
    """
    if split is Split.TRAIN or not 0 <= count <= 9:
        raise ConfigError(
            f"expected split valid or test and 0 to 9 inner folds, got {split!s} and {count}"
        )
    if split not in graph.held_out or not len(graph.held_out[split]):
        raise DataError(
            f"the audit judges on split {split!s}, which is empty; give a split with a {split!s} "
            f"share above 0"
        )
    tenth = _tenths(graph.train, graph.num_users, seed)
    valid = graph.held_out.get(Split.VALID)
    tuning = {} if valid is None else {Split.VALID: valid}
    interactions = graph.held_out[split]
    if split is Split.VALID:
        folds = [_held_out(graph, tenth == 0, Split.VALID, {Split.TEST: interactions})]
    else:
        folds = [replace(graph, held_out={**tuning, Split.TEST: interactions})]
    for fold in range(count):
        mask = tenth == fold
        if mask.any():
            folds.append(_held_out(graph, mask, Split.TEST, tuning))
    return folds


def _tenths(train: Interactions, num_users: int, seed: int) -> IndexArray:
    """Gives each interaction (n,) the number of its fold; 10 and above are in none that counts.

    A fold has a tenth of a user's interactions, at least one; who has fewer than three has none.
    """
    user = train.user_index
    order = np.lexsort((np.random.default_rng(seed).random(len(user)), user))
    count = np.bincount(user, minlength=num_users)
    rank = np.empty(len(user), dtype=np.int64)
    rank[order] = np.arange(len(user)) - (np.cumsum(count) - count)[user[order]]
    fold: IndexArray = rank // np.maximum(count // 10, 1)[user]
    return np.where(count[user] >= _FEWEST, fold, 10)


def _held_out(
    graph: GraphData,
    mask: npt.NDArray[np.bool_],
    split: Split,
    other_splits: dict[Split, Interactions],
) -> GraphData:
    """Moves interactions from train to a split; the behaviours of their pairs leave, as always."""
    held_out = {**other_splits, split: graph.train.take(mask)}
    return replace(graph.without_train(mask), held_out=held_out)


def mean_over_folds(values: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Averages a metric over folds, users (n,) apart; NaN where a fold did not judge a user."""
    stacked = np.stack(values)
    is_judged = ~np.isnan(stacked)
    mean: npt.NDArray[np.float64] = np.where(is_judged, stacked, 0.0).sum(axis=0) / np.maximum(
        is_judged.sum(axis=0), 1
    )
    mean[~is_judged.any(axis=0)] = np.nan
    return mean
