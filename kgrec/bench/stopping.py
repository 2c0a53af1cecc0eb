"""Training by epochs until valid no longer improves: one loop for all peers that need it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from kgrec.bench.peer import Job
from kgrec.errors import DataError
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData
from kgrec.model.scorer import Scorer
from kgrec.schema import Split

#: At most so many users of valid judge an epoch.
_VALID_USERS = 5_000


class Epochs(Protocol):
    """A model in training."""

    def train_epoch(self) -> None:
        """Goes once through the interactions."""

    def scorer(self) -> Scorer:
        """Gives the model as it is now; later epochs do not change it."""


@dataclass(frozen=True)
class Stopping:
    """When training ends.

    Attributes:
        every: Epochs between two looks at valid.
        patience: Looks without a better NDCG@20 before it ends.
        most: Epochs at most.
        default: Epochs where there is no valid split.
    """

    every: int
    patience: int
    most: int
    default: int


def train_until_best(
    job: Job, make: Callable[[GraphData], Epochs], stopping: Stopping
) -> tuple[Scorer, dict[str, Any]]:
    """Trains on train, stops early on valid, and refits for as many epochs if the job asks.

    Args:
        job: The job; `minutes` bounds the training (not the refit, which takes no longer).
        make: Makes the untrained model of a graph.
        stopping: When training ends.

    Returns:
        The scorer of the best look at valid (or of the refit), and `epochs`, `best_epoch`,
        `valid_ndcg@20`, `stopped_by` (`patience`, `epochs`, `minutes`) and `history`, per look
        `epoch`, `seconds` until then, `training_seconds` without the looks, `valid_ndcg@20`.
    """
    try:
        task = RankingTask(job.graph, Split.VALID, max_users=_VALID_USERS)
    except DataError:
        scorer = _trained(make(job.final), stopping.default)
        return scorer, {"epochs": stopping.default, "valid_ndcg@20": None, "history": []}
    scorer, record = _search(make(job.graph), task, stopping, job.minutes)
    if job.final is not job.graph:
        scorer = _trained(make(job.final), record["best_epoch"])
    return scorer, record


def _search(
    model: Epochs, task: RankingTask, stopping: Stopping, minutes: float
) -> tuple[Scorer, dict[str, Any]]:
    history: list[dict[str, float]] = []
    best: tuple[float, int, Scorer] | None = None
    trained, epoch, stopped_by = 0.0, 0, "epochs"
    started = time.perf_counter()
    while epoch < stopping.most:
        before = time.perf_counter()
        for _ in range(min(stopping.every, stopping.most - epoch)):
            model.train_epoch()
            epoch += 1
        trained += time.perf_counter() - before
        scorer = model.scorer()
        value = float(task.run(scorer, (20,))["ndcg@20"].mean())
        history.append(
            {
                "epoch": epoch,
                "seconds": time.perf_counter() - started,
                "training_seconds": trained,
                "valid_ndcg@20": value,
            }
        )
        if best is None or value > best[0]:
            best = (value, epoch, scorer)
        if epoch - best[1] >= stopping.patience * stopping.every:
            stopped_by = "patience"
            break
        if time.perf_counter() - started > 60 * minutes:
            stopped_by = "minutes"
            break
    assert best is not None
    record = {
        "epochs": epoch,
        "best_epoch": best[1],
        "valid_ndcg@20": best[0],
        "stopped_by": stopped_by,
        "history": history,
    }
    return best[2], record


def _trained(model: Epochs, epochs: int) -> Scorer:
    for _ in range(epochs):
        model.train_epoch()
    return model.scorer()
