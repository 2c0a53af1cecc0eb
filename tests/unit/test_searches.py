"""The searches find what helps, and look only where they may."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from graphs import (
    ITEM,
    behaviour,
    checkerboard,
    columns,
    history_of,
    make_graph,
    random_graph,
    relation,
)

from kgrec.errors import ConfigError
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, Interactions
from kgrec.model.closed_form import ClosedForm
from kgrec.model.directed import DirectedRidge
from kgrec.model.fusion import Fusion
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import Ease, ease_weights
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.schema import Role, Split
from kgrec.training import closed_form_search
from kgrec.training.climbing import Budget
from kgrec.training.closed_form_problem import keep_in_bounds
from kgrec.training.closed_form_search import ClosedFormSettings, search_closed_form
from kgrec.training.fusion_search import (
    Candidates,
    Term,
    default_weights,
    most_users,
    search_fusion,
)
from kgrec.training.inner_split import inner_graph, inner_ranks, is_temporal, time_ranks
from kgrec.training.parts.closed_form import ClosedFormConfig
from kgrec.training.parts.directed import search_directed
from kgrec.training.parts.factors import FactorsConfig, FactorsSettings, search_factors
from kgrec.training.parts.user_side import UserSideSettings, search_user_side
from kgrec.training.relation_rows import relation_rows


def clustered(seed: int = 0) -> GraphData:
    """8 tastes of 15 items, users with 4 items of one taste: too few to see the tastes by
    co-occurrence alone. `taste` tells them, `noise` is random."""
    rng = np.random.default_rng(seed)
    train = [
        (user, int(item) * 8 + user % 8)
        for user in range(160)
        for item in rng.choice(15, 4, replace=False)
    ]
    taste = relation("taste", [(item, item % 8) for item in range(120)])
    noise = relation("noise", [(item, 8 + int(rng.integers(8))) for item in range(120)])
    return make_graph((160, 120, 16), train, (taste, noise))


def test_the_telling_relation_is_found() -> None:
    graph = clustered()
    found = search_closed_form(graph, ClosedFormConfig(), seed=0)
    assert found.inner_ndcg is not None
    before, after = found.inner_ndcg
    assert found.relation_weights["taste"] >= 1
    assert found.relation_weights.get("noise", 0.0) <= found.relation_weights["taste"] / 4
    assert after > before + 0.03
    # And it carries over to items that no one has seen held out.
    assert search_closed_form(graph, ClosedFormConfig(), seed=0) == found


def test_a_telling_behaviour_is_found_and_dislikes_are_no_rows() -> None:
    graph = clustered()
    rng = np.random.default_rng(5)
    views = [(user, int(i) * 8 + user % 8) for user in range(160) for i in rng.choice(15, 8)]
    refused = [(user, int(i) * 8 + user % 8) for user in range(160) for i in rng.choice(15, 8)]
    behaviours = (behaviour("view", views), behaviour("dismiss", refused, Role.NEGATIVE))
    found = search_closed_form(replace(graph, relations=behaviours), ClosedFormConfig(), seed=0)
    assert found.inner_ndcg is not None
    assert set(found.relation_weights) == {"view"}
    assert found.inner_ndcg[1] > found.inner_ndcg[0] + 0.02


def test_only_train_is_read() -> None:
    class Sealed(dict):
        def __getitem__(self, key: object) -> Interactions:
            raise AssertionError(f"{key} was read")

        get = items = values = keys = __iter__ = __getitem__

    graph = clustered()
    wanted = search_closed_form(graph, ClosedFormConfig(), seed=1)
    sealed = replace(graph, held_out=Sealed())
    assert search_closed_form(sealed, ClosedFormConfig(), seed=1) == wanted


class TestGivenSettings:
    def test_nothing_is_searched_when_both_are_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(closed_form_search, "ClosedFormProblem", None)
        config = ClosedFormConfig(ridge=7.0, relation_weights={"taste": 2.0})
        found = search_closed_form(clustered(), config, seed=0)
        assert found == ClosedFormSettings(7.0, {"taste": 2.0}, None)

    def test_a_given_ridge_is_kept(self) -> None:
        found = search_closed_form(clustered(), ClosedFormConfig(ridge=33.0), seed=0)
        assert found.ridge == 33.0
        assert found.relation_weights

    def test_given_weights_are_kept(self) -> None:
        given = {"taste": 2.0}
        found = search_closed_form(clustered(), ClosedFormConfig(relation_weights=given), seed=0)
        assert found.relation_weights == given
        assert found.refinements.dropout != 0

    def test_no_relations_asked_for(self) -> None:
        found = search_closed_form(clustered(), ClosedFormConfig(relation_weights={}), seed=0)
        assert found.relation_weights == {}

    def test_misspelt_and_negative_weights_are_refused(self) -> None:
        config = ClosedFormConfig(relation_weights={"tast": 1.0}, ridge=3.0)
        with pytest.raises(
            ConfigError, match=r"names 'tast', expected one of \['noise', 'taste'\]"
        ):
            search_closed_form(clustered(), config, seed=0)
        config = ClosedFormConfig(relation_weights={"taste": -1.0})
        with pytest.raises(ConfigError, match=r"taste is -1\.0, expected 0 or more"):
            search_closed_form(clustered(), config, seed=0)


def test_a_spent_budget_ends_the_search_early() -> None:
    said: list[str] = []
    found = search_closed_form(
        clustered(), ClosedFormConfig(), seed=0, budget=Budget(0.0), on_trial=said.append
    )
    assert said == ["step 1 of 30"]
    assert found.inner_ndcg is not None


def test_the_search_stays_where_leaving_out_can_be_computed() -> None:
    # One user has everything: weighed more and more, that row alone would explain all others.
    graph = clustered()
    train = graph.train
    user = np.concatenate([train.user_index, np.full(120, 159)])
    item = np.concatenate([train.item_index, np.arange(120)])
    pairs = np.unique(np.stack([user, item]), axis=1)
    heavy = replace(graph, train=Interactions(pairs[0], pairs[1]), relations=())
    found = search_closed_form(heavy, ClosedFormConfig(), seed=0)
    assert 0 <= found.refinements.user_exponent <= 1
    assert found.refinements.dropout >= 0.04
    assert found.ridge >= 5
    for far, user_exponent, ridge in ((-20.0, 0.0, 5.0), (20.0, 1.0, 1e5)):
        outside = {"user_exponent": torch.tensor(far), "ridge": torch.tensor(far)}
        keep_in_bounds(outside)
        assert outside["user_exponent"] == user_exponent
        assert outside["ridge"].exp() == pytest.approx(ridge)


def test_the_search_goes_no_further_where_active_users_only_disturb() -> None:
    # 40 users took half of all items blindly: without an end the exponent climbs to 1.27.
    tastes, rng = clustered().train, np.random.default_rng(7)
    blind = [(160 + u, int(i)) for u in range(40) for i in rng.choice(120, 60, replace=False)]
    pairs = [*zip(tastes.user_index, tastes.item_index, strict=True), *blind]
    found = search_closed_form(make_graph((200, 120, 1), pairs), ClosedFormConfig(), seed=0)
    assert 0.95 < found.refinements.user_exponent <= 1


def ordered(seed: int = 0) -> GraphData:
    """Users walk along a ring of 30 items, one step after the other: only order tells the next."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(120):
        start, length = int(rng.integers(30)), int(rng.integers(6, 12))
        rows += [(user, (start + step) % 30, float(step)) for step in range(length)]
    user, item, time = (np.array(column) for column in zip(*rows, strict=True))
    graph = make_graph((120, 30, 1), [])
    last = np.append(user[1:] != user[:-1], True)
    order = np.lexsort((item[~last], user[~last]))
    train = Interactions(
        user[~last][order], item[~last][order], time=time[~last][order].astype(float)
    )
    valid = Interactions(user[last], item[last], time=time[last].astype(float))
    return replace(graph, train=train, held_out={Split.VALID: valid})


