"""Parts are tried on a sample of users, and left out where valid is as good without them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graphs import make_graph

from kgrec.config import Config
from kgrec.graph.data import GraphData
from kgrec.model.incidence import Incidence
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.schema import Split
from kgrec.training import climbing as clock
from kgrec.training import early_look
from kgrec.training.choices import Choices
from kgrec.training.climbing import Budget
from kgrec.training.early_look import can_look, parts_to_leave_out
from kgrec.training.fit import fit
from kgrec.training.fitting import Fitting
from kgrec.training.part import Part
from kgrec.training.record import FitRecord


def shelves() -> GraphData:
    """60 users of two tastes over 40 items; the first 20 have more; one of each is held out."""
    rng = np.random.default_rng(0)
    train, valid = [], []
    for user in range(60):
        own = rng.permutation(np.arange(user % 2, 40, 2))[: 12 if user < 20 else 6]
        train += [(user, int(item)) for item in own[:-1]]
        valid.append((user, int(own[-1])))
    return make_graph((60, 40, 1), train, valid=valid)


class Taste(Scorer):
    """Knows who likes what, up to noise."""

    def __init__(self, history: Incidence, users: torch.Tensor, weight: float) -> None:
        self.history = history
        noise = torch.rand(len(users), 40, generator=torch.Generator().manual_seed(1))
        fits = (users[:, None] % 2 == torch.arange(40)[None] % 2).float()
        self._scores = weight * fits + noise

    def score(self, user_indices: torch.Tensor) -> torch.Tensor:
        return self._scores[user_indices]


class Trial(Part):
    """A part whose trial knows the sample's tastes, or nothing."""

    name = title = "trial"
    has_trial = True

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.histories: list[Incidence] = []

    def trial_fit(self, fitting: Fitting, history: Incidence) -> Scorer:
        self.histories.append(history)
        # The sample keeps the order of the users, so the i-th is the i-th most active by index.
        return Taste(history, torch.arange(history.num_rows), self.weight)

    def fit(self, fitting: Fitting, settings: Any, advance: Any) -> Scorer:
        raise AssertionError


def fitting_of(graph: GraphData) -> Fitting:
    config = Config.build({"data": {"interactions": "none.csv"}}, base=Path())
    record = FitRecord(seed=config.seed, device="cpu")
    return Fitting(
        config, graph, None, torch.device("cpu"), None, record, Budget(None), Choices(), False
    )


@pytest.mark.parametrize(("weight", "left_out"), [(0.8, []), (0.0, ["trial"])])
def test_a_part_stays_if_the_fusion_of_a_sample_is_better_with_it(
    monkeypatch: pytest.MonkeyPatch, weight: float, left_out: list[str]
) -> None:
    monkeypatch.setattr(early_look, "_MOST_USERS", 20)
    fitting = fitting_of(shelves())
    known = 0.3 if weight else 3.0  # a part that knows all needs no other
    fitting.parts["closed_form"] = Taste(fitting.history, torch.arange(60), known)
    part = Trial(weight)
    assert parts_to_leave_out(fitting, [part]) == left_out
    # The sample is the 20 most active users with something held out, over all items.
    (history,) = part.histories
    assert (history.num_rows, history.num_columns) == (20, 40)
    assert history.lengths.tolist() == [11] * 20


def test_nothing_is_looked_at_where_a_look_saves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, part = shelves(), Trial(0.0)
    fitting = fitting_of(graph)
    fitting.parts["popularity"] = Popularity(fitting.history)
    assert parts_to_leave_out(fitting, [part]) == []  # 60 users are fitted at once
    monkeypatch.setattr(early_look, "_MOST_USERS", 20)
    without_valid = fitting_of(make_graph((60, 40, 1), zip(*pairs(graph), strict=True)))
    without_valid.parts["popularity"] = Popularity(fitting.history)
    assert parts_to_leave_out(without_valid, [part]) == []
    assert parts_to_leave_out(fitting_of(graph), [part]) == []  # nothing is fitted to compare with
    assert part.histories == []


@pytest.mark.parametrize(("source", "looks"), [("none", True), ("teacher", True), ("gan", False)])
def test_factors_are_fitted_first_where_a_generator_asks_them(
    monkeypatch: pytest.MonkeyPatch, source: str, looks: bool
) -> None:
    monkeypatch.setattr(early_look, "_MOST_USERS", 20)
    tree = {"data": {"interactions": "none.csv"}, "augment": {"source": source}}
    fitting = replace(fitting_of(shelves()), config=Config.build(tree, base=Path()))
    assert can_look(fitting) is looks


def pairs(graph: GraphData) -> tuple[list[int], list[int]]:
    return graph.train.user_index.tolist(), graph.train.item_index.tolist()


def test_training_leaves_out_what_the_look_says_and_remembers_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(early_look, "_MOST_USERS", 20)
    looks: list[list[str]] = []

    def look(fitting: Fitting, parts: list[Part]) -> list[str]:
        looks.append([part.name for part in parts])
        assert set(fitting.parts) == {"closed_form", "popularity"}
        return ["user_side"]

    monkeypatch.setattr(early_look, "parts_to_leave_out", look)
    fitted = fit(settings(refit=True), shelves(), progress=False)
    assert looks == [["user_side", "factors"]]  # once, though all is fitted twice
    assert list(fitted.parts) == ["closed_form", "factors", "popularity"]


def settings(**training: object) -> Config:
    tree = {
        "data": {"interactions": "none.csv"},
        "fusion": {"network": False},
        "factors": {"dimensions": 4, "iterations": 3},
        "training": training,
    }
    return Config.build(tree, base=Path())


def test_the_same_seed_gives_the_same_bits_however_slow_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each look at the clock finds an hour gone: nothing that is searched depends on it."""
    graph = shelves()
    quick = fit(settings(), graph, progress=False)
    hours = 0.0
    real = clock.time.perf_counter

    def slow() -> float:
        nonlocal hours
        hours += 3600.0
        return real() + hours

    monkeypatch.setattr(clock.time, "perf_counter", slow)
    slowed = fit(settings(), graph, progress=False)
    users = torch.arange(60)
    assert torch.equal(quick.scorer.score(users), slowed.scorer.score(users))
    assert len(graph.held_out[Split.VALID]) == 60  # there was something to search on
    limited = Config.build(
        {**settings().model_dump(mode="json"), "search": {"minutes": 10}}, base=Path()
    )
    cut = fit(limited, graph, progress=False)
    assert "closed_form" in cut.record.cut_searches
