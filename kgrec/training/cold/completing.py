"""A fusion served to items and users without interactions, where valid says that it pays."""

import logging
from dataclasses import asdict

import numpy as np
import torch

from kgrec.model.cold import ColdCompletion
from kgrec.model.fusion import Fusion
from kgrec.model.scorer import Scorer
from kgrec.training.choices import CHOICES
from kgrec.training.cold.items import MOST_WARM, fit_cold_items
from kgrec.training.cold.level import RememberedScores, level_on
from kgrec.training.cold.settings import ColdSettings
from kgrec.training.cold.users import fit_cold_users
from kgrec.training.fitting import Fitting
from kgrec.training.record import ColdRecord

logger = logging.getLogger(__name__)

#: Bytes of scores that are held while the level of cold items is found.
_MOST_BYTES = 1_500_000_000
#: With so many warm items to read from, a completion is tried before one of all is made, which
#: costs the cube of their number: where valid does without the first, it does without the second.
_EARLY_WARM = 4_000


def complete_items(fitting: Fitting, fusion: Fusion) -> Scorer:
    """Completes the fusion for cold items, at a level at which valid keeps what it must."""
    if not fitting.config.cold.enabled:
        return fusion
    with fitting.timed("cold"):
        if fitting.choices.cold_on_valid is not None:  # fitted again on train and valid
            completed = _fit(fitting, fusion, fitting.choices.cold_on_valid, MOST_WARM)
            return fusion if completed is None else completed[0]
        num_warm = len(np.unique(fitting.graph.train.item_index))
        scorer: Scorer = fusion
        for most_warm in (_EARLY_WARM, MOST_WARM) if num_warm > _EARLY_WARM else (MOST_WARM,):
            scorer = _complete_if_better(fitting, fusion, most_warm)
            if scorer is fusion:
                break
    return scorer


def _fit(
    fitting: Fitting, fusion: Fusion, settings: ColdSettings | None, most_warm: int
) -> tuple[ColdCompletion, ColdSettings] | None:
    config = fitting.config
    return fit_cold_items(
        config,
        fitting.graph,
        fusion,
        fitting.text,
        config.seed,
        keep_warm=config.cold.keep_warm,
        settings=settings,
        most_warm=most_warm,
    )


def _complete_if_better(fitting: Fitting, fusion: Fusion, most_warm: int) -> Scorer:
    """The completed fusion, or the fusion where valid is better without; noted in the record."""
    choices, keep = fitting.choices, fitting.config.cold.keep_warm
    fit = _fit(fitting, fusion, choices.get("cold", ColdSettings), most_warm)
    if fit is None:
        return fusion
    completed, settings = fit
    choices.settings["cold"] = settings
    if fitting.work is not None:
        choices.save(fitting.work / CHOICES)
    record = ColdRecord(
        settings=asdict(settings),
        items=len(completed.completion.cold),
        warm_read=len(completed.completion.warm),
        is_used=True,
    )
    users = _level_users(fitting.graph.num_items)
    warm, every = (fitting.valid_task(users, warm=only) for only in (True, False))
    if warm is not None and every is not None:
        completed, choices.cold_on_valid, level = level_on(warm, completed, settings, keep)
        # What a fusion says of cold items by itself, through relations, may be better.
        plain = RememberedScores(fusion, torch.from_numpy(every.users))
        scorers = plain, completed.rewrapped(plain)
        without, with_cold = (float(every.run(s)["ndcg@20"].mean()) for s in scorers)
        record.is_used = with_cold >= keep * without
        record.on_valid = {
            **level,
            "exposure": choices.cold_on_valid.exposure,
            "all_items": {"without": without, "with": with_cold},
        }
        logger.info("cold kept=%s %s", record.is_used, record.on_valid)
    fitting.record.cold = record
    return completed if record.is_used else fusion


def _level_users(num_items: int) -> int:
    """How many users say how high cold items may stand; all their scores are held."""
    return max(200, min(4_000, _MOST_BYTES // (4 * num_items)))


def complete_users(fitting: Fitting, scorer: Scorer) -> Scorer:
    """Serves users without interactions by what else is known of them, where that pays."""
    config = fitting.config
    if not config.cold.enabled:
        return scorer
    with fitting.timed("cold_users"):
        completed = fit_cold_users(
            config, fitting.graph, scorer, fitting.text, config.seed, fitting.record
        )
    return scorer if completed is None else completed
