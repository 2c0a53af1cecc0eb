"""A training run from a graph to a directory that serves it, and back."""

import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kgrec import __version__
from kgrec.config import Config
from kgrec.errors import ConfigError
from kgrec.evaluation.evaluate import peak_memory_mb
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData
from kgrec.graph.tensors import build_hetero
from kgrec.graph.texts import text_features
from kgrec.model.closed_form import ClosedForm
from kgrec.model.fusion import Fusion
from kgrec.model.incidence import Incidence
from kgrec.model.network import GraphTensors, RelationPropagation
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.progress import progress_bar
from kgrec.schema import NodeLabel, Split
from kgrec.training.closed_form_search import relation_rows, search_closed_form
from kgrec.training.directory import (
    LAYOUT,
    Run,
    load_run,
    open_partial,
    publish,
    refuse_foreign,
    write_run,
)
from kgrec.training.fusion_search import default_weights, most_users, search_fusion
from kgrec.training.loop import train_network

logger = logging.getLogger(__name__)

#: Users of valid that early stopping asks; more would cost large data sets more than the training.
_STOPPING_USERS = 10_000


def train(config: Config, graph: GraphData, run_dir: Path | str, *, progress: bool = True) -> Run:
    """Trains everything the config asks for and puts it into a run directory.

    Work happens in `<run_dir>.partial`: a killed run is resumed from there when settings and graph
    are the same, and an earlier run in `run_dir` stays until the new one is complete.

    Args:
        config: The settings.
        graph: The graph; interactions held out for test are not looked at.
        run_dir: Where the run goes.
        progress: Whether bars are shown on a terminal.

    Raises:
        ConfigError: If the device is not there or nothing can be trained.
        TrainingDiverged: If the loss is no longer finite.
        RunError: If `run_dir` holds something that is not a run.
    """
    run_dir = Path(run_dir)
    refuse_foreign(run_dir)
    device = choose_device(config.training.device)
    started = time.perf_counter()
    partial = open_partial(config, graph, run_dir)
    seconds: dict[str, float] = {}
    record: dict[str, Any] = {
        "layout": LAYOUT,
        "kgrec_version": __version__,
        "graph_version": graph.version,
        "seed": config.seed,
        "device": str(device),
        "seconds": seconds,
        "fan_out": items_per_entity(graph),
    }
    history = _history(graph)
    parts: dict[str, Scorer] = {}
    if config.fusion.network:
        parts["network"] = _network(config, graph, history, device, partial, record, progress)
    if config.closed_form.enabled:
        closed = _closed_form(config, graph, history, record, progress)
        if closed is not None:
            parts["closed_form"] = closed
    if config.fusion.popularity or not parts:
        parts["popularity"] = Popularity(history)
    scorer = _fusion(config, graph, parts, record)
    seconds["train"] = time.perf_counter() - started
    record["peak_memory_mb"] = peak_memory_mb()
    write_run(partial, config, graph, scorer, record)
    publish(partial, run_dir)
    return load_run(run_dir)


