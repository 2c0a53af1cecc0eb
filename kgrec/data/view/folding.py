"""Events of one user and item become one edge; edges of several behaviours become targets.

All that looks at one user at a time is done for a block of users at a time.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from kgrec.config import DataConfig
from kgrec.data.fingerprint import Hashes
from kgrec.data.journal.events import NO_SPLIT, NO_TIME, Events
from kgrec.data.view.behaviours import Behaviours, Ratings
from kgrec.data.view.filtering import (
    Names,
    latest_of_each_user,
    load_if_undated,
    lowest_if_missing,
    refuse_two_splits,
    without_bots,
    without_deleted,
    without_repeats,
)
from kgrec.data.view.findings import SOURCE, note
from kgrec.data.view.pairs import (
    Array,
    Gathered,
    Index,
    Pairs,
    is_start,
    pair_keys,
    sizes_of,
    starts_of,
    user_blocks,
)
from kgrec.data.view.splits import TRAIN

Policy = Literal["first", "last", "sum", "max"]

#: About how many events are cleaned and folded at a time; a user's stay together.
BLOCK_EVENTS = 1_000_000


def number_sessions(events: Events, gap: float) -> npt.NDArray[np.int32]:
    """Numbers each user's sessions from 1 by time.

    Args:
        events: Of any behaviours, in any order.
        gap: Minutes; a longer silence opens a new session.

    Returns:
        The session of each event, int32 (n,); 0 where the event has no time.
    """
    session = np.zeros(len(events), dtype=np.int32)
    dated = np.flatnonzero(events.time != NO_TIME)
    note(SOURCE, "no session", events.time == NO_TIME)
    order = dated[np.lexsort((events.time[dated], events.user[dated]))]
    new_user = is_start(events.user[order])
    opens = new_user.copy()
    opens[1:] |= np.diff(events.time[order]) > gap * 60
    number = np.cumsum(opens)
    # What was counted before a user's first event is taken off.
    users = np.flatnonzero(new_user)
    before = np.repeat(number[users] - 1, np.diff(users, append=len(order)))
    session[order] = number - before
    note(SOURCE, "session", opens, gap=gap)
    return session


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
    """Gives the position of the event that counts in each group (n,), ascending from 0."""
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
    opens = np.flatnonzero(is_start(group) | is_start(events.time[order]) | is_start(age[order]))
    last = opens + sizes_of(opens, len(group)) - 1
    earliest: Index = order[last[np.searchsorted(opens, starts)]]
    return earliest


def told_apart(pairs: Pairs, least: float, name: str) -> tuple[Pairs, Pairs]:
    """Gives the pairs of a behaviour that are liked and those that were rated below `least`.

    Without a rating a pair is not disliked.
    """
    disliked = pairs["rating"] < least
    note(SOURCE, "{name} disliked", disliked, name=name, least=least)
    note(SOURCE, "{name} unrated", np.isnan(pairs["rating"]), name=name, least=least)
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


@dataclass
class Folded:
    """What events became, before anything is held out.

    Attributes:
        targets: What is recommended for.
        disliked: Targets that were rated too low.
        nontargets: Evidence and negative behaviours, by their position in the settings.
        bots: Codes of users that were left out, int64.
    """

    targets: Pairs
    disliked: Pairs
    nontargets: dict[int, Pairs]
    bots: npt.NDArray[np.int64]


@dataclass
class BlockFolder:
    """Cleans and folds events.

    Attributes:
        config: Its cleaning.
        behaviours: Of the settings.
        user_hash: Hashes of the users' ids, uint64 (num_users,), by code.
        item_hash: Likewise of items (num_items,).
        names: Names a user and an item, for messages.
        ratings: What ratings were met, added to.
    """

    config: DataConfig
    behaviours: Behaviours
    user_hash: Hashes
    item_hash: Hashes
    names: Names
    ratings: Ratings
    _split_given: bool = field(init=False, default=False)

    def fold(self, events: Events) -> Folded:
        """Folds all events.

        Raises:
            DataError: If given splits overlap, or only some events have one.
        """
        self._split_given = self._is_split_given(events)
        counts = np.array(self.behaviours.count(events))
        is_target = self.behaviours.targets
        nontargets = {at: Gathered(int(counts[at])) for at in np.flatnonzero(~is_target).tolist()}
        num_targets = int(counts[is_target].sum())
        targets, disliked = Gathered(num_targets), Gathered(num_targets)
        bots = []
        for low, high in user_blocks(events.user, len(self.user_hash), BLOCK_EVENTS):
            block = self._fold_block(events, low, high)
            targets.add(block.targets)
            disliked.add(block.disliked)
            for position, gathered in nontargets.items():
                gathered.add(block.nontargets[position])
            bots.append(block.bots)
        return Folded(
            targets.pairs(),
            disliked.pairs(),
            {position: gathered.pairs() for position, gathered in nontargets.items()},
            np.concatenate(bots),
        )

    def _is_split_given(self, events: Events) -> bool:
        targets = np.array(self.behaviours.names)[self.behaviours.targets]
        with_split = events.behaviour[events.split != NO_SPLIT]
        return bool(np.isin(np.array(events.behaviours)[np.unique(with_split)], targets).any())

    def _fold_block(self, events: Events, low: int, high: int) -> Folded:
        """Folds the events of the users from `low` to before `high`."""
        if low > 0 or high < len(self.user_hash):
            events = events.take(np.flatnonzero((events.user >= low) & (events.user < high)))
        events, bots = self._clean(events)
        gap = self.config.cleaning.session_gap
        no_session = np.zeros(len(events), dtype=np.int32)
        session = no_session if gap is None else number_sessions(events, gap)

        liked, disliked, nontargets = [], [], {}
        for position, rule in enumerate(self.behaviours.rules):
            pairs = self._fold_behaviour(events, session, position)
            if rule.role != "target":
                nontargets[position] = pairs
                continue
            if rule.min_rating is not None:
                self.ratings.see(position, pairs["rating"])
                name = self.behaviours.names[position]
                pairs, too_low = told_apart(pairs, rule.min_rating, name)
                disliked.append(too_low)
            liked.append(pairs)
        num_items = len(self.item_hash)
        targets = united(liked, num_items)
        if not disliked:
            return Folded(targets, targets.take(np.empty(0, dtype=np.int64)), nontargets, bots)
        targets, known_dislikes = resolved(targets, united(disliked, num_items), num_items)
        held_out = known_dislikes["split"] > TRAIN  # by a given split
        note(SOURCE, "held out by its source", held_out)
        if held_out.any():
            known_dislikes = known_dislikes.take(~held_out)
        return Folded(targets, known_dislikes, nontargets, bots)

    def _clean(self, events: Events) -> tuple[Events, npt.NDArray[np.int64]]:
        """Gives the events that count, sorted by user and item, and the users who were bots."""
        num_items, cleaning = len(self.item_hash), self.config.cleaning
        bots = np.empty(0, dtype=np.int64)
        events = self.behaviours.renumber(events)
        events = without_repeats(events, num_items)
        events = without_deleted(events, num_items)
        if cleaning.max_per_day is not None:
            events, bots = without_bots(events, cleaning.max_per_day)
        if cleaning.max_per_user is not None:
            events = latest_of_each_user(
                events, cleaning.max_per_user, self.user_hash, self.item_hash
            )
        targets = self.behaviours.targets
        if self._split_given:
            refuse_two_splits(events, targets, num_items, self.names)
        held_out = ~targets[events.behaviour] & (events.split > TRAIN)
        if held_out.any():
            note(SOURCE, "held out by its source", held_out)
            events = events.take(~held_out)
        return events, bots

    def _fold_behaviour(
        self, events: Events, session: npt.NDArray[np.int32], position: int
    ) -> Pairs:
        if len(self.behaviours.names) > 1:
            rows = np.flatnonzero(events.behaviour == position)
            events, session = events.take(rows), session[rows]
        rule = self.behaviours.rules[position]
        policy = rule.duplicates or self.config.cleaning.duplicates
        pairs = fold(events, session, rule.weight, policy, len(self.item_hash))
        name = self.behaviours.names[position]
        note(SOURCE, "{name} again", len(events) - len(pairs), name=name, policy=policy)
        return pairs
