"""The facade, on a small run whose scores can be set."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from graphs import ITEM, history_of
from tiny import build_tiny, group_of

from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.errors import ConfigError, NotFittedError, RunError, VocabularyError
from kgrec.graph.data import GraphData, Interactions
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import write_dataset
from kgrec.model.closed_form import ClosedForm
from kgrec.model.fusion import Fusion
from kgrec.model.incidence import Incidence
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.recommender import Recommender
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.training.directory import Run
from kgrec.training.fit import train
from kgrec.training.relation_rows import relation_rows


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GraphStore, GraphData, Run]]:
    folder = tmp_path_factory.mktemp("tiny")
    config = Config.load(build_tiny(folder))
    with open_store(config.store) as store:
        write_dataset(load_dataset(config.data, seed=0), store)
        graph = fetch_graph(store)
        yield store, graph, train(config, graph, folder / "run", progress=False)


@pytest.fixture(scope="module")
def recommender(site: tuple[GraphStore, GraphData, Run]) -> Recommender:
    store, _, run = site
    return Recommender(run, store)


def own_of(site: tuple[GraphStore, GraphData, Run], user: str) -> set[str]:
    _, graph, run = site
    index = run.vocabularies["User"].index(user)
    splits = (graph.train, *graph.held_out.values())
    return {
        graph.vocabularies[ITEM].ids[item]
        for part in splits
        for item in part.item_index[part.user_index == index].tolist()
    }


def test_a_known_user_without_training_items_is_cold(
    site: tuple[GraphStore, GraphData, Run],
) -> None:
    _, graph, run = site
    kept = graph.train.user_index != 3
    train_only = Interactions(graph.train.user_index[kept], graph.train.item_index[kept])
    emptied = Fusion({"popularity": Popularity(history_of(replace(graph, train=train_only)))},
                     {"popularity": 1.0})  # fmt: skip
    recommender = Recommender(replace(run, scorer=emptied))
    user = run.vocabularies["User"].ids[3]
    assert [r.cold for r in recommender.recommend(user, k=3)] == [True] * 3
    other = run.vocabularies["User"].ids[4]
    assert not any(r.cold for r in recommender.recommend(other, k=3))


def test_what_a_recommendation_says_adds_up(recommender: Recommender) -> None:
    (found,) = recommender.recommend("u4", k=1, num_reasons=1000)
    (why,) = recommender.contributions("u4", [found.item_id])
    assert sum(own.share for own in why.own_items) + found.rest == pytest.approx(
        found.score, abs=1e-5
    )
    assert sum(found.relations.values()) == pytest.approx(found.score, abs=1e-5)
    assert {"INTERACTED", "GENRE", "self"} <= set(found.relations)
    assert not [
        name
        for name in found.relations
        if name.startswith("rev_") or (name.islower() and name != "self")
    ]


def disliking(run: Run, user: str, items: list[str]) -> Run:
    user_index = torch.tensor([run.vocabularies["User"].index(user)] * len(items))
    item_index = torch.from_numpy(run.vocabularies[ITEM].indices(items))
    disliked = Incidence.from_pairs(user_index, item_index, 60, 40)
    return replace(run, behaviours=replace(run.behaviours, disliked=disliked))


def test_what_a_user_is_known_to_dislike_is_not_recommended(
    recommender: Recommender, site: tuple[GraphStore, GraphData, Run]
) -> None:
    before = [r.item_id for r in recommender.recommend("u4", k=1000, num_reasons=0)]
    refused = [before[0], before[3]]
    other = Recommender(disliking(site[2], "u4", refused))
    found = [r.item_id for r in other.recommend("u4", k=1000, num_reasons=0)]
    assert found == [item for item in before if item not in refused]
    allowed = other.recommend("u4", k=1000, num_reasons=0, allow_disliked=True)
    assert [r.item_id for r in allowed] == before
    # It is this user's dislike, and of what is asked for by name the score is told.
    everyone = other.recommend("u6", k=1000, num_reasons=0)
    assert set(refused) - own_of(site, "u6") <= {r.item_id for r in everyone}
    assert other.score("u4", refused) == recommender.score("u4", refused)


def unmet_fusion(parts: Mapping[str, Scorer], weights: Mapping[str, float]) -> Fusion:
    """A fusion in which nobody has training items; scores stay."""
    fusion = Fusion(parts, weights)
    whole = fusion.history
    fusion.history = Incidence(
        torch.zeros_like(whole.pointer), whole.columns[:0], whole.num_columns
    )
    return fusion


def test_cold_users_dislike_too_and_those_with_evidence_are_not_cold(
    site: tuple[GraphStore, GraphData, Run],
) -> None:
    run = disliking(site[2], "u4", ["i3", "i5"])
    nothing = Incidence(torch.zeros(61, dtype=torch.int64), torch.empty(0, dtype=torch.int64), 40)
    observed = torch.zeros(60, dtype=torch.bool)
    observed[run.vocabularies["User"].index("u8")] = True
    behaviours = replace(run.behaviours, observed=observed, held_out=nothing)
    run = replace(run, behaviours=behaviours)
    weights = dict.fromkeys(run.scorer.parts, 0.5)
    assert "network" in weights
    unmet = unmet_fusion(run.scorer.parts, weights)
    bare = Recommender(replace(run, scorer=unmet))
    found = bare.recommend("u4", k=1000)
    assert {f"i{n}" for n in range(40)} - {r.item_id for r in found} == {"i3", "i5"}
    assert all(r.cold for r in found)
    assert len(bare.recommend("u4", k=1000, allow_disliked=True)) == 40
    # What u8 did reaches their embedding, so the network answers for them.
    warm = bare.recommend("u8", k=1000, num_reasons=0)
    assert not any(r.cold for r in warm)
    scores = unmet.score(torch.tensor([run.vocabularies["User"].index("u8")]))[0]
    assert [r.score for r in warm] == pytest.approx(scores.sort(descending=True).values.tolist())
    # Without the network nothing in the scorer knows of it.
    deaf = unmet_fusion(run.scorer.parts, weights | {"network": 0.0})
    alone = Recommender(replace(run, scorer=deaf))
    assert all(r.cold for r in alone.recommend("u8", k=3))


class Fixed(Scorer):
    """A fusion of one part whose scores are given."""

    def __init__(self, run: Run, row: torch.Tensor) -> None:
        self.inner, self.row = run.scorer, row
        self.history, self.parts = run.scorer.history, {"popularity": self}

    def score(self, users: torch.Tensor) -> torch.Tensor:
        return self.row.repeat(len(users), 1)

    def contributions(self, user: int, items: torch.Tensor):
        return self.inner.contributions(user, items)


@pytest.mark.parametrize("user", ["u0", "u17", "u42"])
def test_new_items_of_the_users_taste_in_order(
    recommender: Recommender, site: tuple[GraphStore, GraphData, Run], user: str
) -> None:
    own = own_of(site, user)
    found = recommender.recommend(user, k=5)
    assert [r.rank for r in found] == [1, 2, 3, 4, 5]
    assert not {r.item_id for r in found} & own
    assert [r.score for r in found] == sorted((r.score for r in found), reverse=True)
    assert sum(group_of(r.item_id) == group_of(user) for r in found) >= 4
    assert not any(r.cold for r in found)
    assert found[0].name == f"The {group_of(found[0].item_id)} {found[0].item_id[1:]}"
    assert recommender.score(user, [r.item_id for r in found]) == pytest.approx(
        [r.score for r in found], abs=1e-6
    )


def test_k_beyond_the_catalogue_gives_all_unseen_items(
    recommender: Recommender, site: tuple[GraphStore, GraphData, Run]
) -> None:
    own = own_of(site, "u3")
    found = recommender.recommend("u3", k=1000, num_reasons=0)
    assert len(found) == 40 - len(own)
    assert {r.item_id for r in found} | own == {f"i{n}" for n in range(40)}


def test_equal_scores_come_in_the_order_of_their_index(
    site: tuple[GraphStore, GraphData, Run],
) -> None:
    _, graph, run = site
    row = torch.zeros(40)
    row[[30, 20, 35]] = 1.0
    fixed = Recommender(replace(run, scorer=Fixed(run, row)))
    own, ids = own_of(site, "u1"), graph.vocabularies[ITEM].ids
    order = [ids[i] for i in (20, 30, 35, *(n for n in range(40) if n not in {20, 30, 35}))]
    wanted = [item for item in order if item not in own][:8]
    assert [r.item_id for r in fixed.recommend("u1", k=8, num_reasons=0)] == wanted


def test_reasons_are_shares_of_own_items(
    recommender: Recommender, site: tuple[GraphStore, GraphData, Run]
) -> None:
    found = recommender.recommend("u4", k=3, num_reasons=2)
    explained = recommender.contributions("u4", [r.item_id for r in found])
    for place, explanation in zip(found, explained, strict=True):
        assert explanation.score == pytest.approx(place.score, abs=1e-5)
        total = sum(own.share for own in explanation.own_items) + explanation.rest
        assert total == pytest.approx(place.score, abs=1e-5)
        best = [own for own in explanation.own_items if own.share > 0][:2]
        assert [(r.item_id, r.share) for r in place.reasons] == [
            (own.item_id, pytest.approx(own.share)) for own in best
        ]
        for reason, own in zip(place.reasons, best, strict=True):
            assert reason.text == f"{own.name} ({reason.link})"
            assert reason.name == own.name
            if group_of(own.item_id) == group_of(place.item_id):
                # A director has 6 to 10 items, a genre 20: the director tells more.
                kinds = [c.item_type for c in reason.connections if c.entity_id]
                assert kinds == sorted(kinds)
                assert kinds[-1] == "GENRE" or kinds == ["DIRECTED_BY"]


def test_without_a_store_reasons_have_no_paths(site: tuple[GraphStore, GraphData, Run]) -> None:
    (found,) = Recommender.load(site[2].directory).recommend("u4", k=1, num_reasons=1)
    (reason,) = found.reasons
    assert reason.connections == ()
    history, items = history_of(site[1]).dense(), site[1].vocabularies[ITEM]
    both = history[:, items.indices([reason.item_id, found.item_id])].all(dim=1).nonzero()
    assert reason.link == f"taken together by {len(both)} users"
    assert found.to_dict()["reasons"][0]["share"] == reason.share


def test_a_user_nobody_knows_gets_what_is_popular(
    recommender: Recommender, site: tuple[GraphStore, GraphData, Run]
) -> None:
    _, graph, _ = site
    counts = torch.bincount(history_of(graph).columns, minlength=40).tolist()
    found = recommender.recommend("stranger", k=40)
    ids = graph.vocabularies[ITEM].ids
    order = sorted(range(40), key=lambda i: (-counts[i], i))
    assert [r.item_id for r in found] == [ids[i] for i in order]
    assert all(r.cold for r in found)
    assert [r.rank for r in found] == list(range(1, 41))
    assert found[0].reasons[0].text == f"taken by {max(counts)} users"


def test_wrong_questions_are_refused(recommender: Recommender) -> None:
    for k in (0, -3):
        with pytest.raises(ConfigError, match=f"k must be positive, got {k}"):
            recommender.recommend("u0", k=k)
        with pytest.raises(ConfigError, match="k must be positive"):
            recommender.similar("i0", k=k)
    with pytest.raises(VocabularyError, match="no Item has the id 'i99'"):
        recommender.score("u0", ["i1", "i99"])
    with pytest.raises(VocabularyError, match="no Item has the id 'i99'"):
        recommender.contributions("u0", ["i99"])
    with pytest.raises(VocabularyError, match="no Item has the id 'i99'"):
        recommender.similar("i99")
    with pytest.raises(VocabularyError, match="no User has the id 'stranger'"):
        recommender.contributions("stranger", ["i1"])


class TestSimilarItems:
    def test_by_the_networks_cosine(
        self, recommender: Recommender, site: tuple[GraphStore, GraphData, Run]
    ) -> None:
        item = recommender.run.scorer.parts["network"].item_embedding
        cosine = torch.nn.functional.cosine_similarity(item, item[7:8])
        ids = site[1].vocabularies[ITEM].ids
        found = recommender.similar(ids[7], k=50)
        assert len(found) == 39
        assert ids[7] not in {r.item_id for r in found}
        wanted = {ids[i]: cosine[i].item() for i in range(40) if i != 7}
        assert {r.item_id: r.score for r in found} == pytest.approx(wanted, abs=1e-5)
        assert sum(group_of(r.item_id) == group_of(ids[7]) for r in found[:10]) >= 9
        genre = [c for r in found[0].reasons for c in r.connections if c.item_type == "GENRE"]
        assert genre

    def test_by_the_closed_form_without_network(
        self, site: tuple[GraphStore, GraphData, Run]
    ) -> None:
        _, graph, run = site
        closed = ClosedForm.fit(run.scorer.history, relation_rows(graph), {"genre": 1.0}, 2.0)
        only = Recommender(replace(run, scorer=Fusion({"closed_form": closed}, {"closed_form": 1})))
        before = closed.weights.clone()
        found = only.similar("i5", k=3)
        index = graph.vocabularies[ITEM].index("i5")
        row = closed.weights[index].clone()
        row[index] = -torch.inf
        assert [r.score for r in found] == pytest.approx(row.topk(3).values.tolist())
        assert torch.equal(closed.weights, before)  # masking is done on a copy

    def test_popularity_knows_no_similarity(self, site: tuple[GraphStore, GraphData, Run]) -> None:
        run = site[2]
        part = {"popularity": Popularity(run.scorer.history)}
        only = Recommender(replace(run, scorer=Fusion(part, {"popularity": 1.0})))
        with pytest.raises(NotFittedError, match="neither network nor closed form"):
            only.similar("i5")


def test_a_store_of_another_version_is_refused(
    site: tuple[GraphStore, GraphData, Run], tmp_path: Path
) -> None:
    other = Config.load(build_tiny(tmp_path, seed=1))
    with open_store(other.store) as store:
        write_dataset(load_dataset(other.data, seed=1), store)
        with pytest.raises(RunError, match="was trained on graph version"):
            Recommender(site[2], store)
