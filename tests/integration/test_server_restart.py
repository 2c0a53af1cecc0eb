"""A Neo4j that dies in the middle of an update and comes back: the next update completes it."""

import threading
import time
from pathlib import Path

import conftest
import neo4j
import neo4j_server
import numpy as np
import pytest
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


def edges_in(server: neo4j_server.Server) -> int:
    with neo4j.GraphDatabase.driver(
        server.uri, auth=(server.user, server.password), telemetry_disabled=True
    ) as driver:
        return int(driver.execute_query("MATCH ()-[x]->() RETURN count(x) AS n").records[0]["n"])


@pytest.mark.neo4j
@pytest.mark.skipif(conftest.GIVEN_URI is not None, reason="the server is not ours to kill")
def test_a_server_that_dies_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgrec.store.neo4j.EDGE_ROWS", 20)  # many transactions to die between
    server = neo4j_server.start()
    try:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        (tmp_path / "kgrec.toml").write_text(CONFIG.format(uri=server.uri), encoding="utf-8")
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
        while (found := edges_in(server)) == 0 and loading.is_alive():
            time.sleep(0.05)
        assert 0 < found < ROWS  # it is in the middle
        server = neo4j_server.restart(server)
        loading.join()  # the driver may have waited for the server, or the load has failed
        assert all("no Neo4j answers" in str(error) for error in raised)
        deliver(tmp_path, 2, 500)
        ingest(config, progress=False)
        with open_store(config.store) as store:
            assert_holds(store, load_dataset(config.data, config.seed))
    finally:
        neo4j_server.stop(server)
