"""Leaks that are put in are found, with the right numbers; honest data is left alone."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from card_cases import (
    ENTITY,
    HELD_OUT,
    ITEM,
    NUM_ITEMS,
    NUM_USERS,
    TASTES,
    TRAIN,
    USER,
    Tastes,
    dataset_of,
    relation,
)

from kgrec.data.card.card import Caution, SplitSummary
from kgrec.data.card.holdout import (
    order_cautions,
    popularity_cautions,
    rank_correlations,
    unseen_cautions,
)
from kgrec.data.card.leaks import exceeds, find_cautions, relation_cautions
from kgrec.data.card.sample import draw_sample
from kgrec.data.tables import Dataset
from kgrec.schema import Role

PAIRS = NUM_USERS * HELD_OUT


@pytest.fixture(scope="module")
def tastes() -> Tastes:
    return Tastes()


def cautions(dataset: Dataset, seed: int = 0) -> list[Caution]:
    rng = np.random.default_rng(seed)
    return list(relation_cautions(dataset, draw_sample(dataset, rng), rng))


def properties(dataset: Dataset) -> list[Caution]:
    return list(popularity_cautions(dataset, np.random.default_rng(0)))


# --- honest data ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_knowledge_of_taste_is_no_leak(seed: int) -> None:
    tastes = Tastes(seed)
    rng = np.random.default_rng(seed)
    genres = [(item, item % TASTES) for item in range(NUM_ITEMS)]
    # Makers have about four items of one taste, series join two items of one taste.
    makers = [(item, 50 + item % TASTES + TASTES * (item // 32)) for item in range(NUM_ITEMS)]
    series = [(item, (item + TASTES) % NUM_ITEMS) for item in range(0, NUM_ITEMS, 3)]
    friends = [
        (user, int(other) if user % 2 else int(other) // TASTES * TASTES + user % TASTES)
        for user, other in enumerate(rng.integers(0, NUM_USERS, NUM_USERS))
    ]
    found = cautions(
        tastes.dataset(
            relation("genre", ITEM, ENTITY, genres),
            relation("made_by", ITEM, ENTITY, makers),
            relation("series", ITEM, ITEM, series),
            relation("friend", USER, USER, [(a, b) for a, b in friends if a != b]),
            relation("lives_in", USER, ENTITY, [(user, 40) for user in range(NUM_USERS)]),
            relation("sold_in", ITEM, ENTITY, [(item, 40) for item in range(NUM_ITEMS)]),
            entities=500,
        )
    )
    assert found == []


def test_friends_of_one_taste_look_like_a_leak_and_are_said_to_be_no_more(tastes: Tastes) -> None:
    friends = [(user, (user + TASTES) % NUM_USERS) for user in range(NUM_USERS)]
    (found,) = cautions(tastes.dataset(relation("friend", USER, USER, friends)))
    assert found.level == "suspect"
    assert found.numbers["seen"] / found.numbers["held_out"] == pytest.approx(1, abs=0.25)


def together(tastes: Tastes, *, all_of_them: bool) -> list[tuple[int, int]]:
    """Pairs of items that some user has both of, in train or anywhere."""
    held: dict[int, list[int]] = {}
    for user, item in tastes.test if all_of_them else ():
        held.setdefault(user, []).append(item)
    return [
        pair
        for user in range(NUM_USERS)
        for pair in combinations(sorted([*tastes.items_of(user), *held.get(user, ())]), 2)
    ]


@pytest.mark.parametrize("often", [1, 2])
def test_neighbours_made_from_train_alone_are_no_leak(tastes: Tastes, often: int) -> None:
    counted = Counter(together(tastes, all_of_them=False))
    edges = [pair for pair, times in counted.items() if times >= often]
    assert cautions(tastes.dataset(relation("also", ITEM, ITEM, edges))) == []


# --- leaks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("often", [1, 2])
def test_neighbours_made_from_all_interactions_are_suspect(tastes: Tastes, often: int) -> None:
    counted = Counter(together(tastes, all_of_them=True))
    edges = [pair for pair, times in counted.items() if times >= often]
    (found,) = cautions(tastes.dataset(relation("bought_too", ITEM, ITEM, edges)))
    assert (found.level, found.subject) == ("suspect", "relation bought_too")
    assert found.numbers["lift"] > 5
    assert found.numbers["above_seen"] / found.numbers["below_seen"] == pytest.approx(1, abs=0.5)


def test_items_joined_because_of_held_out_pairs(tastes: Tastes) -> None:
    edges = [(held, item) for user, held in tastes.test for item in tastes.items_of(user)[:3]]
    (found,) = cautions(tastes.dataset(relation("goes_with", ITEM, ITEM, edges)))
    assert (found.level, found.subject) == ("leak", "relation goes_with")
    # One of the three may be the hidden train item; two are left.
    assert found.numbers["held_out"] == found.numbers["pairs"] == PAIRS
    assert f"{PAIRS:,} of {PAIRS:,} held-out pairs (100.0%)" in found.measured
    assert found.numbers["above_seen"] > 10 * found.numbers["below_seen"]


def test_friends_who_have_what_is_held_out(tastes: Tastes) -> None:
    owners: dict[int, list[int]] = {}
    for user, item in tastes.train:
        owners.setdefault(item, []).append(user)
    edges = [(user, owners[item][0]) for user, item in tastes.test if item in owners]
    (found,) = cautions(tastes.dataset(relation("knows", USER, USER, edges)))
    assert (found.level, found.subject) == ("leak", "relation knows")
    assert found.numbers["held_out"] == len({(u, i) for u, i in tastes.test if i in owners})
    assert found.numbers["held_out"] > 2 * found.numbers["control"]


@pytest.mark.parametrize("turned", [False, True])
def test_evidence_of_held_out_pairs(tastes: Tastes, turned: bool) -> None:
    kept = tastes.test[::2]
    ends = (ITEM, USER) if turned else (USER, ITEM)
    edges = [(item, user) if turned else (user, item) for user, item in kept]
    role = Role.RELATION if turned else Role.EVIDENCE
    (found,) = cautions(tastes.dataset(relation("view", *ends, edges, role)))
    assert (found.level, found.subject) == ("leak", f"{role} view")
    assert (found.numbers["control"], found.numbers["seen"]) == (0, 0)
    assert found.numbers["pairs"] == PAIRS
    assert found.numbers["held_out"] == len(kept)


def test_evidence_of_train_pairs_and_others_is_none(tastes: Tastes) -> None:
    rng = np.random.default_rng(1)
    held = set(tastes.test)
    others = {(int(u), int(i)) for u, i in rng.integers(0, (NUM_USERS, NUM_ITEMS), (3000, 2))}
    view = relation("view", USER, ITEM, [*tastes.train, *(others - held)], Role.EVIDENCE)
    assert cautions(tastes.dataset(view)) == []


def test_an_entity_for_each_held_out_pair(tastes: Tastes) -> None:
    edges = [
        (item, number)
        for number, (user, held) in enumerate(tastes.test)
        for item in (held, *tastes.items_of(user)[:3])
    ]
    (found,) = cautions(tastes.dataset(relation("batch", ITEM, ENTITY, edges), entities=PAIRS))
    assert (found.level, found.subject) == ("leak", "relation batch")
    assert found.numbers["held_out"] == found.numbers["pairs"]


def test_reviews_of_held_out_items(tastes: Tastes) -> None:
    reviewed = [*tastes.test[:400], *tastes.train[:500]]
    wrote = relation("wrote", USER, ENTITY, [(user, n) for n, (user, _) in enumerate(reviewed)])
    about = relation("reviews", ENTITY, ITEM, [(n, item) for n, (_, item) in enumerate(reviewed)])
    (found,) = cautions(tastes.dataset(wrote, about, entities=len(reviewed)))
    assert (found.level, found.subject) == ("leak", "relations wrote and reviews")
    numbers = found.numbers
    assert (numbers["held_out"], numbers["control"]) == (400, 0)
    assert (numbers["reached"], numbers["reached_held_out"], numbers["reached_train"]) == (
        900, 400, 500,
    )  # fmt: skip


def test_reviews_of_train_items_are_fine(tastes: Tastes) -> None:
    wrote = relation("wrote", USER, ENTITY, [(user, n) for n, (user, _) in enumerate(tastes.train)])
    about = relation(
        "reviews", ENTITY, ITEM, [(n, item) for n, (_, item) in enumerate(tastes.train)]
    )
    assert cautions(tastes.dataset(wrote, about, entities=len(tastes.train))) == []


# --- properties ----------------------------------------------------------------------------------


def counts(pairs: list[tuple[int, int]]) -> np.ndarray:
    return np.bincount([item for _, item in pairs], minlength=NUM_ITEMS)


def test_sales_that_include_what_is_held_out(tastes: Tastes) -> None:
    sold = counts(tastes.train) + counts(tastes.test)
    rng = np.random.default_rng(0)
    dataset = tastes.dataset(
        num_sales=sold,
        num_sales_scaled=sold / sold.max(),  # its twin is not told again
        train_sales=counts(tastes.train),
        price=rng.random(NUM_ITEMS),
        title=[f"t{n}" for n in range(NUM_ITEMS)],
        load=sold,
    )
    (found,) = properties(dataset)
    assert (found.level, found.subject) == ("leak", "item property num_sales")
    assert found.numbers["items"] == NUM_ITEMS
    assert found.numbers["partial"] > 0.8
    assert f"{found.numbers['held_out']:+.2f}" in found.measured


@pytest.mark.parametrize("seed", range(5))
def test_what_drives_popularity_is_no_leak(seed: int) -> None:
    tastes = Tastes(seed)
    appeal = 1 / np.sqrt(1 + np.arange(NUM_ITEMS) // TASTES)
    assert properties(tastes.dataset(appeal=appeal, count=counts(tastes.train))) == []


def test_held_out_sales_alone(tastes: Tastes) -> None:
    few = counts(tastes.test).astype(float)
    few[400:] = np.nan  # unknown for most items
    (found,) = properties(tastes.dataset(last_month=few))
    assert found.numbers["items"] == 400
    assert found.numbers["held_out"] == pytest.approx(1)
    assert (
        properties(tastes.dataset(last_month=np.where(np.arange(NUM_ITEMS) < 29, few, np.nan)))
        == []
    )


def test_rank_correlations_of_hand_made_cases() -> None:
    up = np.arange(40.0)
    swapped = up.copy()
    swapped[[0, 39]] = swapped[[39, 0]]
    found = rank_correlations(up, swapped, up)
    assert found is not None
    # Spearman's 1 - 6 Σd² / (n (n² - 1)) with d = 39 twice.
    assert found.train == pytest.approx(1 - 6 * 2 * 39**2 / (40 * (40**2 - 1)))
    assert found.held_out == pytest.approx(1)
    assert rank_correlations(up[:29], up[:29], up[:29]) is None
    assert rank_correlations(np.ones(40), up, up) is None
    # Equal in all: the property knows what train knows.
    same = rank_correlations(up, up, up)
    assert same is not None
    assert (same.partial, same.errors, same.knows_held_out) == (0, 0, False)


# --- the split -----------------------------------------------------------------------------------


def test_held_out_before_train_is_counted(tastes: Tastes) -> None:
    train = np.tile(np.arange(100, 100 + TRAIN), NUM_USERS)
    test = np.where(np.arange(PAIRS) % 3 == 0, 50, 500)
    dataset = tastes.timed(train, test)
    (found,) = order_cautions(dataset, "random")
    assert found.level == "note"
    assert (found.numbers["earlier"], found.numbers["of"]) == (-(-PAIRS // 3), PAIRS)
    (broken,) = order_cautions(dataset, "temporal_user")
    assert broken.level == "leak"
    assert list(order_cautions(tastes.timed(train, np.full(PAIRS, 109)), "random")) == []
    assert list(order_cautions(tastes.dataset(), "random")) == []


def test_unknown_times_are_not_held_against_anybody(tastes: Tastes) -> None:
    train = np.tile(np.arange(100.0, 100 + TRAIN), NUM_USERS)
    train[: TRAIN * 2] = np.nan  # the first two users
    test = np.full(PAIRS, 50.0)
    test[-2:] = np.nan  # the last
    (found,) = order_cautions(tastes.timed(train, test), None)
    assert (found.numbers["earlier"], found.numbers["of"]) == (PAIRS - 6, PAIRS - 6)


def test_exceeds_wants_size_and_certainty() -> None:
    assert exceeds(100, 20, 5)
    assert not exceeds(100, 21, 5)  # not five times
    assert exceeds(16, 0, 5)
    assert not exceeds(15, 0, 5)  # 15 / √15 < 4
    assert not exceeds(30, 15, 2)  # 15 / √45 < 4
    assert not exceeds(1000, 1000, 1)
    assert not exceeds(0, 0, 1)


def test_all_together_the_surest_first(tastes: Tastes) -> None:
    view = relation("view", USER, ITEM, tastes.test, Role.EVIDENCE)
    edges = [(h, i) for u, h in tastes.test for i in tastes.items_of(u)[:3]]
    dataset = tastes.dataset(view, relation("also", ITEM, ITEM, edges), sales=counts(tastes.test))
    test = SplitSummary("test", PAIRS, NUM_USERS, 180, 0, 9, 0, None, None, None, None)
    found = find_cautions(dataset, (test,), "random", 0)
    assert [c.level for c in found] == ["leak", "leak", "leak", "note"]
    assert found == find_cautions(dataset, (test,), "random", 0)
    assert found[-1].numbers == {"new": 9, "of": 180}
    assert "9 of 180 items of test (5%)" in found[-1].measured


def test_cold_items_are_what_the_split_is_for() -> None:
    test = SplitSummary("test", 10, 5, 4, 1, 4, 0, None, None, None, None)
    users, items = unseen_cautions((test,), "cold_item")
    assert (users.subject, items.subject) == ("users of test", "items of test")
    assert items.advice == "That is what the split cold_item is for."
    assert "cohorts" in users.advice


def test_too_little_data_says_nothing() -> None:
    train = [(user, item) for user in range(5) for item in range(3)]
    test = [(user, 3) for user in range(5)]
    dataset = dataset_of(train, test, [relation("view", USER, ITEM, test, Role.EVIDENCE)], users=5,
                         items=10)  # fmt: skip
    assert cautions(dataset) == []
    nobody = dataset_of([(0, 0)], [(1, 0)], users=2, items=2)
    assert draw_sample(nobody, np.random.default_rng(0)) is None
    assert cautions(nobody) == []
