"""The climber of all searches: what is tried, in which order, and where it ends."""

from dataclasses import dataclass

import pytest

from kgrec.training import climbing as clock
from kgrec.training.climbing import (
    Budget,
    Summit,
    climb,
    ladder,
    leave_out,
    line,
    scaled,
    scaled_at,
    setting,
)


@dataclass(frozen=True)
class Point:
    x: float = 1.0
    y: float = 1.0
    z: tuple[float, ...] = (1.0, 1.0)


class Hill:
    """Highest at x = 9, y = 1/4; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []

    def __call__(self, point: Point) -> float:
        self.asked.append((point.x, point.y))
        return -abs(point.x - 9) - abs(point.y - 0.25)


def test_a_line_goes_on_while_it_helps_and_turns_only_where_it_never_did() -> None:
    hill = Hill()
    axes = [line(scaled("x"), (3.0, 1 / 3)), line(scaled("y"), (2.0, 0.5))]
    summit = climb(Point(), axes, hill)
    assert summit == Summit(Point(9.0, 0.25), 0.0)
    # x: up to 27, which is worse, and not down; y: up is worse, so down to 1/8, which is worse.
    assert hill.asked == [
        (1, 1), (3, 1), (9, 1), (27, 1), (9, 2), (9, 0.5), (9, 0.25), (9, 0.125)
    ]  # fmt: skip


def test_a_line_has_an_end() -> None:
    summit = climb(Point(), [line(scaled("x"), (2.0,), longest=5)], lambda point: point.x)
    assert summit.settings.x == 32.0


def test_a_ladder_skips_what_is_there_and_goes_on_from_the_best() -> None:
    hill = Hill()
    axes = [ladder(setting("x"), (1.0, 8.0, 20.0, 9.0)), ladder(setting("y"), (0.25,))]
    assert climb(Point(), axes, hill).settings == Point(9.0, 0.25)
    assert hill.asked == [(1, 1), (8, 1), (20, 1), (9, 1), (9, 0.25)]


def test_equals_change_nothing_and_sweeps_end_where_nothing_changes() -> None:
    values: list[float] = []

    def flat(point: Point) -> float:
        values.append(point.x)
        return 1.0

    axes = [ladder(setting("x"), (2.0, 3.0))]
    assert climb(Point(), axes, flat, sweeps=8).settings == Point()
    assert values == [1.0, 2.0, 3.0]
    assert climb(Point(), axes, flat, start_value=1.0).value == 1.0
    assert values == [1.0, 2.0, 3.0, 2.0, 3.0]


def test_one_number_of_a_tuple_is_scaled() -> None:
    assert scaled_at("z", 1)(Point(), 3.0) == Point(z=(1.0, 3.0))


def test_what_is_hardly_missed_is_left_out() -> None:
    worth = {"a": 0.0005, "b": 0.2, "c": 0.0004}

    def judge(names: frozenset[str]) -> float:
        return 1.0 - sum(worth[name] for name in worth if name not in names)

    removals = [lambda names, name=name: names - {name} for name in ("c", "b", "a")]
    summit = leave_out(Summit(frozenset(worth), 1.0), removals, judge, 1e-3)
    # Each is compared with what is left: a is worth .0005 of .9996.
    assert summit.settings == {"b"}
    assert summit.value == pytest.approx(1 - 0.0009)
    none = leave_out(Summit(frozenset(worth), 1.0), [lambda _: None], judge, 1.0)
    assert none.settings == frozenset(worth)


def test_a_wall_limit_ends_a_climb_and_says_which(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now)
    hill = Hill()

    def slow(point: Point) -> float:
        nonlocal now
        now += 4.0
        return hill(point)

    budget = Budget(10.0)
    axes = [line(scaled("x"), (3.0, 1 / 3))]
    with budget.running("user_side"):
        assert climb(Point(), axes, slow, budget).settings.x == 9.0
    assert len(hill.asked) == 3
    assert budget.cut_searches == ["user_side"]
    assert [r.getMessage() for r in caplog.records] == [
        "search.minutes ended the search for user side; the same seed may find other settings "
        "when the machine is less busy"
    ]
    # Without a limit the clock is not asked for anything.
    with Budget(None).running("user_side"):
        climb(Point(), axes, slow, Budget(None))
    assert len(hill.asked) == 3 + 4
