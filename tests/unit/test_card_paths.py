"""Samples are what they say, and coverage is that of following every path."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from card_cases import ENTITY, ITEM, NUM_ITEMS, TRAIN, USER, Pair, Tastes, dataset_of, relation
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.data.card import paths
from kgrec.data.card.sample import Sample, contains, draw_sample
from kgrec.data.card.statistics import ends
from kgrec.data.tables import Dataset
from kgrec.schema import Split

USERS, ITEMS, ENTITIES = 6, 8, 5


def some(draw: st.DrawFn, heads: int, tails: int, least: int = 0) -> list[Pair]:
    pair = st.tuples(st.integers(0, heads - 1), st.integers(0, tails - 1))
    return sorted(draw(st.sets(pair, min_size=least, max_size=20)))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Dataset, Sample]:
    known = some(draw, USERS, ITEMS, least=8)
    train = known[::2] + known[1::4]
    test = [pair for pair in known if pair not in train]
    dataset = dataset_of(
        sorted(train), test,
        [
            relation("also", ITEM, ITEM, some(draw, ITEMS, ITEMS)),
            relation("friend", USER, USER, some(draw, USERS, USERS)),
            relation("view", USER, ITEM, some(draw, USERS, ITEMS)),
            relation("about", ITEM, ENTITY, some(draw, ITEMS, ENTITIES)),
            relation("wrote", USER, ENTITY, some(draw, USERS, ENTITIES)),
            relation("of", ENTITY, ITEM, some(draw, ENTITIES, ITEMS)),
        ],
        users=USERS, items=ITEMS, entities=ENTITIES,
    )  # fmt: skip
    sample = draw_sample(dataset, np.random.default_rng(draw(st.integers(0, 99))))
    return dataset, sample


def told(sample: Sample) -> list[list[Pair]]:
    """The held-out, the control and the train pairs."""
    return [list(zip(sample.user.tolist(), items, strict=True)) for items in sample.items.tolist()]


def edges(dataset: Dataset, name: str) -> set[Pair]:
    (table,) = [table for table in dataset.relations if table.name == name]
    return set(zip(*(end.tolist() for end in ends(table.edges)), strict=True))


def frame(dataset: Dataset, name: str) -> pd.DataFrame:
    return next(table.edges for table in dataset.relations if table.name == name)


@given(worlds())
@settings(max_examples=80, deadline=None)
def test_coverage_is_that_of_following_every_path(world: tuple[Dataset, Sample | None]) -> None:
    dataset, sample = world
    if sample is None:
        return
    rng = np.random.default_rng(0)
    train = set(zip(*(e.tolist() for e in ends(dataset.interactions[Split.TRAIN])), strict=True))
    sorts = told(sample)
    hidden = [item for _, item in sorts[2]]

    def count(paths_of: Callable[[int, int, int], int]) -> paths.Coverage:
        held, control, seen = (
            [int(paths_of(user, item, hidden[row])) for row, (user, item) in enumerate(pairs)]
            for pairs in sorts
        )
        compared = [(mine > other, mine < other) for others in (control, seen)
                    for mine, other in zip(held, others, strict=True)]  # fmt: skip
        number = len(held)
        return paths.Coverage(
            number, *(sum(map(bool, x)) for x in (held, control, seen)),
            *(sum(pair[side] for pair in compared[start : start + number])
              for start in (0, number) for side in (0, 1)),
        )  # fmt: skip

    def history(user: int, without: int) -> set[int]:
        return {item for owner, item in train if owner == user} - {without}

    also = edges(dataset, "also")
    found = paths.through_items(frame(dataset, "also"), sample, rng)
    assert found == count(
        lambda u, i, h: sum(((i, j) in also) + ((j, i) in also) for j in history(u, h) if j != i)
    )
    friend = edges(dataset, "friend")
    found = paths.through_users(
        frame(dataset, "friend"), sample, dataset.interactions[Split.TRAIN], USERS, rng
    )
    assert found == count(
        lambda u, i, _: sum(
            ((u, v) in friend) + ((v, u) in friend)
            for v in range(USERS)
            if (v, i) in train and v != u
        )
    )
    view = edges(dataset, "view")
    found = paths.direct(frame(dataset, "view"), sample, USERS, turned=False)
    assert found == count(lambda u, i, _: (u, i) in view)

    about = edges(dataset, "about")
    of = {item: {e for i, e in about if i == item} for item in range(ITEMS)}
    found = paths.through_entities(ends(frame(dataset, "about")), ENTITIES, sample, rng)
    assert found == count(lambda u, i, h: sum(len(of[i] & of[j]) for j in history(u, h) if j != i))
    wrote, led = edges(dataset, "wrote"), edges(dataset, "of")
    reached = {
        (user, item)
        for user, entity in wrote
        for other, item in led
        if entity == other and user in set(sample.user.tolist())
    }
    joined = paths.over_entity(
        ends(frame(dataset, "wrote")), ends(frame(dataset, "of")), (USERS, ENTITIES), sample, rng
    )
    if not reached:
        assert joined is None
        return
    assert joined is not None
    test = set(zip(*(e.tolist() for e in ends(dataset.interactions[Split.TEST])), strict=True))
    cover = joined.coverage
    assert cover == count(lambda u, i, _: (u, i) in reached)
    assert (joined.reached, joined.reached_held_out, joined.reached_train) == (
        len(reached), len(reached & test), len(reached & train),
    )  # fmt: skip


def test_a_sample_is_what_it_says() -> None:
    tastes = Tastes()
    dataset = tastes.dataset()
    sample = draw_sample(dataset, np.random.default_rng(0))
    assert sample is not None
    train, test = set(tastes.train), set(tastes.test)
    held_out, control, seen = told(sample)
    assert set(held_out) == test
    assert set(seen) <= train
    assert not set(control) & (train | test)
    assert len(sample.own) == len(train)
    # Controls are as popular as what they stand beside.
    degree = np.bincount([item for _, item in tastes.train], minlength=NUM_ITEMS)
    popularity, of_control, _ = degree[sample.items].mean(axis=1)
    ratio = of_control / popularity
    assert ratio == pytest.approx(1, abs=0.12)
    assert popularity > 1.2 * degree.mean()


def test_the_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Tastes().dataset()
    monkeypatch.setattr("kgrec.data.card.sample.MOST_PAIRS", 100)
    sample = draw_sample(dataset, np.random.default_rng(0))
    assert sample is not None
    assert len(sample) == 100
    monkeypatch.setattr("kgrec.data.card.sample.MOST_OWN", 7 * TRAIN)
    sample = draw_sample(dataset, np.random.default_rng(0))
    assert sample is not None
    assert len(np.unique(sample.user)) == 7
    assert len(sample.own) == 7 * TRAIN


def test_hubs_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    star = np.zeros(5000, np.int64), np.arange(5000)
    monkeypatch.setattr(paths, "MOST_NEIGHBOURS", 100)
    wanted = np.array([True, False])
    found = paths.neighbours([star], wanted, np.random.default_rng(0))
    row, leaves = found.of(np.array([0, 1]))
    assert set(row.tolist()) == {0}
    assert 60 < len(leaves) < 140
    assert len(set(leaves.tolist())) == len(leaves)


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 9)))
def test_contains(known: list[int], asked: list[int]) -> None:
    found = contains(np.sort(np.array(known, np.int64)), np.array(asked, np.int64))
    assert found.tolist() == [value in known for value in asked]
