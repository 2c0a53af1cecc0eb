"""What there is: counts, degrees and times."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.data.card.card import Bin, Degrees, Timeline
from kgrec.data.journal.events import NO_TIME, Events

Counts = npt.NDArray[np.int64]
Times = npt.NDArray[np.float64]
Positions = npt.NDArray[np.integer]

#: Edges or events that are looked at at once, so that memory stays bounded however many come.
SLICE = 1_000_000


def ends(edges: pd.DataFrame) -> tuple[Positions, Positions]:
    """Gives heads and tails, both (n,), as they are."""
    return edges["head"].to_numpy(), edges["tail"].to_numpy()


def times_of(edges: pd.DataFrame) -> Times:
    """Gives the times of edges (n,) in seconds since 1970 UTC, NO_TIME where unknown."""
    if "time" not in edges:
        return np.full(len(edges), NO_TIME)
    times = edges["time"].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isnan(times), NO_TIME, times)


def slices(length: int) -> Iterator[slice]:
    """Gives consecutive slices that cover so many rows."""
    for start in range(0, length, SLICE):
        yield slice(start, min(start + SLICE, length))


def degrees_of(positions: Positions, nodes: int) -> Counts:
    """Counts how often each of so many nodes occurs among positions (n,); int64 (nodes,)."""
    counts = np.zeros(nodes, np.int64)
    for part in slices(len(positions)):
        np.add.at(counts, positions[part], 1)
    return counts


def summarise(degrees: Counts) -> Degrees:
    """Describes degrees (nodes,)."""
    ascending = np.sort(degrees)
    nodes, total = len(ascending), int(ascending.sum())
    empty = nodes == 0
    return Degrees(
        nodes=nodes,
        without=int((ascending == 0).sum()),
        few=int(((ascending > 0) & (ascending <= 5)).sum()),
        mean=0.0 if empty else total / nodes,
        median=0.0 if empty else float(np.median(ascending)),
        p90=0.0 if empty else float(np.percentile(ascending, 90)),
        max=0 if empty else int(ascending[-1]),
        gini=gini(ascending),
        top_1=_top_share(ascending, 0.01),
        top_10=_top_share(ascending, 0.1),
        bins=log2_bins(ascending),
    )


def gini(ascending: Counts) -> float:
    """Gives the Gini coefficient of counts (n,) in ascending order; 0 if there is nothing."""
    total = float(ascending.sum())
    if not total:
        return 0.0
    nodes = len(ascending)
    ranks = 2 * np.arange(1, nodes + 1) - nodes - 1
    return float((ranks * ascending).sum() / (nodes * total))


def log2_bins(degrees: Counts) -> tuple[Bin, ...]:
    """Counts nodes by degree: 0, 1, 2–3, 4–7 …; no bin in between is left out."""
    if not len(degrees):
        return ()
    # A number's length in binary is its bin: 0 has none, 1 one, 2 and 3 two digits.
    digits = np.frexp(degrees.astype(np.float64))[1]
    counts = np.bincount(digits)
    return tuple(
        Bin(2**place // 2, max(2**place - 1, 0), int(count)) for place, count in enumerate(counts)
    )


def _top_share(ascending: Counts, share: float) -> float:
    total = int(ascending.sum())
    top = max(round(len(ascending) * share), 1)
    return float(ascending[-top:].sum()) / total if total else 0.0


_DAY = 86_400
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
        days: Counts since 1970 with events, ascending, int64 (d,).
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

    def add(self, time: Times, rating: npt.NDArray[np.float64]) -> None:
        """Counts events by their times (n,), NO_TIME where unknown, and ratings (n,), NaN."""
        self.events += len(time)
        known_times = time[time != NO_TIME]
        self.without_time += len(time) - len(known_times)
        if len(known_times):
            first, last = int(known_times.min()), int(known_times.max())
            self.first = first if self.first is None else min(self.first, first)
            self.last = last if self.last is None else max(self.last, last)
            self._add_days((known_times // _DAY).astype(np.int64))
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

    Memory grows with the users and the distinct days, never with the events.

    Attributes:
        behaviours: What was counted, by the behaviour's name, in the order of the settings.
        deleted: Rows that take events back; they are counted nowhere else.
    """

    def __init__(self) -> None:
        self.behaviours: dict[str, BehaviourStatistics] = {}
        self.deleted = 0
        self._per_user = np.zeros(0, np.int64)

    @property
    def events(self) -> int:
        """How many events were counted."""
        return sum(behaviour.events for behaviour in self.behaviours.values())

    @property
    def per_user(self) -> Counts:
        """Events of each user that has any, int64."""
        return self._per_user[self._per_user > 0]

    def add(self, events: Events) -> None:
        """Counts the events of a part."""
        for name in events.behaviours:
            self.behaviours.setdefault(name, BehaviourStatistics())
        for part in slices(len(events)):
            valid = ~events.deleted[part]
            self.deleted += len(valid) - int(valid.sum())
            self._per_user = _added(self._per_user, events.user[part][valid])
            behaviour = events.behaviour[part]
            for number, name in enumerate(events.behaviours):
                own = valid & (behaviour == number)
                if own.any():
                    self.behaviours[name].add(events.time[part][own], events.rating[part][own])

    def count(
        self, behaviour: str, user: Positions, time: Times, rating: npt.NDArray[np.float64]
    ) -> None:
        """Counts interactions (n,) of one behaviour, where there are no events."""
        statistics = self.behaviours.setdefault(behaviour, BehaviourStatistics())
        for part in slices(len(user)):
            self._per_user = _added(self._per_user, user[part])
            statistics.add(time[part], rating[part])


