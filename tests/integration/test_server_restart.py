"""A Neo4j that dies in the middle of an update and comes back: the next update completes it."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import MortalServer, driver_of
from graph_oracle import assert_holds

from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.errors import StoreError
from kgrec.ingestion import ingest
from kgrec.store.connect import open_store

ROWS = 4_000

CONFIG = """\
[store]
uri = "{uri}"
[data]
split = {{ kind = "temporal_user" }}
[[data.sources]]
name = "events"
kind = "interactions"
path = "day*.csv"
"""


def deliver(folder: Path, number: int, rows: int) -> None:
    rng = np.random.default_rng(number)
    users, items = rng.integers(0, 400, rows), rng.integers(0, 1_000, rows)
    lines = [f"u{u},i{i},{1_000 + n}" for n, (u, i) in enumerate(zip(users, items, strict=True))]
    (folder / f"day{number}.csv").write_text("\n".join(["user,item,time", *lines]))


def edges_in(uri: str) -> int:
    with driver_of(uri) as driver:
        return int(driver.execute_query("MATCH ()-[x]->() RETURN count(x) AS n").records[0]["n"])


def test_a_server_that_dies_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mortal_server: MortalServer
) -> None:
    monkeypatch.setattr("kgrec.store.neo4j.EDGE_ROWS", 20)  # many transactions to die between
    (tmp_path / "kgrec.toml").write_text(CONFIG.format(uri=mortal_server.uri), encoding="utf-8")
    config = Config.load(tmp_path / "kgrec.toml")
    deliver(tmp_path, 1, ROWS)
    raised: list[BaseException] = []

    def load() -> None:
        try:
            ingest(config, progress=False)
        except StoreError as error:
            raised.append(error)

    loading = threading.Thread(target=load)
    loading.start()
    while (found := edges_in(mortal_server.uri)) == 0 and loading.is_alive():
        time.sleep(0.05)
    assert 0 < found < ROWS  # it is in the middle
    mortal_server.come_back()
    loading.join()  # the driver may have waited for the server, or the load has failed
    assert all("no Neo4j answers" in str(error) for error in raised)
    deliver(tmp_path, 2, 500)
    ingest(config, progress=False)
    with open_store(config.store) as store:
        assert_holds(store, load_dataset(config.data, config.seed))
