"""The audit finds what a generated graph was made to be worth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import kgrec
from kgrec.auditing.audit import audited_settings
from kgrec.auditing.folds import audit_folds
from kgrec.auditing.likeness import relation_likeness
from kgrec.auditing.trials import ALL_USERS, relations_in_use
from kgrec.auditing.variants import permuted
from kgrec.config import Config, DataConfig, FusionConfig
from kgrec.errors import ConfigError, DataError
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData
from kgrec.model.fusion import Fusion
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.schema import Split
from kgrec.training.fit import Fitted, fit
from kgrec.training.parts.closed_form import ClosedFormConfig
from tests.graphs import ENTITY, ITEM, behaviour, history_of, make_graph, relation

NUM_USERS, NUM_ITEMS, TASTES = 150, 120, 30
CONFIG = Config(
    data=DataConfig(interactions=Path("none.tsv")),
    fusion=FusionConfig(network=False),
    closed_form=ClosedFormConfig(ridge=20.0),
)


def taste_graph(seed: int = 0, *, shuffled: bool = False) -> GraphData:
    """Users like the items of three makers, a maker has four; shelves say nothing."""
    rng = np.random.default_rng(seed)
    train, valid = [], []
    for user in range(NUM_USERS):
        tastes = rng.choice(TASTES, 3, replace=False)
        liked = rng.permutation([t + TASTES * n for t in tastes for n in range(4)])
        train += [(user, int(item)) for item in liked[:5]]
        valid += [(user, int(item)) for item in liked[5:7]]
    makers = [(item, item % TASTES) for item in range(NUM_ITEMS)]
    shelves = [(item, TASTES + int(rng.integers(20))) for item in range(NUM_ITEMS)]
    graph = make_graph(
        (NUM_USERS, NUM_ITEMS, TASTES + 20),
        train,
        (relation("made_by", makers), relation("shelf", shelves)),
        valid,
    )
    return permuted(graph, seed + 1) if shuffled else graph


def test_a_relation_that_is_there_twice_is_worth_what_it_is_once() -> None:
    graph = taste_graph()
    makes = [(item % TASTES, item) for item in range(NUM_ITEMS)]
    twice = replace(graph, relations=(*graph.relations, relation("makes", makes, ENTITY, ITEM)))
    once, both = (
        kgrec.audit(CONFIG, each, permutations=1, inner_folds=1, progress=False)
        for each in (graph, twice)
    )
    assert both.edges == {"made_by = makes": 2 * NUM_ITEMS, "shelf": NUM_ITEMS}
    worth = both.worth()["made_by = makes"]
    assert worth.low > 0.02
    assert worth.difference == pytest.approx(once.worth()["made_by"].difference, rel=0.2)
    assert any("made_by = makes holds the same links" in s for s in both.verdict.sentences)
    # Each link counts once, or few links would pass for many.
    assert both.likeness["made_by = makes"] == once.likeness["made_by"]


def test_a_graph_of_tastes_helps_and_its_relation_is_named() -> None:
    audit = kgrec.audit(CONFIG, taste_graph(), permutations=1, inner_folds=1, progress=False)
    assert not audit.verdict.alarm
    assert audit.differences["no graph"]["ndcg@20"][ALL_USERS].low > 0.02
    assert audit.differences["permuted"]["recall@20"][ALL_USERS].low > 0.02
    worth = audit.worth()
    assert worth["made_by"].low > 0.02
    assert (
        worth["made_by"].difference > 0.8 * audit.differences["no graph"]["ndcg@20"][ALL_USERS].low
    )
    assert "shelf" not in worth or abs(worth["shelf"].difference) < 0.01
    words = " ".join(audit.verdict.sentences)
    assert "to users with 1-5 interactions" in words
    assert "made_by carries +0." in words
    assert audit.likeness["made_by"].alike
    assert not audit.likeness["shelf"].alike
    assert audit.users == {ALL_USERS: NUM_USERS, "users/1-5": NUM_USERS}
    assert audit.edges == {"made_by": NUM_ITEMS, "shelf": NUM_ITEMS}


def test_the_same_graph_with_its_links_shuffled_sounds_the_alarm() -> None:
    graph = taste_graph(shuffled=True)
    audit = kgrec.audit(CONFIG, graph, permutations=1, inner_folds=1, progress=False)
    assert audit.verdict.alarm
    assert "Are its links right?" in audit.verdict.sentences[0]


def test_every_variant_is_fitted_anew_on_the_same_folds_and_averaged() -> None:
    graph = taste_graph()
    seen: list[tuple[int, int, tuple[str, ...]]] = []

    def fit_model(config: Config, variant: GraphData) -> Fitted:
        made = sum(r.tail_index[:40].sum() * 1000 for r in variant.relations)
        seen.append((len(variant.train), int(made), tuple(r.name for r in variant.relations)))
        return fit(config, variant, progress=False)

    audit = kgrec.audit(
        CONFIG, graph, fit_model=fit_model, permutations=2, inner_folds=1, progress=False
    )
    variants = 1 + 1 + 2 + len(audit.worth())
    assert audit.fits == len(seen) == 2 * variants
    # Users of five train items give one of them, whether it tunes or is judged.
    assert {size for size, _, _ in seen} == {len(graph.train) - NUM_USERS}
    assert len({made for _, made, _ in seen[4:8]}) == 4  # no shuffle twice
    assert [names for *_, names in seen[2:4]] == [(), ()]
    # The numbers are those of the same fits done by hand.
    by_fold = []
    for fold in audit_folds(graph, Split.VALID, 1, CONFIG.seed):
        scorer = fit(audited_settings(CONFIG, full=False), fold, progress=False).scorer
        by_fold.append(RankingTask(fold, Split.TEST).run(scorer)["ndcg@20"])
    assert audit.means["graph"]["ndcg@20"] == pytest.approx(np.mean(by_fold), abs=1e-12)
    gain = audit.differences["no graph"]["ndcg@20"][ALL_USERS].difference
    assert gain == pytest.approx(
        audit.means["graph"]["ndcg@20"] - audit.means["no graph"]["ndcg@20"], abs=1e-12
    )


def test_given_weights_of_a_relation_leave_with_it_and_test_is_not_read() -> None:
    class Sealed(dict):
        def __getitem__(self, key: object) -> object:
            assert key is not Split.TEST
            return super().__getitem__(key)

        def get(self, key: object, default: object = None) -> object:
            assert key is not Split.TEST
            return super().get(key, default)

    graph = taste_graph()
    graph = replace(graph, held_out=Sealed(graph.held_out))
    closed = ClosedFormConfig(ridge=20.0, relation_weights={"made_by": 5.0})
    config = CONFIG.model_copy(update={"closed_form": closed})
    audit = kgrec.audit(config, graph, permutations=1, inner_folds=0, progress=False)
    assert set(audit.worth()) == {"made_by"}
    assert audit.unused == ("shelf",)
    assert audit.worth()["made_by"] == audit.differences["no graph"]["ndcg@20"][ALL_USERS]
    as_dict = audit.to_dict()
    assert as_dict["split"] == "valid"
    assert as_dict["differences"]["permuted"]["ndcg@20"][ALL_USERS]["low"] > 0
    assert as_dict["likeness"]["made_by"]["alike"] is True


def test_without_relations_nothing_is_shuffled_and_no_alarm_sounds() -> None:
    graph = replace(taste_graph(), relations=())
    audit = kgrec.audit(CONFIG, graph, inner_folds=0, progress=False)
    assert audit.fits == 1
    assert audit.verdict.sentences == ("There is no knowledge graph to audit.",)


def test_which_relations_a_scorer_uses() -> None:
    graph = taste_graph()
    closed = ClosedFormConfig(ridge=20.0, relation_weights={"shelf": 2.0, "made_by": 0.0})
    fitted = fit(CONFIG.model_copy(update={"closed_form": closed}), graph, progress=False)
    popularity, part = Popularity(history_of(graph)), fitted.parts["closed_form"]
    alone = Fusion({"closed_form": part}, {"closed_form": 1.0})
    assert relations_in_use([alone], graph) == ["shelf"]

    # A network has no weights that are read; where only the closed form is audited it is not asked.
    class Mine(Scorer):
        history = popularity.history

        def score(self, user_indices: torch.Tensor) -> torch.Tensor:
            return popularity.score(user_indices)

    both = Fusion({"closed_form": part, "network": Mine()}, {"closed_form": 1.0, "network": 1.0})
    assert relations_in_use([both], graph) == ["made_by", "shelf"]
    assert relations_in_use([both], graph, network=False) == ["shelf"]
    # Nobody knows what a scorer made elsewhere reads; popularity says that it reads none.
    assert relations_in_use([Mine()], graph) == ["made_by", "shelf"]
    assert relations_in_use([popularity], graph) == []


def test_refusals() -> None:
    graph = taste_graph()
    with pytest.raises(ConfigError, match="1 permutation or more, got 0"):
        kgrec.audit(CONFIG, graph, permutations=0, progress=False)
    with pytest.raises(DataError, match="split test, which is empty"):
        kgrec.audit(CONFIG, graph, split=Split.TEST, progress=False)
    blind = CONFIG.model_copy(update={"closed_form": ClosedFormConfig(enabled=False)})
    with pytest.raises(ConfigError, match="nothing in these settings reads the graph"):
        kgrec.audit(blind, graph, progress=False)


class TestLikeness:
    def test_by_hand(self) -> None:
        # Two items that go together and two that do not: all else being equal, the pair is alike.
        train = [(user, item) for user in range(40) for item in ((0, 1) if user % 2 else (2, 3))]
        graph = make_graph((40, 4, 2), train, (relation("pair", [(0, 0), (1, 0), (2, 1), (3, 1)]),))
        # P⁻¹ has blocks [[20 + λ, 20], [20, 20 + λ]], so the partial correlation is -20 / (20 + λ)
        # with its sign turned: P_ij < 0 where items go together.
        found = relation_likeness(graph, shuffles=30)["pair"]
        assert found.memberships == 4
        assert found.real == pytest.approx(20 / 220, rel=1e-4)
        # A shuffle pairs item 0 with 1, 2 or 3 alike; one in three is the pair it was.
        assert found.shuffled == pytest.approx(found.real / 3, abs=found.real / 3)

    def test_behaviours_and_held_out_pairs_are_not_looked_at(self) -> None:
        graph = taste_graph()
        more = replace(
            graph,
            relations=(*graph.relations, behaviour("view", [(0, 1), (0, 2)])),
            held_out={},
        )
        assert relation_likeness(more, shuffles=2) == relation_likeness(graph, shuffles=2)
