"""How high cold items stand beside warm ones: found on inner splits, then mended on valid."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from kgrec.evaluation.ranking import RankingTask
from kgrec.model.cold import ColdCompletion, Completion
from kgrec.model.scorer import Scorer
from kgrec.training.cold_folds import ColdSettings, K

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
    leads = _leads(ColdCompletion(scorer, completion), torch.from_numpy(np.sort(users)))
    most = settings.places / len(completion.cold)
    exposure = min(_BOLDER * settings.exposure, most)
    place = round((1.0 - exposure) * (len(leads) - 1)) if len(leads) else 0
    shift = -leads.sort().values[place] if len(leads) else 0.0
    return replace(completion, bias=completion.bias + shift)


def level_on(
    task: RankingTask, made: ColdCompletion, settings: ColdSettings, keep_warm: float
) -> tuple[ColdCompletion, ColdSettings, dict[str, Any]]:
    """Puts all cold items as high as the users of a task allow.

    Args:
        task: Its truth is warm items only.
        made: A completion; its relative order of cold items stays.
        settings: What it was made of.
        keep_warm: Share of the task's NDCG@20 without cold items that must stay.

    Returns:
        The completion at that level; the settings with the exposure that this is; and for the
        record `shift` and the NDCG@20 `without` and `with` cold items.
    """
    users = torch.from_numpy(task.users)
    held = cast(Scorer, _Remembered(made.scorer, users))  # asked for scores and history only
    completion = made.completion

    def at(shift: float) -> ColdCompletion:
        return ColdCompletion(held, replace(completion, bias=completion.bias + shift))

    def ndcg(scorer: Scorer) -> float:
        return float(task.run(scorer, k=(K,))[f"ndcg@{K}"].mean())

    without = ndcg(held)

    def is_kept(shift: float) -> bool:
        return ndcg(at(shift)) >= keep_warm * without

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
    leads = _leads(at(low), users)
    if len(leads):  # else nobody's warm items fill a list
        exposure = float((leads > 0).float().mean())
        settings = replace(settings, exposure=exposure, places=exposure * len(completion.cold))
    found = {"shift": low, "valid_ndcg@20": {"without": without, "with": ndcg(at(low))}}
    return ColdCompletion(made.scorer, at(low).completion), settings, found


def _leads(made: ColdCompletion, users: Tensor) -> Tensor:
    """By how much each cold item beats each user's 20th warm one, in deviations, (m,) float32."""
    warm, cold = made.completion.warm, made.completion.cold
    leads = []
    for block in torch.split(users, _BLOCK):
        scores = made.score(block)
        deviation, _ = torch.std_mean(scores[:, warm], dim=1, correction=0, keepdim=True)
        known, lengths = made.history.take(block)
        row = torch.repeat_interleave(torch.arange(len(block)), lengths)
        scores[row, known] = -torch.inf
        last = scores[:, warm].topk(min(K, len(warm)), dim=1).values[:, -1:]
        lead = (scores[:, cold] - last) / deviation.clamp_min(1e-9)
        leads.append(lead[last[:, 0] > -torch.inf].flatten())
    return torch.cat(leads) if leads else torch.empty(0)


class _Remembered(Scorer):
    """The scores of some users, remembered, so that trying another level costs no scoring."""

    def __init__(self, scorer: Scorer, users: Tensor) -> None:
        self.history = scorer.history
        self._row = torch.full((scorer.num_users,), -1)
        self._row[users] = torch.arange(len(users))
        blocks = [scorer.score(block).cpu() for block in torch.split(users, _BLOCK)]
        self._scores = torch.cat(blocks) if blocks else torch.empty(0, scorer.num_items)

    def score(self, user_indices: Tensor) -> Tensor:
        return self._scores[self._row[user_indices]]
