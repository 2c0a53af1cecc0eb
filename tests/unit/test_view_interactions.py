"""All rules together, by hand."""

import numpy as np
import pytest
from event_rows import Row, all_edges, config_of, edges_of, events_of, view_of

from kgrec.data.cleaning.report import Report
from kgrec.data.view.interactions import InteractionView, derive_interactions
from kgrec.data.view.splits import is_local
from kgrec.errors import ConfigError, DataError
from kgrec.schema import DISLIKED, EdgeKey, NodeLabel, Role, Split

LAST_OUT = {"kind": "leave_last_out"}


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
    empty = derive_interactions(events_of([]), none, none, config, 0)
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
    for kind in ("random", "temporal_user", "leave_last_out", "cold_item", "cold_user"):
        assert is_local(config_of(split={"kind": kind}))
    by_shares = config_of(split={"kind": "temporal_global"})
    assert not is_local(by_shares)
    assert is_local(config_of(split={"kind": "temporal_global", "valid_from": 5, "test_from": 6}))
    assert not is_local(config_of(cleaning={"user_core": 2}))
    assert not is_local(config_of(cleaning={"item_core": 2}))


def test_a_view_refuses_a_pair_in_two_splits() -> None:
    view = view_of([Row(0, item, item) for item in range(10)])
    twice = {**view.splits, Split.VALID: view.splits[Split.TRAIN].iloc[:1]}
    with pytest.raises(DataError, match=r"user code 0 and item code .* in train and in valid"):
        InteractionView(twice, view.behaviours, view.held_out, view.users, view.items, view.ratings)
