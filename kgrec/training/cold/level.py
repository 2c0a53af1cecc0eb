"""How high cold items stand beside warm ones: found on inner splits, then mended on valid."""

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kgrec.evaluation.ranking import RankingTask
from kgrec.model.cold import ColdCompletion, Completion
from kgrec.model.fusion import moments
from kgrec.model.scorer import Scorer
from kgrec.training.cold.folds import K
from kgrec.training.cold.settings import ColdSettings

_MOST_USERS = 2_000
_BLOCK = 1_024
#: How far above the level of the inner splits, in standard deviations, the level may be, the first
#: step down from there, how often it is doubled where that is not low enough (a user of whom little
#: is known has scores of a hundred deviations), and how often what is left is halved.
_HIGHEST, _STEP, _DOUBLINGS, _HALVINGS = 4.0, 6.0, 8, 9
#: Where fewer cold items share the places, none gets more than so many times its exposure.
_BOLDER = 2.0


def with_exposure(
    scorer: Scorer, completion: Completion, settings: ColdSettings, seed: int
) -> Completion:
    """Raises all cold items alike, until they beat warm ones as often as the settings say.

    Args:
        scorer: Fitted.
        completion: Its bias is replaced.
        settings: `exposure` and `places` are used.
        seed: Draws the users whose lists are looked at.
    """
    users = np.random.default_rng(seed).permutation(scorer.num_users)[:_MOST_USERS]
    completed = ColdCompletion(scorer, completion)
    leads = _leads(completed, completion, torch.from_numpy(np.sort(users)))
    most = settings.places / len(completion.cold)
    exposure = min(_BOLDER * settings.exposure, most)
    place = round((1.0 - exposure) * (len(leads) - 1)) if len(leads) else 0
    shift = -leads.sort().values[place] if len(leads) else 0.0
    return replace(completion, bias=completion.bias + shift)


def level_on(
    task: RankingTask, completed: ColdCompletion, settings: ColdSettings, keep_warm: float
) -> tuple[ColdCompletion, ColdSettings, dict[str, Any]]:
    """Puts all cold items as high as the users of a task allow.

    Args:
        task: Its truth is warm items only.
        completed: A completion; its relative order of cold items stays.
        settings: What it was made of.
        keep_warm: Share of the task's NDCG@20 without cold items that must stay.

    Returns:
        The completion at that level; the settings with the exposure that this is; and for the
        record `shift` and the NDCG@20 `without` and `with` cold items.
    """
    users = torch.from_numpy(task.users)
    plain = RememberedScores(completed.scorer, users)
    shifted = _Shifted(plain, completed.completion, users)

    def ndcg(scorer: Scorer) -> float:
        return float(task.run(scorer, k=(K,))[f"ndcg@{K}"].mean())

    without = ndcg(plain)

    def is_kept(shift: float) -> bool:
        return ndcg(shifted.by(shift)) >= keep_warm * without

    low, high = _HIGHEST - _STEP, _HIGHEST
    for doubling in range(_DOUBLINGS):
        if is_kept(low):
            break
        low, high = low - _STEP * 2.0**doubling, low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if is_kept(middle):
            low = middle
        else:
            high = middle
    completion = completed.completion
    leads = _leads(shifted.by(low), completion, users)
    if len(leads):  # else nobody's warm items fill a list
        exposure = float((leads > 0).float().mean())
        settings = replace(settings, exposure=exposure, places=exposure * len(completion.cold))
    values = {"without": without, "with": ndcg(shifted.by(low))}
    completion = replace(completion, bias=completion.bias + low)
    leveled = ColdCompletion(completed.scorer, completion)
    return leveled, settings, {"shift": low, "valid_ndcg@20": values}


def _leads(scorer: Scorer, completion: Completion, users: Tensor) -> Tensor:
    """By how much each cold item beats each user's 20th warm one, in deviations, (m,) float32."""
    warm, cold = completion.warm, completion.cold
    leads = []
    for block in torch.split(users, _BLOCK):
        scores = scorer.score(block)
        deviation, _ = torch.std_mean(scores[:, warm], dim=1, correction=0, keepdim=True)
        own, lengths = scorer.history.take(block)
        row = torch.repeat_interleave(torch.arange(len(block)), lengths)
        scores[row, own] = -torch.inf
        last = scores[:, warm].topk(min(K, len(warm)), dim=1).values[:, -1:]
        lead = (scores[:, cold] - last) / deviation.clamp_min(1e-9)
        leads.append(lead[last[:, 0] > -torch.inf].flatten())
    return torch.cat(leads) if leads else torch.empty(0)


class RememberedScores(Scorer):
    """The scores of some users, remembered, so that asking again costs no scoring.

    Args:
        scorer: Fitted.
        users: (u,) int64, the only users that can be asked for.
    """

    def __init__(self, scorer: Scorer, users: Tensor) -> None:
        self.history = scorer.history
        self._row = torch.full((scorer.num_users,), -1)
        self._row[users] = torch.arange(len(users))
        blocks = [scorer.score(block).cpu() for block in torch.split(users, _BLOCK)]
        self._scores = torch.cat(blocks) if blocks else torch.empty(0, scorer.num_items)

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the users' scores, (B, num_items)."""
        return self._scores[self._row[user_indices]]


class _Shifted(Scorer):
    """A completion at any level: as a level adds a number to a user's cold items, it costs none."""

    def __init__(self, plain: Scorer, completion: Completion, users: Tensor) -> None:
        self.history = plain.history
        self._plain, self._cold, self._shift = plain, completion.cold, 0.0
        self._row = torch.full((plain.num_users,), -1)
        self._row[users] = torch.arange(len(users))
        completed, scores, deviations = ColdCompletion(plain, completion), [], []
        for block in torch.split(users, _BLOCK):
            scores.append(completed.score(block)[:, completion.cold])
            deviation, _ = moments(plain.score(block)[:, completion.warm])
            deviations.append(torch.where(deviation.isfinite(), deviation, 0.0))
        self._scores = torch.cat(scores) if scores else torch.empty(0, len(completion.cold))
        self._deviation = torch.cat(deviations) if deviations else torch.empty(0, 1)

    def by(self, shift: float) -> "_Shifted":
        """The same with all cold items higher by so many deviations."""
        other = copy(self)
        other._shift = shift
        return other

    def score(self, user_indices: Tensor) -> Tensor:
        scores = self._plain.score(user_indices)
        rows = self._row[user_indices]
        scores[:, self._cold] = self._scores[rows] + self._shift * self._deviation[rows]
        return scores
