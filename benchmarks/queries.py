"""How long the queries take on a generated graph; prints a table, and JSON with --json.

    python benchmarks/queries.py                           embedded, in a scratch folder
    python benchmarks/queries.py --neo4j                   a server of its own, filled offline
    python benchmarks/queries.py --neo4j --edges 10M       as many interactions
    python benchmarks/queries.py --store bolt://HOST:PORT  a graph of this generator that is there

The graph is that of benchmarks/store.py, with random text vectors on some items and a publication
of random lists and vectors: 50 items for each of some users, 20 for each item. Users are drawn
evenly, items by their popularity, so hubs are asked about as often as people ask about them. Every
query is asked once to warm up; a time is that of the whole call, rows made. The CPU time is that of
this process: all there is to the embedded engine, which other load does not lengthen as much.
"""

import argparse
import json
import os
import re
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from store import generate

from kgrec import queries
from kgrec.adopt import OWN
from kgrec.errors import QueryTimedOut
from kgrec.ingestion import write_dataset, write_offline
from kgrec.publication.lists import replace_lists
from kgrec.publication.vectors import make_indexes, replace_vectors
from kgrec.publication.versions import Target, begin, switch
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import neo4j_server

DAY = 86_400
END = 1_600_000_000  # when the generated interactions end

TOP, SIMILAR, DIMENSIONS = 50, 20, 64  # of what is published

Ask = Callable[[GraphStore], Any]


