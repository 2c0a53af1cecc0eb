"""Training a peer in its own process and reading back what came out."""

import json
import logging
import os
import shutil
import subprocess
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from kgrec.bench.hopwise.atomic import DATASET, write_atomic
from kgrec.bench.hopwise.environment import HOPWISE, hopwise_python
from kgrec.bench.hopwise.peers import MISSING, PEERS, Peer
from kgrec.bench.hopwise.scores import read_scores
from kgrec.errors import ConfigError, RunError
from kgrec.graph.data import GraphData
from kgrec.model.scorer import Scorer
from kgrec.progress import progress_bar

logger = logging.getLogger(__name__)

#: The script that runs in hopwise's environment; it imports nothing of kgrec.
DRIVER = Path(__file__).with_name("driver.py")
#: How a line of the driver begins that says what an evaluation found.
EVENT = "@kgrec "
_TAIL_LINES = 15
#: glibc gives large tensors back to the system when they are freed and asks for them again in 4 kB
#: pages: 55 % of the processor time of RippleNet on ml-100k, whose steps hold 0.5 GB several times,
#: 38 % in pages of 2 MB. Other C libraries read past it.
_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


@dataclass(frozen=True)
class ValidPoint:
    """One evaluation on valid while a peer was trained.

    Attributes:
        epoch: From 1.
        seconds: Since training began, with the reading of files and all evaluations so far.
        training_seconds: The same without the evaluations.
        cpu_seconds: Processor time of all threads until then; what else runs hardly changes it.
        ndcg: NDCG@20, as hopwise computes it.
    """

    epoch: int
    seconds: float
    training_seconds: float
    cpu_seconds: float
    ndcg: float


@dataclass(frozen=True, eq=False)
class HopwiseResult:
    """A trained peer.

    Attributes:
        scorer: Scores all users over all items; those without training items by popularity.
        seconds: Reading of files, training and evaluations on valid; not the start of Python.
        cpu_seconds: Processor time of the same, of all threads.
        evaluation_seconds: What of the seconds was evaluation.
        peak_memory_mb: The most memory its process held, in MB of 10⁶ bytes.
        parameters: Number of trained numbers.
        settings: What it was trained with, hopwise's defaults included, and versions and threads.
        epochs: Epochs trained.
        best_epoch: The one whose scores these are.
        stopped: "early" (nothing better on valid), "epochs" or "time" (a limit was reached).
        valid_history: Every evaluation.
    """

    scorer: Scorer
    seconds: float
    cpu_seconds: float
    evaluation_seconds: float
    peak_memory_mb: float
    parameters: int
    settings: Mapping[str, Any]
    epochs: int
    best_epoch: int
    stopped: str
    valid_history: tuple[ValidPoint, ...]


def fit_hopwise(
    model: str,
    graph: GraphData,
    seed: int,
    work: Path,
    *,
    threads: int | None = None,
    epochs: int | None = None,
    max_seconds: float | None = None,
    settings: Mapping[str, Any] | None = None,
) -> HopwiseResult:
    """Trains a model of hopwise on exactly kgrec's train, valid and knowledge graph, on the CPU.

    It stops early on NDCG@20 of valid, looked at every epoch, once `stopping_step` looks and one
    more brought no gain; where there is no valid, after `epochs`. Test pairs are never written.

    Args:
        model: A key of `PEERS`.
        graph: What to train on; versions of the graph are the caller's care.
        seed: Of initial weights, batches, negatives and edge sampling.
        work: A folder for files, logs and results; what an earlier run left in it goes.
        threads: Of the peer's process; None leaves it to torch.
        epochs: At most so many, and exactly so many without valid; None is the peer's.
        max_seconds: Stops after the first evaluation past it.
        settings: hopwise settings that replace the peer's.

    Raises:
        ConfigError: If there is no such peer, the graph has no triples but the peer needs them,
            nobody says when to stop, the environment cannot be made, or the peer needs more memory
            than there is.
        DataError: If train is empty.
        RunError: If the peer fails; the message ends with its last lines.
    """
    peer = _peer(model)
    out = work / "scores"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    counts = write_atomic(graph, work)
    _check_means(peer, counts)
    if not counts["judged"] and epochs is None:
        raise ConfigError(
            f"{model} has no valid pairs to stop on; expected them or epochs=, got neither; pass "
            f"the best epoch of a run with valid"
        )
    job = {
        "model": model,
        "dataset": DATASET,
        "threads": threads,
        "max_seconds": max_seconds,
        "evaluate": bool(counts["judged"]),
        "num_users": graph.num_users,
        "num_items": graph.num_items,
        "sizes": [counts["train"], counts["valid"]],
        "scored_users": np.unique(graph.train.user_index).tolist(),
        "cells": peer.cells,
        "out": str(out.resolve()),
        "config": _config(peer, graph, seed, work, epochs, settings),
    }
    path = work / "job.json"
    path.write_text(json.dumps(job, indent=1), encoding="utf-8")
    run_driver(hopwise_python(), path, work, threads, job["config"].get("epochs"))
    return read_result(out, graph)


