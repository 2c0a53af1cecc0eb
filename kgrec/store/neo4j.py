"""The Neo4j store, over the official driver (with neo4j-rust-ext beside it).

Community edition is enough. A first load groups edges by head and matches both ends by internal
id, in transactions of `EDGE_ROWS` edges: one session of those keeps the server busy, and several
sessions run into each other's locks on relationship chains. An export asks for one record per
tail with the internal ids of its heads, which are mapped to indices here.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import neo4j
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from neo4j.exceptions import (
    AuthError,
    ClientError,
    ConfigurationError,
    DriverError,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
    TransientError,
)

from kgrec.addresses import holds_secrets, without_secrets
from kgrec.errors import ConfigError, QueryFailed, QueryTimedOut, StoreError, StoreUnavailable
from kgrec.schema import EdgeKey, NodeLabel
from kgrec.store.base import TOOK_TOO_LONG, Capabilities, EdgeBlock, GraphStore, Row
from kgrec.store.blocks import EDGE_BLOCK, edge_batches, edge_block, node_batches, record_batches
from kgrec.store.connect import NEO4J_SCHEMES
from kgrec.store.records import record_tables
from kgrec.store.state import LOADING

logger = logging.getLogger(__name__)

#: Rows a transaction of a first load.
NODE_ROWS = 10_000
EDGE_ROWS = 50_000

CONNECT_SECONDS = 10.0

_IndexArray = npt.NDArray[np.int64]


class Neo4jStore(GraphStore):
    """A database of a Neo4j server.

    Args:
        uri: `bolt://HOST:PORT`, `neo4j://HOST`, `neo4j+s://HOST`; no credentials in it.
        database: Name of the database.
        user: User name.
        password: Password; never logged.
        read_only: Whether writes are refused.

    Raises:
        ConfigError: If the address cannot be used.
        StoreUnavailable: If nothing answers, or it refuses the credentials.
    """

    def __init__(
        self,
        uri: str,
        *,
        database: str = "neo4j",
        user: str = "neo4j",
        password: str = "",
        read_only: bool = False,
    ) -> None:
        super().__init__("neo4j", read_only=read_only)
        self._place = _Place(uri, database)
        self._nodes: dict[NodeLabel, tuple[str, _IndexArray]] = {}
        self._reading_texts: set[str] = set()  # statements that the server said only read
        self._closed = False
        self._driver = _connect(self._place, user, password)
        try:
            self._agent = self._driver.get_server_info().agent
        except (DriverError, Neo4jError, ValueError) as exc:
            self._driver.close()
            raise self._place.error(exc, "connecting") from exc
        self._place = replace(self._place, was_reached=True)
        try:
            self.read("graph_state")  # the database exists and may be read
        except StoreError:
            self.close()
            raise

    @property
    def uri(self) -> str:
        """The address without credentials."""
        return self._place.uri

    @property
    def capabilities(self) -> Capabilities:
        """What the engine offers."""
        return Capabilities(
            engine="neo4j",
            version=str(self._agent).removeprefix("Neo4j/"),
            vector_index=True,
            concurrent_writers=True,
        )

    def bulk_load(
        self,
        nodes: Mapping[NodeLabel, pd.DataFrame],
        edges: Mapping[EdgeKey, pd.DataFrame],
        *,
        on_rows: Callable[[int], None] | None = None,
    ) -> None:
        """Loads into an empty graph; see `GraphStore.bulk_load`."""
        self._refuse_if_read_only()
        count = on_rows or (lambda _: None)  # there may be no progress bar
        internal = {label: self._bulk_nodes(label, frame, count) for label, frame in nodes.items()}
        for key, frame in edges.items():
            self._bulk_edges(key, frame, internal[key.head], internal[key.tail], count)

    def export_edges(self, key: EdgeKey, properties: Sequence[str] = ()) -> Iterator[EdgeBlock]:
        """Streams all edges of a set in blocks; see `GraphStore.export_edges`."""
        name = "export_edges_with_properties" if properties else "export_edges"
        params = {"properties": list(properties)} if properties else {}
        statement = self._statement(name)
        heads, tails = self._index_of_node(key.head), self._index_of_node(key.tail)
        try:
            with _read_session(self._driver, self._place) as session:
                result = session.run(statement.fill(key), statement.bind(params))
                for rows in record_batches(result, EDGE_BLOCK):
                    block = edge_block(rows, properties)
                    yield EdgeBlock(
                        self._mapped(heads, block.head_index),
                        self._mapped(tails, block.tail_index),
                        block.properties,
                    )
        except (DriverError, Neo4jError) as exc:
            raise self._place.error(exc, f"reading {key}") from exc

    def write_vectors(
        self, label: NodeLabel, ids: Sequence[str], matrix: npt.NDArray[np.float32]
    ) -> None:
        """Writes one vector a node and waits for the index; see `GraphStore.write_vectors`."""
        super().write_vectors(label, ids, matrix)
        self._execute("await_indexes")

    def close(self) -> None:
        """Releases the connections; safe to call twice."""
        if not self._closed:
            self._closed = True
            self._driver.close()

    def _run(self, text: str, params: Mapping[str, Any], *, writes: bool) -> list[Row]:
        routing = neo4j.RoutingControl.WRITE if writes else neo4j.RoutingControl.READ
        result = self._result(neo4j.Query(text), params, routing)
        return [dict(record) for record in result.records]

    def _run_guarded(
        self, text: str, params: Mapping[str, Any], timeout: float | None
    ) -> list[Row]:
        read_access = neo4j.RoutingControl.READ
        if text not in self._reading_texts:
            plan = self._result(neo4j.Query(f"EXPLAIN {text}"), params, read_access)
            if plan.summary.query_type != "r":
                raise StoreError(f"the query does more than read: {text.splitlines()[0]}")
            self._reading_texts.add(text)
        result = self._result(neo4j.Query(text, timeout=timeout), params, read_access)
        return [dict(record) for record in result.records]

    def _result(
        self, query: neo4j.Query, params: Mapping[str, Any], routing: neo4j.RoutingControl
    ) -> neo4j.EagerResult:
        if self._closed:
            raise StoreError(f"{self.uri} is closed; open it again")
        try:
            return self._driver.execute_query(
                query, dict(params), routing_=routing, database_=self._place.database
            )
        except (DriverError, Neo4jError) as exc:
            raise self._place.error(exc, query.text.splitlines()[0]) from exc

    def _bulk_nodes(
        self, label: NodeLabel, frame: pd.DataFrame, on_rows: Callable[[int], None]
    ) -> _IndexArray:
        """Makes the nodes and gives their internal ids by position."""
        internal = np.full(len(frame), -1, dtype=np.int64)
        for rows in node_batches(frame, NODE_ROWS):
            for row in self._execute("bulk_nodes", {"rows": rows}, label=label):
                internal[row["position"]] = row["node"]
            on_rows(len(rows))
        return internal

    def _bulk_edges(
        self,
        key: EdgeKey,
        frame: pd.DataFrame,
        heads: _IndexArray,
        tails: _IndexArray,
        on_rows: Callable[[int], None],
    ) -> None:
        for batch in edge_batches(frame, heads, tails, EDGE_ROWS):
            name = "bulk_edges_with_properties" if batch.has_values else "bulk_edges"
            self._execute(name, {"rows": batch.rows, "shared": batch.shared_values}, key=key)
            on_rows(batch.edges)

    def _index_of_node(self, label: NodeLabel) -> _IndexArray:
        """Maps internal ids to indices, -1 elsewhere; kept as long as the graph's version stays."""
        state = self.read("graph_state")
        version = f"{state[0]['version']} {state[0]['state']}" if state else ""
        cached = self._nodes.get(label)
        if cached is None or cached[0] != version or version.endswith(LOADING):
            row = self.read("node_keys", label=label)[0]
            nodes = np.asarray(row["nodes"], dtype=np.int64)
            index = np.full(int(nodes.max()) + 1 if len(nodes) else 0, -1, dtype=np.int64)
            index[nodes] = np.asarray(row["indices"], dtype=np.int64)
            self._nodes[label] = (version, index)
        return self._nodes[label][1]

    def _mapped(self, index: _IndexArray, nodes: _IndexArray) -> _IndexArray:
        if len(nodes) and nodes.max() < len(index):
            indices = index[nodes]
            if indices.min() >= 0:
                return indices
        self._nodes.clear()
        raise StoreError(f"the graph in {self.uri} changed while it was read; read it again")


