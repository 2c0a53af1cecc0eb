"""What is proposed to the gate, and what it judges: networks with a popularity term."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from graphs import behaviour, history_of, make_graph, relation

from kgrec.augment.gate import NONE
from kgrec.augment.world import masked_world
from kgrec.config import Config
from kgrec.evaluation.ranking import RankingTask
from kgrec.model.closed_form import Refinements
from kgrec.model.popularity import Popularity
from kgrec.schema import Split
from kgrec.training import augmentation
from kgrec.training.augmentation import _gate, _judge
from kgrec.training.choices import Choices
from kgrec.training.closed_form_search import ClosedFormSettings
from kgrec.training.proposals import Proposals
from kgrec.training.relation_rows import relation_rows

USERS, ITEMS = 60, 50


class Scores:
    num_users, num_items = USERS, ITEMS

    def __init__(self, history: Any, scores: torch.Tensor) -> None:
        self.history, self._scores = history, scores

    def score(self, user_indices: torch.Tensor) -> torch.Tensor:
        return self._scores[user_indices].clone()


def test_what_a_source_brings_of_popularity_is_not_its_merit() -> None:
    rng = np.random.default_rng(0)
    share = 1.0 / np.arange(2, ITEMS + 2)
    owned = [
        rng.choice(ITEMS, 8, replace=False, p=share / share.sum()).tolist() for _ in range(USERS)
    ]
    train = [(user, item) for user, items in enumerate(owned) for item in items[2:]]
    valid = [(user, item) for user, items in enumerate(owned) for item in items[:2]]
    graph = make_graph((USERS, ITEMS, 0), train, valid=valid)
    history = history_of(graph)
    task = RankingTask(graph, Split.VALID)
    fitting: Any = SimpleNamespace(graph=graph, history=history, valid_task=lambda _: task)
    taste = torch.randn(USERS, ITEMS, generator=torch.Generator().manual_seed(0))
    popular = Popularity(history).item_score
    popular = 3 * (popular - popular.mean()) / popular.std()
    plain, leaning = (Scores(history, scores) for scores in (taste, taste + popular))

    def alone(scorer: Any) -> float:
        return float(task.run(scorer, (20,))["ndcg@20"].mean())

    judge = _judge(fitting, task, plain)  # type: ignore[arg-type]
    with_term = [float(judge(scorer)[0].mean()) for scorer in (plain, leaning)]  # type: ignore[arg-type]
    assert alone(leaning) > 1.5 * alone(plain)
    assert with_term[1] < 1.1 * with_term[0]


@pytest.mark.parametrize("luck", [False, True])
def test_the_best_on_one_network_is_tried_on_the_others(
    luck: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Gains on NDCG of 40 users, half of them sparse, by source and network.
    gains = {"none": [0.0] * 3, "teacher": [0.05] * 3, "knn": [0.02] * 3, "random": [-0.05] * 3}
    gains["worse"] = [-0.02] * 3
    if luck:
        gains["teacher"] = [0.05, -0.06, -0.06]
    rng = np.random.default_rng(0)
    base, asked = rng.uniform(0.1, 0.3, 40), []

    def go_on(number: int, edges: Any, epochs: int, *, keep: bool) -> tuple[str, int]:
        assert not keep
        asked.append((edges or "none", number))
        return asked[-1]

    def judge(scorer: tuple[str, int]) -> tuple[np.ndarray, np.ndarray]:
        gain = gains["none" if scorer[0] == "untouched" else scorer[0]][scorer[1]]
        return base + gain + rng.normal(0, 0.005, 40), np.full(40, np.nan)

    task = SimpleNamespace(users=np.arange(40))
    monkeypatch.setattr(augmentation, "_judge", lambda *_: judge)
    config = SimpleNamespace(augment=SimpleNamespace(epochs=2), seed=0)
    graph = make_graph((40, 3, 0), [(user, user % 3) for user in range(40)])
    fitting: Any = SimpleNamespace(valid_task=lambda _: task, config=config, graph=graph)
    proposals: Any = SimpleNamespace(plan=SimpleNamespace(users=np.arange(20)), of=lambda n: n)
    untouched: Any = [("untouched", number) for number in range(3)]
    found = _gate(fitting, untouched, proposals, ("teacher", "knn", "random"), go_on)
    assert found is not None
    first = [("none", 0), ("teacher", 0), ("knn", 0), ("random", 0)]
    others = [(name, number) for name in ("none", "teacher") for number in (1, 2)]
    assert asked == first + others
    assert [(v.source, v.trainings) for v in found.verdicts] == [
        ("teacher", 3), ("knn", 1), ("random", 1)
    ]  # fmt: skip
    assert found.winner == (NONE if luck else "teacher")
    wanted = np.mean(gains["teacher"])
    assert found.verdicts[0].sparse.difference == pytest.approx(wanted, abs=0.004)
    assert found.words().count("one alone") == 2
    # A source that was asked for is tried on all; where none gains, nothing more is tried.
    asked.clear()
    alone = _gate(fitting, untouched, proposals, ("knn",), go_on)
    assert alone is not None
    assert alone.verdicts[0].trainings == 3
    asked.clear()
    _gate(fitting, untouched, proposals, ("random", "worse"), go_on)
    assert {number for _, number in asked} == {0}


def test_a_generator_is_told_of_the_same_relations_in_the_world_and_in_the_graph() -> None:
    rng = np.random.default_rng(0)
    train = [(user, item) for user in range(20) for item in rng.permutation(30)[:12].tolist()]
    train += [(user, user) for user in range(20, 30)]
    views = [(user, item) for user, item in train if user < 20]  # 240, half of them leave
    bought = [(user, item) for user, item in views if user == 0]  # gone where that one is
    genres = [(item, 5 * genre + item % 5) for item in range(30) for genre in range(5)]  # 150
    graph = make_graph(
        (30, 30, 25),
        train,
        (behaviour("view", views), behaviour("bought", bought), relation("genre", genres)),
    )
    found = ClosedFormSettings(10.0, {}, None, Refinements(recency=3.0, bandwidth=2.0))
    given = {"data": {"train": "t.tsv"}, "store": {"uri": "embedded:g.kgl"}, "augment": {}}
    orders = set()
    for seed in range(6):
        config = Config.build({**given, "seed": seed}, base=Path(), source="a test")
        history = history_of(graph)
        choices = Choices({"closed_form": found})
        fitting: Any = SimpleNamespace(
            graph=graph, history=history, config=config, choices=choices, work=None, text=None
        )
        proposals = Proposals(fitting, {"closed_form": Popularity(history)})
        names = tuple(proposals._bank.scorers)
        assert names[4:] == ("like by view", "like by genre", "like by bought")
        assert proposals._classroom.names == names
        assert len(proposals.of("generator")) > 0
        world = masked_world(graph, history, at_most=5, most=4000, seed=seed).graph
        sizes = {each.name: len(each.rows.columns) for each in relation_rows(world)}
        orders.add(tuple(sorted(sizes, key=lambda name: -sizes[name])))
    # The worlds have them in another order, and not always all.
    assert orders == {("genre", "view", "bought"), ("genre", "view")}
