"""An ingest that is killed and run again ends in the graph of an uninterrupted one."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from forks import Forks, started
from graph_oracle import assert_holds, random_dataset

from kgrec.errors import StoreError
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import write_dataset
from kgrec.store.connect import open_store

CHILDREN = Path(__file__).with_name("write_children.py")
USERS = 20


@pytest.fixture(scope="module")
def children() -> Iterator[Forks]:
    with started(CHILDREN) as forks:
        yield forks


def ingested(children: Forks, uri: str, seed: int, kill_at: int, base: int | None = None) -> bool:
    """Ingests in a fork; gives whether it came to its end and was not killed."""
    answer = children.ask(uri=uri, seed=seed, users=USERS, kill_at=kill_at, base=base)
    assert ("count" in answer, answer["code"]) in {(True, 0), (False, -signal.SIGKILL)}
    return "count" in answer


def version_seen(uri: str) -> str | None:
    """What a reader finds; None if it is told that there is no whole graph."""
    with open_store(uri) as store:
        try:
            return fetch_graph(store).version
        except StoreError:
            return None


@pytest.mark.parametrize("before", [None, 5], ids=["first-load", "other-version"])
def test_killed_ingest_is_resumed(children: Forks, engine_uri: str, before: int | None) -> None:
    rng = np.random.default_rng(7 if before else 8)
    old = random_dataset(before, 25) if before else None
    dataset = random_dataset(6, USERS)
    if old is not None:
        with open_store(engine_uri) as store:
            write_dataset(old, store)
    killed = 0
    for kill_at in (*sorted(rng.integers(6, 34, 3).tolist()), int(rng.integers(40, 120))):
        killed += not ingested(children, engine_uri, 6, kill_at)
        seen = version_seen(engine_uri)
        assert seen in {None, dataset.fingerprint, old.fingerprint if old else None}
    assert killed >= 2
    assert ingested(children, engine_uri, 6, 0)
    with open_store(engine_uri) as store:
        assert_holds(store, dataset, provenance=True)
        assert not write_dataset(dataset, store).changed


def test_killed_load_of_other_data_leaves_nothing(children: Forks, engine_uri: str) -> None:
    rng = np.random.default_rng(9)
    dataset = random_dataset(6, USERS)
    for seed in (5, 7, 8):  # each finds what the one before it left
        ingested(children, engine_uri, seed, int(rng.integers(15, 60)))
    with open_store(engine_uri) as store:
        write_dataset(dataset, store)
        assert_holds(store, dataset, provenance=True)


def test_killed_changes_are_completed_by_an_ingest(children: Forks, engine_uri: str) -> None:
    rng = np.random.default_rng(10)
    old, new = random_dataset(5, USERS), random_dataset(6, USERS)
    killed = 0
    for kill_at in sorted(rng.integers(4, 110, 4).tolist()):
        with open_store(engine_uri) as store:
            write_dataset(old, store)
        killed += not ingested(children, engine_uri, 6, kill_at, base=5)
        assert version_seen(engine_uri) in {None, old.fingerprint, new.fingerprint}
        with open_store(engine_uri) as store:
            write_dataset(new, store)
            assert_holds(store, new, provenance=True)
    assert killed >= 2
    with open_store(engine_uri) as store:
        write_dataset(old, store)
    assert ingested(children, engine_uri, 6, 0, base=5)
    with open_store(engine_uri) as store:
        assert_holds(store, new, provenance=True)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.prove)])
def test_embedded_file_is_whole_whenever_the_writer_dies(tmp_path: Path, kills: int) -> None:
    uri = f"embedded:{tmp_path / 'graph.kgl'}"
    old, new = random_dataset(1, 150, 150), random_dataset(2, 150, 150)
    with open_store(uri) as store:
        write_dataset(old, store)
    program = f"""
import sys; sys.path.insert(0, {str(CHILDREN.parents[1])!r})
from graph_oracle import random_dataset
from kgrec.ingestion import write_dataset
from kgrec.store.connect import open_store
old, new = random_dataset(1, 150, 150), random_dataset(2, 150, 150)
print("ready", flush=True)
while True:
    for dataset in (new, old):
        with open_store({uri!r}) as store:
            write_dataset(dataset, store)
"""
    rng = np.random.default_rng(3)
    versions = set()
    for _ in range(kills):
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
        write_dataset(new, store)
        assert_holds(store, new)