def stream_query(
    uri: str,
    database: str,
    cypher: str,
    user: str,
    password: str,
    batch: int = 50_000,
) -> Iterator[pa.Table]:
    """Runs a reading query on any Neo4j and gives its rows, table by table.

    The query runs in read access mode, and only if the server says that it reads and nothing else.

    Args:
        uri: `bolt://HOST:PORT`, `neo4j://HOST`, `neo4j+s://HOST`; no credentials in it.
        database: Name of the database.
        cypher: The query; its columns are those of the tables.
        user: User name.
        password: Password; never logged.
        batch: Rows a table.

    Yields:
        Tables as `record_tables` makes them; none if there are no rows.

    Raises:
        ConfigError: If the address cannot be used.
        StoreUnavailable: If nothing answers, or it refuses the credentials.
        QueryFailed: If the server refuses the query.
        StoreError: If the query writes, or returns nodes instead of properties.
    """
    place = _Place(
        uri, database, "the source's uri", "the source's database", "KGREC_SOURCE",
        "start it, or correct the source's uri",
    )  # fmt: skip
    driver = _connect(place, user, password)
    try:
        with _read_session(driver, place) as session:
            kind = session.run(neo4j.Query(f"EXPLAIN {cypher}")).consume().query_type
            if kind != "r":
                raise StoreError(
                    f"the source's query on {uri} does more than read (the server calls it "
                    f"{kind!r}); expected MATCH … RETURN …; take the writing clause out"
                )
            result = session.run(neo4j.Query(cypher))
            records = (record.values() for record in result)
            yield from record_tables(result.keys(), records, batch)
    except (DriverError, Neo4jError) as exc:
        raise place.error(exc, "the source's query") from exc
    finally:
        driver.close()


