"""How soon new interactions are seen: taken in, folded in, and in the published lists.

    python benchmarks/refresh.py --store embedded --out folder
    python benchmarks/refresh.py --store neo4j --out folder        # starts a server from Maven

50,000 users, 20,000 items and 1.5M interactions are generated, loaded and published once; then
deliveries of 1,000 interactions come. The run is one of the right shape, not one that was trained
to be good: a network of 64 channels and two layers, factorisation, popularity; with `--dense`, a
dense closed form of all items (1.6 GB) as well.

Three ways are measured, each with deliveries of its own: `watch`, one process that keeps the store
(`kgrec refresh --watch --publish`); `once`, a process for each delivery (`kgrec refresh --ingest
--publish`), its start included; `apart`, `kgrec ingest` and then `kgrec refresh --publish`, in this
process, but with the store opened by each. Prints one JSON object a delivery: seconds of each step,
`visible` being all from the file's arrival to the lists in the saved store, `cpu` the processor's
own seconds of all of it, and the load of the machine.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kgrec import __version__
from kgrec.config import Config
from kgrec.graph.data import GraphData
from kgrec.graph.fetch import fetch_graph
from kgrec.graph.tensors import build_hetero
from kgrec.ingestion import ingest
from kgrec.model.closed_form import ClosedForm
from kgrec.model.fusion import Fusion
from kgrec.model.graph_scorer import PropagationScorer
from kgrec.model.network import GraphNetwork, GraphTensors
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.model.wmf import WeightedMF
from kgrec.publication import publish
from kgrec.store.connect import open_store
from kgrec.training.directory import Run, load_run, write_run
from kgrec.training.inner_split import history_of
from kgrec.training.record import RunRecord
from kgrec.upkeep.watching import KeptGraph, watch

CONFIG = """\
[store]
uri = "{uri}"
[data]
split = {{ kind = "random", valid = 0.0005, test = 0.0005 }}
journal = "journal"
[[data.sources]]
name = "events"
kind = "interactions"
path = "day*.csv"
"""


def write_day(folder: Path, number: int, rows: int, users: int, items: int) -> None:
    """Interactions with popular items and active users, as they are; a few new users."""
    rng = np.random.default_rng(number)
    user = (users * rng.random(rows) ** 1.5).astype(int)
    if number:
        user[: rows // 50] = users + number * rows + np.arange(rows // 50) // 5
    item = (items * rng.random(rows) ** 2.0).astype(int)
    lines = [
        f"u{u:07d},i{i:06d},{1_000_000 + n}"
        for n, (u, i) in enumerate(zip(user, item, strict=True))
    ]
    (folder / f"day{number}.csv").write_text("\n".join(["user,item,time", *lines]) + "\n")


def make_run(config: Config, graph: GraphData, folder: Path, *, dense: bool) -> Run:
    """A run of the right shape for a graph."""
    history = history_of(graph)
    tensors = GraphTensors.from_hetero(build_hetero(graph))
    network = GraphNetwork(
        tensors, channels=64, num_layers=2, generator=torch.Generator().manual_seed(0)
    )
    parts: dict[str, Scorer] = {
        "network": PropagationScorer.from_network(network, tensors, history, 0.2),
        "factors": WeightedMF.fit(history, factors=64, iterations=1),
        "popularity": Popularity(history),
    }
    if dense:
        size = graph.num_items
        weights = torch.zeros(size, size).fill_diagonal_(0.0)
        weights[:, :100] = 0.001
        parts["closed_form"] = ClosedForm(history, (), {}, 100.0, weights, torch.ones(size))
    folder.mkdir(parents=True)
    record = RunRecord(seed=0, device="cpu", kgrec_version=__version__, graph_version=graph.version)
    write_run(folder, config, graph, Fusion(parts, dict.fromkeys(parts, 1.0)), record)
    return load_run(folder)


@contextmanager
def address(engine: str, folder: Path) -> Iterator[str]:
    if engine == "embedded":
        yield f"embedded:{folder / 'graph.kgl'}"
        return
    sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
    import neo4j_server

    server = neo4j_server.start(neo4j_server.DEFAULT_VERSION)
    try:
        os.environ.update(server.environment())
        yield server.uri
    finally:
        neo4j_server.stop(server)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", choices=["embedded", "neo4j"], default="embedded")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--interactions", type=int, default=1_500_000)
    parser.add_argument("--delta", type=int, default=1_000)
    parser.add_argument("--deliveries", type=int, default=3)
    parser.add_argument("--published-users", type=int, default=5_000)
    parser.add_argument("--dense", action="store_true")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    with address(given.store, given.out) as uri:
        (given.out / "kgrec.toml").write_text(CONFIG.format(uri=uri))
        config = Config.load(given.out / "kgrec.toml")
        write_day(given.out, 0, given.interactions, given.users, given.items)
        started = time.perf_counter()
        loaded = ingest(config, progress=False)
        show(step="load", seconds=time.perf_counter() - started, edges=loaded.edges)
        with open_store(config.store) as store:
            graph = fetch_graph(store)
            started = time.perf_counter()
            run = make_run(config, graph, given.out / "run", dense=given.dense)
            show(step="make the run", seconds=time.perf_counter() - started)
            some = graph.vocabularies["User"].ids[: given.published_users]
            started = time.perf_counter()
            publish(run, store, top=20, similar=1, users=some, progress=False)
            show(step="publish", seconds=time.perf_counter() - started, users=len(some))
        del graph
        waiting = iter(range(1, 1 + 3 * given.deliveries))

        def arrive() -> None:
            write_day(given.out, next(waiting), given.delta, given.users, given.items)

        run = watched(config, run, arrive, given.deliveries)
        for _ in range(given.deliveries):
            arrive()
            once(run)
        run = load_run(run.directory)
        for _ in range(given.deliveries):
            arrive()
            run = apart(config, run)


def watched(config: Config, run: Run, arrive: Callable[[], None], deliveries: int) -> Run:
    """Deliveries to a process that watches; the first round, which opens the store, is apart."""
    started, busy, left = time.perf_counter(), time.process_time(), deliveries

    def wait(_: float) -> bool:
        nonlocal started, busy, left
        if left == deliveries:
            show(step="begin to watch", seconds=time.perf_counter() - started)
        left -= 1
        if left < 0:
            return False
        arrive()
        started, busy = time.perf_counter(), time.process_time()
        return True

    for report in watch(run, config, every=10.0, publish=True, wait=wait):
        visible = time.perf_counter() - started - report.seconds["write"]
        told("watch", report.to_json(), visible, time.process_time() - busy)
        run = report.run
    return run


def once(run: Run) -> None:
    """A delivery to a command."""
    command = [sys.executable, "-m", "kgrec.cli", "refresh", "--run", str(run.directory)]
    # As anywhere but in many containers, Python keeps what it compiled: the first call is slower.
    settings = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    busy, started = os.times(), time.perf_counter()
    said = subprocess.run(
        [*command, "--ingest", "--publish", "--json"],
        check=True,
        stdout=subprocess.PIPE,
        env=settings,
    ).stdout
    visible, after = time.perf_counter() - started, os.times()
    cpu = sum(after[at] - busy[at] for at in (2, 3))  # of children: user, system
    told("once", json.loads(said), visible, cpu)


def apart(config: Config, run: Run) -> Run:
    """A delivery that is taken in and, the store opened again, folded in."""
    started, busy = time.perf_counter(), time.process_time()
    seconds = {"ingest": ingest(config, progress=False).seconds}
    opened = time.perf_counter()
    with open_store(config.store) as store:
        seconds["open"] = time.perf_counter() - opened
        graphs = KeptGraph(config)
        report = graphs.fold_in(run, store, publish=True)
    seconds |= report.seconds
    visible, cpu = time.perf_counter() - started - seconds["write"], time.process_time() - busy
    told("apart", report.to_json() | {"seconds": seconds}, visible, cpu)
    graphs.write()
    return report.run


def told(way: str, report: dict[str, Any], visible: float, cpu: float) -> None:
    show(
        way=way, **report["seconds"], visible=visible, cpu=cpu,
        lists=report["published"]["users"], vectors=report["published"]["vectors"],
        load=os.getloadavg()[0],
    )  # fmt: skip


def show(**told: object) -> None:
    print(json.dumps({k: round(v, 2) if isinstance(v, float) else v for k, v in told.items()}),
          flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
