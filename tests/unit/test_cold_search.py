"""The completion found by itself: on a checkerboard the right users are seen by eye."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from graphs import checkerboard, make_graph

from kgrec.config import Config
from kgrec.evaluation.floors import train_history
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, Interactions, RelationEdges
from kgrec.model.cold import ColdCompletion, Completion, Wrapping
from kgrec.model.fusion import Fusion
from kgrec.model.item_to_item import Ease
from kgrec.model.scorer import Scorer
from kgrec.schema import EdgeKey, NodeLabel, Split
from kgrec.training import fit as fit_module
from kgrec.training.cold import completing
from kgrec.training.cold.items import fit_cold_items
from kgrec.training.cold.level import with_exposure
from kgrec.training.cold.settings import ColdSettings
from kgrec.training.cold.views import item_views
from kgrec.training.fit import Fitted, fit
from kgrec.vocabulary import Vocabulary

USERS, ITEMS = 60, 62
_CONFIG = Config.build({"data": {"interactions": "none.csv"}}, source="test")
COLD = (60, 61)  # even and odd, as all others


def _checkerboard(seed: int = 0, genres: bool = True, cold: bool = True) -> GraphData:
    """Even users take even items, odd users odd ones; an item's genre is its parity."""
    rng = np.random.default_rng(seed)
    user, item = np.meshgrid(np.arange(USERS), np.arange(ITEMS), indexing="ij")
    taken = (user % 2 == item % 2) & (rng.random((USERS, ITEMS)) < 0.4)
    if cold:
        taken[:, COLD] = False
    user, item = np.nonzero(taken)
    vocabularies = {
        NodeLabel.USER: Vocabulary([f"u{i:02}" for i in range(USERS)], "User"),
        NodeLabel.ITEM: Vocabulary([f"i{i:02}" for i in range(ITEMS)], "Item"),
        NodeLabel.ENTITY: Vocabulary(["even", "odd"], "Entity"),
    }
    every = np.arange(ITEMS)
    key = EdgeKey("GENRE", NodeLabel.ITEM, NodeLabel.ENTITY)
    relations = (RelationEdges("genre", key, every, every % 2),) if genres else ()
    frames = {label: pd.DataFrame(index=range(len(v))) for label, v in vocabularies.items()}
    return GraphData("1", vocabularies, frames, Interactions(user, item), {}, relations)


def _ease(graph: GraphData) -> Ease:
    return Ease.fit(train_history(graph), ridge=10.0)


def test_cold_items_find_the_users_of_their_colour() -> None:
    graph = _checkerboard()
    scorer = _ease(graph)
    found = fit_cold_items(_CONFIG, graph, scorer, None, seed=0)
    assert found is not None
    made, settings = found
    scores = made.score(torch.arange(USERS))
    even = torch.arange(USERS) % 2 == 0
    assert float(scores[even, 60].min()) > float(scores[~even, 60].max())
    assert float(scores[~even, 61].min()) > float(scores[even, 61].max())
    warm = torch.arange(60)
    assert torch.equal(scores[:, warm], scorer.score(torch.arange(USERS))[:, warm])
    assert made.completion.cold.tolist() == [60, 61]
    assert settings.views == ("genre", "edges")
    assert settings.inner["warm_kept"] >= 0.85
    again = fit_cold_items(_CONFIG, graph, scorer, None, seed=0, settings=settings)
    assert again is not None  # what is known is not searched, and makes the same
    assert again[1] is settings
    assert torch.equal(again[0].score(torch.arange(USERS)), scores)


def test_the_same_seed_gives_the_same_scores() -> None:
    graph = _checkerboard()
    first, second = (fit_cold_items(_CONFIG, graph, _ease(graph), None, seed=3) for _ in range(2))
    assert first is not None
    assert second is not None
    users = torch.arange(USERS)
    assert torch.equal(first[0].score(users), second[0].score(users))
    assert first[1] == second[1]


def test_held_out_pairs_are_not_looked_at() -> None:
    graph = _checkerboard()
    held = {Split.VALID: Interactions(np.array([0, 2]), np.array([60, 60]))}
    users = torch.arange(USERS)
    with_valid = fit_cold_items(_CONFIG, replace(graph, held_out=held), _ease(graph), None, seed=0)
    without = fit_cold_items(_CONFIG, graph, _ease(graph), None, seed=0)
    assert with_valid is not None
    assert without is not None
    assert torch.equal(with_valid[0].score(users), without[0].score(users))


