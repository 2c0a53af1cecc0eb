from itertools import pairwise

import numpy as np
from event_rows import Row, edges_of, events_of, view_of
from hypothesis import given
from hypothesis import strategies as st

from kgrec.config import DataConfig
from kgrec.data.cleaning.report import Report
from kgrec.data.view.folding import number_sessions
from kgrec.schema import Split


def test_a_silence_longer_than_the_gap_opens_a_session() -> None:
    rows = [
        Row(0, 0, 3_600),
        Row(1, 0, 0),
        Row(0, 1, 0),
        Row(0, 2, 1_800),  # 30 minutes after: the same session
        Row(0, 3, 5_401),  # a second more: the next
        Row(0, 4, None),
        Row(1, 1, 10, behaviour="view"),
        Row(1, 2, 10**9),
    ]
    with Report() as report:
        session = number_sessions(events_of(rows), 30)
    assert session.tolist() == [1, 1, 1, 1, 2, 0, 1, 2]
    assert session.dtype == np.int32
    assert {f.rule: f.count for f in report.findings} == {"no session": 1, "session": 4}
    assert number_sessions(events_of([]), 30).tolist() == []


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 500)), max_size=30),
    gap=st.sampled_from([0.5, 1, 2.5]),
)
def test_sessions_are_numbered_without_holes_and_apart(
    rows: list[tuple[int, int]], gap: float
) -> None:
    session = number_sessions(events_of([Row(u, 0, t) for u, t in rows]), gap)
    for user in {user for user, _ in rows}:
        own = sorted((t, int(s)) for (u, t), s in zip(rows, session, strict=True) if u == user)
        assert own[0][1] == 1
        for (t, s), (later, other) in pairwise(own):
            assert other - s == (later - t > gap * 60)


def test_an_edge_is_of_the_session_of_the_event_that_counts() -> None:
    config = DataConfig.model_validate(
        {
            "interactions": "x",
            "behaviours": {"buy": {}, "view": {"role": "evidence", "duplicates": "first"}},
            "cleaning": {"session_gap": 1},
        }
    )
    rows = [
        Row(0, 0, 0, behaviour="view"),
        Row(0, 0, 50, behaviour="buy"),
        Row(0, 0, 500, behaviour="view"),
        Row(0, 0, 520, behaviour="buy"),
        Row(0, 1, None, behaviour="buy"),
    ]
    view = view_of(rows, config)
    train = edges_of(view.splits[Split.TRAIN])
    assert train[0, 0] == {"time": 520, "count": 2, "session": 2, "load": 1}
    assert train[0, 1] == {"load": 1}
    assert edges_of(view.behaviours[0].edges)[0, 0]["session"] == 1
