"""Local times into UTC, by day: only on days when the clocks change is every time looked at."""

import datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kgrec.data.cleaning.cells import Mask
from kgrec.errors import ConfigError

Seconds = npt.NDArray[np.int64]

_EPOCH = datetime.datetime(1970, 1, 1)
_DAY = 86_400
#: Local times from year 1 to 9999, in seconds since 1970.
FIRST, LAST = -62_135_596_800, 253_402_300_799


def zone_of(name: str, source: str) -> ZoneInfo:
    """Gives a time zone.

    Raises:
        ConfigError: If there is none of the name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise ConfigError(
            f"source {source!r}: no time zone {name!r}; expected a name such as 'UTC' or "
            f"'Europe/Berlin'; correct time.zone"
        ) from exc


def to_utc(local: Seconds, zone: ZoneInfo) -> tuple[Seconds, Mask, Mask]:
    """Gives the UTC of local times.

    A time that the clock shows twice is taken as the earlier; one that it skips is moved forward
    by what it skips.

    Args:
        local: int64 (n,), seconds since 1970 on the local clock, from FIRST to LAST.
        zone: The zone.

    Returns:
        int64 (n,) seconds since 1970 UTC; and bool (n,) each, which times the clock shows twice
        and which it skips.
    """
    if zone.key == "UTC" or not len(local):
        nothing = np.zeros(len(local), dtype=bool)
        return local, nothing, nothing
    days, day = np.unique(local // _DAY, return_inverse=True)
    steady = np.zeros(len(days), dtype=bool)
    offsets = np.zeros(len(days), dtype=np.int64)
    for place, start in enumerate((days * _DAY).tolist()):
        ends = (*_offsets(start, zone), *_offsets(start + _DAY - 1, zone))
        steady[place], offsets[place] = len(set(ends)) == 1, ends[0]
    offset, twice, skipped = offsets[day], np.zeros(len(local), bool), np.zeros(len(local), bool)
    changing = np.flatnonzero(~steady[day])
    times, time = np.unique(local[changing], return_inverse=True)
    pairs = np.array([_offsets(moment, zone) for moment in times.tolist()], dtype=np.int64)
    if len(pairs):
        earlier, later = pairs[time].T
        # The offset before the change makes the earlier of two, and moves a skipped one forward.
        offset[changing] = earlier
        twice[changing], skipped[changing] = earlier > later, earlier < later
    return local - offset, twice, skipped


def _offsets(local: int, zone: ZoneInfo) -> tuple[int, int]:
    """What the clock is ahead of UTC, in seconds, taking a doubtful time as before and after."""
    moment = _EPOCH + datetime.timedelta(seconds=local)
    offsets = (zone.utcoffset(moment), zone.utcoffset(moment.replace(fold=1)))
    before, after = (offset or datetime.timedelta() for offset in offsets)
    return before // datetime.timedelta(seconds=1), after // datetime.timedelta(seconds=1)
