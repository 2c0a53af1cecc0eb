"""Finds how cold items are completed, by taking warm items for cold on inner splits of train.

Nothing is chosen on valid. In each fold a tenth of the warm items lose all their interactions, a
closed form is fitted on the rest, and what is tried must rank the items that were taken away.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kgrec.config import Config
from kgrec.graph.data import GraphData
from kgrec.model.cold import ColdCompletion, Completion
from kgrec.model.scorer import Scorer
from kgrec.schema import NodeLabel
from kgrec.training.climbing import Axis, climb, line, scaled, scaled_at
from kgrec.training.cold.folds import (
    LEAST_WARM,
    ItemFold,
    completion_weights,
    judge_among_all,
    make_folds,
)
from kgrec.training.cold.level import with_exposure
from kgrec.training.cold.settings import ColdSettings, summed_kernel
from kgrec.training.cold.views import View, item_views
from kgrec.training.parts.closed_form import ClosedFormConfig

logger = logging.getLogger(__name__)

#: Warm items that are read; the kernel over them is dense.
MOST_WARM = 15_000
_STEPS = (3.0, 1.0 / 3.0)
_SCALES = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
#: Cold items whose likeness to the warm ones is held at once.
_COLD_AT_ONCE = 5_000


def fit_cold_items(
    config: Config,
    graph: GraphData,
    scorer: Scorer,
    text: Mapping[NodeLabel, npt.NDArray[np.float32]] | None,
    seed: int,
    *,
    keep_warm: float = 0.9,
    ridge: float | None = None,
    settings: ColdSettings | None = None,
    most_warm: int = MOST_WARM,
) -> tuple[ColdCompletion, ColdSettings] | None:
    """Completes a scorer for the items without an interaction in train.

    Args:
        config: The settings; a given `closed_form.ridge` is that of the inner closed forms.
        graph: The graph; only train interactions, relations and properties are read.
        scorer: Fitted on the graph's train interactions.
        text: Text features; None does without.
        seed: Of the inner splits.
        keep_warm: Share of the NDCG@20 on warm items that must stay when cold items compete with
            them, on inner splits.
        ridge: λ of the inner closed forms, if it is known.
        settings: What was found before, for the same views; None searches.
        most_warm: So many warm items, the most taken, are read; the kernel over them is dense.

    Returns:
        The completed scorer and what was found. None if no item is cold, too few are warm, or
        nothing is known of the items' content.
    """
    count = np.bincount(graph.train.item_index, minlength=graph.num_items)
    cold = torch.from_numpy(np.flatnonzero(count == 0))
    warm = np.flatnonzero(count > 0)
    views = item_views(graph, text)
    if not len(cold) or len(warm) < LEAST_WARM or not views:
        return None
    names = tuple(view.name for view in views)
    if settings is None or settings.views != names:
        ridge = ridge or ClosedFormConfig.of(config).ridge or 150.0
        settings = search_cold_items(graph, views, seed=seed, keep_warm=keep_warm, ridge=ridge)
        settings = replace(settings, views=names)
    most = np.sort(warm[np.argsort(-count[warm], kind="stable")[:most_warm]])
    return (
        complete_items(scorer, views, settings, torch.from_numpy(most), cold, count, seed=seed),
        settings,
    )


def complete_items(
    scorer: Scorer,
    views: Sequence[View],
    settings: ColdSettings,
    warm: Tensor,
    cold: Tensor,
    count: npt.NDArray[np.int64],
    *,
    seed: int = 0,
) -> ColdCompletion:
    """Makes the completion that settings describe.

    Args:
        scorer: Fitted.
        views: The views that the settings weigh.
        settings: What was found.
        warm: Items to read from, (w,) int64.
        cold: Items to complete, (c,) int64.
        count: Takers of every item, (num_items,).
        seed: Draws the users whose lists set the level of cold items.
    """
    takers = torch.from_numpy(count[warm.numpy()]).float()
    parts = []
    for block in torch.split(cold, _COLD_AT_ONCE):
        items = torch.cat([warm, block])
        kernel = summed_kernel((view.kernel(items) for view in views), settings)
        parts.append(completion_weights(kernel, len(warm), takers, settings))
    weights = torch.cat([part[0] for part in parts], dim=1)
    bias = torch.cat([part[1] for part in parts])
    completion = Completion(warm, cold, weights, bias, settings.own_weight)
    return ColdCompletion(scorer, with_exposure(scorer, completion, settings, seed))


def search_cold_items(
    graph: GraphData, views: Sequence[View], *, seed: int, keep_warm: float, ridge: float
) -> ColdSettings:
    """Climbs over noise, popularity and the weight of each view, then finds scale and level.

    Args:
        graph: Only its train interactions are read.
        views: Views of its items.
        seed: Of sample and folds.
        keep_warm: See `fit_cold_items`.
        ridge: λ of the closed form that stands for the scorer.
    """
    folds, kernels = make_folds(graph, views, seed, ridge)
    settings = ColdSettings((1.0,) * len(views))
    if not folds:
        return settings

    def judge(trial: ColdSettings) -> float:
        kernel = summed_kernel(kernels, trial)
        return float(np.mean([fold.among_cold(kernel, trial) for fold in folds]))

    names = ("popularity", "noise", "rarity", "own_weight", "product")
    axes: list[Axis[ColdSettings]] = [line(scaled(name), _STEPS) for name in names]
    axes += [line(scaled_at("view_weights", number), _STEPS) for number in range(len(views))]
    start = judge(settings)
    summit = climb(settings, [*axes, line(scaled("popularity"), _STEPS)], judge, start_value=start)
    settings, best = summit.settings, summit.value
    kernel = summed_kernel(kernels, settings)
    settings, among_all = _with_scale(folds, kernel, settings, keep_warm)
    logger.info("cold inner_ndcg@20=%.4f from=%.4f settings=%s", best, start, settings)
    return replace(settings, inner={"start": start, "among_cold": best, **among_all})


def _with_scale(
    folds: Sequence[ItemFold], kernel: Tensor, settings: ColdSettings, keep_warm: float
) -> tuple[ColdSettings, dict[str, float]]:
    """Finds how large and how high cold items' scores are to be beside warm ones."""
    means = {}
    for scale in _SCALES:
        trial = replace(settings, scale=scale)
        values = [judge_among_all(fold, kernel, trial, keep_warm) for fold in folds]
        means[scale] = np.mean(values, axis=0).tolist()
    scale = max(means, key=lambda s: means[s][0])
    among_all, warm_kept, exposure = means[scale]
    places = exposure * float(np.mean([len(fold.cold) for fold in folds]))
    settings = replace(settings, scale=scale, exposure=exposure, places=places)
    return settings, {"among_all": among_all, "warm_kept": warm_kept}
