"""All rules together: against plain Python, and what must never change anything."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from event_oracle import (
    DAY,
    Row,
    all_edges,
    config_of,
    edges_of,
    events_of,
    oracle,
    view_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.config import DataConfig
from kgrec.data.cleaning.report import Report
from kgrec.data.view import blocks
from kgrec.data.view.interactions import InteractionView, derive_interactions, is_local
from kgrec.errors import ConfigError, DataError
from kgrec.schema import DISLIKED, EdgeKey, NodeLabel, Role, Split

TEMPORAL = ("temporal_user", "temporal_global", "leave_last_out")
KINDS = (*TEMPORAL, "random", "cold_item", "cold_user")
LAST_OUT = {"kind": "leave_last_out"}
TIMES = st.sampled_from([0, 100, 700, 5_000, DAY - 1, DAY, DAY + 800, 2 * DAY, 3 * DAY + 1])


@st.composite
def rows_and_settings(draw: st.DrawFn, local: bool = False) -> tuple[list[Row], DataConfig]:
    duplicates = st.sampled_from(["first", "last", "sum", "max", None])
    least = st.sampled_from([None, None, 2, 3])
    behaviours = {
        "buy": {"role": "target", "min_rating": draw(least), "duplicates": draw(duplicates)},
        "view": {"role": "evidence", "duplicates": draw(duplicates), "weight": 0.5},
        "like": {"role": "target", "min_rating": draw(least), "duplicates": draw(duplicates)},
        "hide": {"role": "negative"},
    }
    core = st.just(1) if local else st.sampled_from([1, 1, 2])
    cleaning = {
        "duplicates": draw(st.sampled_from(["first", "last", "sum", "max"])),
        "user_core": draw(core),
        "item_core": draw(core),
        "max_per_day": draw(st.sampled_from([None, None, 4])),
        "max_per_user": draw(st.sampled_from([None, None, 3, 6])),
        "session_gap": draw(st.sampled_from([None, 10, 60])),
    }
    kind = draw(st.sampled_from([*KINDS, "given"]))
    tree: dict[str, Any] = {"behaviours": behaviours, "cleaning": cleaning}
    if kind == "given":
        tree |= {"interactions": None, "train": "train.csv", "test": "test.csv"}
    else:
        tree["split"] = {
            "kind": kind,
            "valid": draw(st.sampled_from([0, 0.1, 0.3])),
            "test": draw(st.sampled_from([0.2, 0.4])),
            "min_interactions": draw(st.integers(1, 4)),
        }
        if kind == "temporal_global":
            tree["split"] |= {"valid_from": DAY, "test_from": 2 * DAY}
    row = st.builds(
        Row,
        user=st.integers(0, 3),
        item=st.integers(0, 5),
        time=TIMES if kind in TEMPORAL else st.none() | TIMES,
        rating=st.none() | st.sampled_from([1.0, 2.0, 3.0, 5.0]),
        behaviour=st.sampled_from([*behaviours, "buy", "buy", "gone"]),
        weight=st.none() | st.sampled_from([0.25, 1.0, 3.0]),
        deleted=st.sampled_from([False] * 9 + [True]),
        load=st.integers(1, 4),
    )
    rows = draw(st.lists(row, min_size=draw(st.sampled_from([0, 15, 30])), max_size=40))
    if kind == "given":
        parts = ("train", "train", "valid", "test")
        rows = [Row(**{**vars(r), "split": parts[(r.user + 3 * r.item) % 4]}) for r in rows]
    return rows, config_of(**tree)


def outcome(rows: list[Row], config: DataConfig, **more: Any) -> Any:
    """Edges without their loads, and the nodes; or the kind of error."""
    try:
        view = view_of(rows, config, **more)
    except (ConfigError, DataError) as error:
        return type(error)
    edges = {
        name: {pair: {k: v for k, v in edge.items() if k != "load"} for pair, edge in found.items()}
        for name, found in all_edges(view).items()
    }
    return edges, view.users.tolist(), view.items.tolist()


@settings(deadline=None, max_examples=300)
@given(drawn=rows_and_settings(), seed=st.integers(0, 3))
def test_it_is_what_plain_python_makes_of_it(
    drawn: tuple[list[Row], DataConfig], seed: int
) -> None:
    rows, config = drawn
    try:
        edges, users, items = oracle(rows, config, seed)
    except (ConfigError, DataError) as error:
        with pytest.raises(type(error)):
            view_of(rows, config, seed=seed)
        return
    view = view_of(rows, config, seed=seed)
    assert all_edges(view) == edges
    assert set(np.flatnonzero(view.users)) == users
    assert set(np.flatnonzero(view.items)) == items
    for frame in [*view.splits.values(), *(b.edges for b in view.behaviours)]:
        assert frame[["head", "tail", "load"]].dtypes.tolist() == [np.dtype(np.int32)] * 3
        assert frame.equals(frame.sort_values(["head", "tail"], ignore_index=True))


@settings(deadline=None, max_examples=100)
@given(drawn=rows_and_settings(), block=st.integers(1, 20))
def test_the_size_of_blocks_does_not_matter(
    drawn: tuple[list[Row], DataConfig], block: int
) -> None:
    rows, config = drawn
    one, other = Report(), Report()
    whole = outcome(rows, config, report=one)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_EVENTS", block)
        assert outcome(rows, config, report=other) == whole
    if not isinstance(whole, type):
        assert sorted(one.notes()) == sorted(other.notes())


@settings(deadline=None, max_examples=150)
@given(
    drawn=rows_and_settings(),
    shuffled=st.randoms(use_true_random=False),
    loads=st.permutations([1, 2, 3, 4]),
)
def test_with_times_no_order_of_rows_or_deliveries_matters(
    drawn: tuple[list[Row], DataConfig], shuffled: Any, loads: list[int]
) -> None:
    rows, config = drawn
    rows = [Row(**{**vars(row), "time": row.time or 0}) for row in rows]
    moved = [Row(**{**vars(row), "load": loads[row.load - 1]}) for row in rows]
    shuffled.shuffle(moved)
    assert outcome(moved, config) == outcome(rows, config)


@settings(deadline=None, max_examples=100)
@given(drawn=rows_and_settings(), again=st.sets(st.integers(1, 4)))
def test_a_delivery_that_comes_again_changes_nothing(
    drawn: tuple[list[Row], DataConfig], again: set[int]
) -> None:
    rows, config = drawn
    repeated = [Row(**{**vars(row), "load": 5}) for row in rows if row.load in again]
    assert outcome(rows + repeated, config) == outcome(rows, config)


@settings(deadline=None, max_examples=150)
@given(drawn=rows_and_settings(local=True), user=st.integers(0, 3))
def test_no_user_changes_anothers_edges(drawn: tuple[list[Row], DataConfig], user: int) -> None:
    rows, config = drawn
    assert is_local(config)
    everybody = all_edges(view_of(rows, config, whole=False))
    alone = all_edges(view_of([r for r in rows if r.user == user], config, whole=False))
    assert alone == {
        name: {pair: edge for pair, edge in edges.items() if pair[0] == user}
        for name, edges in everybody.items()
    }


@settings(deadline=None, max_examples=100)
@given(drawn=rows_and_settings(local=True), parts=st.integers(1, 3))
def test_parts_of_the_users_join_to_the_whole(
    drawn: tuple[list[Row], DataConfig], parts: int
) -> None:
    rows, config = drawn
    views = [
        view_of([r for r in rows if r.user % parts == n], config, whole=False) for n in range(parts)
    ]
    try:
        whole = view_of(rows, config)
    except (ConfigError, DataError) as error:
        with pytest.raises(type(error)):
            InteractionView.joined(views)
        return
    joined = InteractionView.joined(views)
    assert not views
    assert all_edges(joined) == all_edges(whole)
    for one, other in zip(
        [*joined.splits.values(), *(b.edges for b in joined.behaviours)],
        [*whole.splits.values(), *(b.edges for b in whole.behaviours)],
        strict=True,
    ):
        pd.testing.assert_frame_equal(one, other, check_dtype=False)
        assert one["head"].dtype == np.int32
    assert joined.users.tolist() == whole.users.tolist()
    assert joined.items.tolist() == whole.items.tolist()
    assert joined.held_out.pairs.tolist() == whole.held_out.pairs.tolist()
    assert joined.held_out.user_from.tolist() == whole.held_out.user_from.tolist()


def test_a_shop_by_hand() -> None:
    config = config_of(
        behaviours={
            "purchase": {"min_rating": 3},
            "view": {"role": "evidence", "duplicates": "sum", "weight": 0.5},
            "dismiss": {"role": "negative"},
        },
        split=LAST_OUT,
    )
    rows = [
        Row(0, 0, 10, 5, "purchase"),
        Row(0, 1, 20, 4, "purchase"),
        Row(0, 2, 30, 3, "purchase", load=2),
        Row(0, 3, 40, 5, "purchase", load=2),
        Row(0, 4, 15, 1, "purchase"),  # disliked
        Row(0, 5, 45, 2, "purchase"),  # disliked, but later than what is held out
        Row(0, 2, 9, behaviour="view"),  # of a held-out pair
        Row(0, 6, 12, behaviour="view"),
        Row(0, 6, 14, behaviour="view"),
        Row(0, 7, 31, behaviour="view"),  # after valid's purchase
        Row(0, 8, 12, behaviour="dismiss"),
        Row(1, 0, 90, 4, "purchase"),
        Row(1, 7, 95, behaviour="view"),  # of this user nothing is held out
    ]
    report = Report()
    view = view_of(rows, config, report=report)
    assert all_edges(view) == {
        "train": {
            (0, 0): {"rating": 5, "time": 10, "load": 1},
            (0, 1): {"rating": 4, "time": 20, "load": 1},
            (1, 0): {"rating": 4, "time": 90, "load": 1},
        },
        "valid": {(0, 2): {"rating": 3, "time": 30, "load": 2}},
        "test": {(0, 3): {"rating": 5, "time": 40, "load": 2}},
        "view": {
            (0, 6): {"time": 14, "count": 2, "load": 1},  # .5 + .5 = 1, which is not said
            (1, 7): {"time": 95, "weight": 0.5, "load": 1},
        },
        "dismiss": {(0, 8): {"time": 12, "load": 1}},
        "disliked": {(0, 4): {"rating": 1, "time": 15, "load": 1}},
    }
    ends = NodeLabel.USER, NodeLabel.ITEM
    assert [(b.name, b.key, b.role) for b in view.behaviours] == [
        ("view", EdgeKey("VIEW", *ends), Role.EVIDENCE),
        ("dismiss", EdgeKey("DISMISS", *ends), Role.NEGATIVE),
        ("disliked", EdgeKey(DISLIKED, *ends), Role.NEGATIVE),
    ]
    assert view.users.tolist() == [True, True] + [False] * 6
    assert view.items.tolist() == [True] * 9 + [False] * 3
    counts = {finding.rule: (finding.effect, finding.count) for finding in report.findings}
    assert counts == {
        "purchase disliked": ("noted", 2),
        "view again": ("mended", 1),
        "train": ("noted", 3),
        "valid": ("noted", 1),
        "test": ("noted", 1),
        "view leaks": ("dropped", 2),
        "disliked leaks": ("dropped", 1),
    }


def test_columns_that_say_nothing_are_left_out() -> None:
    view = view_of([Row(0, 0), Row(0, 1), Row(1, 1)])
    assert list(view.splits[Split.TRAIN]) == ["head", "tail", "load"]
    view = view_of([Row(0, 0, 5), Row(1, 1), Row(1, 1, rating=3)])
    frame = view.splits[Split.TRAIN]
    assert list(frame) == ["head", "tail", "rating", "time", "count", "load"]
    assert frame["count"].isna().tolist() == [True, False]
    assert frame["time"].isna().tolist() == [False, True]
    # The one rated view is of a held-out pair, and takes the column with it.
    config = config_of(behaviours={"buy": {}, "view": {"role": "evidence"}}, split=LAST_OUT)
    rows = [Row(0, item, item, behaviour="buy") for item in range(3)]
    rows += [Row(0, 2, 0, 5, behaviour="view"), Row(0, 4, 0, behaviour="view")]
    assert list(view_of(rows, config).behaviours[0].edges) == ["head", "tail", "time", "load"]


def test_nothing_gives_empty_frames() -> None:
    config = config_of(behaviours={"buy": {"min_rating": 3}, "view": {"role": "evidence"}})
    view = view_of([], config)
    assert all_edges(view) == {"train": {}, "valid": {}, "test": {}, "view": {}, "disliked": {}}
    assert not view.users.any()
    none = np.empty(0, dtype=np.uint64)
    empty = derive_interactions(events_of([]), none, none, config, 0, Report())
    assert all(len(frame) == 0 for frame in empty.splits.values())


def test_nodes_are_those_of_events_whatever_became_of_them() -> None:
    rows = [
        Row(0, 0, 1),
        Row(1, 1, 1),
        Row(1, 1, 2, deleted=True),
        Row(2, 2, 2, deleted=True),  # names nobody who was there
    ]
    view = view_of(rows)
    assert edges_of(view.splits[Split.TRAIN]).keys() == {(0, 0)}
    assert np.flatnonzero(view.users).tolist() == [0, 1]
    assert np.flatnonzero(view.items).tolist() == [0, 1]


def test_a_bot_leaves_the_graph_and_the_items_it_met_stay() -> None:
    rows = [Row(0, item, item) for item in range(4)] + [Row(1, 0, 5)]
    view = view_of(rows, config_of(cleaning={"max_per_day": 3}))
    assert edges_of(view.splits[Split.TRAIN]).keys() == {(1, 0)}
    assert np.flatnonzero(view.users).tolist() == [1]
    assert np.flatnonzero(view.items).tolist() == [0, 1, 2, 3]


def test_behaviours_that_the_settings_no_longer_name_are_left_out_and_told() -> None:
    report = Report()
    view = view_of(
        [Row(0, 0), Row(0, 1, behaviour="zap"), Row(0, 2, behaviour="zap")], report=report
    )
    assert edges_of(view.splits[Split.TRAIN]).keys() == {(0, 0)}
    (finding,) = [f for f in report.findings if f.rule == "unknown behaviour"]
    assert (finding.count, finding.effect, finding.examples) == (2, "dropped", ["zap"])


def test_a_k_core_takes_users_and_items_with_all_their_edges() -> None:
    behaviours = {"buy": {}, "view": {"role": "evidence"}}
    rows = [Row(u, i, behaviour="buy") for u, i in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 3)]]
    rows += [Row(u, i, behaviour="view") for u, i in [(0, 5), (3, 0), (0, 1), (2, 1)]]
    split = {"kind": "cold_item", "valid": 0, "test": 0}
    report = Report()
    config = config_of(
        behaviours=behaviours, split=split, cleaning={"user_core": 2, "item_core": 2}
    )
    view = view_of(rows, config, report=report)
    # Item 3 has one user, so user 2 has one item left.
    assert all_edges(view)["train"].keys() == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert all_edges(view)["view"].keys() == {(0, 1)}
    assert np.flatnonzero(view.users).tolist() == [0, 1]
    assert np.flatnonzero(view.items).tolist() == [0, 1]
    counts = {finding.rule: finding.count for finding in report.findings}
    assert counts["k-core"] == 2
    assert counts["users outside the k-core"] == 2
    assert counts["items outside the k-core"] == 2
    assert counts["view outside the k-core"] == 3

    only_items = config_of(behaviours=behaviours, split=split, cleaning={"item_core": 2})
    view = view_of(rows, only_items)
    assert all_edges(view)["train"].keys() == {(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)}
    assert np.flatnonzero(view.users).tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(view.items).tolist() == [0, 1]
    with pytest.raises(DataError, match=r"lower data\.cleaning\.user_core"):
        view_of(rows, config_of(behaviours=behaviours, cleaning={"user_core": 4}))


def test_ratings_that_min_rating_cannot_be_held_against() -> None:
    config = config_of(min_rating=4)
    with pytest.raises(ConfigError, match=r"data\.min_rating = 4 needs ratings"):
        view_of([Row(0, 0), Row(0, 1)], config)
    with pytest.raises(DataError, match=r"rated 4 or higher \(the highest is 3.5\)"):
        view_of([Row(0, 0, rating=3.5), Row(0, 1)], config)
    named = config_of(behaviours={"buy": {"min_rating": 4}})
    with pytest.raises(DataError, match=r"lower data\.behaviours\.buy\.min_rating"):
        view_of([Row(0, 0, rating=3.5, behaviour="buy")], named)
    # Of some users it says nothing.
    part = view_of([Row(0, 0, rating=3.5)], config, whole=False)
    assert all_edges(part)["disliked"].keys() == {(0, 0)}


def test_an_unrated_pair_counts_as_liked_and_is_told() -> None:
    report = Report()
    view = view_of(
        [Row(0, 0), Row(0, 1, rating=5), Row(0, 2, rating=1)],
        config_of(min_rating=3),
        report=report,
    )
    assert {pair for split in Split for pair in edges_of(view.splits[split])} == {(0, 0), (0, 1)}
    assert all_edges(view)["disliked"].keys() == {(0, 2)}
    assert {f.rule: f.count for f in report.findings}["interaction unrated"] == 1


def test_given_splits() -> None:
    config = config_of(
        interactions=None,
        train="train.csv",
        test="test.csv",
        behaviours={"buy": {"min_rating": 3}, "view": {"role": "evidence"}},
    )
    rows = [
        Row(0, 0, rating=5, behaviour="buy", split="train"),
        Row(0, 1, rating=5, behaviour="buy", split="test"),
        Row(0, 2, rating=1, behaviour="buy", split="train"),
        Row(0, 3, rating=1, behaviour="buy", split="test"),
        Row(0, 4, behaviour="view", split="train"),
        Row(0, 5, behaviour="view", split="test"),
        Row(0, 1, behaviour="view", split="train"),
    ]
    report = Report()
    view = view_of(rows, config, report=report)
    assert {name: set(edges) for name, edges in all_edges(view).items()} == {
        "train": {(0, 0)},
        "valid": set(),
        "test": {(0, 1)},
        "view": {(0, 4)},
        "disliked": {(0, 2)},
    }
    counts = {finding.rule: finding.count for finding in report.findings}
    assert counts["held out by its source"] == 2
    assert counts["view leaks"] == 1

    def name(user: int, item: int) -> tuple[str, str]:
        return f"user-{user}", f"item-{item}"

    clash = [*rows, Row(0, 0, rating=4, behaviour="buy", split="test")]
    with pytest.raises(DataError, match="user 'user-0' and item 'item-0' are in train and in test"):
        view_of(clash, config, name=name)
    with pytest.raises(DataError, match="some targets came with their split and some without"):
        view_of([*rows, Row(0, 7, rating=4, behaviour="buy")], config)


def test_behaviours_whose_edges_would_be_one_are_refused() -> None:
    clash = {"buy": {}, "add cart": {"role": "evidence"}, "add-cart": {"role": "evidence"}}
    with pytest.raises(ConfigError, match="would be ADD_CART, as are those of 'add cart'"):
        view_of([], config_of(behaviours=clash))
    with pytest.raises(ConfigError, match="would be DISLIKED"):
        view_of([], config_of(behaviours={"buy": {}, "disliked": {"role": "negative"}}))


def test_which_settings_are_local() -> None:
    assert is_local(config_of())
    assert is_local(config_of(cleaning={"max_per_day": 5, "max_per_user": 5, "session_gap": 5}))
    for kind in set(KINDS) - {"temporal_global"}:
        assert is_local(config_of(split={"kind": kind}))
    by_shares = config_of(split={"kind": "temporal_global"})
    assert not is_local(by_shares)
    assert is_local(by_shares, moments=(5, 6))
    assert is_local(config_of(split={"kind": "temporal_global", "valid_from": 5, "test_from": 6}))
    assert not is_local(config_of(cleaning={"user_core": 2}))
    assert not is_local(config_of(cleaning={"item_core": 2}))


def test_a_view_refuses_a_pair_in_two_splits() -> None:
    view = view_of([Row(0, item, item) for item in range(10)])
    twice = {**view.splits, Split.VALID: view.splits[Split.TRAIN].iloc[:1]}
    with pytest.raises(DataError, match=r"user code 0 and item code .* in train and in valid"):
        InteractionView(twice, view.behaviours, view.held_out, view.users, view.items, view.ratings)
