"""Fits what is expected of users without interactions, and asks whether it beats popularity.

Nothing is chosen on valid. In each fold some warm users lose all their interactions and are to be
served by what else is known of them. Where that is no better than popularity, popularity stays.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from kgrec.config import Config
from kgrec.evaluation.metrics import FloatArray
from kgrec.graph.data import GraphData, IndexArray
from kgrec.model.cold_users import ColdUsers, Profiles
from kgrec.model.fusion import standardise
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import Scorer
from kgrec.schema import NodeLabel, Role
from kgrec.training.climbing import Axis, climb, line, scaled, scaled_at
from kgrec.training.cold.folds import UserFold, user_folds, user_mix
from kgrec.training.cold.settings import ColdUserSettings, scaled_to_one, summed_kernel
from kgrec.training.cold.views import View, user_views
from kgrec.training.inner_split import history_of
from kgrec.training.record import ColdUsersRecord, FitRecord

logger = logging.getLogger(__name__)

#: Fewer warm users than this say nothing about cold ones.
_LEAST_WARM = 30
#: Warm users that are read, and cold ones that are beside them at once; the kernel is dense.
_MOST_WARM, _COLD_AT_ONCE = 6_000, 4_000
#: Warm users that the folds are made of.
_FOLD_USERS = 1_200
#: Directions in which cold users may differ; with fewer users or items nothing is lost.
_MOST_DIRECTIONS = 128
#: Of the climb: by what a setting is multiplied, and how often at most.
_STEPS, _LONGEST = (2.0, 0.5), 6


def fit_cold_users(
    config: Config,
    graph: GraphData,
    scorer: Scorer,
    text: Mapping[NodeLabel, npt.NDArray[np.float32]] | None,
    seed: int,
    record: FitRecord | None = None,
) -> ColdUsers | None:
    """Makes scores for the users without an interaction in train of whom something is known.

    Users whom the network serves by what else they did keep its scores.

    Args:
        config: The settings; text is a view only where `text.history` is 0, as the texts of warm
            users tell what they took, and those of cold users cannot.
        graph: The graph; only train interactions, relations, behaviours and properties are read.
        scorer: Fitted on the graph's train interactions.
        text: Text features; None does without.
        seed: Of samples and folds.
        record: Takes what was chosen and measured, under `cold_users`.

    Returns:
        None if there is no such user, too few are warm, or popularity is as good on inner folds.
    """
    views = user_views(graph, text if config.text.history == 0 else None)
    if not views:
        return None
    is_known = torch.stack([view.known for view in views]).any(dim=0).numpy()
    is_warm = np.bincount(graph.train.user_index, minlength=graph.num_users) > 0
    is_served = np.zeros(graph.num_users, dtype=bool)
    if scorer.part_weights.get("network"):
        is_served[graph.pairs_of(Role.EVIDENCE)[0]] = True
    cold = np.flatnonzero(is_known & ~is_warm & ~is_served)
    warm = np.flatnonzero(is_known & is_warm)
    if not len(cold) or len(warm) < _LEAST_WARM:
        return None
    settings = search_cold_users(graph, views, warm, seed)
    if record is not None:
        record.cold_users = ColdUsersRecord(
            settings=asdict(settings),
            users=len(cold),
            views=[view.name for view in views],
            is_used=settings.pays,
        )
    if not settings.pays:
        return None
    rng = np.random.default_rng(seed)
    warm = np.sort(rng.permutation(warm)[:_MOST_WARM])
    profiles = expect(graph, views, settings, torch.from_numpy(warm), torch.from_numpy(cold), rng)
    return ColdUsers(scorer, profiles)


class _Tastes:
    """T, users' histories x_v / √n_v without their mean: a sparse matrix and one row."""

    def __init__(self, history: Incidence, users: Tensor) -> None:
        items, lengths = history.take(users)
        row = torch.repeat_interleave(torch.arange(len(users)), lengths)
        self.history = Incidence.from_pairs(row, items, len(users), history.num_columns)
        self.takers = self.history.transposed()
        self.weight = lengths.float().clamp(min=1).rsqrt()  # (w,)
        self.mean = self._sum(self.takers, self.weight[:, None])[:, 0] / len(users)

    @staticmethod
    def _sum(rows: Incidence, values: Tensor) -> Tensor:
        out: Tensor = functional.embedding_bag(rows.columns, values, rows.pointer[:-1], mode="sum")
        return out

    def times(self, right: Tensor) -> Tensor:
        """T R, (w, q), of R (num_items, q)."""
        return self.weight[:, None] * self._sum(self.history, right) - self.mean @ right

    def mixed(self, left: Tensor) -> Tensor:
        """Lᵀ T, (q, num_items), of L (w, q)."""
        total = self._sum(self.takers, self.weight[:, None] * left)  # (num_items, q)
        return total.mT - left.sum(dim=0)[:, None] * self.mean


