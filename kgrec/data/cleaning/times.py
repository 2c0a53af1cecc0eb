"""Cells into times, and what a time without a zone means."""

import datetime
import re
import time
import warnings
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kgrec.config import TimeFormat
from kgrec.data.cleaning.cells import (
    EDGES,
    Cleaned,
    Effect,
    Fault,
    Mask,
    Mending,
    as_text,
    encode,
    family,
    missing,
)
from kgrec.data.cleaning.numbers import matches, parse_decimals, parse_integers
from kgrec.errors import ConfigError

Whole = npt.NDArray[np.int64]
Seconds = npt.NDArray[np.float64]

_EPOCH = datetime.datetime(1970, 1, 1)
_DAY_SECONDS = 86_400
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


def to_utc(local: Whole, zone: ZoneInfo) -> tuple[Whole, Mask, Mask]:
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
    days, day = np.unique(local // _DAY_SECONDS, return_inverse=True)
    steady = np.zeros(len(days), dtype=bool)
    offsets = np.zeros(len(days), dtype=np.int64)
    for place, start in enumerate((days * _DAY_SECONDS).tolist()):
        ends = (*_offsets(start, zone), *_offsets(start + _DAY_SECONDS - 1, zone))
        steady[place], offsets[place] = len(set(ends)) == 1, ends[0]
    offset, twice, skipped = offsets[day], np.zeros(len(local), bool), np.zeros(len(local), bool)
    changing = np.flatnonzero(~steady[day])
    times, place_of = np.unique(local[changing], return_inverse=True)
    pairs = np.array([_offsets(moment, zone) for moment in times.tolist()], dtype=np.int64)
    if len(pairs):
        earlier, later = pairs[place_of].T
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


_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# The year 5138; a number beyond is in another unit.
_LAST_SECOND = 10**11

# By rule, what is said of times that are read but doubtful; the first two were changed.
_DOUBTS: tuple[tuple[str, str, Effect], ...] = (
    ("time shown twice", "times that the clock shows twice, taken as the earlier", "mended"),
    ("time skipped", "times that the clock skips, moved forward", "mended"),
    ("time 0", "times are 0, the first second of 1970, as where a time is missing", "noted"),
    ("time before 1990", "times are before 1990; fine if they only number the order", "noted"),
    ("time in the future", "times are in the future: look at the unit (time.unit)", "noted"),
)
_1990 = 631_152_000

_DAY = r"\d{4}-\d\d-\d\d"
_CLOCK = r"[T ]\d\d(:?\d\d(:?\d\d)?)?"
_ZONE = r"(Z|[+-]\d\d(:?\d\d)?)"
_LOCAL = f"^{_DAY}({_CLOCK})?$"
_FRACTION = "[.,]"
_ZONED = f"^{_DAY}{_CLOCK}{_ZONE}$"


@dataclass(frozen=True)
class _Read:
    """Distinct cells or cells (n,) as times.

    Attributes:
        seconds: float64 (n,), 0 where it is no time.
        fine: bool (n,), which are times.
        local: bool (n,), whose seconds are those of a local clock.
        far: bool (n,), numbers that are no plausible time in the unit.
    """

    seconds: Seconds
    fine: Mask
    local: Mask
    far: Mask


class Clock:
    """Reads the times of one source.

    Args:
        form: How they are written.
        source: The source's name, for messages.

    Raises:
        ConfigError: If there is no such zone, or the format is none.
    """

    def __init__(self, form: TimeFormat, source: str) -> None:
        self._form = form
        self._zone: ZoneInfo = zone_of(form.zone, source)
        if form.format is not None:
            try:
                _formatted(pa.array(["1970"]), form.format)
            except (ValueError, TypeError, KeyError, re.error) as exc:
                raise ConfigError(
                    f"source {source!r}: time.format {form.format!r} is no strptime format: {exc}; "
                    f"expected for example '%d.%m.%Y %H:%M'"
                ) from exc

    def clean(self, cells: pa.Array) -> Cleaned:
        """Cleans plain cells (n,) into float64 (n,) seconds since 1970 UTC; null if missing or bad.

        Fractions of a second stay, to the microsecond. A number of the wrong unit, and anything
        that is no time, makes a bad row.
        """
        kind = family(cells.type)
        if kind == "text" or (self._form.format and kind in ("whole", "float", "decimal")):
            texts = encode(as_text(cells))
            read, *doubts = self._in_utc(self._read_text(texts.values))
            doubts = [texts.rows(rows) for rows in (*doubts, *_unlikely(read))]
            values = texts.spread(pa.array(read.seconds, mask=~read.fine))
            bad, far = texts.rows(~read.fine), texts.rows(read.far)
        else:
            read, *doubts = self._in_utc(self._read_native(cells))
            is_missing = missing(cells)
            doubts += [rows & ~is_missing for rows in _unlikely(read)]
            values = pa.array(read.seconds, mask=is_missing | ~read.fine)
            bad, far = ~read.fine & ~is_missing, read.far & ~is_missing
        mended = tuple(
            Mending(rule, text, rows, effect)
            for (rule, text, effect), rows in zip(_DOUBTS, doubts, strict=True)
        )
        return Cleaned(values, self._faults(cells, bad, far), mended)

    def _in_utc(self, read: _Read) -> tuple[_Read, Mask, Mask]:
        local = read.local & read.fine
        twice, skipped = np.zeros((2, len(local)), dtype=bool)
        if local.any():
            seconds = read.seconds.copy()
            whole = np.floor(seconds[local]).astype(np.int64)
            utc, twice[local], skipped[local] = to_utc(whole, self._zone)
            seconds[local] += utc - whole
            read = _Read(seconds, read.fine, read.local, read.far)
        return read, twice, skipped

    def _read_text(self, values: pa.Array) -> _Read:
        if self._form.format is not None:
            return _formatted(values, self._form.format)
        whole, fine = parse_integers(values)
        seconds, far = self._of_unit(whole)
        local = np.zeros(len(values), dtype=bool)
        if not fine.all():
            decimals, numbers = parse_decimals(values)
            numbers &= ~fine
            seconds[numbers], far[numbers] = self._of_unit(decimals[numbers])
            iso = _iso(pc.ascii_upper(values), ~fine & ~numbers)
            seconds = np.where(iso.fine, iso.seconds, seconds)
            local, fine = iso.local, fine | numbers | iso.fine
        return _Read(seconds, fine & ~far, local, far)

    def _read_native(self, cells: pa.Array) -> _Read:
        kind = family(cells.type)
        if kind == "moment":
            return _moments(cells)
        nothing = np.zeros(len(cells), dtype=bool)
        if kind == "whole" and not pa.types.is_uint64(cells.type):
            numbers = pc.fill_null(cells.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        elif kind in ("whole", "float", "decimal"):
            floats = cells.cast(pa.float64(), safe=False)
            numbers = pc.fill_null(floats, 0.0).to_numpy(zero_copy_only=False)
        else:
            return _Read(np.zeros(len(cells)), nothing, nothing, nothing)
        seconds, far = self._of_unit(numbers)
        finite = np.isfinite(numbers)
        return _Read(seconds, finite & ~far, nothing, finite & far)

    def _of_unit(self, numbers: np.ndarray) -> tuple[Seconds, Mask]:
        """Numbers since 1970 as seconds, 0 where that is no plausible time; and where it is not."""
        with np.errstate(invalid="ignore"):
            seconds = _seconds(numbers, self._form.unit)
            far = ~((seconds < _LAST_SECOND) & (seconds > -_LAST_SECOND))
        return np.where(far, 0.0, seconds), far

    def _faults(self, cells: pa.Array, bad: Mask, far: Mask) -> tuple[Fault, ...]:
        form, since = self._form, f"a time in {self._form.unit} since 1970 UTC"
        message = f"rows whose time is too far from 1970 for the unit {form.unit!r}"
        hint = _unit_hint(cells[int(np.argmax(far))].as_py(), form.unit) if far.any() else ""
        expected = f"a time like {form.format!r}" if form.format else f"{since} or in ISO 8601"
        own_format = "" if form.format else '; other times need time = { format = "…" }'
        return (
            Fault("time in another unit", message, since, far, hint),
            Fault("no time", "rows whose time cannot be read", expected, bad & ~far, own_format),
        )


def _seconds(numbers: np.ndarray, unit: str) -> Seconds:
    """Numbers (n,) in a unit as seconds; nanoseconds are finer than a float and are cut."""
    if unit == "ns":
        numbers, unit = np.floor_divide(numbers, 1000), "us"
    return np.asarray(np.true_divide(numbers, _PER_SECOND[unit]), dtype=np.float64)


def _unlikely(read: _Read) -> tuple[Mask, Mask, Mask]:
    """Marks times (n,) that are 0, before 1990, and in the future."""
    seconds, fine = read.seconds, read.fine
    zero = seconds == 0
    return fine & zero, fine & ~zero & (seconds < _1990), fine & (seconds > time.time())


def _unit_hint(cell: Any, unit: str) -> str:
    """What unit a number is in, if it is later than any date in the one that was said."""
    text = cell.decode() if isinstance(cell, bytes) else str(cell)
    number = abs(float(text.strip(EDGES)))
    finer = [name for name, size in _PER_SECOND.items() if size > _PER_SECOND[unit]]
    for name in finer:
        if number < _LAST_SECOND * _PER_SECOND[name]:
            names = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
            return f', which looks like {names[name]} (time = {{ unit = "{name}" }})'
    return ""


def _iso(values: pa.Array, where: Mask) -> _Read:
    """Reads distinct text (d,) in ISO 8601, where it is wanted."""
    seconds = np.zeros(len(values))
    fine = np.zeros(len(values), dtype=bool)
    local = np.zeros(len(values), dtype=bool)
    # Arrow reads whole seconds; `… UTC` is how some exports write `Z`.
    digits = pc.struct_field(
        pc.extract_regex(values, rf"{_FRACTION}(?P<digits>\d{{1,6}})"), "digits"
    )
    fraction = pc.binary_join_element_wise("0", pc.fill_null(digits, "0"), ".").cast(pa.float64())
    text = pc.replace_substring_regex(values, rf"(:\d\d){_FRACTION}\d+", r"\1")
    text = pc.replace_substring_regex(text, r"\s*(UTC|GMT|Z)$", "Z")
    text = pc.replace_substring_regex(text, r"\s+([+-]\d\d:?(\d\d)?)$", r"\1")
    for pattern, kind in ((_LOCAL, pa.timestamp("s")), (_ZONED, pa.timestamp("s", "UTC"))):
        here = where & matches(text, pattern)
        if here.any():
            seconds[here], fine[here] = _parsed(text.filter(pa.array(here)), kind)
            local |= here & (kind.tz is None)
    seconds[fine] += fraction.to_numpy(zero_copy_only=False)[fine]
    return _Read(seconds, fine, local, np.zeros(len(values), dtype=bool))


def _parsed(text: pa.Array, kind: pa.DataType) -> tuple[Seconds, Mask]:
    """Text (d,) of the shape of a time as seconds; and which there are on the calendar."""
    try:
        values = text.cast(kind).cast(pa.int64()).to_numpy().astype(np.float64)
        return values, (values >= FIRST) & (values <= LAST)
    except pa.ArrowInvalid:
        pass  # a 30th of February somewhere: one by one
    seconds, fine = np.zeros(len(text)), np.zeros(len(text), dtype=bool)
    for place, value in enumerate(text.to_pylist()):
        try:
            moment = datetime.datetime.fromisoformat(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
            seconds[place], fine[place] = moment.timestamp(), True
        except (ValueError, OverflowError):
            continue
    return seconds, fine


def _formatted(values: pa.Array, form: str) -> _Read:
    """Reads distinct text (d,) by a `strptime` format; raises ValueError if it is none."""
    zoned = "%z" in form or "%Z" in form
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = pd.Series(values.to_numpy(zero_copy_only=False), dtype=object)
        times = pd.to_datetime(frame, format=form, errors="coerce", utc=zoned)
    fine = times.notna().to_numpy(dtype=bool)
    bare = times.dt.tz_localize(None) if zoned else times
    moments = bare.to_numpy().astype("datetime64[us]").astype(np.int64) / _PER_SECOND["us"]
    nothing = np.zeros(len(values), dtype=bool)
    return _Read(np.where(fine, moments, 0.0), fine, fine & (not zoned), nothing)


def _moments(cells: pa.Array) -> _Read:
    """Arrow's dates and timestamps (n,); those without a zone are local."""
    kind = cells.type
    nothing = np.zeros(len(cells), dtype=bool)
    if pa.types.is_date(kind):
        cells, unit, local = cells.cast(pa.timestamp("ms")), "ms", True
    else:
        unit, local = kind.unit, kind.tz is None
    numbers = pc.fill_null(cells.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    seconds = _seconds(numbers, unit)
    fine = (seconds >= FIRST) & (seconds < LAST + 1)
    return _Read(np.where(fine, seconds, 0.0), fine, fine & local, nothing)
