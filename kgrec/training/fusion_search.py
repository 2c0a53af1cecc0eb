"""Finds on valid how the parts of a fusion are weighed.

Only the few items that can reach the top are scored, so that a trial of weights costs little.
"""

import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kgrec.evaluation.metrics import ranking_metrics
from kgrec.evaluation.ranking import RankingTask, just_below
from kgrec.model.fusion import Fusion, moments
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import Scorer, check_numbers
from kgrec.training.climbing import Axis, climb, leave_out
from kgrec.training.part import all_parts

logger = logging.getLogger(__name__)


#: An item that is not among the first so many of any part is hardly among the first 20 of a sum.
TOP = 300
_K = 20
#: All parts' scores of some users over all items, before the candidates are taken out of them.
_BYTES_AT_ONCE = 500_000_000


@dataclass(frozen=True)
class Term:
    """What a part adds: its weight, and whether all users share one standard deviation."""

    weight: float
    shared: bool


@dataclass(frozen=True, eq=False)
class _Block:
    """Some users' candidates: standardised scores by part, 0 where there are fewer candidates."""

    scores: dict[str, Tensor]  # (b, c)
    deviation: dict[str, Tensor]  # (b, 1), infinite for equal scores
    there: Tensor  # (b, c) bool
    relevant: Tensor  # (b, c) bool


class Candidates:
    """Parts' scores of the judged users' candidates.

    Candidates of a user are the relevant items and the first `TOP` of each part among the items
    that compete. Users with fewer items than that have all of them, and the NDCG@20 is then exact;
    else an item could be missing that every part puts behind its first `TOP`.

    Attributes:
        scales: Mean standard deviation of each part's scores over the users.
    """

    def __init__(self, parts: Mapping[str, Scorer], task: RankingTask) -> None:
        step = _BYTES_AT_ONCE // (4 * task.num_items * (len(parts) + 1))
        step = min(task.block_size, max(1, step))
        self._blocks = [
            _block(parts, task, slice(start, min(start + step, len(task.users))))
            for start in range(0, len(task.users), step)
        ]
        self._num_truth = task.num_truth
        self.scales = {}
        for name in parts:
            deviation = torch.cat([block.deviation[name] for block in self._blocks])
            finite = deviation[deviation.isfinite()]
            self.scales[name] = float(finite.mean()) if len(finite) else 1.0

    def ndcg(self, terms: Mapping[str, Term]) -> float:
        """Gives the mean NDCG@20 of a fusion; ties never favour what is relevant."""
        hits = []
        for block in self._blocks:
            total = torch.zeros(block.there.shape)
            for name, term in terms.items():
                if term.weight:
                    factor = self._factor(name, term, block.deviation[name])
                    total.addcmul_(block.scores[name], factor)
            total.masked_fill_(~block.there, -torch.inf)
            # Among equals what is relevant comes last, as in `RankingTask`.
            total[block.relevant] = just_below(total[block.relevant])
            top = total.topk(min(_K, total.shape[1]), dim=1).indices
            is_hit = torch.zeros(len(total), _K, dtype=torch.bool)
            is_hit[:, : top.shape[1]] = block.relevant.gather(1, top)
            hits.append(is_hit.numpy())
        return float(
            ranking_metrics(np.concatenate(hits), self._num_truth, [_K])[f"ndcg@{_K}"].mean()
        )

    def _factor(self, name: str, term: Term, deviation: Tensor) -> Tensor:
        if not term.shared:
            return torch.full_like(deviation, term.weight)
        return torch.where(deviation.isfinite(), term.weight * deviation / self.scales[name], 0.0)


def _block(parts: Mapping[str, Scorer], task: RankingTask, rows: slice) -> _Block:
    users = torch.from_numpy(task.users[rows])
    known, truth = (_cells(matrix, rows) for matrix in (task.exclusions, task.truth))
    member = torch.zeros(len(users), task.num_items, dtype=torch.bool)
    member[truth] = True
    full, deviation = {}, {}
    for name, part in parts.items():
        scores = part.score(users).float().cpu()
        check_numbers(scores, f"part {name}")
        spread, mean = moments(scores)
        full[name], deviation[name] = (scores - mean) / spread, spread
        ranked = full[name].clone()
        ranked[known] = -torch.inf
        member.scatter_(1, ranked.topk(min(TOP, task.num_items), dim=1).indices, True)
    member[known] = False
    width = int(member.sum(dim=1).max())
    # Stable, so that equal seeds meet equal candidates in equal order.
    place = torch.argsort(member.int(), dim=1, descending=True, stable=True)[:, :width]
    there = member.gather(1, place)
    relevant = torch.zeros_like(member)
    relevant[truth] = True
    scores_of = {
        name: scores.gather(1, place).masked_fill(~there, 0.0) for name, scores in full.items()
    }
    return _Block(scores_of, deviation, there, relevant.gather(1, place))


