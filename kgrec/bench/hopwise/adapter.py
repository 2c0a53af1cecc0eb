"""hopwise's models as peers of the benchmark."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from kgrec.bench.hopwise.fit import HopwiseResult, fit_hopwise
from kgrec.bench.peer import Job, PeerFit
from kgrec.schema import Split

#: Epochs where there is no valid split to stop on.
DEFAULT_EPOCHS = 100


def fit_hopwise_peer(model: str, job: Job) -> PeerFit:
    """Trains a model of hopwise until valid no longer improves, and refits it if the job asks.

    A refit learns from train and valid for as many epochs as were best. Its seconds count, as do
    those of the search with all evaluations.

    Args:
        model: A key of `kgrec.bench.hopwise.PEERS`.
        job: The job; `minutes` bounds the training, threads are those of torch here.

    Raises:
        KgrecError: As `fit_hopwise`.
    """
    work = job.work or Path(tempfile.mkdtemp(prefix="kgrec-hopwise-"))
    threads = torch.get_num_threads()
    valid = job.graph.held_out.get(Split.VALID)
    epochs = None if valid is not None and len(valid) else DEFAULT_EPOCHS
    result = fit_hopwise(
        model,
        job.graph,
        job.seed,
        work / "search",
        threads=threads,
        epochs=epochs,
        max_seconds=60 * job.minutes,
    )
    fits = [result]
    if job.final is not job.graph:
        fits.append(
            fit_hopwise(
                model,
                job.final,
                job.seed,
                work / "refit",
                threads=threads,
                epochs=result.best_epoch,
            )
        )
    return PeerFit(
        fits[-1].scorer,
        parameters={"": result.parameters},
        choices=_record(result),
        seconds=sum(fit.seconds for fit in fits),
        peak_memory_mb=max(fit.peak_memory_mb for fit in fits),
    )


def _record(result: HopwiseResult) -> dict[str, Any]:
    """What the benchmark keeps of the training, in the words of its other peers."""
    words = {"early": "patience", "epochs": "epochs", "time": "minutes"}
    history = []
    for point in result.valid_history:
        values = asdict(point)
        history.append({"valid_ndcg@20": values.pop("ndcg"), **values})
    return {
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "valid_ndcg@20": max((point.ndcg for point in result.valid_history), default=None),
        "stopped_by": words[result.stopped],
        "cpu_seconds": result.cpu_seconds,
        "evaluation_seconds": result.evaluation_seconds,
        "settings": dict(result.settings),
        "history": history,
    }
