"""A training run from a graph to a directory that serves it, and back."""

import json
import logging
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from kgrec import __version__
from kgrec.config import Config
from kgrec.errors import ConfigError, RunError
from kgrec.evaluation.evaluate import peak_memory_mb
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData
from kgrec.graph.tensors import build_hetero
from kgrec.graph.texts import display_names, text_features
from kgrec.model.closed_form import ClosedForm
from kgrec.model.fusion import Fusion
from kgrec.model.incidence import Incidence
from kgrec.model.network import GraphTensors, RelationPropagation
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.progress import progress_bar
from kgrec.schema import NodeLabel, Split
from kgrec.training.checkpoint import load_tensors, read_json, save_tensors, write_json
from kgrec.training.closed_form_search import relation_rows, search_closed_form
from kgrec.training.fusion_search import default_weights, most_users, search_fusion
from kgrec.training.loop import train_network
from kgrec.training.picture import draw_training
from kgrec.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

#: Version of the layout of a run directory.
_LAYOUT = 1


@dataclass(frozen=True, eq=False)
class Run:
    """A trained run.

    Attributes:
        directory: Where it lies.
        config: The settings it was trained with.
        record: What training chose and measured.
        scorer: The recommender.
        vocabularies: External ids of users, items and entities.
        names: What to call each node, in index order.
    """

    directory: Path
    config: Config
    record: dict[str, Any]
    scorer: Fusion
    vocabularies: dict[NodeLabel, Vocabulary]
    names: dict[NodeLabel, list[str]]

    def check_version(self, version: str) -> None:
        """Raises RunError if the run was trained on another version of the graph."""
        if version != self.record["graph_version"]:
            raise RunError(
                f"run {self.directory} was trained on graph version "
                f"{self.record['graph_version']}, the store holds {version}; train again on this "
                f"graph, or ingest the data the run was trained on"
            )


def train(config: Config, graph: GraphData, run_dir: Path, *, progress: bool = True) -> Run:
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
    _refuse_foreign(run_dir)
    device = choose_device(config.training.device)
    started = time.perf_counter()
    partial = _partial(config, graph, run_dir)
    seconds: dict[str, float] = {}
    record: dict[str, Any] = {
        "layout": _LAYOUT,
        "kgrec_version": __version__,
        "graph_version": graph.version,
        "seed": config.seed,
        "device": str(device),
        "seconds": seconds,
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
    _write(partial, config, graph, scorer, record)
    _publish(partial, run_dir)
    return load_run(run_dir)


def load_run(run_dir: Path) -> Run:
    """Reads a run directory.

    Raises:
        RunError: If there is none, or a file of it is missing or damaged.
    """
    run_dir = Path(run_dir)
    if not (run_dir / "record.json").is_file():
        raise RunError(
            f"no run in {run_dir}; expected a directory that `kgrec train` made; "
            f"run `kgrec train --config C.toml --run {run_dir}`"
        )
    record = read_json(run_dir / "record.json")
    if record.get("layout") != _LAYOUT:
        raise RunError(
            f"run {run_dir} has layout {record.get('layout')}, this kgrec reads {_LAYOUT}; "
            f"train again"
        )
    tensors, values = load_tensors(run_dir / "model.safetensors")
    try:
        config = Config.build(read_json(run_dir / "config.json"), base=run_dir)
        nodes = pd.read_parquet(run_dir / "nodes.parquet")
        scorer = Fusion.from_state(tensors, values)
    except (OSError, ValueError, KeyError) as exc:
        raise RunError(f"run {run_dir} is damaged: {exc}; train again, or copy it again") from exc
    by_label = {label: nodes[nodes["label"] == str(label)] for label in NodeLabel}
    return Run(
        directory=run_dir,
        config=config,
        record=record,
        scorer=scorer,
        vocabularies={x: Vocabulary(frame["id"], x) for x, frame in by_label.items()},
        names={x: frame["name"].tolist() for x, frame in by_label.items()},
    )


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
    task = _valid_task(graph, config.evaluation.block_size, None)

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
        "valid_ndcg@20": state.best if task is not None else None,
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


def _partial(config: Config, graph: GraphData, run_dir: Path) -> Path:
    """Opens the directory to work in; what lies there is kept only if it is of the same run."""
    partial = run_dir.with_name(run_dir.name + ".partial")
    identity = {"config": json.loads(config.to_json()), "graph_version": graph.version}
    mark = partial / "identity.json"
    if partial.exists():
        try:
            same = read_json(mark) == identity
        except RunError:
            same = False
        if not same:
            shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    write_json(mark, identity)
    return partial


def _write(
    partial: Path, config: Config, graph: GraphData, scorer: Fusion, record: dict[str, Any]
) -> None:
    (partial / "config.json").write_text(config.to_json() + "\n", encoding="utf-8")
    names = display_names(graph)
    frames = [
        pd.DataFrame(
            {"label": str(label), "id": graph.vocabularies[label].ids, "name": names[label]}
        )
        for label in NodeLabel
    ]
    pd.concat(frames, ignore_index=True).astype(str).to_parquet(partial / "nodes.parquet")
    tensors, values = scorer.state()
    save_tensors(partial / "model.safetensors", tensors, values)
    draw_training(partial / "training.png", record)
    _write_scalars(partial / "tensorboard", record)
    write_json(partial / "record.json", record)


def _write_scalars(folder: Path, record: dict[str, Any]) -> None:
    from torch.utils.tensorboard import SummaryWriter  # slow to import, used once a run

    with SummaryWriter(str(folder)) as writer:
        for epoch in record.get("network", {}).get("history", []):
            for name in ("loss", "valid", "seconds"):
                if name in epoch:
                    writer.add_scalar(name, epoch[name], int(epoch["epoch"]))


def _publish(partial: Path, run_dir: Path) -> None:
    """Puts the finished run in place of an earlier one; a reader finds one of the two."""
    (partial / "checkpoint.safetensors").unlink(missing_ok=True)
    (partial / "identity.json").unlink()
    old = run_dir.with_name(run_dir.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if run_dir.exists():
        run_dir.rename(old)
    partial.rename(run_dir)
    shutil.rmtree(old, ignore_errors=True)


def _refuse_foreign(run_dir: Path) -> None:
    if run_dir.exists() and not (run_dir / "record.json").is_file() and any(run_dir.iterdir()):
        raise RunError(
            f"{run_dir} exists and is not a run; expected an empty or new directory, or a run to "
            f"replace; give another --run"
        )
