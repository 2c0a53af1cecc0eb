"""Finds the weights of a fusion's parts on valid."""

import logging
from collections.abc import Mapping

import torch
from torch import Tensor

from kgrec.evaluation.ranking import RankingTask
from kgrec.model.fusion import Fusion, standardise
from kgrec.model.scorer import Scorer

logger = logging.getLogger(__name__)

_GRID = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5)
_SWEEPS = 2
#: Bytes of standardised scores kept; users are sampled to stay below.
_MOST_BYTES = 1_500_000_000


class _Blended:
    """Parts' standardised scores of the judged users, kept, so that a trial is one sum."""

    def __init__(self, parts: Mapping[str, Scorer], task: RankingTask) -> None:
        users = torch.from_numpy(task.users)
        self.row = torch.full((task.num_users,), -1)
        self.row[users] = torch.arange(len(users))
        self.scores = {
            name: torch.cat(
                [
                    standardise(part.score(block)).cpu()
                    for block in torch.split(users, task.block_size)
                ]
            )
            for name, part in parts.items()
        }
        self.weights: dict[str, float] = {}
        self.num_users, self.num_items = task.num_users, task.num_items

    def score(self, user_indices: Tensor) -> Tensor:
        rows = self.row[user_indices]
        total = torch.zeros(len(rows), self.num_items)
        for name, weight in self.weights.items():
            if weight:
                total.add_(self.scores[name][rows], alpha=weight)
        return total


def default_weights(parts: Mapping[str, Scorer]) -> dict[str, float]:
    """Weights where there is no valid split: equal, popularity a tenth."""
    return {name: 0.1 if name == "popularity" else 1.0 for name in parts}


def search_fusion(parts: Mapping[str, Scorer], task: RankingTask) -> tuple[Fusion, float]:
    """Climbs over the parts' weights, one at a time, on NDCG@20 of the task.

    Args:
        parts: The fitted parts by name.
        task: The valid split, see `most_users`.

    Returns:
        The fusion and its NDCG@20 on the task.
    """
    blended = _Blended(parts, task)

    @torch.no_grad()
    def judge(weights: dict[str, float]) -> float:
        blended.weights = weights
        return float(task.run(blended, k=(20,))["ndcg@20"].mean())  # type: ignore[arg-type]

    weights = default_weights(parts)
    best = judge(weights)
    for _ in range(_SWEEPS if len(parts) > 1 else 0):
        before = best
        for name in parts:
            for value in _GRID:
                trial = weights | {name: value}
                if value == weights[name] or not any(trial.values()):
                    continue
                score = judge(trial)
                if score > best:
                    best, weights = score, trial
        if best == before:
            break
    logger.info("fusion weights=%s valid_ndcg@20=%.4f", weights, best)
    return Fusion(parts, weights), best


def most_users(num_parts: int, num_items: int) -> int:
    """How many users a task may have for `search_fusion` to stay in memory."""
    return max(200, min(4_000, _MOST_BYTES // (4 * num_items * max(num_parts, 1))))
