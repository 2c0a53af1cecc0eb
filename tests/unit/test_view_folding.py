"""Several events into one edge, several behaviours into one target, by hand."""

import itertools

import numpy as np
import pytest
from event_rows import Edges, Row, edges_of, events_of

from kgrec.data.cleaning.report import Report
from kgrec.data.view.folding import Policy, fold, resolved, told_apart, united
from kgrec.data.view.pairs import Gathered, Pairs

A, B, C = Row(0, 0, 10, 4.0, load=3), Row(0, 0, 20, 2.0, load=1), Row(0, 0, 20, 3.0, load=2)


def folded(rows: list[Row], policy: Policy, weight: float = 1.0) -> Edges:
    """Folds rows that come sorted by user and item."""
    session = np.zeros(len(rows), dtype=np.int32)
    return edges_of(fold(events_of(rows), session, weight, policy, 100).frame())


@pytest.mark.parametrize("rows", list(itertools.permutations([A, B, C])))
def test_policies_by_time_in_any_order(rows: tuple[Row, ...]) -> None:
    only = list(rows)
    assert folded(only, "first") == {(0, 0): {"rating": 4, "time": 10, "count": 3, "load": 3}}
    # Of one moment the greater rating counts.
    last = {"rating": 3, "time": 20, "count": 3, "load": 2}
    assert folded(only, "last") == {(0, 0): last}
    assert folded(only, "sum") == {(0, 0): last | {"weight": 3}}
    assert folded(only, "sum", weight=0.5) == {(0, 0): last | {"weight": 1.5}}
    assert folded(only, "max") == {(0, 0): {"rating": 4, "time": 10, "count": 3, "load": 3}}


def test_the_first_of_one_moment_is_the_better_rated_too() -> None:
    rows = [Row(0, 0, 5, 1.0), Row(0, 0, 5, 4.0, weight=2.0), Row(0, 0, 5, 4.0), Row(0, 0, 9, 5.0)]
    edge = {"rating": 4, "time": 5, "weight": 2, "count": 4, "load": 1}
    assert folded(rows, "first") == {(0, 0): edge}


def test_without_times_loads_are_the_age_and_a_time_is_younger() -> None:
    rows = [Row(0, 0, rating=1.0, load=2), Row(0, 0, rating=5.0, load=1)]
    assert folded(rows, "last")[0, 0]["rating"] == 1
    assert folded(rows, "first")[0, 0]["rating"] == 5
    dated = [*rows, Row(0, 0, 3, 2.0, load=1)]
    assert folded(dated, "last")[0, 0] == {"rating": 2, "time": 3, "count": 3, "load": 1}
    assert folded(dated, "first")[0, 0] == {"rating": 5, "count": 3, "load": 1}


def test_weights() -> None:
    rows = [Row(0, 0, 1, weight=2.0), Row(0, 0, 2), Row(0, 0, 3, weight=0.5), Row(0, 1, 1)]
    assert folded(rows, "sum", 4.0) == {
        (0, 0): {"time": 3, "weight": 6.5, "count": 3, "load": 1},
        (0, 1): {"time": 1, "weight": 4, "load": 1},
    }
    # The event without a weight has its behaviour's.
    assert folded(rows, "max", 4.0)[0, 0] == {"time": 2, "weight": 4, "count": 3, "load": 1}
    assert folded(rows, "max", 1.0)[0, 0] == {"time": 1, "weight": 2, "count": 3, "load": 1}
    # A weight of 1 goes without saying.
    assert folded([Row(0, 0, 1, weight=1.0)], "last", 4.0) == {(0, 0): {"time": 1, "load": 1}}


def test_sums_do_not_depend_on_the_order_to_the_last_digit() -> None:
    weights = [0.1, 0.2, 0.3, 0.7, 1e9, 1e-9, 0.6]
    orders = [np.random.default_rng(seed).permutation(weights) for seed in range(30)]
    sums = {
        folded([Row(0, 0, weight=w, load=at) for at, w in enumerate(order)], "sum")[0, 0]["weight"]
        for order in orders
    }
    assert len({sum(order.tolist()) for order in orders}) > 1
    assert len(sums) == 1


