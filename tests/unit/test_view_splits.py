import numpy as np
import pandas as pd
import pytest
from event_rows import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.config import SplitConfig
from kgrec.data.fingerprint import mix, pair_hashes
from kgrec.data.journal.events import NO_TIME
from kgrec.data.view.pairs import Pairs
from kgrec.data.view.splits import NEVER, split_pairs
from kgrec.errors import ConfigError
from kgrec.schema import Split

PER_USER = ["random", "temporal_user", "leave_last_out"]
KINDS = [*PER_USER, "temporal_global"]


def interactions(counts: list[int], seed: int = 0, moments: int = 50) -> Pairs:
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    item = np.concatenate([np.sort(rng.permutation(max(counts))[:n]) for n in counts])
    time = rng.integers(0, moments, len(user))
    return pairs_of(user, item, time)


def pairs_of(user: object, item: object, time: object = None) -> Pairs:
    columns = {"user": np.array(user, np.int32), "item": np.array(item, np.int32)}
    if time is not None:
        columns["time"] = np.array(time, np.float64)
    return Pairs(columns | {"load": np.ones(len(columns["user"]), np.int32)})


def split(
    pairs: Pairs,
    seed: int = 0,
    block: int = 7,
    **settings: object,
) -> dict[Split, set[tuple[int, int]]]:
    """Gives the pairs in each part."""
    users, items = (int(pairs[end].max(initial=0)) + 1 for end in ("user", "item"))
    config = SplitConfig(**settings)
    parts, _ = split_pairs(pairs, hashes("u", users), hashes("i", items), config, seed, block=block)
    ends = list(zip(pairs["user"].tolist(), pairs["item"].tolist(), strict=True))
    return {
        name: {pair for pair, part in zip(ends, parts, strict=True) if part == position}
        for position, name in enumerate(Split)
    }


def sizes(part: set[tuple[int, int]]) -> dict[int, int]:
    return pd.Series([user for user, _ in part]).value_counts().to_dict()


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    kind=st.sampled_from(KINDS),
    valid=st.sampled_from([0, 0.1, 0.3, 0.5]),
    test=st.sampled_from([0, 0.1, 0.45]),
    least=st.integers(1, 6),
    block=st.integers(1, 40),
)
def test_parts_are_disjoint_complete_and_leave_train(
    counts: list[int], kind: str, valid: float, test: float, least: int, block: int
) -> None:
    pairs = interactions(counts)
    parts = split(pairs, kind=kind, valid=valid, test=test, min_interactions=least, block=block)
    assert sum(len(part) for part in parts.values()) == len(pairs)
    if kind == "temporal_global":
        return
    one_each = kind == "leave_last_out"
    for user, count in enumerate(counts):
        given = {s: sizes(parts[s]).get(user, 0) for s in Split}
        wanted = [one_each or valid > 0, one_each or test > 0]
        assert given[Split.TRAIN] >= 1
        if count >= max(least, 1 + sum(wanted)):
            assert [given[Split.VALID] > 0, given[Split.TEST] > 0] == wanted
        else:
            assert given[Split.TRAIN] == count


def test_a_seed_gives_one_split_and_another_seed_another() -> None:
    pairs = interactions([30] * 10)
    assert split(pairs, 3) == split(pairs, 3)
    assert split(pairs, 3)[Split.TEST] != split(pairs, 4)[Split.TEST]
    assert split(pairs, 2**64 + 3) == split(pairs, 3)


def test_shares_per_user() -> None:
    parts = split(interactions([100, 20, 10, 3, 2]), valid=0.1, test=0.2)
    assert sizes(parts[Split.TEST]) == {0: 20, 1: 4, 2: 2, 3: 1}
    assert sizes(parts[Split.VALID]) == {0: 10, 1: 2, 2: 1, 3: 1}
    assert sizes(parts[Split.TRAIN]) == {0: 70, 1: 14, 2: 7, 3: 1, 4: 2}


def test_random_draws_every_pair_alike_and_each_user_apart() -> None:
    pairs = interactions([10, 10])
    drawn = [sorted(split(pairs, seed)[Split.TEST]) for seed in range(500)]
    for user in range(2):
        counts = pd.Series([test[user][1] for test in drawn]).value_counts()
        assert len(counts) == 10
        assert counts.between(25, 80).all()  # 50 each is expected, sd 6.7
    alike = sum(test[0][1] == test[1][1] for test in drawn)
    assert 25 <= alike <= 80  # 1 in 10, as if the users knew nothing of each other


def test_temporal_by_hand() -> None:
    pairs = pairs_of(
        [0] * 5 + [1] * 3 + [2] * 2,
        [1, 2, 3, 5, 9, 1, 2, 3, 1, 2],
        [1, 5, 5, 2, 0, 9, 8, 7, 100, 101],
    )
    # User 0's last moment has two items.
    tie = pair_hashes(hashes("u", 3)[:1], hashes("i", 10))
    later, earlier = (3, 2) if tie[3] > tie[2] else (2, 3)
    parts = split(pairs, kind="leave_last_out")
    assert parts[Split.TEST] == {(0, later), (1, 1)}
    assert parts[Split.VALID] == {(0, earlier), (1, 2)}
    parts = split(pairs, kind="temporal_user", valid=0.2, test=0.4)
    assert parts[Split.TEST] == {(0, 3), (0, 2), (1, 1)}
    assert parts[Split.VALID] == {(0, 5), (1, 2)}
    parts = split(pairs, kind="temporal_global", valid=0.3, test=0.2)
    assert parts[Split.TEST] == {(2, 1), (2, 2)}
    assert parts[Split.VALID] == {(1, 1), (1, 2), (1, 3)}


