"""`kgrec inspect`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from kgrec.addresses import shown_address
from kgrec.cli.options import AsJson
from kgrec.cli.output import Reporter, plain_table
from kgrec.config import StoreConfig
from kgrec.errors import ConfigError

if TYPE_CHECKING:
    from kgrec.adopt.facts import GraphFacts, Property
    from kgrec.store.base import GraphStore

_Graph = Annotated[
    str, typer.Option("--store", metavar="URI", help="A Neo4j: bolt://HOST:PORT, neo4j+s://HOST …")
]
_Database = Annotated[str, typer.Option("--database", metavar="NAME", help="Its database.")]
_Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="C.toml", help="Write the proposal as settings, too."),
]
_Sample = Annotated[
    int, typer.Option("--sample", metavar="N", help="Nodes looked at, a label; edges, a type.")
]


def inspect(
    store: _Graph,
    database: _Database = "neo4j",
    out: _Out = None,
    sample: _Sample = 1_000,
    as_json: AsJson = False,
) -> None:
    """Look at a Neo4j graph that others made, and propose what its names mean."""
    if sample < 1:
        raise ConfigError(f"--sample must be positive, got {sample}; give a number such as 1000")
    if out is not None and out.exists():
        raise ConfigError(f"--out {out} exists already; give another name, or remove it")
    with Reporter(as_json) as reporter:
        from kgrec.adopt import propose
        from kgrec.adopt.proposal import to_json
        from kgrec.progress import progress_bar

        with (
            reporter.step("inspect") as notes,
            progress_bar("look", None, enabled=not as_json) as bar,
        ):
            with _open_adopted(store, database) as graph_store:
                inspected = propose.inspect(
                    graph_store, database=database, sample=sample, on_name=bar
                )
            facts, proposal = inspected.facts, inspected.proposal
            notes.append(f"{len(facts.labels)} labels, {len(facts.types)} relationship types")
        if out is not None:
            _write(out, inspected.config)
        for doubt in () if as_json else proposal.unsure():
            reporter.warn(f"unsure: {doubt}")
        answer = {
            **asdict(facts),
            "proposal": to_json(proposal),
            "config": inspected.config,
            "out": None if out is None else str(out),
            "seconds": reporter.seconds,
        }
        if out is None:
            ending: Text | str = Text(inspected.config.rstrip("\n"))
        else:
            ending = f"written: {out}; next: kgrec ingest --config {out}"
        reporter.answer(answer, _labels(facts), "", _types(facts), "", ending)


def _open_adopted(uri: str, database: str) -> GraphStore:
    """Opens the graph to look at it, as the user who reads sources if there is one."""
    from kgrec.store.connect import NEO4J_SCHEMES, open_store

    if uri.partition("://")[0] not in NEO4J_SCHEMES:
        raise ConfigError(
            f"{shown_address(uri)} is no Neo4j; expected bolt://HOST:PORT, neo4j://HOST or "
            f"neo4j+s://HOST; what a store of kgrec's own holds is told by kgrec status"
        )
    reader = {name: os.environ.get(f"KGREC_SOURCE_{name.upper()}") for name in ("user", "password")}
    credentials = reader if any(reader.values()) else {}
    return open_store(StoreConfig(uri=uri, database=database), read_only=True, **credentials)


def _write(path: Path, text: str) -> None:
    """Writes the file, never over one that is there."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        raise ConfigError(
            f"--out {path} cannot be written: {exc.strerror}; give another name"
        ) from exc


def _labels(facts: GraphFacts) -> Table:
    rows = [(label.name, label.nodes, _properties(label.properties)) for label in facts.labels]
    return plain_table("label", "nodes", "properties", rows=rows, right=["nodes"])


def _types(facts: GraphFacts) -> Table:
    numbers, rows = ("count", "a head", "a tail"), []
    for kind in facts.types:
        ends = [facts.main_label(counts, kind.edges) or "…" for counts in (kind.heads, kind.tails)]
        means = [
            "" if degrees is None else f"{degrees.mean:.1f}"
            for degrees in (kind.outgoing, kind.incoming)
        ]
        shape = f"(:{ends[0]})-[:{kind.name}]->(:{ends[1]})"
        rows.append((shape, kind.edges, *means, _properties(kind.properties)))
    return plain_table("relationship", *numbers, "properties", rows=rows, right=numbers)


def _properties(properties: Sequence[Property]) -> str:
    """Names with types; `!` marks one that a constraint makes unique, `?` one that some lack."""
    words = [
        f"{property_facts.name} {property_facts.type.lower()}"
        + ("!" if property_facts.unique else "")
        + ("?" if property_facts.present < 1 else "")
        for property_facts in properties
    ]
    return ", ".join(words)