def test_disliked_is_below_and_unknown_is_not() -> None:
    pairs = fold(
        events_of([Row(0, 0, rating=2.9), Row(0, 1, rating=3.0), Row(0, 2)]),
        np.zeros(3, np.int32),
        1.0,
        "last",
        3,
    )
    liked, disliked = told_apart(pairs, 3.0, "buy")
    assert (liked["item"].tolist(), disliked["item"].tolist()) == ([1, 2], [0])


def pairs_of(*rows: tuple[int, int, int, float]) -> Pairs:
    """Of user, item, time and rating, sorted."""
    events = events_of([Row(user, item, time, rating) for user, item, time, rating in rows])
    return fold(events, np.zeros(len(rows), np.int32), 1.0, "last", 10_000)


def test_the_first_behaviour_that_has_a_pair_says_what_it_is() -> None:
    both = united(
        [
            pairs_of((0, 1, 5, 1.0), (1, 0, 5, 1.0)),
            pairs_of((0, 0, 4, 2.0), (0, 1, 9, 2.0)),
            pairs_of((0, 1, 7, 3.0), (1, 0, 2, 3.0)),
        ],
        100,
    )
    assert edges_of(both.frame()) == {
        (0, 0): {"rating": 2, "time": 4, "load": 1},
        (0, 1): {"rating": 1, "time": 9, "load": 1},
        (1, 0): {"rating": 1, "time": 5, "load": 1},
    }
    assert both["user"].tolist() == [0, 0, 1]


def test_the_order_of_behaviours_holds_for_many_pairs() -> None:
    pairs = [
        pairs_of(*((0, item, 1, rating) for item in range(3_000))) for rating in (1.0, 2.0, 3.0)
    ]
    both = united(pairs, 3_000)
    assert both["item"].tolist() == list(range(3_000))
    assert set(both["rating"].tolist()) == {1}


def test_liked_and_disliked_the_later_wins() -> None:
    with Report() as report:
        targets = pairs_of((0, 0, 5, 5.0), (0, 1, 5, 5.0), (0, 2, 5, 5.0), (0, 9, 5, 5.0))
        disliked = pairs_of((0, 0, 6, 1.0), (0, 1, 5, 1.0), (0, 2, 4, 1.0), (0, 8, 1, 1.0))
        targets, disliked = resolved(targets, disliked, 100)
    assert targets["item"].tolist() == [1, 2, 9]
    assert disliked["item"].tolist() == [0, 8]
    assert {f.rule: f.count for f in report.findings} == {
        "disliked later": 1,
        "liked after all": 2,
    }
    untimed = fold(events_of([Row(0, 0, None, 5.0)]), np.zeros(1, np.int32), 1.0, "last", 100)
    targets, disliked = resolved(untimed, pairs_of((0, 0, 6, 1.0)), 100)
    assert (len(targets), len(disliked)) == (1, 0)


def test_blocks_gather_to_what_they_were() -> None:
    parts = [
        pairs_of((0, 0, 5, 1.0)),
        fold(
            events_of([Row(1, 1), Row(1, 1, weight=3.0)]), np.array([1, 2], np.int32), 1, "sum", 9
        ),
        pairs_of(),
        pairs_of((2, 0, 6, 2.0)),
    ]
    gathered = Gathered(20)
    for part in parts:
        gathered.add(part)
    one, other = gathered.pairs(), Pairs.joined(parts)
    assert sorted(one.names) == sorted(other.names)
    for name in other.names:
        np.testing.assert_array_equal(one[name], other[name])
        assert one[name].dtype == other[name].dtype
    assert edges_of(one.frame())[1, 1] == {"weight": 4, "count": 2, "session": 2, "load": 1}
