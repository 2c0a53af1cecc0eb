"""From a graph to a fitted recommender, and to a directory that serves it.

What is chosen and measured on the way is the recommender's record.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from kgrec import __version__
from kgrec.config import Config
from kgrec.errors import ConfigError
from kgrec.evaluation.evaluate import peak_memory_mb
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData
from kgrec.graph.texts import TextSpace, text_features
from kgrec.model.fusion import Fusion
from kgrec.model.scorer import Scorer
from kgrec.progress import tell_stage
from kgrec.schema import Split
from kgrec.training.choices import CHOICES, Choices
from kgrec.training.climbing import Budget
from kgrec.training.cold.completing import complete_items, complete_users
from kgrec.training.defence import defended
from kgrec.training.directory import (
    Run,
    load_run,
    refuse_foreign,
    write_run,
)
from kgrec.training.fitting import Fitting, TextFeatures
from kgrec.training.fusion_search import default_weights, most_users, search_fusion
from kgrec.training.inner_split import is_temporal
from kgrec.training.part import fit_parts
from kgrec.training.partial import open_partial, put_partial
from kgrec.training.record import FitRecord, FusionRecord, RunRecord
from kgrec.training.relation_rows import items_per_entity

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A recommender and how it came about.

    Attributes:
        scorer: The recommender, on the CPU: a fusion, completed for cold items and for cold users
            where there are.
        parts: Every part that was fitted, also those that the fusion does without.
        record: What was chosen and measured.
        space: The space of the text features; None without.
    """

    scorer: Scorer
    parts: Mapping[str, Scorer]
    record: FitRecord
    space: TextSpace | None = None


def fit(
    config: Config, graph: GraphData, work: Path | None = None, *, progress: bool = True
) -> Fitted:
    """Fits every part the settings ask for, and their fusion.

    The parts' own settings are searched on train alone. The networks' temperature, when they stop,
    whether synthetic edges are let in, the weights of the parts and the level of cold items are
    found on valid. With `training.refit` all parts are then fitted again, with all that was
    chosen, on train and valid together, with `training.deploy` on test too; networks go on from
    where they are for a few epochs. The record of the latter has the figures of what was chosen.

    Args:
        config: The settings; `data` and `store` are not looked at. With `defence.filter`, users who
            look made up teach nothing; the record's `defence` names them.
        graph: The graph; interactions held out for test are not looked at, save with
            `training.deploy`.
        work: Folder for checkpoints, from which a killed fit is resumed; None keeps none.
        progress: Whether bars are shown on a terminal.

    Raises:
        ConfigError: If the device is not there or nothing can be fitted.
        TrainingDiverged: If the loss is no longer finite.
    """
    device = choose_device(config.training.device)
    graph, defence = defended(config, graph)
    started = time.perf_counter()
    record = FitRecord(seed=config.seed, device=str(device))
    if defence is not None:
        record.defence = defence
    text, space = read_texts(config, graph)
    seconds = time.perf_counter() - started
    record.add_seconds("text", seconds)
    if progress and text is not None:
        tell_stage("text", seconds)
    budget = Budget.of_minutes(config.search.minutes)
    choices = Choices() if work is None else Choices.load(work / CHOICES)
    choices.temporal = is_temporal(graph)
    fitting = Fitting(config, graph, text, device, work, record, budget, choices, progress)
    parts = fit_parts(fitting)
    fusion = _fusion(fitting, parts)
    scorer = complete_items(fitting, fusion.without_idle_parts())
    if config.training.deploy:
        record.chosen_by = _figures(config, graph, complete_users(fitting, scorer))
    if config.training.refit_splits:
        whole_graph = graph.with_splits(*config.training.refit_splits)
        whole = replace(fitting, graph=whole_graph, work=None, parts={})
        is_completed = scorer.innermost is not scorer
        del fusion, scorer
        parts.clear()  # two dense closed forms at once are not needed
        with fitting.timed("refit"):
            parts = fit_parts(whole)
        weights = {name: record.fusion.weights[name] for name in parts}
        fusion = Fusion(parts, weights, record.fusion.scales).without_idle_parts()
        scorer = complete_items(whole, fusion) if is_completed else fusion
        fitting = whole
    served = complete_users(fitting, scorer)
    record.add_seconds("train", time.perf_counter() - started)
    record.peak_memory_mb = peak_memory_mb()
    return Fitted(served, parts, record, space)


def choose_device(name: str) -> torch.device:
    """Gives the device of a setting; raises ConfigError for CUDA where there is none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "training.device is cuda, but torch sees no CUDA device; set it to auto or cpu"
        )
    return torch.device(name)


def read_texts(config: Config, graph: GraphData) -> tuple[TextFeatures | None, TextSpace | None]:
    """Gives the text features and their space, if a part that is asked for reads texts."""
    read = (config.fusion.network and config.model.use_text) or (
        config.cold.enabled and _has_cold_nodes(graph)
    )
    if not (config.text.enabled and read):
        return None, None  # encoding costs a minute and more
    text, space = text_features(graph, config.text)
    return (text, space) if any(matrix.any() for matrix in text.values()) else (None, None)


def _has_cold_nodes(graph: GraphData) -> bool:
    train_nodes = (np.unique(graph.train.user_index), np.unique(graph.train.item_index))
    return len(train_nodes[0]) < graph.num_users or len(train_nodes[1]) < graph.num_items


def _figures(config: Config, graph: GraphData, scorer: Scorer) -> dict[str, dict[str, float]]:
    """Judges what was chosen before it learns from all interactions, by split and metric."""
    figures = {}
    for split in (Split.VALID, Split.TEST):
        part = graph.held_out.get(split)
        if part is not None and len(part):
            task = RankingTask(graph, split, block_size=config.evaluation.block_size)
            values = task.run(scorer, config.evaluation.k)
            figures[str(split)] = {name: float(value.mean()) for name, value in values.items()}
    return figures


def _fusion(fitting: Fitting, parts: dict[str, Scorer]) -> Fusion:
    with fitting.timed("fusion"):
        task = fitting.valid_task(most_users(len(parts), fitting.graph.num_items))
        if task is None:
            fusion, value = Fusion(parts, default_weights(parts)), None
        else:
            fusion, value = search_fusion(parts, task)
    fitting.record.fusion = FusionRecord(
        weights=fusion.part_weights, scales=fusion.part_scales, valid_ndcg=value
    )
    return fusion


def train(config: Config, graph: GraphData, run_dir: Path | str, *, progress: bool = True) -> Run:
    """Trains everything the config asks for and puts it into a run directory.

    Work happens in `<run_dir>.partial`: a killed run is resumed from there when settings and graph
    are the same, and an earlier run in `run_dir` stays until the new one is complete.

    Args:
        config: The settings.
        graph: The graph; see `fit` for what is looked at.
        run_dir: Where the run goes.
        progress: Whether bars are shown on a terminal.

    Raises:
        ConfigError: If the device is not there or nothing can be trained.
        TrainingDiverged: If the loss is no longer finite.
        RunError: If `run_dir` holds something that is not a run, or another process trains into it.
    """
    run_dir = Path(run_dir)
    refuse_foreign(run_dir)
    choose_device(config.training.device)  # before anything is written
    with open_partial(config, graph, run_dir) as partial:
        fitted = fit(config, graph, partial, progress=progress)
        record = RunRecord.of(
            fitted.record,
            kgrec_version=__version__,
            graph_version=graph.version,
            fan_out=items_per_entity(graph),
        )
        write_run(partial, config, graph, fitted.scorer, record, fitted.space)
    put_partial(partial, run_dir, resumed=(CHOICES,))
    return load_run(run_dir)
