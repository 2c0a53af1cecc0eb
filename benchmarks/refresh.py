"""How soon new interactions are seen: taken in, folded in, and in the published lists.

    python benchmarks/refresh.py --store embedded --out folder
    python benchmarks/refresh.py --store neo4j --out folder        # starts a server from Maven

50,000 users, 20,000 items and 1.5M interactions are generated, loaded and published once; then
deliveries of 1,000 interactions come. The run is one of the right shape, not one that was trained
to be good: a network of 64 channels and two layers, factorisation, popularity; with `--dense`, a
dense closed form of all items (1.6 GB) as well. Prints one JSON object a delivery: seconds of each
step, `visible` being all up to the published lists, the processor's own seconds of everything, and
the load of the machine.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from kgrec.config import Config
from kgrec.graph.data import GraphData
from kgrec.graph.fetch import fetch_graph
from kgrec.graph.tensors import build_hetero
from kgrec.model.closed_form import ClosedForm
from kgrec.model.fusion import Fusion
from kgrec.model.graph_scorer import PropagationScorer
from kgrec.model.network import GraphNetwork, GraphTensors
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.model.wmf import WeightedMF
from kgrec.publish import publish
from kgrec.store.connect import open_store
from kgrec.training.directory import LAYOUT, Run, load_run, write_run
from kgrec.training.inner_split import history_of
from kgrec.updates import update
from kgrec.upkeep.refresh import refresh

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
    record = {"layout": LAYOUT, "graph_version": graph.version, "network": {"history": []}}
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
        loaded = update(config, progress=False)
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
        for number in range(1, given.deliveries + 1):
            write_day(given.out, number, given.delta, given.users, given.items)
            run = deliver(config, run)


def deliver(config: Config, run: Run) -> Run:
    """Takes one delivery in and measures each step."""
    started, busy = time.perf_counter(), time.process_time()
    update(config, progress=False)
    taken = time.perf_counter() - started
    opened = time.perf_counter()
    with open_store(config.store) as store:
        opening = time.perf_counter() - opened
        report = refresh(run, store, published=True)
    steps = {"ingest": taken, "open": opening, **report.seconds}
    visible = sum(value for name, value in steps.items() if name != "write")
    assert report.published is not None
    show(
        step="delivery", **steps, visible=visible, lists=report.published.users,
        vectors=report.published.vectors, cpu=time.process_time() - busy, load=os.getloadavg()[0],
    )  # fmt: skip
    return report.run


def show(**told: object) -> None:
    print(json.dumps({k: round(v, 2) if isinstance(v, float) else v for k, v in told.items()}),
          flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
