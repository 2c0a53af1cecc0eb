"""The process of one fit: `python -m kgrec.bench.child ORDER.json`.

A process of its own makes its seconds and its memory its own: nothing is warm, and nothing that
another model left behind is counted.
"""

import shutil
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from kgrec.bench.fits import Fit, Order, PerUser, Row, write_result
from kgrec.bench.machine import origin, own_peak_memory_mb
from kgrec.bench.peer import Job, PeerFit, count_parameters
from kgrec.bench.peers import find_peer
from kgrec.bench.protocol import judge
from kgrec.config import Config
from kgrec.errors import KgrecError, RunError
from kgrec.graph.fetch import fetch_graph
from kgrec.store.connect import open_store


def carry_out(order: Order) -> None:
    """Fits, judges and writes the result into the order's folder.

    Raises:
        KgrecError: If the model cannot be fitted, or the store holds another graph.
    """
    peer = find_peer(order.model)
    config = Config.build(dict(order.config), source=f"order of {order.model}")
    with open_store(config.store, read_only=True) as store:
        graph = fetch_graph(store)
    if graph.version != order.version:
        raise RunError(
            f"the store holds graph version {graph.version}, the order is for {order.version}; "
            f"run the benchmark again"
        )
    config = config.model_copy(update={"seed": order.seed})
    work = order.folder / "work"
    shutil.rmtree(work, ignore_errors=True)  # of a fit that was killed
    work.mkdir()
    job = Job(graph, config, order.seed, order.refit, order.minutes, work)
    base = own_peak_memory_mb()
    started = time.perf_counter()
    peer_fit = peer.fit(job)
    seconds = time.perf_counter() - started
    peak = own_peak_memory_mb()
    rows, users = _judge(peer_fit, job, cold=order.cold)
    fit = Fit.of(
        order,
        origin(),
        rows=rows,
        train_seconds=seconds if peer_fit.seconds is None else peer_fit.seconds,
        peak_memory_mb=peak if peer_fit.peak_memory_mb is None else peer_fit.peak_memory_mb,
        base_memory_mb=base,
        choices=peer_fit.choices,
    )
    write_result(order.folder, fit, users)
    shutil.rmtree(work, ignore_errors=True)


def _judge(peer_fit: PeerFit, job: Job, *, cold: bool) -> tuple[dict[str, Row], dict[str, PerUser]]:
    rows, users = {}, {}
    evaluation = job.config.evaluation
    for name, scorer in {"": peer_fit.scorer, **peer_fit.parts}.items():
        metrics = judge(
            scorer,
            job.graph,
            job.final,
            k=evaluation.k,
            block_size=evaluation.block_size,
            cold=cold,
        )
        parameters = peer_fit.parameters.get(name)
        rows[name] = Row(
            metrics=dict(metrics.metrics),
            cohorts={cohort: dict(values) for cohort, values in metrics.cohorts.items()},
            valid=dict(metrics.valid),
            score_seconds=metrics.score_seconds,
            parameters=count_parameters(scorer) if parameters is None else parameters,
        )
        users[name] = PerUser(metrics.users, metrics.per_user)
    return rows, users


def main(arguments: Sequence[str] | None = None) -> int:
    """Carries out the order in a file; what goes wrong is the last line on stderr."""
    (path,) = sys.argv[1:] if arguments is None else arguments
    warnings.simplefilter("ignore")
    try:
        carry_out(Order.read(Path(path)))
    except KgrecError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
