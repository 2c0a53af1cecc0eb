"""Updates that are killed anywhere, or run out of disk: the next one completes the graph."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_oracle import assert_holds

from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.errors import StoreError
from kgrec.graph.fetch import fetch_graph
from kgrec.store.connect import open_store

CHILDREN = Path(__file__).with_name("ingest_children.py")
FEW, MANY = 10, 50

CONFIG = """\
[store]
uri = "{store}"
[data]
split = {{ kind = "temporal_user" }}
[[data.sources]]
name = "events"
kind = "interactions"
path = "day*.csv"
[[data.sources]]
name = "catalogue"
kind = "items"
path = "items*.csv"
properties = {{ brand = {{ as = "attribute", relation = "made_by" }} }}
"""


class Children:
    """A process that runs command lines in forks of itself."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, *arguments: str, **limits: float | None) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"arguments": arguments, **limits}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "Traceback" not in answer["stderr"], answer["stderr"]
        assert "unexpected" not in answer["stderr"], answer["stderr"]
        return answer


@pytest.fixture
def children() -> Iterator[Children]:
    with subprocess.Popen(
        [sys.executable, str(CHILDREN)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Children(process)
        assert process.stdin is not None
        process.stdin.close()


def shop(folder: Path, store: str) -> Path:
    path = folder / "kgrec.toml"
    path.write_text(CONFIG.format(store=store), encoding="utf-8")
    items = [f"i{n},The Item {n},brand{n % 7}" for n in range(60)]
    (folder / "items1.csv").write_text("\n".join(["id,title,brand", *items]), encoding="utf-8")
    return path


def deliver(folder: Path, number: int, rng: np.random.Generator, rows: int = 300) -> None:
    """A day of events; now and then the catalogue changes as well."""
    users, items = rng.integers(0, 40 + number, rows), rng.integers(0, 60 + number, rows)
    times = 1_000 * number + rng.integers(0, 1_500, rows)
    lines = [f"u{u},i{i},{t}" for u, i, t in zip(users, items, times, strict=True)]
    (folder / f"day{number}.csv").write_text("\n".join(["user,item,time", *lines]))
    if number % 5 == 0:
        text = f"id,title,brand\ni{number},Another Title {number},brand{number}"
        (folder / f"items{number}.csv").write_text(text, encoding="utf-8")


def version(uri: str) -> str | None:
    """The version a reader sees; None if it is told that there is none now."""
    try:
        with open_store(uri, read_only=True) as store:
            return fetch_graph(store).version
    except StoreError:
        return None


@pytest.mark.parametrize("kills", [FEW, pytest.param(MANY, marks=pytest.mark.prove)])
def test_killed_at_random_moments(
    tmp_path: Path, engine_uri: str, children: Children, kills: int
) -> None:
    rng = np.random.default_rng(11)
    path = shop(tmp_path, engine_uri)
    config = Config.load(path)
    deliver(tmp_path, 0, rng)
    usual = max(children.run("ingest", "--config", str(path))["seconds"], 0.05)
    known, killed = {version(engine_uri)}, 0
    for number in range(1, kills + 1):
        deliver(tmp_path, number, rng)
        after = float(rng.uniform(0, usual))
        answer = children.run("ingest", "--config", str(path), kill_after=after)
        assert answer["code"] in {0, -signal.SIGALRM}, answer["stderr"]
        killed += answer["code"] != 0
        if not answer["code"]:  # the first one was slow, or the machine was busy
            usual = max(min(usual, answer["seconds"]), 0.05)
        if number % 5 == 0:  # whatever a reader sees is whole
            seen = version(engine_uri)
            whole = load_dataset(config.data, config.seed).fingerprint
            assert answer["code"] or seen == whole
            known.add(seen)
    assert killed > kills // 4
    assert children.run("ingest", "--config", str(path))["code"] == 0
    dataset = load_dataset(config.data, config.seed)
    with open_store(engine_uri) as store:
        assert_holds(store, dataset)
    assert not list(tmp_path.rglob(".staging*"))


def test_disk_full(tmp_path: Path, children: Children) -> None:
    rng = np.random.default_rng(12)
    uri = f"embedded:{tmp_path / 'graph.kgl'}"
    path = shop(tmp_path, uri)
    config = Config.load(path)
    deliver(tmp_path, 0, rng)
    assert children.run("ingest", "--config", str(path))["code"] == 0
    failed = 0
    for number, limit in enumerate((0, 100, 1_000, 3_000, 6_000, 12_000, 25_000), start=1):
        before = version(uri)
        deliver(tmp_path, number, rng)
        answer = children.run("ingest", "--config", str(path), file_bytes=limit)
        whole = load_dataset(config.data, config.seed).fingerprint
        assert answer["code"] in {0, 1}
        assert version(uri) == (before if answer["code"] else whole)
        failed += answer["code"]
        if answer["code"]:
            assert answer["stderr"].startswith("error: ")
    assert failed >= 3
    assert children.run("ingest", "--config", str(path))["code"] == 0
    with open_store(uri, read_only=True) as store:
        assert_holds(store, load_dataset(config.data, config.seed))
