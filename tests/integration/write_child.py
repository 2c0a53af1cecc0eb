"""Ingests a random dataset and, asked to, kills itself in the middle of it.

    python write_child.py URI SEED USERS KILL_AT [BASE]

With BASE, the seed of the dataset that the store holds, only the changes from that are applied.
Every statement and every checkpoint counts twice: before it is sent, and after it is done. At the
count KILL_AT the process sends itself SIGKILL; 0 never.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from graph_oracle import random_changes, random_dataset

import kgrec.ingestion.difference
import kgrec.ingestion.writing
import kgrec.store.embedded
import kgrec.store.neo4j
from kgrec.ingestion import apply_changes, write_dataset
from kgrec.store.connect import open_store

#: Small batches make many places to be killed at.
kgrec.ingestion.difference.STRAY_ROWS = 5
kgrec.ingestion.writing.WRITE_ROWS = 25
kgrec.ingestion.writing.DELETE_NODES = 5
kgrec.store.embedded.CHUNK_ROWS = 40
kgrec.store.neo4j.NODE_ROWS = 10
kgrec.store.neo4j.EDGE_ROWS = 40


def main() -> None:
    """Runs the ingest that the command line names."""
    uri, seed, users, kill_at = sys.argv[1], *map(int, sys.argv[2:5])
    base = int(sys.argv[5]) if sys.argv[5:] else None
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(inner: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            step()
            result = inner(*args, **kwargs)
            step()
            return result

        return call

    with open_store(uri) as store:
        for name in ("_run", "bulk_load", "checkpoint"):
            setattr(store, name, counted(getattr(store, name)))
        dataset = random_dataset(seed, users)
        if base is None:
            write_dataset(dataset, store)
        else:
            apply_changes(random_changes(random_dataset(base, users), dataset), store)
        print(count)


if __name__ == "__main__":
    main()
