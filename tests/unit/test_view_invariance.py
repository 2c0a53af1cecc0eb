"""All rules together: against plain Python, and what must never change anything."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from event_oracle import DAY, oracle
from event_rows import Row, all_edges, config_of, view_of
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.config import DataConfig
from kgrec.data.cleaning.report import Report
from kgrec.data.view import folding
from kgrec.data.view.interactions import InteractionView
from kgrec.data.view.splits import is_local
from kgrec.errors import ConfigError, DataError

TEMPORAL = ("temporal_user", "temporal_global", "leave_last_out")
KINDS = (*TEMPORAL, "random", "cold_item", "cold_user")
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
        if kind in ("cold_item", "cold_user"):
            tree["split"]["warm"] = draw(st.sampled_from([0, 0.2]))
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
        patch.setattr(folding, "BLOCK_EVENTS", block)
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