class TestTime:
    graph = ordered()

    def test_a_later_valid_is_seen(self) -> None:
        assert is_temporal(self.graph)
        assert not is_temporal(replace(self.graph, held_out={}))
        valid = self.graph.held_out[Split.VALID]
        early = replace(valid, time=np.zeros(len(valid)))
        assert not is_temporal(replace(self.graph, held_out={Split.VALID: early}))

    def test_ranks_are_places_by_time_ties_in_the_middle(self) -> None:
        train = Interactions(
            np.array([0, 0, 0, 0, 1]),
            np.array([2, 5, 7, 9, 5]),
            time=np.array([30.0, 10.0, 20.0, 20.0, 4.0]),
        )
        graph = replace(make_graph((2, 10, 1), []), train=train)
        ranks = time_ranks(train, history_of(graph))
        assert ranks is not None
        assert ranks.tolist() == [3.0, 0.0, 1.5, 1.5, 0.0]
        assert time_ranks(replace(train, time=None), history_of(graph)) is None

    def test_the_latest_are_held_out(self) -> None:
        inner, _ = inner_graph(self.graph, (), 30, 0, temporal=True)
        held = inner.held_out[Split.VALID]
        assert is_temporal(inner)
        assert held.time is not None
        assert len(held) == 120

    def test_unknown_times_leave_the_others_order(self) -> None:
        train = self.graph.train
        assert train.time is not None
        time = train.time.copy()
        time[0] = np.nan
        graph = replace(self.graph, train=replace(train, time=time))
        inner, _ = inner_graph(graph, (), 30, 0, temporal=True)
        before, _ = inner_graph(self.graph, (), 30, 0, temporal=True)
        mine, theirs = (g.held_out[Split.VALID] for g in (inner, before))
        other = mine.user_index != train.user_index[0]
        assert np.array_equal(mine.item_index[other], theirs.item_index[other])
        assert inner_ranks(inner.train, history_of(inner)) is None  # no place is known

    def test_places_are_among_all_items(self) -> None:
        # User 0 takes the popular items 0, 1, 2 with unpopular ones between them.
        rows = [(0, 0), (0, 3), (0, 4), (0, 1), (0, 5), (0, 2)]
        rows += [(user, item) for user in (1, 2) for item in (0, 1, 2)]
        user, item = (np.array(column) for column in zip(*rows, strict=True))
        train = Interactions(user, item, time=np.arange(len(rows), dtype=float))
        graph = replace(make_graph((3, 6, 0), []), train=train)
        inner, _ = inner_graph(graph, (), 3, 0, temporal=True)
        ranks = inner_ranks(inner.train, history_of(inner))
        assert ranks is not None
        assert ranks[:2].tolist() == [0.0, 3.0]  # the last, item 2 at place 5, is held out
        assert inner.held_out[Split.VALID].item_index.tolist() == [2, 2, 2]

    def test_the_directed_ridge_knows_what_comes_next(self) -> None:
        history = history_of(self.graph)
        ranks = time_ranks(self.graph.train, history)
        assert ranks is not None
        task = RankingTask(self.graph, Split.VALID)
        found = search_directed(self.graph, 0.0, seed=0, budget=Budget(None))
        scorer = DirectedRidge.fit(
            history, ranks, found.ridge, bandwidth=found.bandwidth, recency=found.recency
        )
        directed = task.run(scorer, k=(1,))["recall@1"].mean()
        # EASE sees both ends of a walk as equally near.
        plain = task.run(ClosedForm.fit(history, [], {}, 5.0), k=(1,))["recall@1"].mean()
        assert directed > 0.95
        assert plain < 0.8

    def test_recency_is_found(self) -> None:
        found = search_closed_form(self.graph, ClosedFormConfig(), seed=0, temporal=True)
        assert found.refinements.recency is not None
        assert found.refinements.recency < 10


