"""What the machine can do, what a training step and the closed form need, and what they take.

    python benchmarks/speed.py limits                     # bandwidth, GEMM, Cholesky
    python benchmarks/speed.py step ml-100k               # the same sets as benchmarks/*.toml
    python benchmarks/speed.py step book-crossing --data DIR
    python benchmarks/speed.py solve --items 2000 4000    # the closed form's inverse
    python benchmarks/speed.py neighbours --edges 1e5 1e6 1e7

Prints one JSON object a line. Times are medians, with the least and the processor's own beside
them: where others compute too, those two are closer to what the code needs.
docs/performance.md has the arithmetic.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from graphs import graph_of
from torch.nn import functional

from kgrec.config import TrainingConfig
from kgrec.graph.tensors import build_hetero
from kgrec.model.incidence import Incidence
from kgrec.model.network import GraphNetwork, GraphTensors
from kgrec.training import loop
from kgrec.training.optimizers import build_optimizers
from kgrec.training.sampling import Positives, sample_batches

CHANNELS = 64


def seconds_of(work: Callable[[], Any], repeats: int = 7) -> dict[str, float]:
    """Seconds of some runs after one that is not counted: wall-clock and of all cores (`cpu`)."""
    work()
    times, cpu = [], []
    for _ in range(repeats):
        started, busy = time.perf_counter(), time.process_time()
        work()
        times.append(time.perf_counter() - started)
        cpu.append(time.process_time() - busy)
    middle = repeats // 2
    return {"median": sorted(times)[middle], "least": min(times), "cpu": sorted(cpu)[middle]}


def show(**record: Any) -> None:
    record["load"] = round(os.getloadavg()[0], 2)
    print(
        json.dumps({key: round(v, 5) if isinstance(v, float) else v for key, v in record.items()}),
        flush=True,
    )


def limits(most_threads: int) -> None:
    """Measures what bounds the code: bytes and floating-point operations a second."""
    large = torch.rand(64 << 20)  # 256 MiB, beyond every cache
    other, small = torch.empty_like(large), torch.rand(1 << 17)
    square, thin = torch.rand(2048, 2048), torch.rand(4096, CHANNELS)
    columns, low = torch.rand(CHANNELS, 2048), square.bfloat16()
    positive = square @ square.T + 2048 * torch.eye(2048)
    factor = torch.linalg.cholesky(positive)
    table, places = torch.rand(100_000, CHANNELS), torch.randint(100_000, (400_000,))
    places = places.int()
    ends = torch.arange(0, len(places) + 1, 4, dtype=torch.int32)
    values, scores = torch.rand(len(places)), torch.rand(4096, 2048)

    def gather() -> None:
        functional.embedding_bag(
            places, table, ends, mode="sum", per_sample_weights=values, include_last_offset=True
        )

    n = 2048
    works: dict[str, tuple[float, Callable[[], Any]]] = {
        "copy GB/s": (8 * large.numel() / 1e9, lambda: other.copy_(large)),
        "copy in cache GB/s": (8 * small.numel() / 1e9, lambda: small.add_(0.0)),
        "random rows of 256 B GB/s": (256 * len(places) / 1e9, gather),
        "gemm GFLOP/s": (2 * n**3 / 1e9, lambda: square @ square),
        "gemm, inner size 64, GFLOP/s": (2 * 4096 * n * CHANNELS / 1e9, lambda: thin @ columns),
        "gemm bfloat16 GFLOP/s": (2 * n**3 / 1e9, lambda: low @ low),
        "cholesky GFLOP/s": (n**3 / 3e9, lambda: torch.linalg.cholesky(positive)),
        "inverse of it GFLOP/s": (2 * n**3 / 3e9, lambda: torch.cholesky_inverse(factor)),
        "exp G/s": (scores.numel() / 1e9, scores.exp_),
    }
    for threads in sorted({1, most_threads}):
        torch.set_num_threads(threads)
        for name, (amount, work) in works.items():
            took = seconds_of(work)
            show(
                limit=name,
                threads=threads,
                median=amount / took["median"],
                best=amount / took["least"],
                a_core=amount / took["cpu"],
            )


def of_set(name: str, data: Path | None) -> tuple[GraphTensors, Incidence]:
    """The training graph of a set of benchmarks/*.toml."""
    with tempfile.TemporaryDirectory() as folder:
        graph = graph_of(name, data, Path(folder))
    train = graph.train
    pairs = torch.from_numpy(train.user_index), torch.from_numpy(train.item_index)
    history = Incidence.from_pairs(*pairs, graph.num_users, graph.num_items)
    return GraphTensors.from_hetero(build_hetero(graph)), history


def generated(edges: int, seed: int = 0) -> tuple[GraphTensors, Incidence]:
    """A graph whose degrees follow a power law and whose mean degree is that of any other size.

    Half of the directed edges are interactions (10 a user), half join items to entities.
    """
    generator = torch.Generator().manual_seed(seed)
    pairs = edges // 4
    users, items, entities = pairs // 10, pairs // 25, pairs // 25

    def popular(count: int) -> torch.Tensor:
        # The share of the n-th is about n^-0.5: u² is densest at 0.
        return (torch.rand(pairs, generator=generator, dtype=torch.float64) ** 2 * count).long()

    history = Incidence.from_pairs(
        torch.randint(users, (pairs,), generator=generator), popular(items), users, items
    )
    met = torch.stack([history.rows, history.columns + users])
    joined = torch.stack(
        [
            torch.randint(items, (pairs,), generator=generator) + users,
            popular(entities) + users + items,
        ]
    )
    parts = [met, met.flip(0), joined, joined.flip(0)]
    graph = GraphTensors(
        num_users=users,
        num_items=items,
        num_nodes=users + items + entities,
        edge_index=torch.cat(parts, dim=1),
        edge_type=torch.repeat_interleave(torch.tensor([part.shape[1] for part in parts])),
        relation_names=("INTERACTED", "rev_INTERACTED", "OF", "rev_OF"),
        relation_signs=(1, 1, 1, 1),
    )
    return graph, history


def stepper(
    graph: GraphTensors, history: Incidence, training: TrainingConfig
) -> tuple[Callable[[], float], GraphNetwork]:
    """Gives what runs one step of `train_network`'s loop, with the next batch each time."""
    generator = torch.Generator().manual_seed(0)
    network = GraphNetwork(graph, channels=CHANNELS, generator=generator)
    optimizers = build_optimizers(network, training)
    positives = Positives.of(history)
    loss_of = loop.BatchLoss(
        graph, history, positives, training, loop.DEFAULT_TEMPERATURE, generator
    )
    batches = list(sample_batches(len(history.columns), training.batch_size, generator))
    if len(batches) > 1:
        batches = batches[:-1]  # the last is smaller
    turn = iter(batches * 1000)

    def step() -> float:
        loss = loss_of(network, next(turn))
        network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()
        return float(loss.detach())

    return step, network


def step(name: str, data: Path | None, threads: int) -> None:
    torch.set_num_threads(threads)
    graph, history = of_set(name, data)
    training = TrainingConfig()
    run, network = stepper(graph, history, training)
    took = seconds_of(run, 15)
    judged = graph.num_users + graph.num_items
    users = torch.unique(history.rows[torch.randperm(len(history.columns))[: training.batch_size]])
    show(
        step=name,
        threads=threads,
        nodes=graph.num_nodes,
        edges=len(graph.edge_type),
        edges_to_judged=int((graph.edge_index[1] < judged).sum()),
        users_in_a_batch=len(users),
        items=graph.num_items,
        parameters=sum(p.numel() for p in network.parameters()),
        **took,
    )


def solve(sizes: list[int], threads: int) -> None:
    """The closed form's inverse of an n × n Gram matrix, by Cholesky: n³ operations in all."""
    torch.set_num_threads(threads)
    for n in sizes:
        rows = torch.rand(n, 256, generator=torch.Generator().manual_seed(0))
        gram = rows @ rows.T + n * torch.eye(n)
        took = seconds_of(lambda g=gram: torch.cholesky_inverse(torch.linalg.cholesky(g)), 3)
        show(items=n, threads=threads, gflops=n**3 / took["least"] / 1e9, **took)


def neighbours(sizes: list[int], fan_outs: tuple[int, ...], batch: int, threads: int) -> None:
    torch.set_num_threads(threads)
    for edges in sizes:
        graph, history = generated(edges)
        training = TrainingConfig(
            batch_size=batch, num_negatives=batch, loss="sampled_softmax", neighbours=fan_outs
        )
        drawn: list[int] = []
        started = time.perf_counter()
        run, network = stepper(graph, history, training)
        made = time.perf_counter() - started
        original = network.embed_sample

        def counted(sample: Any, *rest: Any, original: Any = original, drawn: Any = drawn) -> Any:
            drawn.append(sum(len(block.index) for block in sample.blocks))
            return original(sample, *rest)

        network.embed_sample = counted  # type: ignore[assignment, method-assign]
        took = seconds_of(run, 25)
        mean = sum(drawn) / len(drawn)
        epoch = took["cpu"] * len(history.columns) / batch
        show(
            edges=len(graph.edge_type),
            nodes=graph.num_nodes,
            threads=threads,
            seconds_to_build=made,
            drawn_a_step=mean,
            **took,
            cpu_ns_a_drawn_edge=took["cpu"] / mean * 1e9,
            cpu_us_an_epoch_and_edge=epoch / len(graph.edge_type) * 1e6,
            peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("limits", "step", "solve", "neighbours"))
    parser.add_argument("set", nargs="?", default="ml-100k")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--items", type=int, nargs="+", default=[2000, 4000])
    parser.add_argument("--edges", type=float, nargs="+", default=[1e5, 1e6, 1e7])
    parser.add_argument("--fan-outs", type=int, nargs="+", default=[10, 5])
    parser.add_argument("--batch", type=int, default=1024)
    options = parser.parse_args()
    if options.what == "limits":
        limits(options.threads)
    elif options.what == "step":
        step(options.set, options.data, options.threads)
    elif options.what == "solve":
        solve(options.items, options.threads)
    else:
        sizes = [int(edges) for edges in options.edges]
        neighbours(sizes, tuple(options.fan_outs), options.batch, options.threads)


if __name__ == "__main__":
    main()
