"""Counts of events over time, and of degrees: against hand-made cases and the slow way."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.data.card.card import Bin
from kgrec.data.card.statistics import (
    EventStatistics,
    degrees_of,
    gini,
    iso,
    log2_bins,
    summarise,
    timeline_of,
)
from kgrec.data.journal.events import NO_TIME, Events

DAY = 86_400
NAMES = ("buy", "view")

Row = tuple[int, int, int, int | None, float | None, bool]
rows = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(0, 4),
        st.integers(0, 1),
        st.none() | st.integers(-3 * DAY, 40 * DAY),
        st.none() | st.sampled_from([0.5, 1.0, 3.5, 5.0]),
        st.booleans(),
    ),
    max_size=30,
)


def events_of(told: list[Row], names: tuple[str, ...] = NAMES) -> Events:
    n = len(told)
    return Events(
        user=np.array([row[0] for row in told], np.int32),
        item=np.array([row[1] for row in told], np.int32),
        behaviour=np.array([row[2] for row in told], np.int16),
        time=np.array([NO_TIME if row[3] is None else row[3] for row in told], np.int64),
        rating=np.array([np.nan if row[4] is None else row[4] for row in told], np.float64),
        weight=np.full(n, np.nan),
        split=np.full(n, -1, np.int8),
        deleted=np.array([row[5] for row in told], np.bool_),
        load=np.ones(n, np.int32),
        behaviours=names,
    )


def told_by(statistics: EventStatistics) -> dict[str, object]:
    return {
        "deleted": statistics.deleted,
        "users": sorted(statistics.per_user.tolist()),
        **{
            name: (
                b.events, b.without_time, b.without_rating, b.first, b.last,
                dict(zip(b.days.tolist(), b.day_counts.tolist(), strict=True)),
                b.ratings(), round(b.rating_sum, 6),
            )
            for name, b in statistics.behaviours.items()
        },
    }  # fmt: skip


@given(rows)
@settings(max_examples=150, deadline=None)
def test_counts_are_those_of_counting_one_by_one(told: list[Row]) -> None:
    statistics = EventStatistics()
    statistics.add(events_of(told))
    kept = [row for row in told if not row[5]]
    assert statistics.deleted == len(told) - len(kept)
    assert statistics.events == len(kept)
    users = Counter(row[0] for row in kept)
    assert sorted(statistics.per_user.tolist()) == sorted(users.values())
    for number, name in enumerate(NAMES):
        own = [row for row in kept if row[2] == number]
        found = statistics.behaviours[name]
        times = [row[3] for row in own if row[3] is not None]
        assert found.events == len(own)
        assert found.without_time == len(own) - len(times)
        assert found.without_rating == sum(row[4] is None for row in own)
        assert (found.first, found.last) == ((min(times), max(times)) if times else (None, None))
        days = Counter(time // DAY for time in times)
        assert dict(zip(found.days.tolist(), found.day_counts.tolist(), strict=True)) == days
        ratings = Counter(row[4] for row in own if row[4] is not None)
        assert (found.ratings() or {}) == ratings


@given(rows, st.lists(st.integers(0, 30), max_size=4))
@settings(max_examples=100, deadline=None)
def test_parts_add_up_in_any_order(told: list[Row], cuts: list[int]) -> None:
    whole = EventStatistics()
    whole.add(events_of(told))
    edges = sorted({0, len(told), *(min(cut, len(told)) for cut in cuts)})
    parts = EventStatistics()
    for start, stop in reversed(list(pairwise(edges))):
        parts.add(events_of(told[start:stop]))
    parts.add(events_of([]))
    assert told_by(parts) == told_by(whole)


def test_slices_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    told: list[Row] = [
        (int(u), int(i), int(b), int(t), None, bool(d))
        for u, i, b, t, d in rng.integers(0, 2, (100, 5)).tolist()
    ]
    whole, parts = EventStatistics(), EventStatistics()
    whole.add(events_of(told))
    monkeypatch.setattr("kgrec.data.card.statistics.SLICE", 7)
    parts.add(events_of(told))
    assert told_by(parts) == told_by(whole)


def test_behaviours_are_known_by_name_whatever_their_number() -> None:
    statistics = EventStatistics()
    statistics.add(events_of([(0, 0, 0, 5, None, False)]))
    statistics.add(events_of([(0, 0, 0, 9, None, False)], ("view", "buy")))
    assert {name: b.events for name, b in statistics.behaviours.items()} == {"buy": 1, "view": 1}


def test_ratings_that_are_no_halves_are_summed_but_not_told_apart() -> None:
    statistics = EventStatistics()
    statistics.add(events_of([(0, 0, 0, 0, 4.0, False)]))
    assert statistics.behaviours["buy"].ratings() == {4.0: 1}
    statistics.add(events_of([(0, 0, 0, 0, 0.3, False)]))
    found = statistics.behaviours["buy"]
    assert found.ratings() is None
    assert found.rating_sum == pytest.approx(4.3)


# --- timeline ------------------------------------------------------------------------------------


def timeline(days: dict[int, int]) -> object:
    told: list[Row] = [
        (0, 0, 0, day * DAY, None, False) for day, n in days.items() for _ in [0] * n
    ]
    statistics = EventStatistics()
    statistics.add(events_of(told))
    return timeline_of(statistics)


def test_a_few_days_are_shown_by_day_with_the_empty_ones() -> None:
    found = timeline({0: 2, 3: 1})
    assert found.unit == "day"
    assert found.starts == ("1970-01-01", "1970-01-02", "1970-01-03", "1970-01-04")
    assert found.counts == {"buy": (2, 0, 0, 1)}


def test_weeks_begin_on_monday() -> None:
    # 5 January 1970 was a Monday: 4 is that day, 3 the Sunday before.
    found = timeline({3: 1, 4: 1, 10: 1, 11: 1, 120: 1})
    assert found.unit == "week"
    assert found.starts[:3] == ("1969-12-29", "1970-01-05", "1970-01-12")
    assert found.counts["buy"][:3] == (1, 2, 1)
    assert sum(found.counts["buy"]) == 5


def test_months_and_years() -> None:
    months = timeline({30: 1, 31: 2, 1000: 1})
    assert months.unit == "month"
    assert months.starts[:2] == ("1970-01-01", "1970-02-01")
    assert months.counts["buy"][:2] == (1, 2)
    years = timeline({0: 1, 365: 1, 9000: 1})
    assert years.unit == "year"
    assert years.starts[:2] == ("1970-01-01", "1971-01-01")
    assert sum(years.counts["buy"]) == 3


def test_a_broken_clock_does_not_flatten_the_picture() -> None:
    found = timeline({0: 1, **{20_000 + day: 200 for day in range(60)}})
    assert (found.unit, found.outside, len(found.starts)) == ("day", 1, 60)
    assert sum(found.counts["buy"]) == 12_000
    assert timeline({0: 1, 20_000: 10}).outside == 0  # one in eleven is no stray


def test_no_times_no_timeline() -> None:
    statistics = EventStatistics()
    statistics.add(events_of([(0, 0, 0, None, None, False)]))
    assert timeline_of(statistics) is None


def test_times_are_written_in_utc() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(1_767_225_600) == "2026-01-01T00:00:00Z"


# --- degrees -------------------------------------------------------------------------------------


def test_gini_of_hand_made_cases() -> None:
    assert gini(np.array([2, 2, 2])) == 0
    assert gini(np.array([0, 0, 0, 4])) == pytest.approx(0.75)
    assert gini(np.array([1, 3])) == pytest.approx(0.25)
    assert gini(np.array([0, 0])) == 0


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any))
def test_gini_is_the_mean_difference_over_twice_the_mean(values: list[int]) -> None:
    ascending = np.sort(np.array(values))
    differences = np.abs(ascending[:, None] - ascending[None, :]).mean()
    assert gini(ascending) == pytest.approx(differences / (2 * ascending.mean()))


def test_bins_double_and_none_is_left_out() -> None:
    assert log2_bins(np.array([0, 1, 1, 2, 3, 16])) == (
        Bin(0, 0, 1), Bin(1, 1, 2), Bin(2, 3, 2), Bin(4, 7, 0), Bin(8, 15, 0), Bin(16, 31, 1),
    )  # fmt: skip


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=30))
def test_every_node_is_in_the_bin_of_its_degree(values: list[int]) -> None:
    for found in log2_bins(np.array(values)):
        assert found.count == sum(found.low <= value <= found.high for value in values)


def test_summary_of_ten_nodes() -> None:
    found = summarise(np.array([0, 0, 1, 1, 1, 1, 1, 1, 4, 10]))
    assert (found.nodes, found.without, found.few, found.max) == (10, 2, 7, 10)
    assert (found.mean, found.median) == (2.0, 1.0)
    assert found.top_10 == found.top_1 == 0.5  # at least one node
    nobody = summarise(np.array([], np.int64))
    assert (nobody.nodes, nobody.mean, nobody.gini, nobody.bins) == (0, 0.0, 0.0, ())


def test_degrees_count_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = np.random.default_rng(0).integers(0, 9, 1000).astype(np.int32)
    monkeypatch.setattr("kgrec.data.card.statistics.SLICE", 13)
    assert degrees_of(positions, 10).tolist() == np.bincount(positions, minlength=10).tolist()
