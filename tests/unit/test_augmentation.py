"""What the gate judges: networks with the popularity term that they would be served with."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from graphs import history_of, make_graph

from kgrec.evaluation.ranking import RankingTask
from kgrec.model.popularity import Popularity
from kgrec.schema import Split
from kgrec.training.augmentation import _judge

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
