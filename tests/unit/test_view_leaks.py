"""What would give held-out interactions away, kind of split by kind of split."""

import numpy as np
import pandas as pd
import pytest
from event_rows import Row, all_edges, config_of, view_of

from kgrec.data.journal.events import NO_TIME
from kgrec.data.view.splits import NEVER, HeldOut, HeldOutIds
from kgrec.schema import NodeLabel

#: User 0 has items 0 to 3 at 10, 20, 30, 40; user 1 has two items, and so nothing held out.
TARGETS = [
    *(Row(0, item, 10 * (item + 1), behaviour="buy") for item in range(4)),
    *(Row(1, item, 10 * (item + 1), behaviour="buy") for item in range(2)),
]
VIEWS = [
    Row(0, 2, 1, behaviour="view"),  # of the pair in valid, though long before
    Row(0, 3, 1, behaviour="view"),  # of the pair in test
    Row(0, 0, 45, behaviour="view"),  # of a pair in train, but later
    Row(0, 5, 29, behaviour="view"),
    Row(0, 6, 30, behaviour="view"),
    Row(0, 7, None, behaviour="view"),
    Row(1, 2, 99, behaviour="view"),
    Row(1, 3, None, behaviour="view"),
]


def views_left(**split: object) -> set[tuple[int, int]]:
    config = config_of(behaviours={"buy": {}, "view": {"role": "evidence"}}, split=split)
    return set(all_edges(view_of([*TARGETS, *VIEWS], config))["view"])


def test_by_user_what_is_not_older_than_the_first_held_out_leaves() -> None:
    expected = {(0, 5), (1, 2), (1, 3)}
    assert views_left(kind="leave_last_out") == expected
    assert views_left(kind="temporal_user", valid=0.25, test=0.25) == expected


def test_by_a_global_cut_it_leaves_for_everybody() -> None:
    assert views_left(kind="temporal_global", valid_from=30, test_from=40) == {(0, 5)}
    assert views_left(kind="temporal_global", valid_from=100, test_from=100) == {
        (0, 2), (0, 3), (0, 0), (0, 5), (0, 6), (1, 2)
    }  # fmt: skip
    # Nothing is held out: nothing can be given away.
    assert len(views_left(kind="temporal_global", valid=0, test=0)) == len(VIEWS)


@pytest.mark.parametrize("kind", ["random", "cold_item", "cold_user"])
def test_without_time_only_held_out_pairs_leave(kind: str) -> None:
    config = config_of(
        behaviours={"buy": {}, "view": {"role": "evidence"}},
        split={"kind": kind, "valid": 0.3, "test": 0.3},
    )
    rows = [Row(u, i, 10 * i, behaviour="buy") for u in range(6) for i in range(6)]
    rows += [Row(u, i, 5, behaviour="view") for u in range(6) for i in range(8)]
    edges = all_edges(view_of(rows, config, seed=2))
    held = edges["valid"].keys() | edges["test"].keys()
    assert 5 < len(held) < 31
    assert edges["view"].keys() == {(u, i) for u in range(6) for i in range(8)} - held


@pytest.mark.parametrize(("kind", "drawn"), [("cold_item", "items"), ("cold_user", "users")])
def test_warm_ones_beside_cold_ones(kind: str, drawn: str) -> None:
    rows = [Row(u, i, 10 * i, behaviour="buy") for u in range(60) for i in range(60)]

    def parts(warm: float) -> dict[str, set[tuple[int, int]]]:
        split = {"kind": kind, "valid": 0.1, "test": 0.2, "warm": warm}
        config = config_of(behaviours={"buy": {}}, split=split)
        edges = all_edges(view_of(rows, config, seed=2, num_users=60, num_items=60))
        return {name: set(edges[name]) for name in ("train", "valid", "test")}

    place = ("users", "items").index(drawn)
    without, beside = parts(0.0), parts(0.1)
    cold = {name: {pair[place] for pair in pairs} for name, pairs in without.items()}
    assert not cold["train"] & (cold["valid"] | cold["test"])
    for name in ("valid", "test"):  # what is cold stays where it was, a tenth of the others joins
        assert without[name] <= beside[name]
        more = beside[name] - without[name]
        assert {pair[place] for pair in more} <= cold["train"]
        assert len(more) / len(without["train"]) == pytest.approx(0.1, abs=0.02)
    assert beside["train"] == without["train"] - beside["valid"] - beside["test"]


def test_rows_without_a_user_an_item_or_a_time() -> None:
    held = HeldOut(
        pairs=np.array([0 * 5 + 4, 2 * 5 + 0]),
        num_items=5,
        user_from=np.array([10, NEVER, 20]),
    )

    def leaves(user: int | None, item: int | None, time: int | None) -> bool:
        codes = [np.array([-1 if code is None else code]) for code in (user, item)]
        when = NO_TIME if time is None else time
        (gone,) = held.leaves(codes[0], codes[1], np.array([when]))
        return bool(gone)

    assert leaves(0, 4, 1)
    assert not leaves(1, -1, 50)  # no item; 1 * 5 - 1 would be the pair of 0 and 4
    assert not leaves(0, 3, 9)
    assert leaves(0, 3, 10)
    assert leaves(0, -1, 10)
    assert leaves(0, None, 10)
    assert leaves(2, 1, None)
    assert not leaves(1, 1, None)
    assert not leaves(-1, 4, 99)
    assert not leaves(None, 4, 99)


def test_a_global_cut_holds_without_a_user_too_and_series_are_read() -> None:
    held = HeldOut(np.array([3]), 5, np.full(2, NEVER), moments=(100, 200))
    time = pd.Series([99, 100, None], dtype="Int64")
    ids = {label: np.array(["a", "b"], dtype=object) for label in NodeLabel}
    nobody, by_ids = pd.Series([None] * 3, dtype="str"), HeldOutIds(held, ids)
    assert by_ids.leaves(nobody, nobody, time).tolist() == [False, True, True]
    assert by_ids.leaves(nobody, nobody, time.astype("float64")).tolist() == [False, True, True]
    undated = np.full(3, NO_TIME)
    assert held.leaves(np.array([0, 0, 1]), np.array([3, 2, 2]), undated).tolist() == [True] * 3
    none = HeldOut(np.empty(0, np.int64), 0, np.empty(0, np.int64))
    assert none.leaves(np.array([-1]), np.array([-1]), np.array([NO_TIME])).tolist() == [False]


def test_parts_join() -> None:
    one = HeldOut(np.array([1, 8]), 5, np.array([10, NEVER, NEVER]))
    other = HeldOut(np.array([6]), 5, np.array([NEVER, 7, NEVER]))
    joined = HeldOut.joined([one, other])
    assert joined.pairs.tolist() == [1, 6, 8]
    assert joined.user_from.tolist() == [10, 7, NEVER]
