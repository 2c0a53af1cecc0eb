"""Opening stores: what goes wrong is said in one clear message."""

import logging
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from graph_oracle import random_dataset

from kgrec.config import StoreConfig
from kgrec.errors import ConfigError, StoreBusy, StoreError, StoreUnavailable
from kgrec.ingestion import graph_version, write_dataset
from kgrec.store.connect import open_store


@pytest.mark.parametrize("uri", ["graph.kgl", "embedded:", "http://localhost:7474", "bolt:x", ""])
def test_unknown_address(uri: str) -> None:
    with pytest.raises(ConfigError, match="expected embedded:PATH, bolt://HOST:PORT"):
        open_store(uri)


def test_credentials_in_the_address_are_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match="KGREC_NEO4J_PASSWORD") as caught:
        open_store("bolt://anna:geheim@localhost:7687")
    assert "geheim" not in str(caught.value)
    assert "anna" not in str(caught.value)


def test_server_down() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"bolt://127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(StoreUnavailable, match="docker compose up -d --wait") as caught:
            open_store(uri, password="geheim")
    assert uri in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_wrong_password(neo4j_uri: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(StoreUnavailable) as caught:
        open_store(neo4j_uri, password="not-the-password")
    assert "KGREC_NEO4J_USER and KGREC_NEO4J_PASSWORD" in str(caught.value)
    assert "not-the-password" not in str(caught.value) + caplog.text


def test_unknown_database(neo4j_uri: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"no database 'nope'.*store\.database"):
        open_store(StoreConfig(uri=neo4j_uri, database="nope"))


def test_neo4j_reader_cannot_write_even_by_a_reading_statement(neo4j_uri: str) -> None:
    with open_store(neo4j_uri, read_only=True) as store:
        assert store.capabilities.engine == "neo4j"
        assert store.capabilities.version[0].isdigit()
        with pytest.raises(StoreError, match="Writing in read access mode"):
            store._run("CREATE (n:User {id: 'x'})", {}, writes=False)  # type: ignore[attr-defined]


def test_missing_file_for_reading(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="kgrec ingest"):
        open_store(f"embedded:{tmp_path / 'graph.kgl'}", read_only=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read_only", [True, False])
def test_damaged_file_is_refused_and_left_alone(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "graph.kgl"
    with open_store(f"embedded:{path}") as store:
        write_dataset(random_dataset(0), store)
    damaged = path.read_bytes()[:-200]
    path.write_bytes(damaged)
    with pytest.raises(StoreError, match="run kgrec ingest"):
        open_store(f"embedded:{path}", read_only=read_only)
    assert path.read_bytes() == damaged
    path.write_bytes(b"not a graph at all")
    with pytest.raises(StoreError, match="run kgrec ingest"):
        open_store(f"embedded:{path}", read_only=read_only)


def test_data_put_aside_by_the_engine_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "graph.kgl"
    open_store(f"embedded:{path}").close()
    (tmp_path / "graph.kgl-wal.quarantine-1").write_bytes(b"x")
    with pytest.raises(StoreError, match="quarantine-1 lies beside the graph"):
        open_store(f"embedded:{path}")


def test_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    uri = f"embedded:{tmp_path / 'graph.kgl'}"
    dataset = random_dataset(0)
    program = f"from kgrec.store.connect import open_store\nopen_store({uri!r})"
    with open_store(uri) as store:
        write_dataset(dataset, store)
        with pytest.raises(StoreBusy, match="only one process may write"):
            open_store(uri)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert "StoreBusy" in done.stderr
        with open_store(uri, read_only=True) as reader:  # readers are not held up
            assert graph_version(reader) == dataset.fingerprint
    open_store(uri).close()


def test_a_block_that_raises_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    uri = f"embedded:{tmp_path / 'graph.kgl'}"
    dataset = random_dataset(0)
    with open_store(uri) as store:
        write_dataset(dataset, store)

    def fail_halfway() -> None:
        with open_store(uri) as store:
            store.write("set_graph_state", version="y", state="loading", interaction_properties=[])
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        fail_halfway()
    with open_store(uri, read_only=True) as store:
        assert graph_version(store) == dataset.fingerprint