def asked(sizes: argparse.Namespace, calls: int, seed: int = 1) -> dict[str, list[Ask]]:
    """The calls of every query, by the name in the table."""
    rng = np.random.default_rng(seed)
    users = [f"u{number:07d}" for number in rng.integers(0, sizes.users, calls)]
    items = [f"i{int(number):07d}" for number in sizes.items * rng.random(calls) ** 2]
    entities = [f"e{int(number):07d}" for number in sizes.entities * rng.random(calls) ** 2]
    published = [f"u{number:07d}" for number in rng.integers(0, sizes.published, calls)]
    few = max(calls // 5, 3)  # what takes no id answers always the same
    q = queries
    return {
        "user_history": [lambda s, u=u: q.user_history(s, u) for u in users],
        "user_profile": [lambda s, u=u: q.user_profile(s, u) for u in users],
        "co_interacted": [lambda s, u=u: q.co_interacted(s, u) for u in users],
        "paths, 3 hops": [
            lambda s, u=u, i=i: q.paths(s, u, i) for u, i in zip(users, items, strict=True)
        ],
        "paths, 4 hops": [
            lambda s, u=u, i=i: q.paths(s, u, i, hops=4) for u, i in zip(users, items, strict=True)
        ],
        "item_neighbourhood": [lambda s, i=i: q.item_neighbourhood(s, i) for i in items],
        "similar_items": [lambda s, i=i: q.similar_items(s, i) for i in items],
        "similar_by_attributes": [lambda s, i=i: q.similar_by_attributes(s, i) for i in items],
        "similar_by_vector": [lambda s, i=i: q.similar_by_vector(s, i) for i in items],
        "shared_entities": [
            lambda s, i=i, o=items[:5]: q.shared_entities(s, o, i) for i in items
        ],
        "candidates, unseen": [lambda s, u=u: q.candidates(s, user=u) for u in users[: 2 * few]],
        "candidates, one attribute": [
            lambda s, u=u, e=e: q.candidates(s, user=u, attributes={"genre": e})
            for u, e in zip(users, entities, strict=True)
        ],
        "popular": [q.popular] * few,
        "popular, 30 days": [lambda s: q.popular(s, since=END - 30 * DAY, until=END)] * few,
        "trending, 30 days": [lambda s: q.trending(s, END - 30 * DAY, END)] * few,
        "published_recommendations": [
            lambda s, u=u: q.published_recommendations(s, u) for u in published
        ],
        "published_similar": [lambda s, i=i: q.published_similar(s, i) for i in items],
        "recommend_filtered": [lambda s, u=u: q.recommend_filtered(s, u) for u in published],
        "random_walks, 20 x 5 of 4 steps": [
            lambda s, n=n: q.random_walks(s, [("User", u) for u in users[:20]], seed=n, walks=5)
            for n in range(few)
        ],
        "subgraph, 2 hops, a user": [lambda s, u=u: q.subgraph(s, [("User", u)]) for u in users],
        "subgraph, 2 hops, an item": [lambda s, i=i: q.subgraph(s, [("Item", i)]) for i in items],
        "attribute_statistics": [q.attribute_statistics] * few,
        "sparse_nodes": [q.sparse_nodes] * few,
        "cold_nodes": [q.cold_nodes] * few,
        "schema_summary": [q.schema_summary] * few,
        "relations": [q.relations] * few,
    }  # fmt: skip


def measure(store: GraphStore, calls: dict[str, list[Ask]]) -> list[dict[str, Any]]:
    """Times every call; one that is stopped counts as the time it was given."""
    found = []
    for name, asks in calls.items():
        asks[0](store)
        times, spent, rows = [], [], []
        for ask in asks:
            start, before = time.perf_counter(), time.process_time()
            try:
                rows.append(len(ask(store)))
            except QueryTimedOut:
                print(f"{name}: stopped", file=sys.stderr)
            times.append(1000 * (time.perf_counter() - start))
            spent.append(1000 * (time.process_time() - before))
        p50, p95 = np.quantile(times, [0.5, 0.95])
        row = {"query": name, "calls": len(times), "p50_ms": p50, "p95_ms": p95}
        row["cpu_p95_ms"] = np.quantile(spent, 0.95)
        found.append({**row, "rows": float(np.mean(rows)) if rows else None})
        print(f"{name}: {p50:.1f} / {p95:.1f} ms", file=sys.stderr)
    return found


def add_vectors(store: GraphStore, count: int, size: int = 384) -> None:
    ids = [f"i{number:07d}" for number in range(count)]
    matrix = np.random.default_rng(0).normal(size=(len(ids), size)).astype(np.float32)
    store.write_vectors(NodeLabel.ITEM, ids, matrix)


def add_publication(store: GraphStore, sizes: argparse.Namespace) -> None:
    """Publishes random lists and vectors."""
    rng = np.random.default_rng(0)
    noted = {"run": "random", "graph_version": "", "created": "2026", "fingerprint": "random"}
    noted |= {"top": TOP, "similar_top": SIMILAR, "slot": "a", "dimensions": DIMENSIONS}
    publication = begin(store, "random", noted)
    for label, counter, count, length in (
        (NodeLabel.USER, "recommended", sizes.published, TOP),
        (NodeLabel.ITEM, "similar", sizes.items, SIMILAR),
    ):
        ids = [f"{label[0].lower()}{number:07d}" for number in range(count)]
        lists = {
            key: [
                (f"i{item:07d}", 1 / rank, rank, False)
                for rank, item in enumerate(rng.choice(sizes.items, length, replace=False), 1)
            ]
            for key in ids
        }
        replace_lists(store, publication, counter, lists)
        matrix = rng.normal(size=(count, DIMENSIONS)).astype(np.float32)
        replace_vectors(store, publication, label, ids, matrix)
    make_indexes(Target(store, OWN, publication, lambda _: None), DIMENSIONS)
    switch(store, publication)
    store.checkpoint()


@contextmanager
def filled(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """The address of a store with the graph."""
    if options.store:
        yield options.store
        return
    dataset = generate(options)
    if not options.neo4j:
        uri = f"embedded:{folder / 'graph.kgl'}"
        with open_store(uri) as store:
            write_dataset(dataset, store, progress=False)
            add_vectors(store, options.vectors)
            add_publication(store, options)
        yield uri
        return
    start = time.perf_counter()
    files = write_offline(dataset, folder / "files")
    del dataset
    told("files written", start, resource.RUSAGE_SELF)

    def import_files(admin: neo4j_server.Admin) -> None:
        start = time.perf_counter()
        admin([*files.command[1:], "--max-off-heap-memory=2g"], files.folder)
        told("files imported", start, resource.RUSAGE_CHILDREN)
        shutil.rmtree(files.folder)

    with neo4j_server.running(
        before=import_files, heap=options.heap, page_cache=options.page_cache
    ) as server:
        os.environ.update(server.environment())
        with open_store(server.uri) as store:
            store.apply_schema()
            add_vectors(store, options.vectors)  # waits for all indexes
            add_publication(store, options)
        yield server.uri


def told(what: str, start: float, who: int) -> None:
    """Says how long something took, and the most memory that this process or its children held."""
    scale = 2**30 if sys.platform == "darwin" else 2**20
    peak = resource.getrusage(who).ru_maxrss / scale
    print(f"{what}: {time.perf_counter() - start:.1f} s, {peak:.1f} GB at most", file=sys.stderr)


def edges(text: str) -> int:
    """Reads 1500000, 1.5M, 200k."""
    match = re.fullmatch(r"([\d.]+)([kM]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of edges, such as 10M")
    return int(float(match[1]) * {"": 1, "k": 1_000, "M": 1_000_000}[match[2]])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", help="address of a store that has the graph")
    parser.add_argument("--neo4j", action="store_true", help="start a server, fill it offline")
    parser.add_argument("--edges", type=edges, default=1_500_000, dest="interactions")
    parser.add_argument("--users", type=int, default=0, help="default: 50,000 for 1.5M")
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--entities", type=int, default=30_000)
    parser.add_argument("--attributes", type=int, default=300_000)
    parser.add_argument("--vectors", type=int, default=20_000, help="items with a text vector")
    parser.add_argument("--published", type=int, default=5_000, help="users with a list")
    parser.add_argument("--calls", type=int, default=30)
    parser.add_argument("--heap", default="1g", help="of the server")
    parser.add_argument("--page-cache", default="256m", help="of the server")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.users = options.users or max(options.interactions // 30, 1)
    with tempfile.TemporaryDirectory() as folder, filled(options, Path(folder)) as uri:
        load = os.getloadavg()[0]
        with open_store(uri, read_only=True) as store:
            engine = f"{store.capabilities.engine} {store.capabilities.version}"
            rows = measure(store, asked(options, options.calls))
    result = {"engine": engine, "interactions": options.interactions, "load": load, "rows": rows}
    if options.json:
        print(json.dumps(result, indent=2))
        return
    title = f"{engine}, {options.interactions:,} interactions, load {load:.0f} before"
    names = ("query", "calls", "rows", "p50, ms", "p95, ms", "p95, CPU ms")
    table = Table(*names, title=title, box=None)
    for row in rows:
        times = (f"{row[name]:.1f}" for name in ("rows", "p50_ms", "p95_ms", "cpu_p95_ms"))
        table.add_row(row["query"], str(row["calls"]), *times)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
