"""The process of one fit, `python -m kgrec.bench.child ORDER.json`: starting it, and what it does.

A process of its own makes its seconds and its memory its own: nothing is warm, and nothing that
another model left behind is counted.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from kgrec.bench.fits import Fit, Order, write_result
from kgrec.bench.machine import origin, own_peak_memory_mb
from kgrec.bench.peer import Job, count_parameters
from kgrec.bench.peers import find_peer
from kgrec.bench.protocol import judge
from kgrec.config import Config
from kgrec.errors import KgrecError, RunError
from kgrec.graph.fetch import fetch_graph
from kgrec.store.connect import open_store

#: Carries out an order; gives None, or why there is no result.
Launch = Callable[[Order], str | None]

#: A fit is ended after so many times the minutes that peers may train.
PATIENCE = 3.0


def launch_process(order: Order) -> str | None:
    """Carries out an order in a process of its own.

    What the process says goes to `log.txt` in the order's folder.

    Returns:
        None, or why it failed: its last line, the signal that ended it, or that it took too long.
    """
    path = order.write()
    log = order.folder / "log.txt"
    # -P: the folder this is run in must not stand in for the package that runs.
    command = [sys.executable, "-P", "-m", "kgrec.bench.child", str(path)]
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **quiet}
        )
        try:
            code = process.wait(timeout=60 * PATIENCE * order.minutes)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return f"ended after {PATIENCE * order.minutes:g} minutes"
        except BaseException:
            process.kill()
            process.wait()
            raise
    return None if code == 0 else _reason(code, log)


def _reason(code: int, log: Path) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", which often means that memory ran out" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    words = [line.strip() for line in lines if line.strip()]
    return words[-1] if words else f"exit code {code}, without a word"


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
    rows, users = {}, {}
    for name, scorer in {"": peer_fit.scorer, **peer_fit.parts}.items():
        parameters = peer_fit.parameters.get(name)
        rows[name], users[name] = judge(
            scorer,
            graph,
            job.final,
            k=config.evaluation.k,
            block_size=config.evaluation.block_size,
            cold=order.cold,
            parameters=count_parameters(scorer) if parameters is None else parameters,
        )
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