def test_the_twin_is_found_on_train_alone() -> None:
    found = search_user_side(clustered(), seed=0, temporal=False, budget=Budget(None))
    assert found.inner_ndcg is not None
    graph = make_graph((3, 4, 1), [(0, 0), (0, 1), (1, 2)])
    plain = search_user_side(graph, seed=0, temporal=False, budget=Budget(None))
    assert plain == UserSideSettings()


def test_histories_too_short_to_split_give_defaults() -> None:
    graph = make_graph((3, 4, 1), [(0, 0), (1, 2)])
    found = search_closed_form(graph, ClosedFormConfig(), seed=0)
    assert found == ClosedFormSettings(200.0, {}, None)


def test_the_inner_problem_is_made_of_train_alone() -> None:
    graph = random_graph(5, (40, 30, 6))
    inner, rows = inner_graph(graph, relation_rows(graph), 12, seed=3)
    assert inner.num_items == 12
    ids = graph.vocabularies[ITEM].ids
    counts = np.bincount(graph.train.item_index, minlength=30)
    place = [ids.index(key) for key in inner.vocabularies[ITEM].ids]
    assert counts[place].min() >= np.delete(counts, place).max()  # the most popular ones
    original = set(
        zip(graph.train.user_index.tolist(), graph.train.item_index.tolist(), strict=True)
    )
    held = inner.held_out[Split.VALID]

    def pairs(part: Interactions) -> set[tuple[int, int]]:
        return {(u, place[i]) for u, i in zip(part.user_index, part.item_index, strict=True)}

    assert not pairs(inner.train) & pairs(held)
    assert pairs(inner.train) | pairs(held) == {(u, i) for u, i in original if i in place}
    assert len(held)
    left = np.bincount(inner.train.user_index, minlength=40)
    assert left[np.unique(held.user_index)].min() >= 2
    for small, whole in zip(rows, relation_rows(graph), strict=True):
        wanted = whole.rows.dense()[:, place]
        if whole.name == "view":  # what was done with held-out items is not known either
            assert wanted[held.user_index, held.item_index].sum() > 0
            wanted[held.user_index, held.item_index] = 0.0
        np.testing.assert_array_equal(small.rows.dense(), wanted)


