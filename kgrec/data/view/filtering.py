"""Which events count, and which users and items: repeats, deletions, bots, limits, k-core.

Every rule but the k-core looks at one user at a time.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from kgrec.config import CleaningConfig
from kgrec.data.fingerprint import Hashes, pair_hashes
from kgrec.data.journal.events import NO_SPLIT, NO_TIME, Events
from kgrec.data.view.findings import SOURCE, note
from kgrec.data.view.pairs import (
    Array,
    Index,
    Mask,
    is_start,
    ordered,
    pair_keys,
    rows_after,
    sizes_of,
    starts_of,
)
from kgrec.errors import DataError
from kgrec.schema import Split

_DAY = 86_400

#: Gives the ids of a user's and an item's code, for messages.
Names = Callable[[int, int], tuple[str, str]]


def without_repeats(events: Events, num_items: int) -> Events:
    """Keeps one of events that are equal in everything but the load: the one of the first load.

    A delivery that comes twice so changes nothing.

    Returns:
        The events, sorted by user, item and behaviour.
    """
    keys = _event_keys(events, num_items)
    order = ordered(
        keys, events.time, events.rating, events.weight, events.split, events.deleted, events.load
    )
    again = ~is_start(keys[order])
    if again.any():
        # Only neighbours with the same key can be repeats.
        repeats = np.flatnonzero(again)
        row, previous = order[repeats], order[repeats - 1]
        for column in (events.time, events.rating, events.weight, events.split, events.deleted):
            again[repeats] &= _same(column[row], column[previous])
        order = order[~again]
    note(SOURCE, "repeated event", again)
    return events.take(order)


def without_deleted(events: Events, num_items: int) -> Events:
    """Takes back what deletions name, and the deletions themselves.

    A deletion with a time takes back the events of its user, item and behaviour up to that time.
    Where it or the event has no time, the loads decide: it takes back what came in its own load or
    before.
    """
    if not events.deleted.any():
        return events
    deletions, events = events.take(events.deleted), events.take(~events.deleted)
    keys = _event_keys(deletions, num_items)
    order = np.argsort(keys)
    starts = starts_of(keys[order])
    undated = deletions.time == NO_TIME
    until = np.maximum.reduceat(deletions.time[order], starts)
    load = np.maximum.reduceat(deletions.load[order], starts)
    undated_load = np.maximum.reduceat(np.where(undated, deletions.load, -1)[order], starts)

    deleted_keys, event_keys = keys[order][starts], _event_keys(events, num_items)
    at = np.minimum(np.searchsorted(deleted_keys, event_keys), len(deleted_keys) - 1)
    dated = events.time != NO_TIME
    is_deleted = (deleted_keys[at] == event_keys) & np.where(
        dated,
        (until[at] >= events.time) | (undated_load[at] >= events.load),
        load[at] >= events.load,
    )
    note(SOURCE, "deleted", is_deleted)
    idle = np.setdiff1d(deleted_keys, event_keys[is_deleted])
    note(SOURCE, "deletion of nothing", len(idle))
    return events.take(~is_deleted)


def without_bots(events: Events, most: int) -> tuple[Events, Index]:
    """Leaves out users with more than `most` events on one day (UTC), and says who they are.

    Events without a time are on no day.
    """
    busy = np.flatnonzero(np.bincount(events.user) > most)  # nobody else can have such a day
    rows = np.flatnonzero(np.isin(events.user, busy) & (events.time != NO_TIME))
    user, day = events.user[rows], events.time[rows] // _DAY
    order = np.lexsort((day, user))
    user, day = user[order], day[order]
    starts = np.flatnonzero(is_start(user) | is_start(day))
    bots = np.unique(user[starts[sizes_of(starts, len(user)) > most]]).astype(np.int64)
    theirs = np.isin(events.user, bots)
    note(SOURCE, "bot", len(bots), most=most)
    note(SOURCE, "events of bots", theirs)
    return events.take(~theirs) if len(bots) else events, bots


def latest_of_each_user(events: Events, most: int, user_hash: Hashes, item_hash: Hashes) -> Events:
    """Keeps the latest `most` events of each user.

    Of one moment, the greater hash of the pair counts as the later (then the later behaviour of
    the settings, the greater rating, the greater weight). Events without a time are older than all
    others, and among themselves as old as their loads.
    """
    rows = np.flatnonzero(np.bincount(events.user)[events.user] > most)
    if not len(rows):
        return events
    candidates = events.take(rows)
    order = np.lexsort(
        (
            lowest_if_missing(candidates.weight),
            lowest_if_missing(candidates.rating),
            candidates.behaviour,
            pair_hashes(user_hash[candidates.user], item_hash[candidates.item]),
            load_if_undated(candidates),
            candidates.time,
            candidates.user,
        )
    )
    later = rows_after(candidates.user[order])
    keep = np.ones(len(events), dtype=np.bool_)
    keep[rows[order[later >= most]]] = False
    note(SOURCE, "events beyond the latest", ~keep, most=most)
    return events.take(keep)


def refuse_two_splits(events: Events, targets: Mask, num_items: int, names: Names) -> None:
    """Checks that given splits are disjoint and complete.

    Args:
        events: Sorted by user and item.
        targets: Per behaviour whether it is a target, (behaviours,).
        num_items: Number of the items' codes.
        names: Names a user and an item.

    Raises:
        DataError: If a target pair is in two splits, or only some events name theirs.
    """
    rows = np.flatnonzero(targets[events.behaviour])
    keys, split = pair_keys(events.user[rows], events.item[rows], num_items), events.split[rows]
    if (split == NO_SPLIT).any():
        raise DataError(
            "some targets came with their split and some without; expected all or none; give every "
            "source of interactions its split, or undo the loads of the others"
        )
    clash = np.flatnonzero(~is_start(keys)[1:] & is_start(split)[1:])
    if not len(clash):
        return
    at = rows[clash[0] + 1]
    user, item = names(int(events.user[at]), int(events.item[at]))
    parts = [list(Split)[position] for position in sorted(split[clash[0] : clash[0] + 2])]
    raise DataError(
        f"user {user!r} and item {item!r} are in {parts[0]} and in {parts[1]}; expected disjoint "
        f"splits; remove every such pair from one of the two"
    )


def k_core(
    user: npt.NDArray[np.int32], item: npt.NDArray[np.int32], cleaning: CleaningConfig
) -> Mask:
    """Marks the pairs (n,) that remain when users and items with too few leave, again and again.

    Args:
        user: Codes (n,) of pairs that occur once.
        item: Codes (n,).
        cleaning: `user_core` and `item_core`.
    """
    keep = np.ones(len(user), dtype=np.bool_)
    rows = np.arange(len(user), dtype=np.int32 if len(user) < 2**31 else np.int64)
    while len(rows):
        heads, tails = user[rows], item[rows]
        stay = np.bincount(heads)[heads] >= cleaning.user_core
        stay &= np.bincount(tails)[tails] >= cleaning.item_core
        if stay.all():
            break
        keep[rows[~stay]] = False
        rows = rows[stay]
    return keep


def load_if_undated(events: Events) -> npt.NDArray[np.int32]:
    """Gives the load of events without a time, by which they are ordered, and 0 for the others."""
    return np.where(events.time == NO_TIME, events.load, np.int32(0))


def lowest_if_missing(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Gives the numbers with NaN as the least."""
    return np.where(np.isnan(numbers), -np.inf, numbers)


def _event_keys(events: Events, num_items: int) -> Index:
    """Gives one int64 (n,) per user, item and behaviour, ascending in that order."""
    keys = pair_keys(events.user, events.item, num_items)
    keys *= len(events.behaviours)
    keys += events.behaviour
    return keys


def _same(left: Array, right: Array) -> Mask:
    """Compares values; a missing one equals a missing one."""
    same: Mask = (left == right) | ((left != left) & (right != right))
    return same
