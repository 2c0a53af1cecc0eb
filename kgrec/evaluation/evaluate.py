"""Judging a scorer on a held-out split: the one code path of floors, models and fusions."""

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psutil

from kgrec.errors import ConfigError
from kgrec.evaluation.beyond import beyond_accuracy
from kgrec.evaluation.cohorts import cohort_metrics
from kgrec.evaluation.metrics import FloatArray, Metric, own_metrics, ranking_metrics
from kgrec.evaluation.prediction import prediction_metrics, sample_pairs
from kgrec.evaluation.ranking import Pairs, RankingTask
from kgrec.graph.data import GraphData, IndexArray
from kgrec.model.scorer import Scorer
from kgrec.schema import Split

logger = logging.getLogger(__name__)

#: Users of valid whose pairs calibrate the scores when test is judged.
_CALIBRATION_USERS = 2000


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a scorer did on a split.

    Attributes:
        split: The split.
        seed: Of sampled pairs and lists.
        k: List lengths.
        users: (n,) int64, the judged users: those with held-out items.
        per_user: Per ranking metric `name@k` one number a user, (n,) float64.
        metrics: Means of `per_user`, score prediction, coverage, novelty and diversity.
        cohorts: Per cohort `num_users`, `recall@k` and `ndcg@k`.
        seconds: How long it took.
        peak_memory_mb: The most memory this process has held so far.
    """

    split: Split
    seed: int
    k: tuple[int, ...]
    users: IndexArray
    per_user: Mapping[str, FloatArray]
    metrics: Mapping[str, float]
    cohorts: Mapping[str, Mapping[str, float | int]]
    seconds: float
    peak_memory_mb: float

    @property
    def num_users(self) -> int:
        """Number of judged users."""
        return len(self.users)


def evaluate(
    scorer: Scorer,
    graph: GraphData,
    split: Split | str,
    *,
    k: Sequence[int] = (10, 20),
    block_size: int = 1024,
    seed: int = 0,
    metrics: Mapping[str, Metric] | None = None,
) -> Evaluation:
    """Ranks all items for every user with held-out items and judges the lists and the scores.

    Known items (train; and valid when test is judged) and known dislikes are masked, ties never
    favour the truth.

    Args:
        scorer: What to judge, on its own device.
        graph: Where its users, items and interactions come from.
        split: VALID or TEST, or their values "valid" and "test".
        k: List lengths.
        block_size: Users scored at once.
        seed: Of the sampled pairs of score prediction and the lists of diversity.
        metrics: Further metrics by name: functions of the hits (n, k) bool, best first, and of how
            many relevant items each user has, (n,) int64; they give one number a user, (n,).

    Raises:
        ConfigError: If the split is TRAIN, k or block_size is not positive, or a further metric
            has the name of another.
        DataError: If the split is empty or overlaps with what is known, or the scorer has learned
            from it.
        ShapeError: If the scorer is of other users or items, or a further metric gives something
            else than one finite number a user.
        TrainingDiverged: If a score is not a number.
    """
    start = time.perf_counter()
    split = _split(split)
    task = RankingTask(graph, split, block_size=block_size)
    task.refuse_learned(scorer)
    pairs = sample_pairs(task, np.random.default_rng([seed, 0]))
    ranking, scores = task.rank(scorer, max(k, default=0), pairs, progress=True)
    per_user = ranking_metrics(ranking.hits, task.num_truth, k)
    means = {name: float(values.mean()) for name, values in per_user.items()}
    reference = _reference(scorer, graph, split, block_size, seed)
    means.update(prediction_metrics(pairs, scores, reference))
    for length in k:
        rng = np.random.default_rng([seed, 1])
        means.update(beyond_accuracy(ranking, graph, length, rng))
    own = own_metrics(metrics or {}, ranking.hits, task.num_truth, k)
    _refuse_taken(own, means)
    per_user.update(own)
    means.update((name, float(values.mean())) for name, values in own.items())
    evaluation = Evaluation(
        split=split,
        seed=seed,
        k=tuple(k),
        users=task.users,
        per_user=per_user,
        metrics=means,
        cohorts=cohort_metrics(task, ranking, graph.train, k),
        seconds=time.perf_counter() - start,
        peak_memory_mb=peak_memory_mb(),
    )
    logger.info(
        "evaluated=%s split=%s users=%d ndcg@%d=%.4f seconds=%.1f",
        type(scorer).__name__,
        split,
        evaluation.num_users,
        max(k),
        means[f"ndcg@{max(k)}"],
        evaluation.seconds,
    )
    return evaluation


def _refuse_taken(own: Mapping[str, FloatArray], means: Mapping[str, float]) -> None:
    taken_names = sorted(own.keys() & means.keys())
    if taken_names:
        raise ConfigError(
            f"metrics {taken_names} are measured already; expected other names; rename yours"
        )


def _split(name: Split | str) -> Split:
    try:
        return Split(name)
    except ValueError as exc:
        raise ConfigError(f"split {name!r} is unknown; expected valid or test") from exc


def ndcg_at(scorer: Scorer, graph: GraphData, split: Split, k: int = 20) -> float:
    """Gives the mean NDCG@k of a split; for more than one call make a `RankingTask`."""
    return float(RankingTask(graph, split).run(scorer, (k,))[f"ndcg@{k}"].mean())


def _reference(
    scorer: Scorer, graph: GraphData, split: Split, block_size: int, seed: int
) -> tuple[Pairs, FloatArray] | None:
    """Pairs of valid to calibrate on when test is judged; None where there are none."""
    valid = graph.held_out.get(Split.VALID)
    if split is not Split.TEST or valid is None or not len(valid):
        return None
    task = RankingTask(
        graph, Split.VALID, block_size=block_size, max_users=_CALIBRATION_USERS, seed=seed
    )
    pairs = sample_pairs(task, np.random.default_rng([seed, 2]))
    return pairs, task.read(scorer, pairs)


def peak_memory_mb() -> float:
    """Gives the most memory this process has held so far, in MB of 10⁶ bytes."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
