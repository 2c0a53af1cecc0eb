"""Events of one user and item become one edge; edges of several behaviours become targets."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from kgrec.data.journal.events import NO_TIME, Events
from kgrec.data.view.filtering import load_if_undated, lowest_if_missing
from kgrec.data.view.findings import SOURCE, note
from kgrec.data.view.pairs import Pairs, pair_keys
from kgrec.data.view.runs import Array, Index, sizes_of, starts_of

Policy = Literal["first", "last", "sum", "max"]


def fold(
    events: Events,
    session: npt.NDArray[np.int32],
    weight: float,
    policy: Policy,
    num_items: int,
) -> Pairs:
    """Folds the events of one behaviour, so that the order they came in never matters.

    `last` and `first` go by time; of one moment, the greater rating counts, then the greater
    weight. An event without a time is older than every event with one; among themselves they are
    as old as their loads. `max` takes the greatest weight, of equal weights (or where there are
    none) the greatest rating, of these the latest. `sum` is `last` with all weights added up. Of
    events that are equal in all this, the one of the first load counts, as with repeated events.

    Args:
        events: Sorted by user and item.
        session: Their sessions (n,), 0 for none.
        weight: Of events without a weight of their own.
        policy: Which event counts.
        num_items: Number of the items' codes.

    Returns:
        One row a pair, with the values of the event that counts and the number of events.
    """
    starts = starts_of(pair_keys(events.user, events.item, num_items))
    sizes = sizes_of(starts, len(events))
    weights = np.where(np.isnan(events.weight), weight, events.weight)
    counts = starts.copy()
    folded = weights[starts]
    several = np.flatnonzero(sizes > 1)
    if len(several):
        rows = np.flatnonzero(np.repeat(sizes > 1, sizes))
        group = np.repeat(np.arange(len(several)), sizes[several])
        counts[several] = rows[_that_count(events.take(rows), weights[rows], group, policy)]
        folded[several] = weights[counts[several]]
        if policy == "sum":
            # Added up by size, because the last digits of a sum depend on the order.
            order = rows[np.lexsort((weights[rows], group))]
            folded[several] = np.add.reduceat(weights[order], starts_of(group))
    return Pairs(
        {
            "user": events.user[counts],
            "item": events.item[counts],
            "rating": events.rating[counts],
            "time": events.time[counts],
            "weight": folded,
            "count": sizes.astype(np.int32),
            "session": session[counts],
            "split": events.split[counts],
            "load": events.load[counts],
        }
    )


def _that_count(
    events: Events, weights: npt.NDArray[np.float64], group: Index, policy: Policy
) -> Index:
    """Gives the position of the event that counts in each group.

    Args:
        events: Of pairs that have several.
        weights: Of the events (n,), none missing.
        group: Number of the pair (n,), ascending from 0.
        policy: As for `fold`.
    """
    rating, age = lowest_if_missing(events.rating), load_if_undated(events)
    by_time = (rating, age, events.time)
    keys: tuple[Array, ...] = (
        (age, events.time, rating, weights) if policy == "max" else (weights, *by_time)
    )
    order = np.lexsort((-events.load, *keys, group))
    starts = starts_of(group)
    if policy != "first":
        latest: Index = order[starts + sizes_of(starts, len(group)) - 1]
        return latest
    # The last of those that share the group's first moment.
    moments = np.ones(len(group), dtype=np.bool_)
    moments[1:] = (
        (np.diff(group) != 0)
        | (events.time[order][1:] != events.time[order][:-1])
        | (age[order][1:] != age[order][:-1])
    )
    opens = np.flatnonzero(moments)
    last = opens + sizes_of(opens, len(group)) - 1
    earliest: Index = order[last[np.searchsorted(opens, starts)]]
    return earliest


def told_apart(pairs: Pairs, least: float) -> tuple[Pairs, Pairs]:
    """Gives the pairs that are liked and those that were rated below `least`.

    Without a rating a pair is not disliked.
    """
    disliked = pairs["rating"] < least
    if not disliked.any():
        return pairs, pairs.take(disliked)
    return pairs.take(~disliked), pairs.take(disliked)


def united(parts: list[Pairs], num_items: int) -> Pairs:
    """Gives every pair of any part once: with the values of the first part that has it.

    The time is the latest of all `parts` (at least one).
    """
    if len(parts) == 1:
        return parts[0]
    pairs = Pairs.joined(parts)
    keys = pairs.keys(num_items)
    order = np.argsort(keys, kind="stable")  # the earlier part stays first
    starts = starts_of(keys[order])
    first = pairs.take(order[starts])
    if "time" not in pairs.names or not len(pairs):
        return first
    return first.with_column("time", np.maximum.reduceat(pairs["time"][order], starts))


def resolved(targets: Pairs, disliked: Pairs, num_items: int) -> tuple[Pairs, Pairs]:
    """Settles pairs that are a target by one behaviour and disliked by another.

    The later in time wins; where they are of one moment, or one has no time, the target.
    """
    if not len(disliked):
        return targets, disliked
    _, ours, theirs = np.intersect1d(
        targets.keys(num_items), disliked.keys(num_items), assume_unique=True, return_indices=True
    )
    if not len(ours):
        return targets, disliked
    liked_at, disliked_at = targets["time"][ours], disliked["time"][theirs]
    turned = (liked_at != NO_TIME) & (disliked_at > liked_at)
    keep_target = np.ones(len(targets), dtype=np.bool_)
    keep_target[ours[turned]] = False
    keep_dislike = np.ones(len(disliked), dtype=np.bool_)
    keep_dislike[theirs[~turned]] = False
    note(SOURCE, "disliked later", turned)
    note(SOURCE, "liked after all", ~turned)
    return targets.take(keep_target), disliked.take(keep_dislike)
