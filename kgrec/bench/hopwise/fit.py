"""hopwise's models as peers: each is trained in a process of its own, and read back."""

import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from kgrec.bench.hopwise.atomic import DATASET, write_atomic
from kgrec.bench.hopwise.environment import HOPWISE, hopwise_python
from kgrec.bench.hopwise.scores import read_scores
from kgrec.bench.peer import Job, PeerFit
from kgrec.errors import ConfigError, RunError
from kgrec.graph.data import GraphData
from kgrec.progress import progress_bar
from kgrec.schema import Split

logger = logging.getLogger(__name__)

#: The script that runs in hopwise's environment; it imports nothing of kgrec.
DRIVER = Path(__file__).with_name("driver.py")
#: How a line of the driver begins that says what an evaluation found.
EVENT = "@kgrec "
_TAIL_LINES = 15
#: Epochs where there is no valid split to stop on.
DEFAULT_EPOCHS = 100
#: Why the driver stopped, in the words of the other peers.
_STOPPED_BY = {"early": "patience", "epochs": "epochs", "time": "minutes"}
#: glibc gives large tensors back to the system when they are freed and asks for them again in 4 kB
#: pages: 55 % of the processor time of RippleNet on ml-100k, whose steps hold 0.5 GB several times,
#: 38 % in pages of 2 MB. Other C libraries read past it.
_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


@dataclass(frozen=True)
class Peer:
    """A model of hopwise.

    Attributes:
        name: As hopwise calls it.
        paper: Where it was published.
        knowledge: Whether it reads the knowledge graph.
        settings: What differs from hopwise's defaults.
        cells: Scores of one batch of an evaluation; changes its speed and memory alone.
        bytes_per_pair: Memory a step needs for every pair of items and entities.
    """

    name: str
    paper: str
    knowledge: bool
    settings: Mapping[str, Any] = field(default_factory=dict)
    cells: int = 4_000_000
    bytes_per_pair: float = 0.0


#: hopwise gives up after 11 epochs without a gain. On small data an epoch is few steps, and that
#: ends a slow start: LightGCN on ml-100k stopped after 35 epochs, on a plateau that it had begun to
#: leave.
_PATIENT = {"stopping_step": 50}
#: As long as the authors of these models train at most.
_LONG = {**_PATIENT, "epochs": 1000}
#: The authors' own code of KGIN and MCCLK adds every triple reversed, and both pass messages only
#: from tail to head: without, entities would learn nothing from items.
_BOTH_WAYS = {**_LONG, "kg_reverse_r": True}

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("LightGCN", "He et al., SIGIR 2020, arXiv:2002.02126", False, _LONG),
        Peer("KGIN", "Wang et al., WWW 2021, arXiv:2102.07057", True, _BOTH_WAYS),
        # hopwise compares all entities, not only items, to build the item graph: dense float32.
        Peer(
            "MCCLK",
            "Zou et al., SIGIR 2022, arXiv:2204.08807",
            True,
            _BOTH_WAYS,
            bytes_per_pair=8.0,
        ),
        Peer("CFKG", "Ai et al., Algorithms 2018, arXiv:1805.03352", True, _PATIENT),
        # Its evaluation holds 64 numbers a score, several times.
        Peer(
            "RippleNet", "Wang et al., CIKM 2018, arXiv:1803.03467", True, _PATIENT, cells=400_000
        ),
    )
}

#: Asked for, and not there: said when somebody asks, not left out in silence.
MISSING = {
    "KGRec": "Yang et al., KDD 2023, arXiv:2307.02759: hopwise has data sets of this name, no model"
}


def fit_hopwise_peer(model: str, job: Job) -> PeerFit:
    """Trains a model of hopwise until valid no longer improves, and refits it if the job asks.

    A refit learns from train and valid for as many epochs as were best. Its seconds count, as do
    those of the search with all evaluations.

    Args:
        model: A key of `PEERS`.
        job: The job; `minutes` bounds the training, threads are those of torch here.

    Raises:
        KgrecError: As `fit_hopwise`.
    """
    work = job.work or Path(tempfile.mkdtemp(prefix="kgrec-hopwise-"))
    threads = torch.get_num_threads()
    valid = job.graph.held_out.get(Split.VALID)
    epochs = None if valid is not None and len(valid) else DEFAULT_EPOCHS
    search = fit_hopwise(
        model, job.graph, job.seed, work / "search",
        threads=threads, epochs=epochs, max_seconds=60 * job.minutes,
    )  # fmt: skip
    if job.final is job.graph:
        return search
    best_epoch = search.choices["best_epoch"]
    refit = fit_hopwise(
        model, job.final, job.seed, work / "refit", threads=threads, epochs=best_epoch
    )
    return replace(
        search,
        scorer=refit.scorer,
        seconds=(search.seconds or 0.0) + (refit.seconds or 0.0),
        peak_memory_mb=max(search.peak_memory_mb or 0.0, refit.peak_memory_mb or 0.0),
    )


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
) -> PeerFit:
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

    Returns:
        The fit; seconds are of reading the files, training and evaluations on valid, not of the
        start of Python; choices are those of `read_result`.

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
    columns = {"inter": ["user_id", "item_id"], "user": ["user_id"], "item": ["item_id"]}
    if peer.knowledge:
        columns["kg"] = ["head_id", "relation_id", "tail_id"]
        columns["link"] = ["item_id", "entity_id"]
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


def read_result(out: Path, graph: GraphData) -> PeerFit:
    """Reads what the driver wrote.

    Returns:
        The fit; its choices are `epochs`, `best_epoch`, `valid_ndcg@20`, `stopped_by` (`patience`,
        `epochs` or `minutes`), `cpu_seconds` (of all threads; what else runs hardly changes them),
        `evaluation_seconds`, `settings` (hopwise's defaults, versions and threads included), and
        `history`, per look `epoch` from 1, `seconds` with the reading of files and all evaluations
        so far, `training_seconds` without these, `cpu_seconds`, and `valid_ndcg@20` as hopwise
        computes it.

    Raises:
        RunError: If it is incomplete or of another graph.
    """
    path = out / "result.json"
    if not path.exists():
        raise RunError(f"{path} is missing; expected the record of a hopwise run; train it again")
    record = json.loads(path.read_text(encoding="utf-8"))
    history = [{"valid_ndcg@20": look.pop("ndcg@20"), **look} for look in record["valid_history"]]
    about = {name: record[name] for name in ("threads", "versions")}
    return PeerFit(
        read_scores(out, graph),
        parameters={"": record["parameters"]},
        choices={
            "epochs": record["epochs"],
            "best_epoch": record["best_epoch"],
            "valid_ndcg@20": max((look["valid_ndcg@20"] for look in history), default=None),
            "stopped_by": _STOPPED_BY[record["stopped"]],
            "cpu_seconds": record["cpu_seconds"],
            "evaluation_seconds": record["evaluation_seconds"],
            "settings": {**record["settings"], **about},
            "history": history,
        },
        seconds=record["seconds"],
        peak_memory_mb=record["peak_memory_mb"],
    )
