"""Another Neo4j as a source: it is read, never written, and what comes is plain."""

import datetime
import logging
import os
import socket
from collections.abc import Callable, Iterator

import neo4j
import pyarrow as pa
import pytest

from kgrec.errors import ConfigError, QueryFailed, StoreError, StoreUnavailable
from kgrec.store.neo4j import stream_query

Ask = Callable[..., list[pa.Table]]


@pytest.fixture
def ask(neo4j_uri: str) -> Iterator[Ask]:
    """Runs a query on a Neo4j that somebody else filled, with seven orders in it."""
    user, password = (os.environ.get(f"KGREC_NEO4J_{name}", "") for name in ("USER", "PASSWORD"))
    with neo4j.GraphDatabase.driver(
        neo4j_uri, auth=(user or "neo4j", password), telemetry_disabled=True
    ) as driver:
        driver.execute_query(
            "UNWIND range(1, 7) AS n CREATE (:Customer {name: 'c' + n})-[:BOUGHT {price: n / 2.0,"
            " at: datetime('2024-01-01T00:00:00Z') + duration({days: n})}]->(:Thing {number: n})"
        )

    def run(cypher: str, database: str = "neo4j", batch: int = 50_000) -> list[pa.Table]:
        return list(
            stream_query(neo4j_uri, database, cypher, user or "neo4j", password, batch=batch)
        )

    yield run
    (found,) = run("MATCH (n) RETURN count(n) AS nodes, sum(size(keys(n))) AS properties")
    assert found.to_pylist() == [{"nodes": 14, "properties": 14}]  # as it was


def test_rows_come_in_batches_with_their_kinds(ask: Ask) -> None:
    tables = ask(
        "MATCH (c:Customer)-[b:BOUGHT]->(t:Thing) RETURN c.name AS user, t.number AS item,"
        " b.price AS rating, b.at AS time, null AS nothing, [t.number] AS list ORDER BY item",
        batch=3,
    )
    assert [len(table) for table in tables] == [3, 3, 1]
    whole = pa.concat_tables(tables)
    assert whole.column_names == ["user", "item", "rating", "time", "nothing", "list"]
    assert whole["user"].to_pylist() == [f"c{n}" for n in range(1, 8)]
    assert whole["item"].type == pa.int64()
    assert whole["rating"].to_pylist() == [n / 2 for n in range(1, 8)]
    first = datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)
    assert whole["time"].to_pylist()[0] == first
    assert whole["nothing"].null_count == 7
    assert whole["list"].to_pylist()[6] == [7]


def test_a_column_of_several_kinds_becomes_text(ask: Ask) -> None:
    (table,) = ask(
        "UNWIND [1, 'two', 2.5, null] AS x RETURN x, date('2024-02-03') AS day,"
        " duration({months: 1, seconds: 2}) AS long, {a: 1} AS map"
    )
    assert table["x"].to_pylist() == ["1", "two", "2.5", None]
    assert table["day"].to_pylist() == [datetime.date(2024, 2, 3)] * 4
    assert table["long"].to_pylist() == ["P1MT2S"] * 4
    assert table["map"].to_pylist()[0] == {"a": 1}


def test_no_rows_are_no_tables(ask: Ask) -> None:
    assert ask("MATCH (n:Nobody) RETURN n.id AS id") == []
    assert len(ask("MATCH (c:Customer) RETURN c.name AS id", batch=7)) == 1


@pytest.mark.parametrize(
    "cypher",
    [
        "MATCH (n) DETACH DELETE n",
        "MATCH (n:Customer) SET n.name = 'x' RETURN n.name AS id",
        "CREATE (n:Customer {name: 'x'}) RETURN n.name AS id",
        "CREATE INDEX kgrec_probe IF NOT EXISTS FOR (n:Customer) ON (n.name)",
    ],
)
def test_a_query_that_writes_is_refused_before_it_runs(ask: Ask, cypher: str) -> None:
    with pytest.raises(StoreError, match="does more than read"):
        ask(cypher)


def test_whole_nodes_are_refused(ask: Ask) -> None:
    for returned in ("c", "[c] AS c", "{c: c} AS c"):
        with pytest.raises(StoreError, match=r"column 'c' holds a Node.*return properties"):
            ask(f"MATCH (c:Customer) RETURN {returned}")


def test_what_the_server_says_is_passed_on(ask: Ask) -> None:
    with pytest.raises(QueryFailed, match="the source's query"):
        ask("MATCH (n RETURN n")
    with pytest.raises(StoreUnavailable, match=r"no database 'nope'.*the source's database"):
        ask("RETURN 1 AS x", database="nope")


def test_wrong_password(neo4j_uri: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(StoreUnavailable) as caught:
        list(stream_query(neo4j_uri, "neo4j", "RETURN 1 AS x", "neo4j", "not-the-password"))
    assert "KGREC_SOURCE_USER and KGREC_SOURCE_PASSWORD" in str(caught.value)
    assert "not-the-password" not in str(caught.value) + caplog.text


def test_server_down_and_bad_addresses() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"bolt://127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(StoreUnavailable, match="correct the source's uri"):
            list(stream_query(uri, "neo4j", "RETURN 1 AS x", "neo4j", "geheim"))
    with pytest.raises(ConfigError, match="holds credentials") as caught:
        list(stream_query("bolt://anna:geheim@h", "neo4j", "RETURN 1 AS x", "", ""))
    assert "geheim" not in str(caught.value)
    with pytest.raises(ConfigError, match="no Neo4j address"):
        list(stream_query("http://localhost:7474", "neo4j", "RETURN 1 AS x", "", ""))
