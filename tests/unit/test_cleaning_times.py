import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.config import TimeFormat
from kgrec.data.cleaning.cells import plain
from kgrec.data.cleaning.times import FIRST, LAST, Clock, to_utc
from kgrec.errors import ConfigError

BERLIN = "Europe/Berlin"


def utc(*parts: int) -> int:
    return int(datetime.datetime(*parts, tzinfo=datetime.UTC).timestamp())


def read(values: Any, **form: str) -> list[float | None]:
    """The times of cells that are all fine."""
    done = clean(values, **form)
    assert done.faults == ()
    return list(done.values.to_pylist())


def clean(values: Any, **form: str) -> Any:
    cells = values if isinstance(values, pa.Array) else pa.array(values, pa.string())
    return Clock(TimeFormat(**form), "s").clean(plain(cells))


@pytest.mark.parametrize(
    ("unit", "value"),
    [("s", "1600000000.5"), ("ms", "1600000000500"), ("us", "1600000000500000"),
     ("ns", "1600000000500000999")],
)  # fmt: skip
def test_numbers_count_from_1970_in_their_unit(unit: str, value: str) -> None:
    moment = 1600000000.5
    assert read([value, f" {value} ", "", None], unit=unit) == [moment] * 2 + [None] * 2
    cell = float(value) if unit == "s" else int(value)
    assert read(pa.array([cell, None]), unit=unit) == [moment, None]
    assert read([f"-{value}"], unit=unit) == [pytest.approx(-moment, abs=2e-6)]


def test_times_keep_their_fraction_of_a_second() -> None:
    assert read(["1.9", "-0.5", "1.6e9", "+7"]) == [1.9, -0.5, 1600000000, 7]
    assert read(pa.array([1.9, -0.5, None])) == [1.9, -0.5, None]
    assert read(pa.array([1, 2], pa.uint64())) == [1, 2]
    assert read(["1970-01-01T00:00:01.999", "1969-12-31 23:59:59,5"]) == [1.999, -0.5]
    assert read(["1598930862900", "1598930862100"], unit="ms") == [1598930862.9, 1598930862.1]
    berlin = ["2024-07-01T12:00:00.25", "2024-07-01T12:00:00.250"]
    assert read(berlin, zone=BERLIN) == [utc(2024, 7, 1, 10) + 0.25] * 2


def test_unlikely_times_are_noted_with_their_count() -> None:
    done = clean(["-86400", "0", "99999999999", "4102444800", "1600000000", "0", ""])
    assert {m.rule: (m.effect, int(m.rows.sum())) for m in done.mended} == {
        "time 0": ("noted", 2),
        "time before 1990": ("noted", 1),
        "time in the future": ("noted", 2),
    }
    assert clean(["1600000000"]).mended == ()
    assert clean(pa.array([0, None])).mended[0].rows.tolist() == [True, False]


