"""What the events are like over time, counted part by part before they are folded."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kgrec.data.journal.events import NO_TIME, Events

Counts = npt.NDArray[np.int64]

_DAY = 86_400
#: Events that are counted at once, so that memory stays bounded however many come.
_SLICE = 1_000_000
#: Ratings are counted one by one while all are halves from 0 to this.
_MOST_RATING = 100


@dataclass
class BehaviourStatistics:
    """One behaviour's events.

    Attributes:
        events: How many there are.
        without_time: Those whose time is unknown.
        without_rating: Those without a rating.
        first: Earliest time, seconds since 1970 UTC; None without any.
        last: Latest time.
        days: Days since 1970 with events, ascending, int64 (d,).
        day_counts: Events of each such day, int64 (d,).
        rating_sum: Sum of the ratings.
        halves: Events by twice their rating, int64; None once a rating is not a half.
    """

    events: int = 0
    without_time: int = 0
    without_rating: int = 0
    first: int | None = None
    last: int | None = None
    days: Counts = field(default_factory=lambda: np.empty(0, np.int64))
    day_counts: Counts = field(default_factory=lambda: np.empty(0, np.int64))
    rating_sum: float = 0.0
    halves: Counts | None = field(default_factory=lambda: np.zeros(2 * _MOST_RATING + 1, np.int64))

    def add(self, time: Counts, rating: npt.NDArray[np.float64]) -> None:
        """Counts events by their times (n,), NO_TIME where unknown, and ratings (n,), NaN."""
        self.events += len(time)
        known_times = time[time != NO_TIME]
        self.without_time += len(time) - len(known_times)
        if len(known_times):
            first, last = int(known_times.min()), int(known_times.max())
            self.first = first if self.first is None else min(self.first, first)
            self.last = last if self.last is None else max(self.last, last)
            self._add_days(known_times // _DAY)
        rated = rating[~np.isnan(rating)]
        self.without_rating += len(rating) - len(rated)
        if len(rated):
            self._add_ratings(rated)

    def ratings(self) -> dict[float, int] | None:
        """Gives events by rating; None if there are none, or ratings are not halves."""
        if self.halves is None or not self.halves.any():
            return None
        return {int(half) / 2: int(self.halves[half]) for half in np.flatnonzero(self.halves)}

    def _add_days(self, days: Counts) -> None:
        new_days, counts = np.unique(days, return_counts=True)
        merged, places = np.unique(np.concatenate([self.days, new_days]), return_inverse=True)
        weights = np.concatenate([self.day_counts, counts]).astype(np.float64)
        self.day_counts = np.bincount(places, weights).astype(np.int64)
        self.days = merged

    def _add_ratings(self, rated: npt.NDArray[np.float64]) -> None:
        self.rating_sum += float(rated.sum())
        if self.halves is None:
            return
        doubled = rated * 2
        if (doubled == np.rint(doubled)).all() and 0 <= doubled.min() <= doubled.max() <= (
            2 * _MOST_RATING
        ):
            self.halves += np.bincount(doubled.astype(np.int64), minlength=len(self.halves))
        else:
            self.halves = None


class EventStatistics:
    """Counts events as they pass; adding them in parts, in any order, gives the same.

    Memory grows with the users, the items and the distinct days, never with the events.

    Attributes:
        behaviours: What was counted, by the behaviour's name, in the order of the settings.
        deleted: Rows that take events back; they are counted nowhere else.
    """

    def __init__(self) -> None:
        self.behaviours: dict[str, BehaviourStatistics] = {}
        self.deleted = 0
        self._per_user = np.zeros(0, np.int64)
        self._per_item = np.zeros(0, np.int64)

    @property
    def events(self) -> int:
        """How many events were counted."""
        return sum(behaviour.events for behaviour in self.behaviours.values())

    @property
    def per_user(self) -> Counts:
        """Events of each user that has any, int64."""
        return self._per_user[self._per_user > 0]

    @property
    def per_item(self) -> Counts:
        """Events of each item that has any, int64."""
        return self._per_item[self._per_item > 0]

    def add(self, events: Events) -> None:
        """Counts the events of a part."""
        for name in events.behaviours:
            self.behaviours.setdefault(name, BehaviourStatistics())
        for start in range(0, len(events), _SLICE):
            part = slice(start, start + _SLICE)
            valid = ~events.deleted[part]
            self.deleted += len(valid) - int(valid.sum())
            self._count_ends(events.user[part][valid], events.item[part][valid])
            behaviour = events.behaviour[part]
            for number, name in enumerate(events.behaviours):
                own = valid & (behaviour == number)
                if own.any():
                    self.behaviours[name].add(events.time[part][own], events.rating[part][own])

    def count(
        self,
        behaviour: str,
        user: npt.NDArray[np.integer],
        item: npt.NDArray[np.integer],
        time: Counts,
        rating: npt.NDArray[np.float64],
    ) -> None:
        """Counts interactions (n,) of one behaviour, where there are no events."""
        statistics = self.behaviours.setdefault(behaviour, BehaviourStatistics())
        for start in range(0, len(user), _SLICE):
            part = slice(start, start + _SLICE)
            self._count_ends(user[part], item[part])
            statistics.add(time[part], rating[part])

    def _count_ends(self, user: npt.NDArray[np.integer], item: npt.NDArray[np.integer]) -> None:
        self._per_user = _added(self._per_user, user)
        self._per_item = _added(self._per_item, item)


def _added(counts: Counts, positions: npt.NDArray[np.integer]) -> Counts:
    """Adds one at each position (n,), in place where there is room."""
    if len(positions):
        lacking = int(positions.max()) + 1 - len(counts)
        if lacking > 0:
            counts = np.concatenate([counts, np.zeros(max(lacking, len(counts) // 2), np.int64)])
        np.add.at(counts, positions, 1)
    return counts