def test_equal_times_hold_out_other_items_for_other_users() -> None:
    users, items = 200, 50
    chosen = np.random.default_rng(0).random((users, items)) < 0.4
    user, item = np.nonzero(chosen)
    dated = pairs_of(user, item, np.full(len(user), 20_000 * 86_400))

    def distinct(kind: str) -> int:
        return len({item for _, item in split(dated, kind=kind)[Split.TEST]})

    assert distinct("leave_last_out") >= 45  # of 50; by the item's hash alone 10
    counts = pd.Series([i for _, i in split(dated, kind="leave_last_out")[Split.TEST]])
    assert counts.value_counts().max() <= 15  # 4 each is expected


def test_a_fraction_of_a_second_orders() -> None:
    pairs = pairs_of([0] * 3, [0, 1, 2], [1598930862.9, 1598930862.1, 1598930862.5])
    parts = split(pairs, kind="leave_last_out")
    assert (parts[Split.VALID], parts[Split.TEST]) == ({(0, 2)}, {(0, 0)})


def test_moments_of_the_settings_go_before_shares() -> None:
    pairs = pairs_of([0] * 6, range(6), range(6))
    shares = {"kind": "temporal_global", "valid": 1 / 6, "test": 1 / 6}
    of = {s: {item for _, item in part} for s, part in split(pairs, **shares).items()}
    assert of == {Split.TRAIN: {0, 1, 2, 3}, Split.VALID: {4}, Split.TEST: {5}}
    parts = split(pairs, valid_from=2, test_from=5, **shares)
    assert {item for _, item in parts[Split.VALID]} == {2, 3, 4}


def test_a_global_cut_says_where_it_was_made() -> None:
    def cut(valid: float, test: float, times: object = range(10)) -> tuple[int, int] | None:
        pairs = pairs_of([0] * 10, range(10), times)
        config = SplitConfig(kind="temporal_global", valid=valid, test=test)
        return split_pairs(pairs, hashes("u", 1), hashes("i", 10), config, 0)[1]

    assert cut(0.2, 0.1) == (7, 9)
    assert cut(0.2, 0) == (8, NEVER)
    assert cut(0, 0.3) == (7, 7)
    assert cut(0, 0) == (NEVER, NEVER)
    # All of one moment stay together.
    assert cut(0.2, 0.1, [1] * 5 + [2] * 5) == (2, 2)


@pytest.mark.parametrize("moments", [3, 10_000])
def test_no_future_in_the_past(moments: int) -> None:
    pairs = interactions([25, 40, 9, 3], moments=moments)
    ends = zip(pairs["user"].tolist(), pairs["item"].tolist(), strict=True)
    time = dict(zip(ends, pairs["time"].tolist(), strict=True))
    for kind in ("temporal_user", "leave_last_out"):
        parts = split(pairs, kind=kind, valid=0.2, test=0.2)
        for user in range(4):
            times = [[time[p] for p in parts[s] if p[0] == user] for s in Split]
            assert max(times[0]) <= min(times[1])
            assert max(times[1]) <= min(times[2])
    train, valid, test = (
        [time[p] for p in part] for part in split(pairs, kind="temporal_global").values()
    )
    assert max(train) < min(valid + test)
    assert not valid or max(valid) < min(test)


@pytest.mark.parametrize("end", ["user", "item"])
def test_cold_ones_are_drawn_by_their_ids_alone(end: str) -> None:
    rng = np.random.default_rng(0)
    other = np.sort(rng.permutation(400)[:120])
    pairs = pairs_of(np.repeat(np.arange(300), 120), np.tile(other, 300))
    parts = split(pairs, 5, kind=f"cold_{end}", valid=0.1, test=0.3)
    of = 0 if end == "user" else 1
    codes = {s: {pair[of] for pair in part} for s, part in parts.items()}
    assert not codes[Split.TRAIN] & (codes[Split.VALID] | codes[Split.TEST])
    assert not codes[Split.VALID] & codes[Split.TEST]
    known = codes[Split.TRAIN] | codes[Split.VALID] | codes[Split.TEST]
    share = {s: len(some) / len(known) for s, some in codes.items()}
    # Standard deviations of about .03 and .04 (300 users, 120 items).
    assert share[Split.TEST] == pytest.approx(0.3, abs=0.12)
    assert share[Split.VALID] == pytest.approx(0.1, abs=0.09)
    number = mix(np.uint64(5), hashes("u" if end == "user" else "i", 400)) / 2.0**64
    assert codes[Split.TEST] == {code for code in known if number[code] < 0.3}
    assert codes[Split.VALID] == {code for code in known if 0.3 <= number[code] < 0.4}


def test_what_cannot_be_split_is_refused() -> None:
    pairs = interactions([5, 5])
    undated = pairs_of(pairs["user"], pairs["item"])
    some = pairs.with_column("time", np.where(np.arange(10) < 3, NO_TIME, 5))
    for kind in KINDS[1:]:
        with pytest.raises(ConfigError, match=f"'{kind}' needs the time .* 10 of 10 have none"):
            split(undated, kind=kind)
        with pytest.raises(ConfigError, match="3 of 10 have none"):
            split(some, kind=kind)
    with pytest.raises(ConfigError, match="leave nothing to train on"):
        split(pairs, valid=0.5, test=0.5)
