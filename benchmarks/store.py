"""Rates of the stores on a generated graph; prints one JSON object.

    python benchmarks/store.py                                     embedded, in a scratch folder
    python benchmarks/store.py --store bolt://127.0.0.1:7687       a database that may be emptied
    python scripts/neo4j_server.py run -- python benchmarks/store.py --neo4j

The graph: users and items whose degrees follow a power law, interactions with rating, time and
load, and attribute edges from items to entities. It is loaded, changed a little, compared with the
first version and brought back to it, read, asked, and written as files for the offline importer.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kgrec.data.tables import Changes, Dataset, RelationTable
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import apply_changes, write_dataset, write_offline
from kgrec.schema import EdgeKey, NodeLabel, Split, interaction_key
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store

GENRE = EdgeKey("GENRE", NodeLabel.ITEM, NodeLabel.ENTITY)


def generate(sizes: argparse.Namespace, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    counts = {
        NodeLabel.USER: sizes.users,
        NodeLabel.ITEM: sizes.items,
        NodeLabel.ENTITY: sizes.entities,
    }
    nodes = {
        label: pd.DataFrame({"id": [f"{label[0].lower()}{n:07d}" for n in range(count)]})
        for label, count in counts.items()
    }
    nodes[NodeLabel.ITEM]["title"] = [f"Item number {n}" for n in range(sizes.items)]
    nodes[NodeLabel.ENTITY]["name"] = [f"Entity number {n}" for n in range(sizes.entities)]
    users, items = pairs(rng, sizes.users, sizes.items, sizes.interactions)
    frame = pd.DataFrame(
        {
            "head": users.astype(np.int32),
            "tail": items.astype(np.int32),
            "rating": rng.integers(1, 11, len(users)) / 2,
            "time": rng.integers(1_000_000_000, 1_600_000_000, len(users)),
            "load": 1,
        }
    )
    heads, tails = pairs(rng, sizes.items, sizes.entities, sizes.attributes)
    edges = pd.DataFrame({"head": heads, "tail": tails})
    splits = {Split.TRAIN: frame, Split.VALID: frame.iloc[:0], Split.TEST: frame.iloc[:0]}
    return Dataset(nodes, splits, (RelationTable("genre", GENRE, edges),))


def pairs(
    rng: np.random.Generator, heads: int, tails: int, count: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Distinct pairs, sorted; tail degrees fall off as a power of their rank."""
    found = np.empty(0, dtype=np.int64)
    while len(found) < count:
        drawn = int((count - len(found)) * 1.5) + 10
        head = (heads * rng.random(drawn) ** 1.5).astype(np.int64)
        tail = (tails * rng.random(drawn) ** 2).astype(np.int64)
        found = np.union1d(found, head * tails + tail)
    found = np.sort(rng.permutation(found)[:count])
    return found // tails, found % tails