def _added(counts: Counts, positions: Positions) -> Counts:
    """Adds one at each position (n,), in place where there is room."""
    if len(positions):
        lacking = int(positions.max()) + 1 - len(counts)
        if lacking > 0:
            counts = np.concatenate([counts, np.zeros(max(lacking, len(counts) // 2), np.int64)])
        np.add.at(counts, positions, 1)
    return counts


#: Counts up to which a unit is used.
_UNITS = (("day", 92), ("week", 2 * 366), ("month", 20 * 366))
#: Events at either end that may be left out if that halves what is shown: broken clocks.
_STRAYS = 0.0005
#: Counts that are shown at most, the last ones.
_MOST_DAYS = 300 * 366


def iso(seconds: float | None) -> str | None:
    """Writes a time as ISO 8601, UTC; None stays None."""
    return None if seconds is None else f"{np.datetime64(int(seconds), 's')}Z"


def timeline_of(statistics: EventStatistics) -> Timeline | None:
    """Sums days to periods; None if no event has a time."""
    timed = {name: b for name, b in statistics.behaviours.items() if len(b.days)}
    if not timed:
        return None
    days = np.concatenate([b.days for b in timed.values()])
    counts = np.concatenate([b.day_counts for b in timed.values()])
    first, last = _visible_range(days, counts)
    first = max(first, last - _MOST_DAYS)
    unit = next((unit for unit, most in _UNITS if last - first < most), "year")
    first_period, last_period = _periods(np.array([first, last]), unit)
    periods = np.arange(first_period, last_period + 1)
    period_counts = {}
    for name, behaviour in timed.items():
        inside = (behaviour.days >= first) & (behaviour.days <= last)
        places = _periods(behaviour.days[inside], unit) - periods[0]
        sums = np.bincount(places, behaviour.day_counts[inside], minlength=len(periods))
        period_counts[name] = tuple(int(value) for value in sums)
    outside = int(counts[(days < first) | (days > last)].sum())
    return Timeline(unit, _starts(periods, unit), period_counts, outside)


def _visible_range(days: Counts, counts: Counts) -> tuple[int, int]:
    """Gives the first and last day to show."""
    order = np.argsort(days, kind="stable")
    days, reached = days[order], np.cumsum(counts[order])
    strays = int(_STRAYS * reached[-1])
    first = days[np.searchsorted(reached, strays, side="right")]
    last = days[np.searchsorted(reached, reached[-1] - strays)]
    if last - first < (days[-1] - days[0]) / 2:
        return int(first), int(last)
    return int(days[0]), int(days[-1])


def _periods(days: Counts, unit: str) -> Counts:
    """Numbers the period that each day (n,) is in."""
    if unit == "day":
        return days
    if unit == "week":
        return (days + 3) // 7  # 1970 began on a Thursday
    code = "M" if unit == "month" else "Y"
    return days.astype("datetime64[D]").astype(f"datetime64[{code}]").astype(np.int64)


def _starts(periods: Counts, unit: str) -> tuple[str, ...]:
    """Gives the first day of each period (n,)."""
    if unit == "week":
        return tuple((periods * 7 - 3).astype("datetime64[D]").astype(str).tolist())
    code = {"day": "D", "month": "M", "year": "Y"}[unit]
    firsts = periods.astype(f"datetime64[{code}]").astype("datetime64[D]")
    return tuple(firsts.astype(str).tolist())