@dataclass(frozen=True)
class _Place:
    """A database, and how messages speak of what leads to it."""

    uri: str
    database: str
    uri_setting: str = "store.uri"
    database_setting: str = "store.database"
    variables: str = "KGREC_NEO4J"
    remedy: str = 'start it with "docker compose up -d --wait"'
    was_reached: bool = False

    def error(self, exc: Exception, action: str) -> StoreError:
        """Gives the driver's error as kgrec's."""
        if isinstance(exc, AuthError) or "AuthenticationRateLimit" in str(exc):
            return StoreUnavailable(
                f"{self.uri} refuses the credentials; set {self.variables}_USER and "
                f"{self.variables}_PASSWORD to those of the server"
            )
        unreachable = isinstance(exc, ServiceUnavailable | SessionExpired | ValueError)
        if unreachable or (
            isinstance(exc, TransientError) and "DatabaseUnavailable" in str(exc.code)
        ):
            still = " any more" if self.was_reached else ""
            return StoreUnavailable(f"no Neo4j answers at {self.uri}{still}; {self.remedy}")
        if isinstance(exc, ClientError) and "DatabaseNotFound" in str(exc.code):
            return StoreUnavailable(
                f"{self.uri} has no database {self.database!r}; check {self.database_setting}"
            )
        if isinstance(exc, ClientError | TransientError) and "TransactionTimedOut" in str(exc.code):
            return QueryTimedOut(f"{action}: {TOOK_TOO_LONG}")
        return QueryFailed(f"Neo4j refused: {action}: {exc}")


def _connect(place: _Place, user: str, password: str) -> neo4j.Driver:
    if holds_secrets(place.uri):
        raise ConfigError(
            f"{place.uri_setting} holds credentials; take them out and set "
            f"{place.variables}_USER and {place.variables}_PASSWORD"
        )
    try:
        if place.uri.partition("://")[0] not in NEO4J_SCHEMES:
            raise ValueError("it does not begin with one of " + ", ".join(NEO4J_SCHEMES))
        return neo4j.GraphDatabase.driver(
            place.uri,
            auth=(user, password),
            telemetry_disabled=True,
            notifications_min_severity="OFF",
            warn_notification_severity="OFF",
            connection_timeout=CONNECT_SECONDS,
            user_agent="kgrec",
        )
    except (ConfigurationError, ValueError) as exc:
        raise ConfigError(
            without_secrets(f"{place.uri_setting} {place.uri!r} is no Neo4j address: {exc}")
            + "; expected bolt://HOST:PORT"
        ) from exc


def _read_session(driver: neo4j.Driver, place: _Place) -> neo4j.Session:
    return driver.session(
        database=place.database, default_access_mode=neo4j.READ_ACCESS, fetch_size=1_000
    )
