"""Full ranking by hand: masks, ties, leakage, score prediction, beyond accuracy, the report."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from torch import Tensor

from kgrec.errors import ConfigError, DataError, ShapeError, TrainingDiverged
from kgrec.evaluation.beyond import beyond_accuracy, intra_list_diversity, item_features
from kgrec.evaluation.bootstrap import paired_bootstrap
from kgrec.evaluation.evaluate import evaluate, ndcg_at
from kgrec.evaluation.floors import RIDGES, fit_floors, most_popular, train_history
from kgrec.evaluation.prediction import platt, prediction_metrics, roc_auc, sample_pairs
from kgrec.evaluation.ranking import Pairs, Ranking, RankingTask
from kgrec.evaluation.report import build_report, cohorts_table, compare, metrics_table
from kgrec.graph.data import GraphData, Interactions, RelationEdges
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import Ease
from kgrec.model.scorer import Contributions
from kgrec.schema import EdgeKey, NodeLabel, Role, Split
from kgrec.vocabulary import Vocabulary

Edges = Sequence[tuple[int, int]]


def part(edges: Edges, rating: Sequence[float] | None = None) -> Interactions:
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return Interactions(
        ends[:, 0], ends[:, 1], None if rating is None else np.array(rating, dtype=np.float64)
    )


def make_graph(
    num_users: int,
    num_items: int,
    train: Edges,
    valid: Edges = (),
    test: Edges = (),
    relations: tuple[RelationEdges, ...] = (),
    num_entities: int = 0,
) -> GraphData:
    sizes = {
        NodeLabel.USER: num_users,
        NodeLabel.ITEM: num_items,
        NodeLabel.ENTITY: num_entities,
    }
    return GraphData(
        version="hand",
        vocabularies={
            label: Vocabulary((str(i) for i in range(n)), str(label)) for label, n in sizes.items()
        },
        properties={},
        train=part(train),
        held_out={Split.VALID: part(valid), Split.TEST: part(test)},
        relations=relations,
    )


class Table:
    """A scorer that says what it was told."""

    def __init__(self, scores: Any) -> None:
        self.table = torch.as_tensor(scores, dtype=torch.float32)
        nothing = torch.empty(0, dtype=torch.int64)
        self.history = Incidence.from_pairs(nothing, nothing, *self.table.shape)

    @property
    def num_users(self) -> int:
        return self.table.shape[0]

    @property
    def num_items(self) -> int:
        return self.table.shape[1]

    def score(self, user_indices: Tensor) -> Tensor:
        return self.table[user_indices]

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        raise NotImplementedError

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"table": self.table}, {}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> "Table":  # noqa: ARG003
        return cls(tensors["table"])


#: User 0 has train 0, valid 1, test 2 and 4; user 1 only train; user 2 train 4, test 0.
GRAPH = make_graph(
    3, 5, train=[(0, 0), (1, 1), (2, 4)], valid=[(0, 1)], test=[(0, 2), (0, 4), (2, 0)]
)
SCORES = [
    [9.0, 8.0, 7.0, 6.0, 5.0],
    [1.0, 2.0, 3.0, 4.0, 5.0],
    [1.0, 2.0, 3.0, 4.0, 5.0],
]


class TestRanking:
    def test_train_and_valid_are_masked_when_test_is_judged(self) -> None:
        task = RankingTask(GRAPH, Split.TEST)
        ranking, _ = task.rank(Table(SCORES), 4)
        assert task.users.tolist() == [0, 2]  # user 1 has nothing held out
        assert ranking.items.tolist() == [[2, 3, 4, -1], [3, 2, 1, 0]]
        assert ranking.hits.tolist() == [[1, 0, 1, 0], [0, 0, 0, 1]]
        got = task.run(Table(SCORES), (2,))
        assert got["recall@2"].tolist() == [0.5, 0.0]
        assert got["ndcg@2"].tolist() == pytest.approx([1 / (1 + 1 / math.log2(3)), 0.0])

    def test_only_train_is_masked_when_valid_is_judged(self) -> None:
        task = RankingTask(GRAPH, Split.VALID)
        ranking, _ = task.rank(Table(SCORES), 3)
        assert task.users.tolist() == [0]
        assert ranking.items.tolist() == [[1, 2, 3]]
        assert ndcg_at(Table(SCORES), GRAPH, Split.VALID, 3) == 1.0

    def test_blocks_do_not_change_anything(self) -> None:
        rng = np.random.default_rng(0)
        pairs = np.argwhere(rng.random((40, 30)) < 0.2)
        rng.shuffle(pairs)
        graph = make_graph(40, 30, pairs[80:].tolist(), pairs[:40].tolist(), pairs[40:80].tolist())
        scorer = Table(rng.normal(size=(40, 30)))
        whole = RankingTask(graph, Split.TEST).run(scorer, (5, 10))
        for size in (1, 7):
            blocks = RankingTask(graph, Split.TEST, block_size=size).run(scorer, (5, 10))
            for name in whole:
                np.testing.assert_array_equal(blocks[name], whole[name])

    def test_agrees_with_sorting_in_python(self) -> None:
        rng = np.random.default_rng(1)
        pairs = np.argwhere(rng.random((30, 25)) < 0.3)
        rng.shuffle(pairs)
        train, valid, test = pairs[90:].tolist(), pairs[:30].tolist(), pairs[30:90].tolist()
        graph = make_graph(30, 25, train, valid, test)
        scores = rng.integers(0, 6, size=(30, 25)).astype(np.float32)  # many ties
        task = RankingTask(graph, Split.TEST)
        ndcg = task.run(Table(scores), (10,))["ndcg@10"]
        for place, user in enumerate(task.users):
            known = {i for u, i in train + valid if u == user}
            truth = {i for u, i in test if u == user}
            free = [i for i in range(25) if i not in known]
            free.sort(key=lambda i: (-scores[user, i], i in truth))
            dcg = sum(1 / math.log2(r + 2) for r, i in enumerate(free[:10]) if i in truth)
            ideal = sum(1 / math.log2(r + 2) for r in range(min(10, len(truth))))
            assert ndcg[place] == pytest.approx(dcg / ideal, abs=1e-12)

    @pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e30, 1e-44])
    def test_equal_scores_find_nothing(self, value: float) -> None:
        graph = make_graph(2, 50, train=[(0, 0), (1, 0)], test=[(0, 1), (0, 49), (1, 25)])
        got = RankingTask(graph, Split.TEST).run(Table(np.full((2, 50), value)), (20,))
        assert all((values == 0).all() for values in got.values())

    def test_infinite_scores_are_no_way_in(self) -> None:
        graph = make_graph(1, 4, train=[(0, 0)], test=[(0, 1)])
        task = RankingTask(graph, Split.TEST)
        everywhere = task.run(Table([[torch.inf] * 4]), (2,))["recall@2"]
        nowhere = task.run(Table([[-torch.inf] * 4]), (2,))["recall@2"]
        assert everywhere.tolist() == nowhere.tolist() == [0.0]

    def test_a_list_longer_than_the_catalogue(self) -> None:
        got = RankingTask(GRAPH, Split.TEST).run(Table(SCORES), (100,))
        assert got["recall@100"].tolist() == [1.0, 1.0]
        assert got["precision@100"].tolist() == [0.02, 0.01]

    def test_the_scorer_is_left_as_it_was(self) -> None:
        scorer = Table(SCORES)
        evaluate(scorer, GRAPH, Split.TEST, k=(2,))
        assert scorer.table.tolist() == SCORES

    def test_not_a_number_is_an_error(self) -> None:
        scores = torch.tensor(SCORES)
        scores[2, 1] = torch.nan
        with pytest.raises(TrainingDiverged, match="not numbers"):
            RankingTask(GRAPH, Split.TEST).run(Table(scores))

    def test_a_scorer_of_other_items_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="3 users and 4 items, the graph has 3 and 5"):
            RankingTask(GRAPH, Split.TEST).run(Table(np.zeros((3, 4))))

    def test_train_cannot_be_judged(self) -> None:
        with pytest.raises(ConfigError, match="train cannot be judged"):
            RankingTask(GRAPH, Split.TRAIN)

    def test_an_empty_split_is_an_error(self) -> None:
        with pytest.raises(DataError, match="no held-out interactions in split valid"):
            RankingTask(make_graph(1, 2, [(0, 0)], test=[(0, 1)]), Split.VALID)

    def test_an_empty_split_says_what_holds_interactions_out(self) -> None:
        with pytest.raises(DataError, match=r"min_interactions .* nobody has more than 1") as few:
            RankingTask(make_graph(2, 2, [(0, 0), (1, 1)]), Split.TEST)
        assert "share" not in str(few.value)
        train = [(0, item) for item in range(5)]
        with pytest.raises(DataError, match=r"test share above 0; or lower .*min_interactions"):
            RankingTask(make_graph(1, 5, train), Split.TEST)

    def test_a_pair_in_two_splits_is_an_error(self) -> None:
        graph = make_graph(2, 3, [(0, 0), (1, 2)], test=[(0, 1), (1, 2)])
        with pytest.raises(DataError, match=r"1 pairs .* first user index 1, item index 2"):
            RankingTask(graph, Split.TEST)

    @pytest.mark.parametrize("k", [0, -1])
    def test_k_must_be_positive(self, k: int) -> None:
        with pytest.raises(ConfigError, match="k must be positive"):
            evaluate(Table(SCORES), GRAPH, Split.TEST, k=(k,))


def disliking(pairs: Edges, role: Role = Role.NEGATIVE) -> RelationEdges:
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    key = EdgeKey("DISMISS", NodeLabel.USER, NodeLabel.ITEM)
    return RelationEdges("dismiss", key, ends[:, 0], ends[:, 1], role)


class TestDislikes:
    #: User 0 dislikes 3 and, though it is held out in test, 2; user 1 is not judged.
    PAIRS = ((0, 3), (0, 2), (1, 0), (2, 3), (2, 2))
    GRAPH = replace(GRAPH, relations=(disliking(PAIRS),))

    def test_what_is_known_to_be_disliked_is_masked_and_what_is_held_out_never_is(self) -> None:
        ranking, _ = RankingTask(self.GRAPH, Split.TEST).rank(Table(SCORES), 4)
        assert ranking.items.tolist() == [[2, 4, -1, -1], [1, 0, -1, -1]]
        assert ranking.hits.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0]]
        # When valid is judged, test is not looked at: there 2 is a dislike as any other.
        ranking, _ = RankingTask(self.GRAPH, Split.VALID).rank(Table(SCORES), 3)
        assert ranking.items.tolist() == [[1, 4, -1]]

    def test_evidence_masks_nothing(self) -> None:
        graph = replace(GRAPH, relations=(disliking(self.PAIRS, Role.EVIDENCE),))
        ranking, _ = RankingTask(graph, Split.TEST).rank(Table(SCORES), 4)
        assert ranking.items.tolist() == [[2, 3, 4, -1], [3, 2, 1, 0]]

    def test_a_dislike_that_is_held_out_is_no_overlap_but_one_in_train_is_masked(self) -> None:
        graph = replace(GRAPH, relations=(disliking([(0, 0), (0, 4), (2, 0)]),))
        ranking, _ = RankingTask(graph, Split.TEST).rank(Table(SCORES), 5)
        assert ranking.items.tolist() == [[2, 3, 4, -1, -1], [3, 2, 1, 0, -1]]

    def test_floors_are_judged_without_them_as_well(self) -> None:
        graph = checkerboard()
        refused = [(user, 1 - user % 2) for user in range(24)]
        masked = replace(graph, relations=(disliking(refused),))
        for name, floor in fit_floors(masked).items():
            shown = []
            for judged in (graph, masked):
                ranking, _ = RankingTask(judged, Split.TEST).rank(floor, 20)
                shown.append({(u, i) for u, row in enumerate(ranking.items) for i in row if i >= 0})
            assert shown[0] - shown[1] == set(refused), name
            assert shown[1] < shown[0], name

    def test_none_is_drawn_as_a_free_item(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(20):
            pairs = sample_pairs(RankingTask(self.GRAPH, Split.TEST), rng)
            free = pairs.take(pairs.label == 0)
            assert free.item[free.row == 1].tolist() == [1]  # all that user 2 has left


def test_floors_are_fitted_on_what_the_run_beside_them_was() -> None:
    graph = make_graph(4, 5, [(0, 0), (1, 0), (2, 1), (3, 2)], valid=[(0, 4), (1, 4), (2, 4)])
    users = torch.arange(4)
    floors = fit_floors(graph, refit_splits=(Split.VALID,))
    whole = train_history(graph.with_splits(Split.VALID))
    assert floors["popularity"].score(users)[0].argmax() == 4
    assert all(torch.equal(floor.history.columns, whole.columns) for floor in floors.values())
    # The ridge is still chosen on valid, by what was fitted on train alone.
    tried = {ridge: Ease.fit(train_history(graph), ridge=ridge) for ridge in RIDGES}
    task = RankingTask(graph, Split.VALID)
    values = {ridge: task.run(ease)["ndcg@20"].mean() for ridge, ease in tried.items()}
    ease = Ease.fit(whole, ridge=max(values, key=lambda ridge: values[ridge]))
    assert torch.equal(floors["ease"].score(users), ease.score(users))


class TestLeakage:
    """Item 3 is a tell-tale: only held-out edges touch it, and many do."""

    TRAIN = tuple((user, item) for user in range(6) for item in (0, 1, 2) if (user + item) % 3)
    TELL_TALE = tuple((user, 3) for user in range(6))

    def test_floors_and_cohorts_do_not_see_a_held_out_edge(self) -> None:
        planted = make_graph(6, 5, self.TRAIN, valid=[(0, 4)], test=self.TELL_TALE)
        without = make_graph(6, 5, self.TRAIN, valid=[(0, 4)], test=[(1, 4)])
        users = torch.arange(6)
        for name, floor in fit_floors(planted).items():
            scores = floor.score(users)
            assert torch.equal(scores, fit_floors(without)[name].score(users)), name
            assert (scores[:, 3] == 0).all(), name
            cohorts = evaluate(floor, planted, Split.TEST, k=(1,)).cohorts
            assert cohorts["items/cold"]["num_users"] == 6, name  # all that was planted is cold
            assert cohorts["users/1-5"]["num_users"] == 6, name
            assert not any(cohort.startswith("items/decile") for cohort in cohorts), name

    def test_novelty_counts_train_only(self) -> None:
        planted = make_graph(6, 5, self.TRAIN, test=self.TELL_TALE)
        lists = Ranking(np.full((6, 1), 3), np.ones((6, 1), dtype=bool))
        got = beyond_accuracy(lists, planted, 1, np.random.default_rng(0))
        assert got["novelty@1"] == pytest.approx(math.log2(7))  # no user of 6 knows it


class TestPrediction:
    def test_auc_by_hand(self) -> None:
        label = np.array([1.0, 1, 0, 0])
        one = np.zeros(4, dtype=np.int64)
        assert roc_auc(np.array([4.0, 3, 2, 1]), label, one).tolist() == [1.0]
        assert roc_auc(np.array([1.0, 1, 1, 1]), label, one).tolist() == [0.5]
        assert roc_auc(np.array([3.0, 1, 2, 1]), label, one).tolist() == [(2 + 0 + 0.5) / 4]

    def test_auc_agrees_with_counting_pairs_in_each_group(self) -> None:
        rng = np.random.default_rng(2)
        group = np.sort(rng.integers(0, 12, 300))
        label = (rng.random(300) < 0.4).astype(float)
        scores = rng.integers(0, 9, 300) + label
        expected = []
        for g in np.unique(group):
            own = group == g
            up, down = scores[own & (label == 1)], scores[own & (label == 0)]
            wins = [(a > b) + 0.5 * (a == b) for a in up for b in down]
            if wins:
                expected.append(np.mean(wins))
        np.testing.assert_allclose(roc_auc(scores, label, group), expected, atol=1e-12)

    def test_platt_finds_the_map_that_made_the_labels(self) -> None:
        rng = np.random.default_rng(3)
        scores = rng.normal(5.0, 2.0, 200_000)
        label = (rng.random(200_000) < 1 / (1 + np.exp(-(1.5 * scores - 7.0)))).astype(float)
        slope, shift = platt(scores, label)
        assert (slope, shift) == pytest.approx((1.5, -7.0), abs=0.1)

    def test_platt_stays_finite_when_scores_separate_the_labels(self) -> None:
        slope, shift = platt(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0]))
        # Targets 1/4 and 3/4 (Platt's) are met exactly: σ(b) = 1/4, σ(a + b) = 3/4.
        assert (slope, shift) == pytest.approx((2 * math.log(3), -math.log(3)), abs=1e-4)

    def test_pairs_are_held_out_or_free(self) -> None:
        rng = np.random.default_rng(4)
        pairs = np.argwhere(rng.random((20, 15)) < 0.5)
        rng.shuffle(pairs)
        train, valid, test = pairs[60:].tolist(), pairs[:30].tolist(), pairs[30:60].tolist()
        task = RankingTask(make_graph(20, 15, train, valid, test), Split.TEST)
        sampled = sample_pairs(task, np.random.default_rng(0))
        user = task.users[sampled.row]
        got = list(zip(user.tolist(), sampled.item.tolist(), strict=True))
        positive = [pair for pair, y in zip(got, sampled.label, strict=True) if y == 1]
        negative = [pair for pair, y in zip(got, sampled.label, strict=True) if y == 0]
        assert sorted(positive) == sorted(map(tuple, test))
        assert len(negative) == len(positive)
        assert not set(negative) & set(map(tuple, pairs.tolist()))
        assert (np.diff(sampled.row) >= 0).all()
        again = sample_pairs(task, np.random.default_rng(0))
        np.testing.assert_array_equal(again.item, sampled.item)

    def test_a_user_who_took_everything_has_no_negative(self) -> None:
        task = RankingTask(make_graph(1, 2, [(0, 0)], test=[(0, 1)]), Split.TEST)
        assert sample_pairs(task, np.random.default_rng(0)).label.tolist() == [1.0]

    def test_perfect_scores_predict_nearly_perfectly(self) -> None:
        label = np.tile([1.0, 0.0], 500)
        pairs = Pairs(np.arange(1000) // 2, np.arange(1000), label, np.full(1000, np.nan))
        got = prediction_metrics(pairs, label * 3.0)
        assert got["roc_auc"] == got["user_auc"] == got["accuracy"] == 1.0
        assert got["mse"] == pytest.approx((1 / 252) ** 2, rel=1e-3)  # Platt's prior of a half
        assert got["rmse"] == pytest.approx(1 / 252, rel=1e-3)

    def test_the_map_comes_from_the_reference(self) -> None:
        rating = np.array([1.0, 2.0, 3.0, np.nan])
        label = np.array([1.0, 1.0, 1.0, 0.0])
        judged = Pairs(np.arange(4), np.arange(4), label, rating)
        other = Pairs(np.arange(4), np.arange(4), label, np.array([2.0, 4.0, 6.0, np.nan]))
        scores = np.array([1.0, 2.0, 3.0, 0.0])
        got = prediction_metrics(judged, scores, (other, scores))
        # The reference's line is 2 s, so the errors are 1, 2 and 3; its mean is 4.
        assert "user_auc" not in got  # no user has both labels
        assert got["rating_rmse"] == pytest.approx(math.sqrt(14 / 3))
        assert got["rating_rmse_constant"] == pytest.approx(math.sqrt((9 + 4 + 1) / 3))

    def test_ratings_stay_with_their_pairs(self) -> None:
        graph = make_graph(2, 4, [(0, 0), (1, 1)])
        held_out = {Split.TEST: part([(1, 3), (0, 2), (0, 1)], rating=[5.0, 4.0, 3.0])}
        graph = GraphData("hand", graph.vocabularies, {}, graph.train, held_out, ())
        sampled = sample_pairs(RankingTask(graph, Split.TEST), np.random.default_rng(0))
        held = sampled.take(sampled.label == 1)
        assert held.item.tolist() == [1, 2, 3]
        assert held.rating.tolist() == [3.0, 4.0, 5.0]


class TestBeyondAccuracy:
    #: Items 0 and 1 share a genre and differ in another; item 2 shares nothing; item 3 is bare.
    RELATION = RelationEdges(
        "genre",
        EdgeKey("GENRE", NodeLabel.ITEM, NodeLabel.ENTITY),
        np.array([0, 0, 1, 2]),
        np.array([0, 1, 0, 2]),
    )
    GRAPH = make_graph(
        3, 4, [(0, 0), (1, 0), (2, 1)], test=[(0, 2)], relations=(RELATION,), num_entities=3
    )

    def test_by_hand(self) -> None:
        lists = Ranking(np.array([[0, 1, 2], [2, 3, -1]]), np.zeros((2, 3), dtype=bool))
        got = beyond_accuracy(lists, self.GRAPH, 3, np.random.default_rng(0))
        assert got["coverage@3"] == 1.0
        surprise = [-math.log2(3 / 4), -math.log2(2 / 4), -math.log2(1 / 4), -math.log2(1 / 4)]
        assert got["novelty@3"] == pytest.approx((sum(surprise[:3]) / 3 + 2.0) / 2)
        # Jaccard of 0 and 1 is 1/2, the other pairs have none; the second list has one described.
        assert got["diversity@3"] == pytest.approx((0.5 + 1 + 1) / 3)

    def test_shorter_lists_cover_less(self) -> None:
        lists = Ranking(np.array([[0, 1], [0, 2]]), np.zeros((2, 2), dtype=bool))
        got = beyond_accuracy(lists, self.GRAPH, 1, np.random.default_rng(0))
        assert got["coverage@1"] == 1 / 4
        assert "diversity@1" not in got  # a list of one item has no pair

    def test_both_ends_of_an_item_relation_describe(self) -> None:
        sequel = RelationEdges(
            "sequel",
            EdgeKey("SEQUEL", NodeLabel.ITEM, NodeLabel.ITEM),
            np.array([0, 1]),
            np.array([2, 2]),
        )
        graph = make_graph(1, 3, [(0, 0)], relations=(sequel,))
        features = item_features(graph)
        assert np.diff(features.indptr).tolist() == [1, 1, 2]
        assert intra_list_diversity(np.array([[0, 1]]), features) == 0.0  # same sequel
        assert intra_list_diversity(np.array([[0, 2]]), features) == 1.0

    def test_without_relations_users_describe_items(self) -> None:
        graph = make_graph(3, 3, [(0, 0), (1, 0), (1, 1), (2, 1)])
        assert intra_list_diversity(np.array([[0, 1]]), item_features(graph)) == pytest.approx(
            1 - 1 / 3
        )

    def test_what_people_did_describes_no_item(self) -> None:
        def edges(kind: str, head: NodeLabel, tail: NodeLabel, pairs: Edges, role: Role):
            ends = np.array(pairs)
            return RelationEdges(kind, EdgeKey(kind, head, tail), ends[:, 0], ends[:, 1], role)

        user, item, entity = NodeLabel
        graph = replace(
            make_graph(3, 4, [(0, 0)], num_entities=3),
            properties={
                entity: pd.DataFrame(
                    {"kind": ["review", None, "person"], "text": ["Fine.", "prose", "more prose"]}
                )
            },
            relations=(
                edges("VIEW", user, item, [(0, 0), (0, 1)], Role.EVIDENCE),
                edges("DISMISS", user, item, [(1, 2)], Role.NEGATIVE),
                edges("REVIEWS", entity, item, [(0, 0), (0, 1)], Role.RELATION),
                edges("ABOUT", item, entity, [(0, 1), (1, 2), (2, 1)], Role.RELATION),
            ),
        )
        features = item_features(graph)
        assert np.diff(features.indptr).tolist() == [1, 1, 1, 0]
        assert (features[[0]] != features[[2]]).nnz == 0
        assert features[[0]].multiply(features[[1]]).nnz == 0


class TestBootstrap:
    def test_a_constant_difference_has_no_spread(self) -> None:
        got = paired_bootstrap(np.array([1.5, 2.5, 3.5]), np.array([1.0, 2.0, 3.0]))
        assert (got.difference, got.low, got.high) == (0.5, 0.5, 0.5)

    def test_the_interval_is_the_normal_one_for_many_users(self) -> None:
        a = np.random.default_rng(5).normal(0.1, 1.0, 4000)
        got = paired_bootstrap(a, np.zeros(4000), num_samples=4000, seed=1)
        half = 1.96 * a.std() / math.sqrt(4000)
        assert (got.low, got.high) == pytest.approx((a.mean() - half, a.mean() + half), abs=0.002)
        assert got == paired_bootstrap(a, np.zeros(4000), num_samples=4000, seed=1)

    def test_trainings_are_drawn_as_users_are(self) -> None:
        rng = np.random.default_rng(3)
        users, noise = rng.normal(0.1, 1.0, 3000), rng.normal(0, 0.5, (4, 1))
        a = users + noise  # what all users of a training share
        got = paired_bootstrap(a, np.zeros_like(a), num_samples=4000, seed=1)
        variance = users.var() / 3000 + noise.var() / 4
        assert got.difference == pytest.approx(a.mean())
        assert got.high - got.low == pytest.approx(2 * 1.96 * math.sqrt(variance), rel=0.1)
        one = paired_bootstrap(a[:1], np.zeros((1, 3000)), seed=2)
        assert one == paired_bootstrap(a[0], np.zeros(3000), seed=2)

    def test_other_users_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="same users twice"):
            paired_bootstrap(np.zeros(3), np.zeros(4))

    @pytest.mark.parametrize("setting", [{"confidence": 1.0}, {"num_samples": 0}])
    def test_settings_out_of_range(self, setting: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="confidence"):
            paired_bootstrap(np.zeros(3), np.zeros(3), **setting)


def checkerboard() -> GraphData:
    """Even users take even items, odd users odd ones; each lacks two of its own colour."""
    own = [(user, item) for user in range(24) for item in range(user % 2, 20, 2)]
    valid = [(user, item) for user, item in own if (item // 2 - user // 2) % 10 == 0]
    test = [(user, item) for user, item in own if (item // 2 - user // 2) % 10 == 5]
    train = [pair for pair in own if pair not in valid and pair not in test]
    return make_graph(24, 20, train, valid, test)


class TestFloors:
    def test_the_checkerboard_is_solved_by_neighbours_and_not_by_popularity(self) -> None:
        graph = checkerboard()
        floors = fit_floors(graph)
        assert list(floors) == ["popularity", "itemknn", "ease"]
        hit = {
            name: RankingTask(graph, Split.TEST).run(floor, (1,))["recall@1"].mean()
            for name, floor in floors.items()
        }
        assert hit["itemknn"] == hit["ease"] == 1.0
        assert hit["popularity"] < 0.5

    def test_larger_catalogues_are_searched_on_their_popular_items(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kgrec.evaluation.floors._SEARCH_ITEMS", 12)
        graph = checkerboard()
        ease = fit_floors(graph)["ease"]
        assert ease.num_items == 20
        assert RankingTask(graph, Split.TEST).run(ease, (1,))["recall@1"].mean() == 1.0

    def test_no_ease_beyond_the_limit(self) -> None:
        assert list(fit_floors(checkerboard(), max_items=10)) == ["popularity", "itemknn"]

    def test_most_popular_keeps_what_is_among_them(self) -> None:
        graph = make_graph(
            3,
            4,
            train=[(0, 3), (1, 3), (2, 3), (0, 1), (1, 1), (2, 0)],
            valid=[(2, 1), (1, 0)],
            relations=(
                RelationEdges(
                    "like",
                    EdgeKey("LIKE", NodeLabel.ITEM, NodeLabel.ITEM),
                    np.array([1, 0]),
                    np.array([3, 3]),
                ),
            ),
        )
        time = np.array([7.0, 8.0, 9.0])
        views = replace(disliking([(0, 1), (1, 2), (2, 3)], Role.EVIDENCE), time=time)
        small = most_popular(replace(graph, relations=(*graph.relations, views)), 2)
        assert small.vocabularies[NodeLabel.ITEM].ids == ("1", "3")
        assert small.train.item_index.tolist() == [1, 1, 1, 0, 0]
        assert small.held_out[Split.VALID].item_index.tolist() == [0]
        assert small.relations[0].head_index.tolist() == [0]
        assert small.relations[0].tail_index.tolist() == [1]
        kept = small.relations[1]
        assert (kept.head_index.tolist(), kept.tail_index.tolist()) == ([0, 2], [0, 1])
        assert kept.role is Role.EVIDENCE
        assert kept.time is not None
        assert kept.time.tolist() == [7.0, 9.0]


class TestReport:
    def report(self) -> dict[str, Any]:
        graph = checkerboard()
        floors = {
            name: evaluate(floor, graph, Split.TEST, k=(1, 5))
            for name, floor in fit_floors(graph).items()
        }
        run = evaluate(fit_floors(graph)["ease"], graph, Split.TEST, k=(1, 5))
        return build_report("runs/a", run, floors, train_seconds=1.5)

    def test_has_everything_and_is_json(self) -> None:
        report = json.loads(json.dumps(self.report()))
        assert (report["run"], report["split"], report["seed"]) == ("runs/a", "test", 0)
        assert report["num_users"] == 24
        assert report["metrics"]["recall@1"] == report["metrics"]["ndcg@5"] == 1.0
        assert report["metrics"]["roc_auc"] > 0.9
        assert report["cohorts"]["users/6-10"] == {
            "num_users": 24, "recall@1": 1.0, "ndcg@1": 1.0, "recall@5": 1.0, "ndcg@5": 1.0,
        }  # fmt: skip
        assert set(report["floors"]) == {"popularity", "itemknn", "ease"}
        assert report["floors"]["ease"] == report["metrics"]
        assert report["differences"]["ease"]["ndcg@5"] == {"difference": 0, "low": 0, "high": 0}
        assert report["differences"]["popularity"]["ndcg@5"]["low"] > 0
        assert report["seconds"]["train"] == 1.5
        assert report["seconds"]["evaluate"] > 0
        assert report["peak_memory_mb"] > 10

    def test_tables_show_the_run_beside_its_floors(self) -> None:
        report = self.report()
        console = Console(width=200, file=io.StringIO(), record=True)
        console.print(metrics_table(report), cohorts_table(report))
        lines = console.export_text().splitlines()
        assert any("runs/a" in line and "1.00" in line for line in lines)
        assert any("popularity" in line for line in lines)
        assert any("users/6-10" in line and "24" in line for line in lines)

    def test_runs_on_other_users_cannot_be_compared(self) -> None:
        a = evaluate(Table(SCORES), GRAPH, Split.TEST, k=(2,))
        b = evaluate(Table(SCORES), GRAPH, Split.VALID, k=(2,))
        with pytest.raises(ShapeError, match="cannot be paired"):
            compare(a, b, "ndcg@2")

    def test_the_same_seed_gives_the_same_numbers(self) -> None:
        a = evaluate(Table(SCORES), GRAPH, Split.TEST, k=(2,), seed=3)
        b = evaluate(Table(SCORES), GRAPH, Split.TEST, k=(2,), seed=3)
        assert a.metrics == b.metrics


def test_a_split_may_be_named_by_its_value() -> None:
    splits = ("test", Split.TEST)
    by_name, by_member = (evaluate(Table(SCORES), GRAPH, split, k=(2,)) for split in splits)
    assert by_name.split is Split.TEST
    assert by_name.metrics == by_member.metrics
    with pytest.raises(ConfigError, match="split 'tset' is unknown; expected valid or test"):
        evaluate(Table(SCORES), GRAPH, "tset")


def test_metrics_of_others_stand_beside_the_rest() -> None:
    def count(hits: np.ndarray, num_truth: np.ndarray) -> np.ndarray:
        return hits.sum(axis=1) + 10 * num_truth

    plain = evaluate(Table(SCORES), GRAPH, "test", k=(1, 2))
    extended = evaluate(Table(SCORES), GRAPH, "test", k=(1, 2), metrics={"count": count})
    assert set(extended.metrics) - set(plain.metrics) == {"count@1", "count@2"}
    assert {name: extended.metrics[name] for name in plain.metrics} == plain.metrics
    for k in (1, 2):
        hits = extended.per_user[f"precision@{k}"] * k
        truth = np.round(hits / np.where(hits > 0, extended.per_user[f"recall@{k}"], 1))
        values = extended.per_user[f"count@{k}"]
        assert (values[hits > 0] == (hits + 10 * truth)[hits > 0]).all()
        assert extended.metrics[f"count@{k}"] == pytest.approx(values.mean())
    assert compare(extended, extended, "count@2").difference == 0


@pytest.mark.parametrize("name", ["ndcg", "coverage"])
def test_a_metric_cannot_have_the_name_of_another(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"metrics \['{name}@2'\] are measured already"):
        evaluate(Table(SCORES), GRAPH, "test", k=(2,), metrics={name: lambda hits, _: hits[:, 0]})
