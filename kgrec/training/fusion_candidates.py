"""The few items that can reach the top of a fusion, so that a trial of its weights costs little."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kgrec.evaluation.metrics import ranking_metrics
from kgrec.evaluation.ranking import RankingTask, just_below
from kgrec.model.fusion import moments
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import Scorer

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
