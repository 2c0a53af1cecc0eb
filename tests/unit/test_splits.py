import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.config import SplitConfig
from kgrec.data.splits import split_interactions
from kgrec.errors import ConfigError
from kgrec.schema import Split

KINDS = ["random", "temporal_user", "temporal_global", "leave_last_out"]


def interactions(counts: list[int], seed: int = 0, moments: int = 50) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(len(counts)), counts)
    items = np.concatenate([rng.permutation(max(counts))[:n] for n in counts])
    frame = pd.DataFrame({"user": users, "item": items}).astype("str")
    return frame.assign(time=rng.integers(0, moments, len(frame)))


def split(frame: pd.DataFrame, seed: int = 0, **settings: object) -> dict[Split, pd.DataFrame]:
    return split_interactions(frame, SplitConfig(**settings), np.random.default_rng(seed))


def pairs(frame: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(frame["user"], frame["item"], strict=True))


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    kind=st.sampled_from(KINDS),
    valid=st.sampled_from([0, 0.1, 0.3, 0.5]),
    test=st.sampled_from([0, 0.1, 0.45]),
    least=st.integers(1, 6),
)
def test_parts_are_disjoint_complete_and_leave_train(
    counts: list[int], kind: str, valid: float, test: float, least: int
) -> None:
    frame = interactions(counts)
    parts = split(frame, kind=kind, valid=valid, test=test, min_interactions=least)
    assert sum(len(part) for part in parts.values()) == len(frame)
    assert set.union(*(pairs(part) for part in parts.values())) == pairs(frame)
    if kind == "temporal_global":
        return
    one_each = kind == "leave_last_out"
    for user, count in enumerate(counts):
        given = {s: int((parts[s]["user"] == str(user)).sum()) for s in Split}
        wanted = [one_each or valid > 0, one_each or test > 0]
        assert given[Split.TRAIN] >= 1
        if count >= max(least, 1 + sum(wanted)):
            assert [given[Split.VALID] > 0, given[Split.TEST] > 0] == wanted
        else:
            assert given[Split.TRAIN] == count


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_rows_in_the_file_does_not_matter(kind: str) -> None:
    frame = interactions([20, 3, 15, 1, 8], moments=5)  # many ties
    shuffled = frame.sample(frac=1, random_state=7)
    for one, other in zip(
        split(frame, kind=kind).values(), split(shuffled, kind=kind).values(), strict=True
    ):
        pd.testing.assert_frame_equal(one, other)


def test_a_seed_gives_one_split_and_another_seed_another() -> None:
    frame = interactions([30] * 10)
    assert pairs(split(frame, 3)[Split.TEST]) == pairs(split(frame, 3)[Split.TEST])
    assert pairs(split(frame, 3)[Split.TEST]) != pairs(split(frame, 4)[Split.TEST])


def test_shares_per_user() -> None:
    parts = split(interactions([100, 20, 10, 3, 2]), valid=0.1, test=0.2)
    sizes = {s: part["user"].value_counts().to_dict() for s, part in parts.items()}
    assert sizes[Split.TEST] == {"0": 20, "1": 4, "2": 2, "3": 1}
    assert sizes[Split.VALID] == {"0": 10, "1": 2, "2": 1, "3": 1}
    assert sizes[Split.TRAIN] == {"0": 70, "1": 14, "2": 7, "3": 1, "4": 2}


def test_random_draws_every_row_alike() -> None:
    frame = interactions([10])
    drawn = [
        split(frame, seed, valid=0.1, test=0.1)[Split.TEST]["item"].iloc[0] for seed in range(500)
    ]
    counts = pd.Series(drawn).value_counts()
    assert len(counts) == 10
    assert counts.between(25, 80).all()  # 50 each is expected, sd 6.7


def test_temporal_by_hand() -> None:
    frame = pd.DataFrame(
        {
            "user": ["a"] * 5 + ["b"] * 3 + ["c"] * 2,
            "item": ["i3", "i1", "i2", "i9", "i5", "i1", "i2", "i3", "i1", "i2"],
            "time": [5, 1, 5, 0, 2, 9, 8, 7, 100, 101],
        }
    )
    parts = split(frame, kind="leave_last_out")
    # a's last moment has two items: the greater id counts as the later.
    assert pairs(parts[Split.TEST]) == {("a", "i3"), ("b", "i1")}
    assert pairs(parts[Split.VALID]) == {("a", "i2"), ("b", "i2")}
    parts = split(frame, kind="temporal_user", valid=0.2, test=0.4)
    assert pairs(parts[Split.TEST]) == {("a", "i3"), ("a", "i2"), ("b", "i1")}
    assert pairs(parts[Split.VALID]) == {("a", "i5"), ("b", "i2")}
    parts = split(frame, kind="temporal_global", valid=0.3, test=0.2)
    assert pairs(parts[Split.TEST]) == {("c", "i1"), ("c", "i2")}
    assert pairs(parts[Split.VALID]) == {("b", "i1"), ("b", "i2"), ("b", "i3")}


@pytest.mark.parametrize("moments", [3, 10_000])
def test_no_future_in_the_past(moments: int) -> None:
    frame = interactions([25, 40, 9, 3], moments=moments)
    for kind in ("temporal_user", "leave_last_out"):
        parts = split(frame, kind=kind, valid=0.2, test=0.2)
        for user in frame["user"].unique():
            times = [parts[s].loc[parts[s]["user"] == user, "time"] for s in Split]
            assert times[0].max() <= times[1].min()
            assert times[1].max() <= times[2].min()
    times = [part["time"] for part in split(frame, kind="temporal_global").values()]
    held = [part for part in times[1:] if len(part)]
    assert all(times[0].max() < part.min() for part in held)
    assert times[1].empty or times[1].max() < times[2].min()


def test_what_cannot_be_split_is_refused() -> None:
    frame = interactions([5, 5])
    for kind in KINDS[1:]:
        with pytest.raises(ConfigError, match=f"'{kind}' needs a column 'time'"):
            split(frame.drop(columns="time"), kind=kind)
    with pytest.raises(ConfigError, match="leave nothing to train on"):
        split(frame, valid=0.5, test=0.5)