class Fixed:
    """A scorer that gives a table."""

    def __init__(self, table: torch.Tensor, graph: GraphData) -> None:
        self.table, self.history = table, history_of(graph)
        self.num_users, self.num_items = table.shape

    def score(self, users: torch.Tensor) -> torch.Tensor:
        return self.table[users].clone()


def test_the_best_factors_are_found_one_setting_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def stub(history: Incidence, *, ridge: float, unobserved: float, **_: object) -> Scorer:
        """EASE, spoiled by noise for each setting that is not what it should be."""
        ease = Ease(history, ease_weights(history.gram(), 20.0))
        wrong = (ridge != 15.0) + (unobserved != 0.05)
        noise = torch.randn(ease.weights.shape, generator=torch.Generator().manual_seed(0))
        ease.weights += 0.3 * wrong * noise
        return ease

    monkeypatch.setattr("kgrec.model.wmf.WeightedMF.fit", stub)
    found = search_factors(
        clustered(), FactorsConfig(), seed=0, temporal=False, budget=Budget(None)
    )
    assert (found.ridge, found.unobserved) == (15.0, 0.05)


def test_factors_are_chosen_on_an_inner_split() -> None:
    config = FactorsConfig(dimensions=4, iterations=4)
    graph = clustered()
    found = search_factors(graph, config, seed=0, temporal=False, budget=Budget(None))
    assert found.ridge in (1.5, 5.0, 15.0, 50.0)
    assert found.unobserved in (0.05, 0.2, 0.6)
    assert found.inner_ndcg is not None
    assert 0 < found.inner_ndcg <= 1
    without_valid = replace(graph, held_out={})
    again = search_factors(without_valid, config, seed=0, temporal=False, budget=Budget(None))
    assert again == found  # valid and test are not looked at
    spent = search_factors(graph, config, seed=0, temporal=False, budget=Budget(0.0))
    assert spent == FactorsSettings()