def _peer(model: str) -> Peer:
    if model not in PEERS:
        expected = f"expected one of {', '.join(PEERS)}; got {model!r}"
        why = f" ({MISSING[model]})" if model in MISSING else ""
        raise ConfigError(
            f"hopwise {HOPWISE} has no such model here{why}; {expected}; leave it out"
        )
    return PEERS[model]


def _check_means(peer: Peer, counts: Mapping[str, int]) -> None:
    if not peer.knowledge:
        return
    if not counts["kg"]:
        raise ConfigError(
            f"{peer.name} learns from triples; expected relations between items and entities, got "
            f"none; leave it out for data without a graph"
        )
    needed = peer.bytes_per_pair * counts["nodes"] ** 2
    if needed > (available := psutil.virtual_memory().available):
        raise ConfigError(
            f"{peer.name} compares all {counts['nodes']} items and entities with each other in "
            f"every step; expected {needed / 1e9:.1f} GB of free memory, got "
            f"{available / 1e9:.1f} GB; leave it out, or run where there is more"
        )


def _config(
    peer: Peer,
    graph: GraphData,
    seed: int,
    work: Path,
    epochs: int | None,
    settings: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What is said to hopwise; all else is its default."""
    columns = {
        "inter": ["user_id", "item_id"],
        "user": ["user_id"],
        "item": ["item_id"],
    }
    if peer.knowledge:
        columns |= {
            "kg": ["head_id", "relation_id", "tail_id"],
            "link": ["item_id", "entity_id"],
        }
    return {
        "data_path": str(work.resolve()),
        # Three names are asked for; test is never used, so valid stands in for it.
        "benchmark_filename": ["train", "valid", "valid"],
        "load_col": columns,
        "seed": seed,
        "use_gpu": False,
        "show_progress": False,
        "metrics": ["NDCG"],
        "topk": [20],
        "valid_metric": "NDCG@20",
        "metric_decimal_place": 6,
        "eval_batch_size": max(peer.cells, graph.num_items),
        **peer.settings,
        **(settings or {}),
        **({} if epochs is None else {"epochs": epochs}),
    }


def run_driver(
    python: Path, job: Path, work: Path, threads: int | None, total: int | None = None
) -> None:
    """Runs the driver in the environment and shows its epochs; all it says goes to `driver.log`.

    Raises:
        RunError: If it ends with anything but 0.
    """
    variables = {**_HUGE_PAGES, **os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1"}
    if threads is not None:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
        variables |= dict.fromkeys(names, str(threads))
    command = [str(python), "-I", str(DRIVER), str(job.resolve())]
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    log = work / "driver.log"
    with (
        log.open("w", encoding="utf-8", buffering=1) as file,  # a line is there when it is said
        progress_bar(f"hopwise {job.parent.name}", total) as advance,
        subprocess.Popen(
            command, cwd=work, env=variables, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as child,
    ):  # fmt: skip
        assert child.stdout is not None
        try:
            for line in child.stdout:
                file.write(line)
                if line.startswith(EVENT):
                    point = json.loads(line.removeprefix(EVENT))
                    advance(f"ndcg@20={point['ndcg@20']:.4f}")
                    logger.info("peer_epoch=%(epoch)d ndcg@20=%(ndcg@20).4f", point)
                elif line.strip():
                    tail.append(line.rstrip())
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise RunError(
            f"hopwise ended with {child.returncode}; expected 0; see {log}, the last lines are\n"
            + "\n".join(tail)
        )


def read_result(out: Path, graph: GraphData) -> HopwiseResult:
    """Reads what the driver wrote.

    Raises:
        RunError: If it is incomplete or of another graph.
    """
    path = out / "result.json"
    if not path.exists():
        raise RunError(f"{path} is missing; expected the record of a hopwise run; train it again")
    record = json.loads(path.read_text(encoding="utf-8"))
    history = tuple(
        ValidPoint(
            epoch=int(point["epoch"]),
            seconds=point["seconds"],
            training_seconds=point["training_seconds"],
            cpu_seconds=point["cpu_seconds"],
            ndcg=point["ndcg@20"],
        )
        for point in record["valid_history"]
    )
    return HopwiseResult(
        scorer=read_scores(out, graph),
        seconds=record["seconds"],
        cpu_seconds=record["cpu_seconds"],
        evaluation_seconds=record["evaluation_seconds"],
        peak_memory_mb=record["peak_memory_mb"],
        parameters=record["parameters"],
        settings={
            **record["settings"], "threads": record["threads"], "versions": record["versions"]
        },
        epochs=record["epochs"],
        best_epoch=record["best_epoch"],
        stopped=record["stopped"],
        valid_history=history,
    )  # fmt: skip