def test_nothing_cold_or_nothing_known_is_left_alone() -> None:
    warm = _checkerboard(cold=False)
    assert fit_cold_items(_CONFIG, warm, _ease(warm), None, seed=0) is None
    unknown = _checkerboard(genres=False)
    assert fit_cold_items(_CONFIG, unknown, _ease(unknown), None, seed=0) is None


def test_views_are_relations_numbers_words_and_text() -> None:
    graph = _checkerboard()
    frame = pd.DataFrame(
        {
            "title": [f"Film {i}" for i in range(ITEMS)],
            "year": np.linspace(1950, 2000, ITEMS),
            "year_scaled": np.linspace(-1, 1, ITEMS),
            "colour": ["red", "blue"] * (ITEMS // 2),
            "unique": [f"only {i}" for i in range(ITEMS)],
        }
    )
    described = replace(graph, properties={**graph.properties, NodeLabel.ITEM: frame})
    text = {NodeLabel.ITEM: np.random.default_rng(0).random((ITEMS, 4)).astype(np.float32)}
    names = [view.name for view in item_views(described, text)]
    assert names == ["genre", "text", "year", "year", "year", "colour", "edges"]
    items = torch.tensor([3, 0, 5])
    for view in item_views(described, text):
        kernel = view.kernel(items)
        assert kernel.shape == (3, 3)
        torch.testing.assert_close(kernel, kernel.mT)
    colour = {v.name: v for v in item_views(described, text)}["colour"].kernel(items)
    assert colour[0, 2] > 0.5
    assert abs(float(colour[0, 1])) < 0.5


class TestValidDecides:
    """The closed form ranks both held-out items of every user first: NDCG 1. Two cold items above
    them leave what the places 3 and 4 are worth beside 1 and 2: 0.571.
    """

    LEFT = (1 / np.log2(4) + 1 / np.log2(5)) / (1 / np.log2(2) + 1 / np.log2(3))

    def fitted(
        self,
        monkeypatch: pytest.MonkeyPatch,
        keep_warm: float,
        *,
        wanted: Sequence[tuple[int, int]] = (),
        **training: bool,
    ) -> Fitted:
        """Fits where the inner splits put both cold items 3 deviations above the others' mean.

        `wanted` are more pairs of valid.
        """
        calls: list[ColdSettings | None] = []
        self.most_warm: list[int] = []

        def stub(
            *args: Any, keep_warm: float, settings: ColdSettings | None, most_warm: int
        ) -> tuple[ColdCompletion, ColdSettings]:
            calls.append(settings)
            self.most_warm.append(most_warm)
            warm, cold = torch.arange(16), torch.tensor([16, 17])
            made = Completion(warm, cold, torch.zeros(16, 2), torch.full((2,), 3.0), 0.0)
            found = settings or ColdSettings((), inner={"asked": keep_warm})
            return ColdCompletion(args[2], made), found

        monkeypatch.setattr(completing, "fit_cold_items", stub)
        board = checkerboard()
        train, valid = (
            zip(part.user_index, part.item_index, strict=True)
            for part in (board.train, board.held_out[Split.VALID])
        )
        config = Config.build(
            {
                "data": {"interactions": "none.csv"},
                "closed_form": {"ridge": 1.0, "relation_weights": {}},
                "cold": {"keep_warm": keep_warm},
                "fusion": {"network": False, "popularity": False},
                "training": training,
                "user_side": {"enabled": False},
                "factors": {"enabled": False},
            }
        )
        fitted = fit(
            config, make_graph((24, 18, 1), train, valid=[*valid, *wanted]), progress=False
        )
        self.settings = calls
        return fitted

    @pytest.mark.parametrize("keep_warm", [0.56, 0.58, 0.9, 1.0])
    def test_cold_items_stand_as_high_as_what_must_stay_allows(
        self, monkeypatch: pytest.MonkeyPatch, keep_warm: float
    ) -> None:
        fitted = self.fitted(monkeypatch, keep_warm)
        assert isinstance(fitted.scorer, ColdCompletion)
        level = fitted.record.cold.on_valid
        assert level["valid_ndcg@20"]["without"] == pytest.approx(1.0)
        with_cold = level["valid_ndcg@20"]["with"]
        assert with_cold >= keep_warm
        if keep_warm < self.LEFT:  # as high as is tried: above everything
            assert with_cold == pytest.approx(self.LEFT)
            assert level["shift"] > 3.9
        else:
            raised = deepcopy(fitted.scorer.completion)
            raised.bias.add_(0.05)  # a little more than two steps of the search
            board = checkerboard()
            pairs = zip(board.train.user_index, board.train.item_index, strict=True)
            graph = make_graph((24, 18, 1), pairs)
            task = RankingTask(replace(graph, held_out=board.held_out), Split.VALID)
            higher = task.run(ColdCompletion(fitted.scorer.scorer, raised), (20,))["ndcg@20"].mean()
            assert higher < keep_warm
        assert fitted.record.cold.settings["inner"] == {"asked": keep_warm}

    @pytest.mark.parametrize("knows", [False, True])
    def test_what_the_fusion_itself_says_of_cold_items_may_be_better(
        self, monkeypatch: pytest.MonkeyPatch, knows: bool
    ) -> None:
        """Everybody wants cold item 16; the completion cannot tell it from 17, a fusion may.

        Of 16 warm items 5 are read first: where valid does without that, no others are read.
        """
        monkeypatch.setattr(completing, "_EARLY_WARM", 5)

        class Knowing(Wrapping):
            def rewrapped(self, scorer: Scorer) -> "Knowing":
                return Knowing(scorer)

            def replaces(self, user_index: int, item_index: int) -> bool:
                return item_index == 16

            def score(self, user_indices: torch.Tensor) -> torch.Tensor:
                scores = self.scorer.score(user_indices).clone()
                scores[:, 16] = scores.max() + 1
                return scores

        def knowing(parts: dict[str, Scorer], task: RankingTask) -> tuple[Fusion, float]:
            return Fusion({"closed_form": Knowing(parts["closed_form"])}, {"closed_form": 1.0}), 1.0

        if knows:
            monkeypatch.setattr(fit_module, "search_fusion", knowing)
        wanted = [(user, 16) for user in range(24)]
        fitted = self.fitted(monkeypatch, 0.999, wanted=wanted)
        record = fitted.record.cold
        assert record.is_used is not knows
        assert type(fitted.scorer) is (Fusion if knows else ColdCompletion)
        every = record.on_valid["all_items"]
        assert every["without"] == pytest.approx(1.0 if knows else 0.892, abs=1e-3)
        assert (every["with"] < every["without"]) is knows
        assert self.most_warm == ([5] if knows else [5, completing.MOST_WARM])

    def test_a_refit_takes_the_level_that_valid_allowed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fitted = self.fitted(monkeypatch, 0.9, refit=True)
        assert isinstance(fitted.scorer, ColdCompletion)
        assert len(fitted.scorer.history.columns) == 24 * 8  # valid was learned from too
        first, second = self.settings
        assert first is None
        assert second is not None
        level = fitted.record.cold.on_valid
        assert second.exposure == level["exposure"]
        assert level["valid_ndcg@20"]["with"] >= 0.9  # what valid said stands in the record


def test_cold_items_share_the_places_they_may_take() -> None:
    graph = _checkerboard()
    scorer = _ease(graph)
    warm = torch.arange(60)
    for cold, settings, expected in (
        ([60, 61], ColdSettings((), exposure=0.2, places=0.4), 0.2),
        ([60, 61], ColdSettings((), exposure=0.2, places=0.1), 0.05),  # more items share them
        ([60], ColdSettings((), exposure=0.2, places=0.8), 0.4),  # at most twice as boldly
    ):
        weights = torch.rand(60, len(cold), generator=torch.Generator().manual_seed(0)) / 60
        made = Completion(warm, torch.tensor(cold), weights, torch.zeros(len(cold)), 0.0)
        raised = ColdCompletion(scorer, with_exposure(scorer, made, settings, seed=0))
        scores = raised.score(torch.arange(USERS))
        rows = graph.train
        scores[rows.user_index, rows.item_index] = -torch.inf
        last = scores[:, warm].topk(20).values[:, -1:]
        share = float((scores[:, cold] > last).float().mean())
        assert share == pytest.approx(expected, abs=1 / USERS + 1e-6)
