"""Runs a Cypher script on a Neo4j, as `cypher-shell --file` does, with the driver kgrec brings.

    python examples/movies/load.py movies.cypher --uri bolt://localhost:7687

User and password come from KGREC_NEO4J_USER and KGREC_NEO4J_PASSWORD.
"""

import argparse
import os
from pathlib import Path

import neo4j


def main() -> None:
    """Runs the statements of the script, each in a transaction of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("script", type=Path)
    parser.add_argument("--uri", default="bolt://localhost:7687")
    parser.add_argument("--database", default="neo4j")
    options = parser.parse_args()
    user = os.environ.get("KGREC_NEO4J_USER", "neo4j")
    password = os.environ.get("KGREC_NEO4J_PASSWORD", "")
    statements = options.script.read_text(encoding="utf-8").split(";\n")
    with neo4j.GraphDatabase.driver(
        options.uri, auth=(user, password), telemetry_disabled=True
    ) as driver:
        for statement in statements:
            if statement.strip():
                driver.execute_query(statement, database_=options.database)
        (counts,) = driver.execute_query(
            "MATCH (n) RETURN count(n) AS nodes, COUNT { ()-[]->() } AS relationships",
            database_=options.database,
        ).records
    print(f"{counts['nodes']:,} nodes, {counts['relationships']:,} relationships")


if __name__ == "__main__":
    main()
