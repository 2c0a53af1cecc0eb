"""The sparse closed form: what it loses against the exact one, and how its cost grows.

    python benchmarks/large_catalogue.py loss book-crossing --data DIR --ridge 50 --weight 0=16
    python benchmarks/large_catalogue.py loss amazon-book --data DIR --ridge 200
    python benchmarks/large_catalogue.py growth --items 10000 30000 100000 300000 1000000

`loss` ranks valid, with train masked; test is not looked at. `growth` makes catalogues of about ten
interactions an item and ten a user, with authors of 20 items and one entity that has every item,
and fits each in a process of its own. One JSON object a line.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from graphs import graph_of

import kgrec
from kgrec.evaluation.ranking import RankingTask
from kgrec.model.closed_form import ClosedForm
from kgrec.model.incidence import Incidence, RelationRows
from kgrec.model.sparse_closed_form import SparseClosedForm
from kgrec.training.relation_rows import relation_rows

_CLUSTER = 1_000


def generated(num_items: int, seed: int) -> tuple[Incidence, list[RelationRows]]:
    """Draws users with a taste: 7 of 10 items from their cluster, the others from anywhere.

    Both draws follow a power law with exponent 0.9 of an item's place; lengths are geometric around
    10, at most 300.
    """
    rng = np.random.default_rng(seed)
    lengths = np.minimum(rng.geometric(0.1, num_items), 300)
    user = np.repeat(np.arange(num_items), lengths)
    clusters = max(num_items // _CLUSTER, 1)
    taste = rng.integers(clusters, size=num_items)[user]
    everywhere = _power_law(rng, num_items, len(user))
    inside = _power_law(rng, num_items // clusters, len(user)) * clusters + taste
    item = np.where(rng.random(len(user)) < 0.7, inside, everywhere)
    history = Incidence.from_pairs(
        torch.from_numpy(user), torch.from_numpy(item), num_items, num_items
    )
    every = torch.arange(num_items)
    authors = torch.from_numpy(rng.integers(max(num_items // 20, 1), size=num_items))
    return history, [
        RelationRows("author", Incidence.from_pairs(authors, every, num_items // 20, num_items)),
        RelationRows("shop", Incidence.from_pairs(torch.zeros_like(every), every, 1, num_items)),
    ]


def _power_law(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    share = np.cumsum(np.arange(1, size + 1) ** -0.9)
    return np.minimum(np.searchsorted(share, rng.random(count) * share[-1]), size - 1)


def peak_gb() -> float:
    """Most memory this process ever held; Linux counts in KiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def fitted(sizes: dict[str, int], *problem: Any) -> tuple[SparseClosedForm, dict[str, Any]]:
    """Fits and tells seconds of each step."""
    started, seconds = time.perf_counter(), {}

    def progress(step: str, done: int, total: int) -> None:
        if done == total:
            seconds[step] = round(time.perf_counter() - started, 1)

    model = SparseClosedForm.fit(*problem, progress=progress, **sizes)
    cells = len(model.weights) + 2 * model.hub_columns.numel()
    return model, {
        "seconds": round(time.perf_counter() - started, 1),
        "seconds_until": seconds,
        "peak_gb": peak_gb(),
        "cells_an_item": round(cells / model.num_items, 1),
    }


def grow(num_items: int, sizes: dict[str, int], seed: int) -> dict[str, Any]:
    history, relations = generated(num_items, seed)
    before = peak_gb()
    weights = {"author": 4.0, "shop": 1.0}
    model, cost = fitted(sizes, history, relations, weights, 50.0)
    started = time.perf_counter()
    model.score(torch.arange(64))
    score = round((time.perf_counter() - started) / 64 * 1000, 2)
    entries = len(history.columns)
    most = int(torch.bincount(history.columns).max())
    return {"items": num_items, "interactions": entries, "most_popular": most, **cost} | {
        "gb_before": before,
        "score_ms_a_user": score,
    }


def loss(options: argparse.Namespace, sizes: dict[str, int]) -> None:
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    graph = graph_of(options.set, options.data, work)
    history = Incidence.from_pairs(
        torch.from_numpy(graph.train.user_index),
        torch.from_numpy(graph.train.item_index),
        graph.num_users,
        graph.num_items,
    )
    weights = {name: float(value) for name, value in (w.split("=") for w in options.weight)}
    problem = (history, relation_rows(graph), weights, options.ridge)
    task = RankingTask(graph, kgrec.Split.VALID)

    def tell(name: str, model: Any, **cost: Any) -> None:
        found = task.run(model, k=(20,))
        values = {key: round(float(found[key].mean()), 5) for key in ("ndcg@20", "recall@20")}
        print(json.dumps({"model": name, **values, **cost}), flush=True)

    model, cost = fitted(sizes, *problem)
    tell("sparse", model, **cost, **sizes)
    if not options.no_exact:
        started = time.perf_counter()
        exact = ClosedForm.fit(*problem)
        seconds = round(time.perf_counter() - started, 1)
        tell("exact", exact, seconds=seconds, peak_gb=peak_gb())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("loss", "growth", "one"))
    parser.add_argument("set", nargs="?", choices=("book-crossing", "amazon-book"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--ridge", type=float, default=200.0)
    parser.add_argument("--weight", action="append", default=[], metavar="RELATION=WEIGHT")
    parser.add_argument("--no-exact", action="store_true")
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--neighbours", type=int, default=64)
    parser.add_argument("--hubs", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sizes = {"neighbours": options.neighbours, "hubs": options.hubs}
    if options.what == "loss":
        loss(options, sizes)
    elif options.what == "one":
        print(json.dumps(grow(options.items[0], sizes, 0)), flush=True)
    else:  # a process each, so that each tells its own peak of memory
        rest = ["--neighbours", str(options.neighbours), "--hubs", str(options.hubs)]
        rest += ["--threads", str(options.threads)]
        for count in options.items:
            command = [sys.executable, __file__, "one", "--items", str(count), *rest]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
