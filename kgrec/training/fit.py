"""From a graph to a fitted recommender; what is chosen and measured on the way is its record."""

import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

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
from kgrec.schema import Split
from kgrec.training.closed_form_search import relation_rows, search_closed_form
from kgrec.training.fusion_search import default_weights, most_users, search_fusion
from kgrec.training.loop import train_network

logger = logging.getLogger(__name__)

#: Users of valid that early stopping asks; more would cost large data sets more than the training.
_STOPPING_USERS = 10_000


@dataclass(frozen=True, eq=False)
class Fitted:
    """A recommender and how it came about.

    Attributes:
        scorer: The recommender, on the CPU.
        record: What was chosen and measured: `seed`, `device`, `seconds` of each part,
            `peak_memory_mb`, `network`, `relation_weights`, `closed_form`, `fusion`.
    """

    scorer: Fusion
    record: dict[str, Any]


def fit(
    config: Config, graph: GraphData, work: Path | None = None, *, progress: bool = True
) -> Fitted:
    """Fits every part the settings ask for, and their fusion.

    Args:
        config: The settings; `data` and `store` are not looked at.
        graph: The graph; interactions held out for test are not looked at.
        work: Folder for checkpoints, from which a killed fit is resumed; None keeps none.
        progress: Whether bars are shown on a terminal.

    Raises:
        ConfigError: If the device is not there or nothing can be fitted.
        TrainingDiverged: If the loss is no longer finite.
    """
    device = choose_device(config.training.device)
    started = time.perf_counter()
    seconds: dict[str, float] = {}
    record: dict[str, Any] = {"seed": config.seed, "device": str(device), "seconds": seconds}
    history = _history(graph)
    parts: dict[str, Scorer] = {}
    if config.fusion.network:
        parts["network"] = _network(config, graph, history, device, work, record, progress)
    if config.closed_form.enabled:
        closed = _closed_form(config, graph, history, record, progress)
        if closed is not None:
            parts["closed_form"] = closed
    if config.fusion.popularity or not parts:
        parts["popularity"] = Popularity(history)
    scorer = _fusion(config, graph, parts, record)
    seconds["train"] = time.perf_counter() - started
    record["peak_memory_mb"] = peak_memory_mb()
    return Fitted(scorer, record)


def choose_device(name: str) -> torch.device:
    """Gives the device of a setting; raises ConfigError for CUDA where there is none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "training.device is cuda, but torch sees no CUDA device; set it to auto or cpu"
        )
    return torch.device(name)


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
    work: Path | None,
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
            checkpoint=None if work is None else work / "checkpoint.safetensors",
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