@pytest.mark.parametrize(
    ("value", "unit", "hint"),
    [
        ("1600000000000", "s", ', which looks like milliseconds (time = { unit = "ms" })'),
        ("100000000000", "s", ', which looks like milliseconds (time = { unit = "ms" })'),
        ("1600000000000000", "s", ', which looks like microseconds (time = { unit = "us" })'),
        ("1600000000000000000", "s", ', which looks like nanoseconds (time = { unit = "ns" })'),
        ("1600000000000000", "ms", ', which looks like microseconds (time = { unit = "us" })'),
        ("-1600000000000", "s", ', which looks like milliseconds (time = { unit = "ms" })'),
        ("1e300", "s", ""),
    ],
)
def test_numbers_of_another_unit_are_bad_and_say_so(value: str, unit: str, hint: str) -> None:
    number = float(value) if "e" in value else int(value)
    for cells in ([f" {value}"], pa.array([number])):
        done = clean(cells, unit=unit)
        assert done.values.to_pylist() == [None]
        (fault,) = done.faults
        assert (fault.rule, fault.hint) == ("time in another unit", hint)
    assert read(["99999999999"]) == [99999999999]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29", utc(2024, 2, 29)),
        ("2024-02-29T10:11:12", utc(2024, 2, 29, 10, 11, 12)),
        ("2024-02-29 10:11:12.123456789", utc(2024, 2, 29, 10, 11, 12) + 0.123456),
        ("2024-02-29 10:11", utc(2024, 2, 29, 10, 11)),
        ("2024-02-29T10:11:12Z", utc(2024, 2, 29, 10, 11, 12)),
        ("2024-02-29t10:11:12z", utc(2024, 2, 29, 10, 11, 12)),
        ("2024-02-29 10:11:12 UTC", utc(2024, 2, 29, 10, 11, 12)),
        ("2024-02-29T10:11:12+01:00", utc(2024, 2, 29, 9, 11, 12)),
        ("2024-02-29T10:11:12.5-0130", utc(2024, 2, 29, 11, 41, 12) + 0.5),
        ("2024-02-29 10:11:12 +02", utc(2024, 2, 29, 8, 11, 12)),
        ("0001-01-01", FIRST),
        ("9999-12-31T23:59:59", LAST),
    ],
)
def test_iso_8601(text: str, expected: float) -> None:
    assert read([text, None, text]) == [expected, None, expected]
    # A day that does not exist beside it must not change how the others are read.
    beside = clean([text, "2023-02-29", "2023-02-29T10:00Z"])
    assert beside.values.to_pylist() == [expected, None, None]


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2024-13-01", "2023-02-29", "2024-01-01T25:00", "01.02.2024", "2024/01/01",
     "2024-01-01T10:00:00+99:00", "nan", "inf", "0000-01-01", "24-01-01", "1,5", "2024-01-01T"],
)  # fmt: skip
def test_what_is_no_time_is_bad(text: str) -> None:
    done = clean([text, "1"])
    assert done.values.to_pylist() == [None, 1]
    (fault,) = done.faults
    assert (fault.rule, fault.rows.tolist()) == ("no time", [True, False])
    assert "time.format" in fault.hint or "format" in fault.hint


def test_native_cells_that_are_no_time_are_bad() -> None:
    for cells in (
        pa.array([True, None]),
        pa.array([[1], None]),
        pa.array([float("nan"), None]),
        pa.array([float("inf"), None]),
        pa.array([1, None], pa.time32("s")),
        pa.array([2**62, None], pa.timestamp("s")),
    ):
        done = clean(cells)
        assert done.values.to_pylist() == [None, None]
        assert [(f.rule, f.rows.tolist()) for f in done.faults] == [("no time", [True, False])]


def test_times_that_the_clock_shows_twice_are_the_earlier() -> None:
    # Until 03:00 summer time (+02:00) the clock goes back to 02:00 (+01:00).
    done = clean(["2024-10-27 01:59:59", "2024-10-27 02:30:00", "2024-10-27 03:00:00"], zone=BERLIN)
    assert done.values.to_pylist() == [
        utc(2024, 10, 26, 23, 59, 59), utc(2024, 10, 27, 0, 30), utc(2024, 10, 27, 2),
    ]  # fmt: skip
    (mending,) = done.mended
    assert (mending.rule, mending.rows.tolist()) == ("time shown twice", [False, True, False])


def test_times_that_the_clock_skips_are_moved_forward() -> None:
    # 02:00 (+01:00) becomes 03:00 (+02:00).
    done = clean(["2024-03-31 01:59:59", "2024-03-31 02:30:00", "2024-03-31 03:30:00"], zone=BERLIN)
    assert done.values.to_pylist() == [
        utc(2024, 3, 31, 0, 59, 59), utc(2024, 3, 31, 1, 30), utc(2024, 3, 31, 1, 30),
    ]  # fmt: skip
    (mending,) = done.mended
    assert (mending.rule, mending.rows.tolist()) == ("time skipped", [False, True, False])


def test_the_zone_is_for_times_that_name_none() -> None:
    noon = utc(2024, 7, 1, 10)
    texts = ["2024-07-01 12:00", "2024-07-01T10:00Z", "2024-07-01T12:00+02:00", str(noon)]
    assert read(texts, zone=BERLIN) == [noon] * 4
    assert read(["2024-07-01"], zone=BERLIN) == [utc(2024, 6, 30, 22)]


