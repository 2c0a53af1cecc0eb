"""Behaviours over time, in periods that a picture can show."""

import numpy as np
import numpy.typing as npt

from kgrec.data.card.card import Timeline
from kgrec.data.card.statistics import EventStatistics

Days = npt.NDArray[np.int64]

#: Days up to which a unit is used.
_UNITS = (("day", 92), ("week", 2 * 366), ("month", 20 * 366))
#: Events at either end that may be left out if that halves what is shown: broken clocks.
_STRAYS = 0.0005
#: Days that are shown at most, the last ones.
_MOST_DAYS = 300 * 366


def iso(seconds: float) -> str:
    """Writes a time as ISO 8601, UTC."""
    return f"{np.datetime64(int(seconds), 's')}Z"


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
    periods = np.arange(_period(first, unit), _period(last, unit) + 1)
    period_counts = {}
    for name, behaviour in timed.items():
        inside = (behaviour.days >= first) & (behaviour.days <= last)
        places = _periods(behaviour.days[inside], unit) - periods[0]
        sums = np.bincount(places, behaviour.day_counts[inside], minlength=len(periods))
        period_counts[name] = tuple(int(value) for value in sums)
    outside = int(counts[(days < first) | (days > last)].sum())
    return Timeline(unit, _starts(periods, unit), period_counts, outside)


def _visible_range(days: Days, counts: Days) -> tuple[int, int]:
    """Gives the first and last day to show."""
    order = np.argsort(days, kind="stable")
    days, reached = days[order], np.cumsum(counts[order])
    strays = int(_STRAYS * reached[-1])
    first = days[np.searchsorted(reached, strays, side="right")]
    last = days[np.searchsorted(reached, reached[-1] - strays)]
    if last - first < (days[-1] - days[0]) / 2:
        return int(first), int(last)
    return int(days[0]), int(days[-1])


def _period(day: int, unit: str) -> int:
    return int(_periods(np.array([day]), unit)[0])


def _periods(days: Days, unit: str) -> Days:
    """Numbers the period that each day (n,) is in."""
    if unit == "day":
        return days
    if unit == "week":
        return (days + 3) // 7  # 1970 began on a Thursday
    code = "M" if unit == "month" else "Y"
    return days.astype("datetime64[D]").astype(f"datetime64[{code}]").astype(np.int64)


def _starts(periods: Days, unit: str) -> tuple[str, ...]:
    """Gives the first day of each period (n,)."""
    if unit == "week":
        return tuple((periods * 7 - 3).astype("datetime64[D]").astype(str).tolist())
    code = {"day": "D", "month": "M", "year": "Y"}[unit]
    firsts = periods.astype(f"datetime64[{code}]").astype("datetime64[D]")
    return tuple(firsts.astype(str).tolist())
