"""Which events count, rule by rule and by hand."""

import numpy as np
import pytest
from event_oracle import DAY
from event_rows import Row, events_of, hashes

from kgrec.config import CleaningConfig
from kgrec.data.cleaning.report import Report
from kgrec.data.fingerprint import pair_hashes
from kgrec.data.journal.events import NO_TIME, Events
from kgrec.data.view.filtering import (
    k_core,
    latest_of_each_user,
    without_bots,
    without_deleted,
    without_repeats,
)


def rows_of(events: Events) -> list[tuple[int, int, int | None, int]]:
    """User, item, time and load."""
    columns = (events.user, events.item, events.time, events.load)
    return [
        (user, item, None if time == NO_TIME else time, load)
        for user, item, time, load in zip(*(column.tolist() for column in columns), strict=True)
    ]


def counts(report: Report) -> dict[str, tuple[str, int]]:
    return {finding.rule: (finding.effect, finding.count) for finding in report.findings}


def test_repeats_are_equal_in_everything_but_the_load() -> None:
    base = {"user": 1, "item": 2, "time": 5, "rating": 3.0, "behaviour": "buy", "split": "train"}
    rows = [
        Row(**base, load=3),
        Row(**base, load=1),
        Row(**base, load=2),
        *(
            Row(**(base | other), load=9)
            for other in (
                {"user": 0},
                {"item": 3},
                {"time": 6},
                {"time": None},
                {"rating": 4.0},
                {"rating": None},
                {"weight": 1.0},
                {"behaviour": "view"},
                {"split": None},
                {"deleted": True},
            )
        ),
    ]
    with Report() as report:
        kept = without_repeats(events_of(rows), 4)
    assert len(kept) == 11
    assert sorted(kept.load.tolist()) == [1] + [9] * 10
    assert counts(report) == {"repeated event": ("dropped", 2)}
    order = list(zip(kept.user, kept.item, kept.behaviour, strict=True))
    assert order == sorted(order)


def test_missing_values_equal_each_other() -> None:
    rows = [Row(0, 0, load=2), Row(0, 0, load=1), Row(0, 0, rating=0.0, load=3)]
    kept = without_repeats(events_of(rows), 1)
    assert sorted(rows_of(kept)) == [(0, 0, None, 1), (0, 0, None, 3)]


@pytest.mark.parametrize("shuffle", [False, True])
def test_deletions_go_by_time_and_else_by_load(shuffle: bool) -> None:
    rows = [
        # dated: up to and including its time, whatever the loads
        Row(0, 0, 10, load=9),
        Row(0, 0, 20, load=9),
        Row(0, 0, 21, load=1),
        Row(0, 0, 20, deleted=True, load=2),
        # an undated event of the same pair: by load
        Row(0, 0, None, rating=1.0, load=2),
        Row(0, 0, None, rating=2.0, load=3),
        # an undated deletion: by load
        Row(1, 0, 99, load=4),
        Row(1, 0, 1, load=5),
        Row(1, 0, None, deleted=True, load=4),
        # of another behaviour or item: stays
        Row(2, 0, 1, behaviour="view"),
        Row(2, 1, 1),
        Row(2, 0, 5, deleted=True, load=9),
    ]
    if shuffle:
        rows = [rows[at] for at in np.random.default_rng(1).permutation(len(rows))]
    with Report() as report:
        kept = without_deleted(events_of(rows), 2)
    assert sorted(rows_of(kept), key=str) == [
        (0, 0, 21, 1),
        (0, 0, None, 3),
        (1, 0, 1, 5),
        (2, 0, 1, 1),
        (2, 1, 1, 1),
    ]
    assert counts(report) == {
        "deleted": ("dropped", 4),
        "deletion of nothing": ("noted", 1),  # user 2's
    }


def test_bots_go_by_the_day_in_utc() -> None:
    rows = [
        *(Row(0, item, DAY - 3 + item) for item in range(6)),  # three on each of two days
        *(Row(1, item, DAY + item) for item in range(4)),  # four on one day
        Row(1, 9, 9 * DAY),
        *(Row(2, item, None) for item in range(5)),  # on no day
        *(Row(3, item, -DAY + item) for item in range(4)),  # before 1970
        Row(4, 0, 0),
    ]
    with Report() as report:
        kept, bots = without_bots(events_of(rows), 3)
    assert bots.tolist() == [1, 3]
    assert sorted(set(kept.user.tolist())) == [0, 2, 4]
    assert len(kept) == 12
    assert counts(report) == {"bot": ("dropped", 2), "events of bots": ("dropped", 9)}
    kept, bots = without_bots(events_of(rows), 6)
    assert (len(kept), len(bots)) == (len(rows), 0)


def test_the_latest_of_each_user() -> None:
    users, items = hashes("u", 2), hashes("i", 10)
    by_hash = sorted(range(3, 6), key=lambda item: int(pair_hashes(users[:1], items[item])[0]))
    rows = [
        Row(0, 0, None, load=1),
        Row(0, 1, None, load=2),
        Row(0, 2, 5),
        *(Row(0, item, 7, load=9 - at) for at, item in enumerate(by_hash)),  # loads say nothing
        Row(1, 0, 1),
    ]

    def kept(most: int) -> list[int]:
        events = latest_of_each_user(events_of(rows), most, users, items)
        assert 1 in events.user
        return sorted(events.item[events.user == 0].tolist())

    with Report() as report:
        assert kept(2) == sorted(by_hash[1:])
    assert counts(report) == {"events beyond the latest": ("dropped", 4)}
    assert kept(4) == [2, 3, 4, 5]
    assert kept(5) == [1, 2, 3, 4, 5]  # of the undated the later load
    assert kept(6) == [0, 1, 2, 3, 4, 5]


def test_k_core_by_hand() -> None:
    pairs = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (4, 3)]
    user, item = (np.array(end, np.int32) for end in zip(*pairs, strict=True))

    def kept(user_core: int, item_core: int) -> list[tuple[int, int]]:
        keep = k_core(user, item, CleaningConfig(user_core=user_core, item_core=item_core))
        return [pair for pair, stays in zip(pairs, keep, strict=True) if stays]

    # 3 and 4 have one item; then item 2 has one user; then 2 has one item.
    assert kept(2, 2) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert kept(2, 1) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2)]
    assert kept(1, 2) == pairs[:7]
    assert kept(1, 3) == [(0, 1), (1, 1), (2, 1)]
    assert kept(3, 1) == []
    assert k_core(user[:0], item[:0], CleaningConfig(user_core=2)).tolist() == []