class TestFusionSearch:
    graph = checkerboard()

    def knowing(self) -> Fixed:
        parity = torch.arange(24)[:, None] % 2 == torch.arange(16)[None] % 2
        noise = torch.rand(24, 16, generator=torch.Generator().manual_seed(2))
        return Fixed(parity.float() * 0.4 + noise, self.graph)

    def guessing(self, seed: int = 3) -> Fixed:
        table = torch.randn(24, 16, generator=torch.Generator().manual_seed(seed))
        return Fixed(table, self.graph)

    def test_the_part_that_knows_gets_the_weight(self) -> None:
        task = RankingTask(self.graph, Split.VALID)
        parts = {"network": self.guessing(), "closed_form": self.knowing()}
        fusion, value = search_fusion(parts, task)
        weights = fusion.part_weights
        assert weights["closed_form"] > 3 * weights["network"]
        alone = task.run(parts["closed_form"], k=(20,))["ndcg@20"].mean()
        equal = task.run(Fusion(parts, {"network": 1, "closed_form": 1}), k=(20,))["ndcg@20"].mean()
        assert value >= alone - 1e-9
        assert value > equal
        # What is reported is what the fusion has.
        assert task.run(fusion, k=(20,))["ndcg@20"].mean() == pytest.approx(value)

    def test_never_are_all_weights_zero(self) -> None:
        task = RankingTask(self.graph, Split.VALID)
        parts = {"network": self.guessing(4), "popularity": self.guessing(5)}
        fusion, _ = search_fusion(parts, task)
        assert any(fusion.part_weights.values())
        wrong = Fixed(-self.knowing().table, self.graph)  # everything is better than this
        fusion, _ = search_fusion({"network": wrong, "popularity": wrong}, task)
        assert any(fusion.part_weights.values())

    def test_one_part_alone_has_the_weight_one(self) -> None:
        task = RankingTask(self.graph, Split.VALID)
        popular = Popularity(history_of(self.graph))
        fusion, value = search_fusion({"popularity": popular}, task)
        assert fusion.part_weights == {"popularity": 1.0}
        assert value == pytest.approx(task.run(popular, k=(20,))["ndcg@20"].mean())

    def test_a_part_that_hardly_helps_is_left_out(self) -> None:
        task = RankingTask(self.graph, Split.VALID)
        knowing = self.knowing()
        echo = Fixed(knowing.table * 2 + 1, self.graph)  # says the same
        fusion, _ = search_fusion({"closed_form": knowing, "network": echo}, task)
        assert sorted(fusion.part_weights.values()) == [0.0, 1.0]

    def test_whose_deviation_counts_is_found(self) -> None:
        """One part knows half of the users and is loud for them; of the others it whispers noise,
        and popularity knows better. Only where all share one deviation do its whispers stay low.
        """
        graph = self.graph
        parity = torch.arange(24)[:, None] % 2 == torch.arange(16)[None] % 2
        noise = torch.randn(24, 16, generator=torch.Generator().manual_seed(0))
        half = (torch.arange(24) < 12)[:, None]
        sure = Fixed(torch.where(half, parity * 10.0 + noise, 0.01 * noise), graph)
        also = Fixed(torch.where(half, noise, parity * 1.0 + 0.3 * noise), graph)
        task = RankingTask(graph, Split.VALID)
        for name in ("network", "closed_form"):  # wherever the search begins
            fusion, value = search_fusion({name: sure, "popularity": also}, task)
            assert set(fusion.part_scales) >= {name}
            assert fusion.part_scales[name] == pytest.approx(
                float(sure.table.std(dim=1, correction=0).mean()), rel=1e-5
            )
            alone = Fusion({name: sure, "popularity": also}, fusion.part_weights)
            assert value > task.run(alone, k=(20,))["ndcg@20"].mean() + 0.02
            assert task.run(fusion, k=(20,))["ndcg@20"].mean() == pytest.approx(value)

    def test_sampled_users_are_judged_like_all(self) -> None:
        task = RankingTask(self.graph, Split.VALID, max_users=9, block_size=4)
        parts = {"network": self.guessing(), "closed_form": self.knowing()}
        fusion, value = search_fusion(parts, task)
        assert task.run(fusion, k=(20,))["ndcg@20"].mean() == pytest.approx(value)

    def test_the_test_split_is_not_looked_at(self) -> None:
        graph = self.graph
        parts = {"network": self.guessing(), "closed_form": self.knowing()}
        planted = replace(
            graph, held_out=dict(graph.held_out) | {Split.TEST: Interactions(*columns([(0, 1)]))}
        )
        one, two = (
            search_fusion(parts, RankingTask(g, Split.VALID))[0].part_weights
            for g in (graph, planted)
        )
        assert one == two


def test_defaults_and_memory() -> None:
    parts = dict.fromkeys(("network", "closed_form", "popularity"))
    assert default_weights(parts) == {"network": 1.0, "closed_form": 1.0, "popularity": 0.1}
    assert most_users(3, 100) == 10_000
    assert most_users(100, 10**9) == 200
    assert most_users(5, 10**9) * 6 * 5 * 300 * 4 <= 1_000_000_000


def test_candidates_give_the_ndcg_of_the_whole_catalogue() -> None:
    rng = np.random.default_rng(0)
    users, items = 40, 2_000
    train = [(u, i) for u in range(users) for i in rng.choice(items, 9, replace=False)]
    held = [(u, int(rng.integers(items))) for u in range(users) for _ in range(2)]
    valid = sorted(set(held) - set(train))
    graph = make_graph((users, items, 0), train, valid=valid)
    task = RankingTask(graph, Split.VALID, block_size=16)
    relevant = torch.zeros(users, items)
    relevant[tuple(torch.tensor(valid).T)] = 1.0
    tables = [torch.from_numpy(rng.normal(size=(users, items))).float() for _ in range(2)]
    one, two = (Fixed(2.5 * relevant + table, graph) for table in tables)
    equal = Fixed(torch.ones(users, items), graph)
    parts = {"one": one, "two": two, "equal": equal}
    candidates = Candidates(parts, task)
    for weights in ((1, 0, 0), (0, 1, 0), (1, 0.5, 0), (0.3, 1, 2), (0, 0, 1)):
        named = dict(zip(parts, weights, strict=True))
        for shared in ((), ("one",), ("one", "two", "equal")):
            terms = {name: Term(float(w), name in shared) for name, w in named.items()}
            scales = {name: candidates.scales[name] for name in shared}
            whole = task.run(Fusion(parts, named, scales), k=(20,))["ndcg@20"].mean()
            assert candidates.ndcg(terms) == pytest.approx(whole, abs=1e-9)
