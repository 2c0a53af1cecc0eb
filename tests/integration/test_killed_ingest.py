"""An ingest that is killed and run again ends in the graph of an uninterrupted one."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from graph_oracle import assert_holds, random_dataset

from kgrec.errors import StoreError
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import ingest
from kgrec.store.connect import open_store

CHILD = Path(__file__).with_name("ingest_child.py")


def run_child(uri: str, seed: int, users: int, kill_at: int) -> int:
    command = [sys.executable, str(CHILD), uri, str(seed), str(users), str(kill_at)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


@pytest.mark.parametrize("before", [None, 5], ids=["first-load", "other-version"])
def test_killed_ingest_is_resumed(store_uri: str, before: int | None) -> None:
    rng = np.random.default_rng(7 if before else 8)
    old = random_dataset(before, 25) if before else None
    dataset = random_dataset(6, 20)
    if old is not None:
        with open_store(store_uri) as store:
            ingest(old, store)
    killed = 0
    for kill_at in (*sorted(rng.integers(6, 34, 3).tolist()), int(rng.integers(40, 90))):
        killed += run_child(store_uri, 6, 20, kill_at) == -signal.SIGKILL
        with open_store(store_uri) as store:
            # A reader sees the old graph, the new one, or is told that there is none.
            try:
                version = fetch_graph(store).version
            except StoreError:
                version = None
        assert version in {None, dataset.fingerprint, old.fingerprint if old else None}
    assert killed >= 2
    assert run_child(store_uri, 6, 20, 0) == 0
    with open_store(store_uri) as store:
        assert_holds(store, dataset)
        assert not ingest(dataset, store).changed


def test_embedded_file_is_whole_whenever_the_writer_dies(tmp_path: Path) -> None:
    uri = f"embedded:{tmp_path / 'graph.kgl'}"
    old, new = random_dataset(1, 150, 150), random_dataset(2, 150, 150)
    with open_store(uri) as store:
        ingest(old, store)
    program = f"""
import sys; sys.path.insert(0, {str(CHILD.parents[1])!r})
from graph_oracle import random_dataset
from kgrec.ingestion import ingest
from kgrec.store.connect import open_store
old, new = random_dataset(1, 150, 150), random_dataset(2, 150, 150)
print("ready", flush=True)
while True:
    for dataset in (new, old):
        with open_store({uri!r}) as store:
            ingest(dataset, store)
"""
    rng = np.random.default_rng(3)
    versions = set()
    for _ in range(5):
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.2, 2.0))
        assert child.poll() is None
        child.kill()
        child.wait()
        child.stdout.close()
        with open_store(uri, read_only=True) as store:
            versions.add(fetch_graph(store).version)
            assert_holds(store, old if old.fingerprint in versions else new)
            versions.clear()
    with open_store(uri) as store:  # the lease of the killed writer is free
        ingest(new, store)
        assert_holds(store, new)