def _cells(matrix: Incidence, rows: slice) -> tuple[Tensor, Tensor]:
    columns, lengths = matrix.take(torch.arange(rows.start, rows.stop))
    return torch.repeat_interleave(torch.arange(len(lengths)), lengths), columns


_FACTORS, _FROM_NOTHING = (0.0, 0.5, 0.8, 1.25, 2.0), (0.05, 0.3)
_SWEEPS = 8
#: A part without which the NDCG@20 is no more than this share smaller is left out: so little is
#: noise of the users who were asked.
_LEAST_WORTH = 1e-3
#: Bytes of scores kept; users are sampled to stay below.
_MOST_BYTES, _MOST_USERS = 1_000_000_000, 10_000

_Terms = dict[str, Term]


def default_weights(parts: Mapping[str, Scorer]) -> dict[str, float]:
    """Weights where there is no valid split: the parts' own, 1 of what is none of kgrec's."""
    known = {part.name: part.default_weight for part in all_parts()}
    return {name: known.get(name, 1.0) for name in parts}


@torch.no_grad()
def search_fusion(parts: Mapping[str, Scorer], task: RankingTask) -> tuple[Fusion, float]:
    """Climbs over the parts' weights and whose standard deviation they are measured in.

    One part at a time, on NDCG@20 of the task; then parts that are hardly missed are left out.

    Args:
        parts: The fitted parts by name.
        task: The valid split, see `most_users`.

    Returns:
        The fusion and its NDCG@20 on the task. The largest weight is 1.
    """
    candidates = Candidates(parts, task)
    shared = {part.name for part in all_parts() if part.shared_scale}
    terms = {
        name: Term(weight, shared=name in shared) for name, weight in default_weights(parts).items()
    }
    summit = climb(terms, [_axis(name) for name in parts], candidates.ndcg, sweeps=_SWEEPS)
    by_weight = sorted(parts, key=lambda name: summit.settings[name].weight)
    removals = [_removal(name) for name in by_weight]
    summit = leave_out(summit, removals, candidates.ndcg, _LEAST_WORTH)
    terms, best = summit.settings, summit.value
    most = max(term.weight for term in terms.values())
    weights = {name: round(term.weight / most, 4) for name, term in terms.items()}
    scales = {name: candidates.scales[name] for name, term in terms.items() if term.shared}
    logger.info("fusion weights=%s shared=%s valid_ndcg@20=%.4f", weights, sorted(scales), best)
    return Fusion(parts, weights, scales), best


def _axis(name: str) -> Axis[_Terms]:
    """Other weights of one part, and the other way of measuring it."""

    def axis(best: _Terms) -> Generator[_Terms, _Terms, None]:
        term = best[name]
        weights = [term.weight * factor for factor in _FACTORS] if term.weight else _FROM_NOTHING
        trials = [Term(weight, term.shared) for weight in weights]
        for trial_term in (*trials, Term(term.weight, not term.shared)):
            trial = best | {name: trial_term}
            if _has_weight(trial):
                best = yield trial

    return axis


def _removal(name: str) -> Callable[[_Terms], _Terms | None]:
    """Takes one part's weight, unless it is the last that has any."""

    def remove(terms: _Terms) -> _Terms | None:
        trial = terms | {name: Term(0.0, terms[name].shared)}
        return trial if _has_weight(trial) else None

    return remove


def _has_weight(terms: _Terms) -> bool:
    return any(term.weight for term in terms.values())


def most_users(num_parts: int, num_items: int) -> int:
    """How many users a task may have for `search_fusion` to stay in memory."""
    width = min(num_items, TOP * max(num_parts, 1))
    return max(200, min(_MOST_USERS, _MOST_BYTES // (4 * width * (max(num_parts, 1) + 1))))
