"""Ingests random datasets, each in a fork that, asked to, kills itself in the middle of it.

An order has `uri`, `seed` and `users` of the dataset, `kill_at`, and `base`: null, or the seed of
the dataset that the store holds, of which only the changes are applied. Every statement and every
checkpoint counts twice: before it is sent, and after it is done. At the count `kill_at` the fork
sends itself SIGKILL; 0 never.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from forks import answer_orders
from graph_oracle import random_changes, random_dataset

import kgrec.ingestion.filling
import kgrec.ingestion.tables
import kgrec.store.embedded
import kgrec.store.neo4j
from kgrec.ingestion import apply_changes, write_dataset
from kgrec.store.connect import open_store

#: Small batches make many places to be killed at.
kgrec.ingestion.tables.STRAY_ROWS = 5
kgrec.ingestion.filling.WRITE_ROWS = 25
kgrec.ingestion.filling.DELETE_NODES = 5
kgrec.store.embedded.CHUNK_ROWS = 40
kgrec.store.neo4j.NODE_ROWS = 10
kgrec.store.neo4j.EDGE_ROWS = 40


def child(order: dict[str, Any]) -> dict[str, Any]:
    """Runs the ingest in the fork; gives its count of steps."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == order["kill_at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(inner: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            step()
            result = inner(*args, **kwargs)
            step()
            return result

        return call

    with open_store(order["uri"]) as store:
        for name in ("_run", "bulk_load", "checkpoint"):
            setattr(store, name, counted(getattr(store, name)))
        dataset = random_dataset(order["seed"], order["users"])
        if order["base"] is None:
            write_dataset(dataset, store)
        else:
            base = random_dataset(order["base"], order["users"])
            apply_changes(random_changes(base, dataset), store)
    return {"count": count}


if __name__ == "__main__":
    answer_orders(child)
