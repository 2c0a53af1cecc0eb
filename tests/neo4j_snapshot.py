"""The whole content of a Neo4j, taken once and put back as often as a test needs it."""

from dataclasses import dataclass
from typing import Any

import neo4j
from conftest import delete_all, driver_of, empty_neo4j

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Snapshot:
    """All nodes, edges and vector indexes; constraints stay where they are.

    Attributes:
        nodes: By labels: `node`, an internal id, and `properties`.
        edges: By type: `head` and `tail`, internal ids, and `properties`.
        vector_indexes: The statements that make them.
    """

    nodes: dict[str, Rows]
    edges: dict[str, Rows]
    vector_indexes: list[str]


def take_snapshot(uri: str) -> Snapshot:
    """Reads a server whose credentials are in the environment."""
    with driver_of(uri) as driver:
        nodes = driver.execute_query(
            "MATCH (n) WITH n ORDER BY id(n) RETURN labels(n) AS labels, elementId(n) AS node, "
            "properties(n) AS properties"
        )
        edges = driver.execute_query(
            "MATCH (a)-[x]->(b) WITH * ORDER BY id(x) RETURN type(x) AS type, "
            "elementId(a) AS head, elementId(b) AS tail, properties(x) AS properties"
        )
        indexes = _vector_indexes(driver)
    by_labels: dict[str, Rows] = {}
    for row in nodes.records:
        by_labels.setdefault(":".join(f"`{x}`" for x in row["labels"]), []).append(row.data())
    by_type: dict[str, Rows] = {}
    for row in edges.records:
        by_type.setdefault(f"`{row['type']}`", []).append(row.data())
    return Snapshot(by_labels, by_type, indexes)


def restore_snapshot(uri: str, snapshot: Snapshot) -> None:
    """Makes a server hold what the snapshot holds, and nothing else."""
    places: dict[str, str] = {}
    with driver_of(uri) as driver:
        # An index that comes or goes makes the server forget all plans.
        if _vector_indexes(driver) == snapshot.vector_indexes:
            delete_all(driver)
        else:
            empty_neo4j(uri)
            for statement in snapshot.vector_indexes:
                driver.execute_query(statement)
        for labels, rows in snapshot.nodes.items():
            made = driver.execute_query(
                f"UNWIND $rows AS row CREATE (n:{labels}) SET n = row.properties "
                "RETURN row.node AS old, elementId(n) AS new",
                rows=rows,
            )
            places |= {row["old"]: row["new"] for row in made.records}
        for kind, rows in snapshot.edges.items():
            ends = [
                {**row, "head": places[row["head"]], "tail": places[row["tail"]]} for row in rows
            ]
            driver.execute_query(
                "UNWIND $rows AS row MATCH (a) WHERE elementId(a) = row.head "
                "MATCH (b) WHERE elementId(b) = row.tail "
                f"CREATE (a)-[x:{kind}]->(b) SET x = row.properties",
                rows=ends,
            )
        driver.execute_query("CALL db.awaitIndexes(60)")


def _vector_indexes(driver: neo4j.Driver) -> list[str]:
    indexes = driver.execute_query("SHOW VECTOR INDEXES YIELD name, createStatement ORDER BY name")
    return [row["createStatement"] for row in indexes.records]
