"""The protocol: what is measured of a fitted scorer, the same for all."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kgrec.bench.fits import PerUser, Row
from kgrec.errors import DataError
from kgrec.evaluation.cohorts import cohort_metrics, distinct_counts, tail_items, tail_recall
from kgrec.evaluation.metrics import FloatArray, ranking_metrics
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, IndexArray
from kgrec.model.scorer import Scorer
from kgrec.schema import Split

#: Ranking metrics that are kept; each at every k.
METRICS = ("recall", "ndcg", "mrr")

#: Scoring all users is timed for so many seconds at least, then scaled up.
_TIMED_SECONDS = 60.0
#: Cold items with fewer held-out interactions do not compete: too little says who likes them.
_COLD_INTERACTIONS = 5


def judge(
    scorer: Scorer,
    graph: GraphData,
    training_graph: GraphData,
    *,
    k: Sequence[int] = (10, 20),
    block_size: int = 1024,
    cold: bool = False,
    parameters: int = 0,
) -> tuple[Row, PerUser]:
    """Ranks all items for every user with test items; train and valid are masked.

    `tail_recall@k` counts only items outside the most popular fifth of the items with training
    interactions. With `cold`, `cold_recall@k` and `cold_ndcg@k` are of lists of cold items only:
    those without training interactions and with at least five in test.

    Args:
        scorer: What to judge.
        graph: The graph with its splits.
        training_graph: What the scorer learned from (`graph`, or `graph` with valid in train);
            popularity and cohorts are counted there.
        k: List lengths.
        block_size: Users scored at once.
        cold: Whether cold and warm items are also judged apart.
        parameters: The scorer's learned numbers.

    Raises:
        DataError: If the graph has no test interactions.
        TrainingDiverged: If a score is not a number.
    """
    longest = max(k)
    task = RankingTask(graph, Split.TEST, block_size=block_size)
    ranking, _ = task.rank(scorer, longest)
    every = ranking_metrics(ranking.hits, task.num_truth, k)
    per_user = {f"{name}@{n}": every[f"{name}@{n}"] for n in k for name in METRICS}
    per_user.update(
        tail_recall(task, ranking, tail_items(training_graph.train, graph.num_items), (longest,))
    )
    if cold:
        per_user.update(_of_cold(scorer, graph, training_graph, task.users, k, block_size))
    metrics = {name: _mean(values) for name, values in per_user.items()}
    listed = np.unique(ranking.items[ranking.items >= 0])
    metrics[f"coverage@{longest}"] = len(listed) / graph.num_items
    row = Row(
        metrics=metrics,
        cohorts=cohort_metrics(task, ranking, training_graph.train, k),
        valid=_valid(scorer, graph, block_size) if training_graph is graph else {},
        score_seconds=seconds_to_score(scorer, block_size),
        parameters=parameters,
    )
    return row, PerUser(task.users, per_user)


def _mean(values: FloatArray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _valid(scorer: Scorer, graph: GraphData, block_size: int) -> dict[str, float]:
    try:
        values = RankingTask(graph, Split.VALID, block_size=block_size).run(scorer, (20,))
    except DataError:
        return {}
    return {name: float(values[name].mean()) for name in ("recall@20", "ndcg@20")}


@torch.no_grad()
def seconds_to_score(scorer: Scorer, block_size: int, *, at_least: float = _TIMED_SECONDS) -> float:
    """Gives the seconds to score all items for all users, (num_users, num_items), block by block.

    Blocks are timed until `at_least` seconds have passed; the rest is scaled up.
    """
    started = time.perf_counter()
    num_scored, seconds = 0, 0.0
    for block in torch.split(torch.arange(scorer.num_users), block_size):
        scorer.score(block)
        num_scored += len(block)
        seconds = time.perf_counter() - started
        if seconds > at_least:
            break
    return seconds * scorer.num_users / max(num_scored, 1)


def _of_cold(
    scorer: Scorer,
    graph: GraphData,
    training_graph: GraphData,
    users: IndexArray,
    k: Sequence[int],
    block_size: int,
) -> dict[str, FloatArray]:
    """Gives the metrics of cold and of warm items in the order of `users`, NaN without any."""
    train, test = training_graph.train, graph.held_out[Split.TEST]
    warm = distinct_counts(train.item_index, train.user_index, graph.num_items) > 0
    num_held_out = distinct_counts(test.item_index, test.user_index, graph.num_items)
    cold = ~warm & (num_held_out >= _COLD_INTERACTIONS)
    of_warm, of_cold = test.take(warm[test.item_index]), test.take(cold[test.item_index])
    # Ranking asks a scorer for its size and its scores, nothing else.
    among = cast(Scorer, _Among(scorer, cold))
    # What a user also took of the warm ones is no mistake in a list that is asked for cold ones.
    masked = replace(graph, held_out={Split.VALID: of_warm}).with_splits(Split.VALID)
    out: dict[str, FloatArray] = {}
    for prefix, ranker, ranked, truth in (
        ("cold", among, graph, of_cold),
        ("cold_all", scorer, masked, of_cold),
        ("warm", scorer, graph, of_warm),
    ):
        matrix = np.full((2 * len(k), len(users)), np.nan)
        names = [f"{name}@{n}" for n in k for name in ("recall", "ndcg")]
        if len(truth):
            held_out = {**graph.held_out, Split.TEST: truth}
            task = RankingTask(
                replace(ranked, held_out=held_out), Split.TEST, block_size=block_size
            )
            values = task.run(ranker, k)
            matrix[:, np.searchsorted(users, task.users)] = [values[name] for name in names]
        out |= {f"{prefix}_{name}": row for name, row in zip(names, matrix, strict=True)}
    return out


class _Among:
    """A scorer whose lists hold only some items; (num_items,) bool says which."""

    def __init__(self, scorer: Scorer, mask: npt.NDArray[np.bool_]) -> None:
        self._scorer = scorer
        self._left_out = torch.from_numpy(~mask)
        self.num_users, self.num_items = scorer.num_users, scorer.num_items

    def score(self, user_indices: Tensor) -> Tensor:
        scores = self._scorer.score(user_indices).clone()
        scores[:, self._left_out.to(scores.device)] = -torch.inf
        return scores