def changed(dataset: Dataset, rows: int, seed: int = 2) -> Changes:
    """Changes to another version: half of them ratings, a quarter gone, a quarter new."""
    rng = np.random.default_rng(seed)
    train, key = dataset.interactions[Split.TRAIN], interaction_key(Split.TRAIN)
    users, items = (dataset.nodes[label]["id"] for label in (NodeLabel.USER, NodeLabel.ITEM))
    touched = rng.choice(len(train), 3 * rows // 4, replace=False)
    rated, gone = np.split(touched, [rows // 2])
    codes = train["head"].to_numpy(np.int64) * len(items) + train["tail"].to_numpy()
    fresh = rng.integers(0, len(users) * len(items), 2 * rows)
    fresh = np.setdiff1d(fresh, codes)[: rows - len(touched)]
    new = pd.DataFrame({"head": fresh // len(items), "tail": fresh % len(items), "rating": 3.0})
    new = new.assign(time=1_600_000_000, load=2)
    again = train.iloc[rated].assign(rating=lambda frame: frame["rating"] + 0.25, load=2)
    kept = train.drop(index=train.index[touched])
    frame = pd.concat([kept, again, new], ignore_index=True)
    other = Dataset(dataset.nodes, {**dataset.interactions, Split.TRAIN: frame}, dataset.relations)

    def named(edges: pd.DataFrame) -> pd.DataFrame:
        ends = {"head": users.to_numpy()[edges["head"]], "tail": items.to_numpy()[edges["tail"]]}
        return edges.assign(**ends)

    catalogue = tuple((table.name, table.key, table.role) for table in dataset.relations)
    written = named(pd.concat([again, new], ignore_index=True))
    removed = named(train.iloc[gone][["head", "tail"]])
    return Changes(
        dataset.fingerprint, other.fingerprint, {}, {}, {key: written}, {key: removed}, catalogue
    )


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def drain(store: GraphStore, key: EdgeKey, properties: tuple[str, ...] = ()) -> int:
    return sum(len(block.head_index) for block in store.export_edges(key, properties))


def peak_mb() -> int:
    """Most memory the process has held."""
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale)


def median_ms(store: GraphStore, name: str, calls: list[dict[str, Any]]) -> float:
    times = []
    for params in calls:
        times.append(seconds(lambda params=params: store.read(name, **params)))  # type: ignore[misc]
    return round(1000 * float(np.median(times)), 2)


def update(uri: str, dataset: Dataset, rows: int) -> dict[str, Any]:
    """Applies a small change, then finds the way back by comparing; a store of its own each."""
    changes = changed(dataset, rows)

    def applied() -> None:
        with open_store(uri) as store:
            result["changes_seconds"] = round(
                apply_changes(changes, store, progress=False).seconds, 2
            )

    def compared() -> None:
        with open_store(uri) as store:
            report = write_dataset(dataset, store, progress=False)
            result["comparing_ingest_rows"] = report.written + report.removed

    result: dict[str, Any] = {"changes_rows": changes.rows}
    result["changes_seconds_with_open_and_close"] = round(seconds(applied), 2)
    result["comparing_ingest_seconds"] = round(seconds(compared), 2)
    return result


def measure(uri: str, dataset: Dataset, rows: int) -> dict[str, Any]:
    train = interaction_key(Split.TRAIN)
    count = len(dataset.interactions[Split.TRAIN])
    edges = count + len(dataset.relations[0].edges)
    rng = np.random.default_rng(1)
    users = rng.choice(dataset.nodes[NodeLabel.USER]["id"], 30)
    items = rng.choice(dataset.nodes[NodeLabel.ITEM]["id"], 30)
    with open_store(uri) as store:
        result: dict[str, Any] = {
            "engine": store.capabilities.engine,
            "version": store.capabilities.version,
        }
        load = seconds(lambda: write_dataset(dataset, store, progress=False))
        result["peak_memory_mb_after_load"] = peak_mb()
        again = seconds(lambda: write_dataset(dataset, store, progress=False))
        result |= {
            "first_load_seconds": round(load, 2),
            "first_load_relationships_per_second": round(edges / load),
            "unchanged_ingest_seconds": round(again, 2),
        }
    result |= update(uri, dataset, rows)
    with open_store(uri, read_only=True) as store:
        for name, properties in (("export", ()), ("export_with_properties", ("rating", "time"))):
            spent = min(seconds(lambda p=properties: drain(store, train, p)) for _ in range(3))  # type: ignore[misc]
            result[f"{name}_seconds"] = round(spent, 2)
            result[f"{name}_edges_per_second"] = round(count / spent)
        result["fetch_graph_seconds"] = round(seconds(lambda: fetch_graph(store)), 2)
        calls: dict[str, list[dict[str, Any]]] = {
            "user_history": [{"user": user} for user in users],
            "co_interacted": [{"user": user} for user in users],
            "similar_items": [{"item": item} for item in items],
            "item_neighbourhood": [{"item": item} for item in items],
            "paths": [{"user": u, "item": i} for u, i in zip(users, items, strict=True)],
            "popular": [{}] * 3,
            "schema_summary": [{}] * 2,
        }
        result["query_median_ms"] = {
            name: median_ms(store, name, params) for name, params in calls.items()
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", help="address of an empty store; default: embedded")
    parser.add_argument("--neo4j", action="store_true", help="use KGREC_TEST_NEO4J_URI")
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--entities", type=int, default=30_000)
    parser.add_argument("--interactions", type=int, default=1_500_000)
    parser.add_argument("--attributes", type=int, default=300_000)
    parser.add_argument("--changes", type=int, default=1_000, help="rows of the small change")
    options = parser.parse_args()
    uri = os.environ["KGREC_TEST_NEO4J_URI"] if options.neo4j else options.store
    dataset = generate(options)
    # The content hash is computed once per dataset, by whoever reads it.
    hashing = seconds(lambda: dataset.fingerprint)
    with tempfile.TemporaryDirectory() as folder:
        generated = peak_mb()
        files = Path(folder) / "files"
        offline = seconds(lambda: write_offline(dataset, files))
        size = sum(path.stat().st_size for path in files.iterdir())
        after = peak_mb()
        embedded = f"embedded:{Path(folder) / 'graph.kgl'}"
        result = measure(uri or embedded, dataset, options.changes)
    result["interactions"] = options.interactions
    result["fingerprint_seconds"] = round(hashing, 2)
    result |= {
        "peak_memory_mb_of_the_dataset": generated,
        "offline_seconds": round(offline, 2),
        "offline_mb": round(size / 1e6),
        "peak_memory_mb_after_offline": after,
        "peak_memory_mb": peak_mb(),
    }
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
