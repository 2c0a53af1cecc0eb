"""What the audit compares: the same graph but for one thing."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.auditing.folds import audit_folds, mean_over_folds
from kgrec.auditing.names import same_links
from kgrec.auditing.variants import (
    permuted,
    relation_sizes,
    swapped_tails,
    without_relation,
)
from kgrec.errors import ConfigError, DataError
from kgrec.graph.data import GraphData, RelationEdges
from kgrec.schema import Role, Split
from tests.graphs import ENTITY, ITEM, behaviour, make_graph, random_graph, relation


def edges(relation: RelationEdges) -> list[tuple[int, int]]:
    return list(zip(relation.head_index.tolist(), relation.tail_index.tolist(), strict=True))


def pairs_in(rows: int, columns: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    pair = st.tuples(st.integers(0, rows - 1), st.integers(0, columns - 1))
    return st.lists(pair, unique=True, max_size=60)


@settings(deadline=None, max_examples=25)
@given(pairs=pairs_in(9, 7), seed=st.integers(0, 99))
def test_swaps_between_two_labels_keep_degrees_and_repeat_no_edge(
    pairs: list[tuple[int, int]], seed: int
) -> None:
    head, tail = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    new = swapped_tails(head, tail, np.random.default_rng(seed))
    assert Counter(new.tolist()) == Counter(tail.tolist())
    assert len({*zip(head.tolist(), new.tolist(), strict=True)}) == len(pairs)


@settings(deadline=None, max_examples=25)
@given(pairs=pairs_in(9, 9), seed=st.integers(0, 99))
def test_swaps_within_a_label_make_no_loop_and_no_edge_turned_round(
    pairs: list[tuple[int, int]], seed: int
) -> None:
    kept = sorted({(min(p), max(p)) for p in pairs if p[0] != p[1]})
    head, tail = np.array(kept, dtype=np.int64).reshape(-1, 2).T
    new = swapped_tails(head, tail, np.random.default_rng(seed), one_label=True)
    assert Counter(new.tolist()) == Counter(tail.tolist())
    assert (head != new).all()
    undirected = {frozenset(pair) for pair in zip(head.tolist(), new.tolist(), strict=True)}
    assert len(undirected) == len(kept)


def test_swaps_reach_every_graph_of_the_same_degrees_alike() -> None:
    # Three heads and three tails of degree 1: the six assignments.
    head = np.arange(3)
    found = Counter(
        tuple(swapped_tails(head, np.arange(3), np.random.default_rng(seed)).tolist())
        for seed in range(300)
    )
    assert len(found) == 6
    assert min(found.values()) > 25  # 50 expected, standard deviation 6.5
    assert max(found.values()) < 80


def test_a_full_relation_has_no_other_graph_of_its_degrees() -> None:
    head, tail = np.repeat(np.arange(3), 4), np.tile(np.arange(4), 3)
    assert (swapped_tails(head, tail, np.random.default_rng(0)) == tail).all()


class TestPermuted:
    def test_every_relation_keeps_its_degrees_and_its_number_of_edges(self) -> None:
        graph = random_graph(3, (60, 50, 30))
        shuffled = permuted(graph, 1)
        for before, after in zip(graph.relations, shuffled.relations, strict=True):
            assert (before.name, before.key, before.role) == (after.name, after.key, after.role)
            for end in ("head_index", "tail_index"):
                assert Counter(getattr(before, end).tolist()) == Counter(
                    getattr(after, end).tolist()
                )
            assert len(set(edges(after))) <= len(before)
            if before.key.head != before.key.tail:
                assert len(set(edges(after))) == len(before)

    def test_edges_differ_and_what_is_no_knowledge_does_not(self) -> None:
        graph = random_graph(3, (60, 50, 30))
        shuffled = permuted(graph, 1)
        for before, after in zip(graph.relations, shuffled.relations, strict=True):
            kept = len(set(edges(before)) & set(edges(after))) / len(before)
            assert kept == 1 if before.role is not Role.RELATION else kept < 0.6, before.name
        assert shuffled.train is graph.train
        assert shuffled.held_out is graph.held_out

    def test_a_seed_is_a_graph(self) -> None:
        graph = random_graph(3, (60, 50, 30))
        first, second, other = (permuted(graph, seed) for seed in (5, 5, 6))
        assert [edges(r) for r in first.relations] == [edges(r) for r in second.relations]
        assert [edges(r) for r in first.relations] != [edges(r) for r in other.relations]

    def test_only_the_named_relations_are_shuffled_and_as_they_are_together(self) -> None:
        graph = random_graph(3, (60, 50, 30))
        every, one = permuted(graph, 5), permuted(graph, 5, ["genre"])
        for before, alone, together in zip(
            graph.relations, one.relations, every.relations, strict=True
        ):
            assert edges(alone) == edges(together if before.name == "genre" else before)

    def test_an_inverse_mirrors_its_relation_still(self) -> None:
        rng = np.random.default_rng(0)
        pairs = np.argwhere(rng.random((30, 20)) < 0.2)
        turned = rng.permutation(pairs[:, ::-1]).tolist()
        graph = make_graph(
            (1, 30, 20),
            (),
            (relation("by", pairs.tolist()), relation("rev_by", turned, ENTITY, ITEM)),
        )
        forth, back = permuted(graph, 2).relations
        assert {(head, tail) for tail, head in edges(back)} == set(edges(forth))
        assert set(edges(forth)) != set(edges(graph.relations[0]))


def test_a_relation_leaves_with_its_inverse_and_behaviours_stay() -> None:
    graph = make_graph(
        (2, 2, 2),
        (),
        (
            relation("likes", [(0, 1)]),
            relation("rev_likes", [(1, 0), (0, 0)], ENTITY, ITEM),
            relation("genre", [(0, 0)]),
            behaviour("likes", [(0, 0)]),
        ),
    )
    assert relation_sizes(graph) == {"genre": 1, "likes": 3}
    left = without_relation(graph, "likes").relations
    assert [(r.name, r.role) for r in left] == [
        ("genre", Role.RELATION),
        ("likes", Role.EVIDENCE),
    ]


@pytest.mark.parametrize(("shared", "one"), [(18, True), (17, False)])
def test_relations_with_nine_tenths_of_their_links_in_common_are_one(
    shared: int, one: bool
) -> None:
    links = [(item, item // 2) for item in range(18)]
    other = [(entity, item) for item, entity in links[:shared]]  # seen from the other end
    other += [(12, 3), (13, 3)]
    graph = make_graph(
        (2, 18, 14),
        (),
        (
            relation("written_by", links),
            relation("wrote", other, ENTITY, ITEM),
            relation("rev_genre", [(9, 0), (9, 1)], ENTITY, ITEM),
            relation("genre", [(0, 9)]),  # half of its inverse's: one for its name
            behaviour("genre", links),
        ),
    )
    joined = same_links(graph)
    if not one:
        assert joined == {}
        return
    assert joined == dict.fromkeys(("wrote", "written_by"), "wrote = written_by")
    assert relation_sizes(graph, joined) == {"genre": 3, "wrote = written_by": 18 + 20}
    left = without_relation(graph, "wrote = written_by", joined).relations
    assert [(r.name, r.role) for r in left] == [
        ("rev_genre", Role.RELATION), ("genre", Role.RELATION), ("genre", Role.EVIDENCE)
    ]  # fmt: skip


def numbers(graph: GraphData, split: Split | None = None) -> set[int]:
    part = graph.train if split is None else graph.held_out[split]
    return set((part.user_index * graph.num_items + part.item_index).tolist())


class TestFolds:
    def graph(self) -> GraphData:
        rng = np.random.default_rng(4)
        chosen = [(u, int(i)) for u in range(20) for i in rng.choice(50, 24, replace=False)]
        train = [pair for place, pair in enumerate(chosen) if place % 24 < 20]
        valid = [pair for place, pair in enumerate(chosen) if 20 <= place % 24 < 22]
        test = [pair for place, pair in enumerate(chosen) if place % 24 >= 22]
        return make_graph((21, 50, 0), [*train, (20, 0), (20, 1)], (), valid, test)

    def test_each_part_is_judged_once_and_has_chosen_nothing(self) -> None:
        graph = self.graph()
        first, *inner = audit_folds(graph, Split.VALID, 3, seed=0)
        assert numbers(first, Split.TEST) == numbers(graph, Split.VALID)
        judged = [numbers(fold, Split.TEST) for fold in inner]
        assert [len(part) for part in judged] == [40, 40, 40]
        assert len(set.union(*judged)) == 120
        for fold in inner:
            assert numbers(fold, Split.VALID) == numbers(graph, Split.VALID)
            assert numbers(fold) | numbers(fold, Split.TEST) == numbers(graph)
        for fold in (first, *inner):
            parts = numbers(fold), numbers(fold, Split.VALID), numbers(fold, Split.TEST)
            assert len(set.union(*parts)) == sum(map(len, parts))
            assert not set.union(*parts) & numbers(graph, Split.TEST)
            assert {1000, 1001} <= numbers(fold)  # two items are too few to hold one out

    def test_when_test_is_judged_valid_is_what_tunes(self) -> None:
        graph = self.graph()
        first = audit_folds(graph, Split.TEST, 1, seed=0)[0]
        assert numbers(first) == numbers(graph)
        assert numbers(first, Split.VALID) == numbers(graph, Split.VALID)
        assert numbers(first, Split.TEST) == numbers(graph, Split.TEST)

    def test_what_is_judged_has_no_other_behaviour(self) -> None:
        graph = self.graph()
        views = behaviour("view", zip(*graph.pairs_of(Role.TARGET), strict=True))
        views = replace(views, head_index=graph.train.user_index, tail_index=graph.train.item_index)
        fold = audit_folds(replace(graph, relations=(views,)), Split.VALID, 1, seed=0)[1]
        (left,) = fold.relations
        assert set((left.head_index * 50 + left.tail_index).tolist()) == numbers(fold)

    def test_refusals(self) -> None:
        with pytest.raises(ConfigError, match="split valid or test"):
            audit_folds(self.graph(), Split.TRAIN, 1, seed=0)
        with pytest.raises(ConfigError, match="0 to 9 inner folds, got valid and 10"):
            audit_folds(self.graph(), Split.VALID, 10, seed=0)
        with pytest.raises(DataError, match="split valid, which is empty"):
            audit_folds(make_graph((2, 2, 0), [(0, 0)]), Split.VALID, 1, seed=0)

    def test_means_are_over_the_folds_that_judged_a_user(self) -> None:
        nan = np.nan
        got = mean_over_folds([np.array([1.0, 0.5, nan]), np.array([0.0, nan, nan])])
        assert got == pytest.approx([0.5, 0.5, nan], nan_ok=True)