def test_arrow_times_are_read_as_they_are() -> None:
    moment = datetime.datetime(2024, 7, 1, 12, 0, 0, 500000)
    for unit in ("s", "ms", "us", "ns"):
        cells = pa.array([moment, None], pa.timestamp("us")).cast(pa.timestamp(unit), safe=False)
        half = 0.0 if unit == "s" else 0.5
        assert read(cells) == [utc(2024, 7, 1, 12) + half, None]
        assert read(cells, zone=BERLIN) == [utc(2024, 7, 1, 10) + half, None]
        zoned = cells.cast(pa.timestamp(unit, "Asia/Tokyo"))
        assert read(zoned, zone=BERLIN) == [utc(2024, 7, 1, 12) + half, None]
    for kind in (pa.date32(), pa.date64()):
        assert read(pa.array([moment.date()], kind), zone=BERLIN) == [utc(2024, 6, 30, 22)]


def test_a_format_of_its_own() -> None:
    assert read(["01.07.2024 12:00", ""], format="%d.%m.%Y %H:%M", zone=BERLIN) == [
        utc(2024, 7, 1, 10), None,
    ]  # fmt: skip
    assert read(["01/Jul/2024:12:00:00 +0200"], format="%d/%b/%Y:%H:%M:%S %z") == [
        utc(2024, 7, 1, 10)
    ]
    for cells in (pa.array([20240701]), ["20240701"], pa.array([20240701.0])):
        assert read(cells, format="%Y%m%d") == [utc(2024, 7, 1)]
    assert read(["1969-12-31 23:59:59.5"], format="%Y-%m-%d %H:%M:%S.%f") == [-0.5]
    done = clean(["2024-07-01", "1600000000"], format="%d.%m.%Y")
    assert done.values.to_pylist() == [None, None]
    assert done.faults[0].expected == "a time like '%d.%m.%Y'"


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "../../etc/passwd", "", "Europe"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(ConfigError, match="no time zone"):
        Clock(TimeFormat(zone=zone), "s")


@pytest.mark.parametrize("form", ["%Q", "%Y %Y", "%"])
def test_an_impossible_format_is_refused(form: str) -> None:
    with pytest.raises(ConfigError, match="is no strptime format"):
        Clock(TimeFormat(format=form), "s")


@settings(deadline=None, max_examples=150)
@given(
    zone=st.sampled_from(
        [BERLIN, "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"]
    ),
    moments=st.lists(
        st.integers(utc(1900, 1, 1), utc(2037, 1, 1))
        | st.integers(utc(2010, 10, 1), utc(2010, 11, 30)),
        min_size=1,
        max_size=20,
    ),
)
def test_local_times_become_what_the_zone_says(zone: str, moments: list[int]) -> None:
    """Against the library's zones, one time after the other."""
    key = ZoneInfo(zone)
    got, twice, skipped = to_utc(np.array(moments), key)
    for moment, seconds, both, none in zip(moments, got, twice, skipped, strict=True):
        local = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=moment)
        assert seconds == local.replace(tzinfo=key).timestamp()
        shown = datetime.datetime.fromtimestamp(int(seconds), key).replace(tzinfo=None)
        assert (shown != local) == none
        later = local.replace(tzinfo=key, fold=1).timestamp()
        assert both == (later > seconds)


@settings(deadline=None, max_examples=100)
@given(
    moment=st.datetimes(
        min_value=datetime.datetime(1, 1, 2),
        max_value=datetime.datetime(9999, 12, 30),
        timezones=st.none()
        | st.integers(-18 * 60, 18 * 60).map(
            lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
        ),
    ),
    separator=st.sampled_from("T "),
)
def test_iso_8601_as_python_writes_it(moment: datetime.datetime, separator: str) -> None:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    assert read([moment.isoformat(separator)]) == [
        pytest.approx((aware - epoch).total_seconds(), rel=0, abs=2e-5)
    ]
