"""All that looks at one user at a time, done for a block of users at a time."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kgrec.config import DataConfig
from kgrec.data.fingerprint import Hashes
from kgrec.data.journal.events import NO_SPLIT, Events
from kgrec.data.view.behaviours import Behaviours, Ratings
from kgrec.data.view.filtering import (
    Names,
    latest_of_each_user,
    refuse_two_splits,
    without_bots,
    without_deleted,
    without_repeats,
)
from kgrec.data.view.findings import SOURCE, note
from kgrec.data.view.folding import fold, resolved, told_apart, united
from kgrec.data.view.pairs import Gathered, Pairs
from kgrec.data.view.runs import user_blocks
from kgrec.data.view.sessions import number_sessions
from kgrec.data.view.splits import TRAIN

#: About how many events are cleaned and folded at a time; a user's stay together.
BLOCK_EVENTS = 1_000_000


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
        num_users: Number of the users' codes.
        item_hash: Hashes of the items' ids, uint64 (num_items,), by code.
        names: Names a user and an item, for messages.
        ratings: What ratings were met.
    """

    config: DataConfig
    behaviours: Behaviours
    num_users: int
    item_hash: Hashes
    names: Names
    ratings: Ratings = field(init=False)
    _split_given: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.ratings = Ratings.none(self.behaviours)

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
        for low, high in user_blocks(events.user, self.num_users, BLOCK_EVENTS):
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
        rows = np.flatnonzero(events.split != NO_SPLIT)
        targets = set(np.array(self.behaviours.names)[self.behaviours.targets])
        names = {events.behaviours[position] for position in np.unique(events.behaviour[rows])}
        return not targets.isdisjoint(names)

    def _fold_block(self, events: Events, low: int, high: int) -> Folded:
        """Folds the events of the users from `low` to before `high`."""
        if low > 0 or high < self.num_users:
            events = events.take(np.flatnonzero((events.user >= low) & (events.user < high)))
        events, bots = self._clean(events)
        gap = self.config.cleaning.session_gap
        if gap is None:
            session = np.zeros(len(events), dtype=np.int32)
        else:
            session = number_sessions(events, gap)

        liked, disliked, nontargets = [], [], {}
        for position, rule in enumerate(self.behaviours.rules):
            pairs = self._fold_behaviour(events, session, position)
            if rule.role != "target":
                nontargets[position] = pairs
                continue
            if rule.min_rating is not None:
                pairs, too_low = self._told_apart(pairs, position, rule.min_rating)
                disliked.append(too_low)
            liked.append(pairs)
        num_items = len(self.item_hash)
        targets = united(liked, num_items)
        if not disliked:
            return Folded(targets, targets.take(np.empty(0, dtype=np.int64)), nontargets, bots)
        targets, known_dislikes = resolved(targets, united(disliked, num_items), num_items)
        return Folded(targets, self._of_train(known_dislikes), nontargets, bots)

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
            events = latest_of_each_user(events, cleaning.max_per_user, self.item_hash)
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
        policy = self.behaviours.policies[position]
        weight = self.behaviours.rules[position].weight
        pairs = fold(events, session, weight, policy, len(self.item_hash))
        name = self.behaviours.names[position]
        note(SOURCE, "{name} again", len(events) - len(pairs), name=name, policy=policy)
        return pairs

    def _told_apart(self, pairs: Pairs, position: int, least: float) -> tuple[Pairs, Pairs]:
        self.ratings.see(position, pairs["rating"])
        liked, disliked = told_apart(pairs, least)
        name = self.behaviours.names[position]
        note(SOURCE, "{name} disliked", len(disliked), name=name, least=least)
        note(SOURCE, "{name} unrated", np.isnan(liked["rating"]), name=name, least=least)
        return liked, disliked

    def _of_train(self, disliked: Pairs) -> Pairs:
        """Leaves out dislikes that a given split holds out."""
        held_out = disliked["split"] > TRAIN
        note(SOURCE, "held out by its source", held_out)
        return disliked.take(~held_out) if held_out.any() else disliked