def expect(
    graph: GraphData,
    views: Sequence[View],
    settings: ColdUserSettings,
    warm: Tensor,
    cold: Tensor,
    rng: np.random.Generator,
) -> Profiles:
    """Reads cold users off warm ones.

        s_u = b + γ Σ_v M_uv (x_v / √n_v - mean),   M = K_uw (K_ww + μ I)⁻¹

    with b standardised log popularity. The sums are kept in the directions in which those of the
    first cold users differ most, all of them where there are few.

    Args:
        graph: Only its train interactions are read.
        views: The views that the settings weigh.
        settings: What was found.
        warm: Users to read from, (w,) int64.
        cold: Users to be expected, (c,) int64.
        rng: Draws the sketch that the directions are found with.

    References:
        Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 2011,
        algorithm 4.4, for the directions.
    """
    history = history_of(graph)
    tastes = _Tastes(history, warm)
    directions: Tensor | None = None
    factors = []
    for block in torch.split(cold, _COLD_AT_ONCE):
        users = torch.cat([warm, block])
        kernel = summed_kernel((view.kernel(users) for view in views), settings)
        mix = user_mix(
            kernel, torch.arange(len(warm)), torch.arange(len(warm), len(users)), settings
        )
        if directions is None:
            directions = _directions(tastes, mix, rng)
        factors.append(settings.scale * mix.mT @ tastes.times(directions.mT.contiguous()))
    assert directions is not None
    popularity = torch.bincount(history.columns, minlength=graph.num_items).float()
    base = standardise(popularity.log1p()[None])[0]
    names = tuple(dict.fromkeys(view.name for view in views))
    return Profiles(cold, torch.cat(factors), directions, base, names)


def _directions(tastes: _Tastes, mix: Tensor, rng: np.random.Generator) -> Tensor:
    """Orthonormal rows (r, num_items) that span Mᵀ T or its largest part, of M (w, c)."""
    size = min(_MOST_DIRECTIONS, mix.shape[1])
    sketch = torch.eye(size)
    if size < mix.shape[1]:
        sketch = torch.from_numpy(rng.standard_normal((mix.shape[1], size))).float()
    for _ in range(4):
        rows: Tensor = torch.linalg.qr(tastes.mixed(mix @ sketch).mT).Q  # (num_items, r)
        if size == mix.shape[1]:
            break
        sketch = torch.linalg.qr(mix.mT @ tastes.times(rows)).Q  # (c, r)
    return rows.mT.contiguous()


def search_cold_users(
    graph: GraphData, views: Sequence[View], warm: IndexArray, seed: int
) -> ColdUserSettings:
    """Climbs over scale, noise, product and the weight of each view, on NDCG@20 of the folds.

    Args:
        graph: Only its train interactions are read.
        views: Views of its users.
        warm: Users with interactions of whom something is known, (w,).
        seed: Of sample and folds.
    """
    rng = np.random.default_rng(seed)
    users = torch.from_numpy(np.sort(rng.permutation(warm)[:_FOLD_USERS]))
    kernels = torch.stack([scaled_to_one(view.kernel(users)) for view in views])
    folds = user_folds(history_of(graph), users, rng)

    inner = _gain(folds, kernels)
    best, settings = _climbed(folds, kernels)
    logger.info("cold users inner=%s ndcg@20=%.4f settings=%s", inner, best, settings)
    return replace(settings, inner=inner)


def _gain(folds: Sequence[UserFold], kernels: Tensor) -> dict[str, float]:
    """Judges the users of half the folds with the settings that were found on the others.

    Judged where they were found, settings beat popularity even where profiles say nothing.
    """
    profile_values, popularity_values = [], []
    for half in (0, 1):
        _, settings = _climbed(folds[half::2], kernels)
        profile_values.append(_values(folds[1 - half :: 2], kernels, settings))
        plain = replace(settings, scale=0.0)
        popularity_values.append(_values(folds[1 - half :: 2], kernels, plain))
    values, popularity = np.concatenate(profile_values), np.concatenate(popularity_values)
    return {
        "popularity": float(popularity.mean()),
        "ndcg@20": float(values.mean()),
        "error": float((values - popularity).std(ddof=1)) / len(values) ** 0.5,
    }


def _values(folds: Sequence[UserFold], kernels: Tensor, settings: ColdUserSettings) -> FloatArray:
    kernel = summed_kernel(kernels, settings)
    return np.concatenate([fold.judge(kernel, settings) for fold in folds])


def _climbed(folds: Sequence[UserFold], kernels: Tensor) -> tuple[float, ColdUserSettings]:
    """Climbs over one setting after the other on these folds; gives their NDCG@20 too."""

    def judge(trial: ColdUserSettings) -> float:
        return float(_values(folds, kernels, trial).mean())

    axes: list[Axis[ColdUserSettings]] = [
        line(scaled(name), _STEPS, _LONGEST) for name in ("scale", "noise", "product")
    ]
    if len(kernels) > 1:
        axes += [
            line(scaled_at("view_weights", number), _STEPS, _LONGEST)
            for number in range(len(kernels))
        ]
    axes.append(line(scaled("scale"), _STEPS, _LONGEST))
    summit = climb(ColdUserSettings((1.0,) * len(kernels)), axes, judge)
    return summit.value, summit.settings