def choose_device(name: str) -> torch.device:
    """Gives the device of a setting; raises ConfigError for CUDA where there is none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "training.device is cuda, but torch sees no CUDA device; set it to auto or cpu"
        )
    return torch.device(name)


def items_per_entity(graph: GraphData) -> dict[str, float]:
    """Gives by relationship type how many items an entity has on average; few tell more.

    Reviews and queries are left out: they are no knowledge to give reasons with, and may be
    somebody else's words.
    """
    told = ~graph.text_entities()
    edges: dict[str, list[tuple[int, int]]] = {}
    for relation in graph.relations:
        ends = {relation.key.head: relation.head_index, relation.key.tail: relation.tail_index}
        if NodeLabel.ENTITY in ends and NodeLabel.ITEM in ends:
            entity = ends[NodeLabel.ENTITY]
            entity = entity[told[entity]]
            if len(entity):
                count = (len(entity), len(np.unique(entity)))
                edges.setdefault(relation.key.type, []).append(count)
    return {
        kind: sum(count for count, _ in pairs) / sum(entities for _, entities in pairs)
        for kind, pairs in edges.items()
    }


def _history(graph: GraphData) -> Incidence:
    return Incidence.from_pairs(
        torch.from_numpy(graph.train.user_index),
        torch.from_numpy(graph.train.item_index),
        graph.num_users,
        graph.num_items,
    )


def _valid_task(graph: GraphData, block_size: int, max_users: int | None) -> RankingTask | None:
    valid = graph.held_out.get(Split.VALID)
    if valid is None or not len(valid):
        return None
    return RankingTask(graph, Split.VALID, block_size=block_size, max_users=max_users)


def _network(
    config: Config,
    graph: GraphData,
    history: Incidence,
    device: torch.device,
    partial: Path,
    record: dict[str, Any],
    progress: bool,
) -> Scorer:
    started = time.perf_counter()
    text = None
    if config.text.enabled and config.model.use_text:
        text = text_features(graph, config.text)
        if not any(matrix.any() for matrix in text.values()):
            text = None  # nothing in this graph has a text
    record["seconds"]["text"] = time.perf_counter() - started
    started = time.perf_counter()
    tensors = GraphTensors.from_hetero(
        build_hetero(graph, text), use_graph=config.model.use_graph
    ).to(device)
    task = _valid_task(graph, config.evaluation.block_size, _STOPPING_USERS)

    def validate(scorer: Scorer) -> float:
        assert task is not None
        return float(task.run(scorer, k=(20,))["ndcg@20"].mean())

    with progress_bar("train network", config.training.epochs, shown=progress) as advance:
        scorer, network, state = train_network(
            tensors,
            history.to(device),
            config.model,
            config.training,
            seed=config.seed,
            validate=None if task is None else validate,
            checkpoint=partial / "checkpoint.safetensors",
            on_epoch=lambda epoch: advance(" ".join(f"{k} {v:.4g}" for k, v in epoch.items())),
        )
    record["seconds"]["network"] = time.perf_counter() - started
    record["network"] = {
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "valid_ndcg@20": state.best if state.best_epoch else None,
        "parameters": sum(p.numel() for p in network.parameters()),
        "text": text is not None,
        "history": state.history,
    }
    if isinstance(network.encoder, RelationPropagation):
        weights = network.encoder.relation_weights().tolist()
        record["relation_weights"] = dict(zip(network.relation_names, weights, strict=True))
    return scorer.to(torch.device("cpu"))


def _closed_form(
    config: Config,
    graph: GraphData,
    history: Incidence,
    record: dict[str, Any],
    progress: bool,
) -> Scorer | None:
    if graph.num_items > config.closed_form.max_items:
        logger.warning(
            "no closed form: %d items, closed_form.max_items is %d",
            graph.num_items,
            config.closed_form.max_items,
        )
        record["closed_form"] = None
        return None
    started = time.perf_counter()
    with progress_bar("closed form: search", None, shown=progress) as advance:
        found = search_closed_form(graph, config.closed_form, seed=config.seed, on_trial=advance)
        advance(f"solve for {graph.num_items:,} items")
        scorer = ClosedForm.fit(history, relation_rows(graph), found.relation_weights, found.ridge)
    record["closed_form"] = asdict(found)
    record["seconds"]["closed_form"] = time.perf_counter() - started
    return scorer


def _fusion(
    config: Config, graph: GraphData, parts: dict[str, Scorer], record: dict[str, Any]
) -> Fusion:
    started = time.perf_counter()
    task = _valid_task(graph, config.evaluation.block_size, most_users(len(parts), graph.num_items))
    if task is None:
        fusion, value = Fusion(parts, default_weights(parts)), None
    else:
        fusion, value = search_fusion(parts, task)
    record["fusion"] = {"weights": fusion.part_weights, "valid_ndcg@20": value}
    record["seconds"]["fusion"] = time.perf_counter() - started
    return fusion
