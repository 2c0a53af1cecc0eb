"""What is published in a graph of others is kept fresh, and nothing else of it is touched."""

from pathlib import Path
from typing import Any

import pytest
import torch
from test_adopt import SHOP, cypher, shop  # noqa: F401 - a fixture
from test_adopt import Run as Cypher

from kgrec.adopt import graph_of_users
from kgrec.cli.app import main
from kgrec.config import Config
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import ingest
from kgrec.publication import publish
from kgrec.publication.lists import item_lists, user_lists
from kgrec.recommender import Recommender
from kgrec.schema import NodeLabel
from kgrec.store.connect import open_store
from kgrec.training.directory import Run, load_run
from kgrec.training.fit import train
from kgrec.upkeep.forget import forget
from kgrec.upkeep.watching import watch

TOP, SIMILAR = 5, 3
SMALL: dict[str, dict[str, Any]] = {
    "text": {"enabled": False},
    "model": {"channels": 8},
    "training": {"epochs": 2, "ensemble": 1},
    # What is left is the network, which has vectors.
    "closed_form": {"enabled": False},
    "user_side": {"enabled": False},
    "factors": {"enabled": False},
    "directed": {"enabled": False},
    "cold": {"enabled": False},
}

Lists = dict[str, list[str]]


def published(cypher: Cypher, uri: str, folder: Path) -> tuple[Config, Run]:  # noqa: F811
    """The shop, adopted, and a run of it published in it."""
    shop(cypher)
    tree = {"store": {"uri": f"embedded:{folder / 'graph.kgl'}"}, "adopt": {"uri": uri, **SHOP}}
    config = Config.build({**tree, **SMALL})
    ingest(config, progress=False)
    with open_store(config.store, read_only=True) as store:
        run = train(config, fetch_graph(store), folder / "run", progress=False)
    place, naming = graph_of_users(config)
    with open_store(place) as store:
        publish(run, store, top=TOP, similar=SIMILAR, naming=naming, progress=False)
    return config, run


def lists(cypher: Cypher) -> Lists:  # noqa: F811
    """What readers of the graph find, by user and by item."""
    found: Lists = {}
    for row in cypher(
        "MATCH (now:KgrecCurrent) MATCH (a)-[r:KGREC_RECOMMENDED|KGREC_SIMILAR]->(t:Thing) "
        "WHERE r.run = now.publication "
        "RETURN coalesce(a.number, toString(a.sku)) AS head, toString(t.sku) AS item, "
        "r.rank AS rank ORDER BY head, rank"
    ):
        found.setdefault(row["head"], []).append(row["item"])
        assert row["rank"] == len(found[row["head"]])
    return found


def wanted(run: Run) -> Lists:
    """What a full publication would give."""
    recommender, found = Recommender(run), {}
    users, items = (run.vocabularies[label].ids for label in (NodeLabel.USER, NodeLabel.ITEM))
    for heads, made in (
        (users, user_lists(recommender, torch.arange(len(users)), TOP)),
        (items, item_lists(recommender, torch.arange(len(items)), SIMILAR)),
    ):
        for head, item in zip(made.head.tolist(), made.item.tolist(), strict=True):
            found.setdefault(heads[head], []).append(items[item])
    return found


def vectors(cypher: Cypher) -> dict[str, list[float]]:  # noqa: F811
    rows = cypher(
        "MATCH (n) WHERE n.kgrec_vector_a IS NOT NULL "
        "RETURN coalesce(n.number, toString(n.sku)) AS id, n.kgrec_vector_a AS vector"
    )
    return {row["id"]: row["vector"] for row in rows}


def of_others(cypher: Cypher) -> list[dict[str, Any]]:  # noqa: F811
    """All of the graph that is not kgrec's."""
    return cypher(
        "MATCH (n) WHERE NOT labels(n)[0] STARTS WITH 'Kgrec' "
        "OPTIONAL MATCH (n)-[r]->(m) WHERE NOT type(r) STARTS WITH 'KGREC' "
        "WITH labels(n) AS labels, properties(r) AS said, type(r) AS type, m.sku AS sku, "
        "[k IN keys(n) WHERE NOT k STARTS WITH 'kgrec' | k + toString(n[k])] AS own "
        "RETURN * ORDER BY own, type, sku"
    )


def changes(cypher: Cypher) -> None:  # noqa: F811
    """A new customer and a new thing; one thing is deleted."""
    cypher("CREATE (:Customer {number: 'nova'}), (:Thing {sku: 200, name: 'new'})")
    cypher("MATCH (c:Customer), (t:Thing) WHERE c.number IN ['nova', 'c1', 'c2']"
           " AND t.sku >= 106 AND NOT (c)-[:BOUGHT]->(t)"
           " CREATE (c)-[:BOUGHT {stars: 5, at: 1600000000}]->(t)")  # fmt: skip
    cypher("MATCH (t:Thing {sku: 103}) DETACH DELETE t")


def test_a_refresh_brings_the_lists_of_an_adopted_graph_up_to_date(
    cypher: Cypher,  # noqa: F811
    neo4j_uri: str,
    tmp_path: Path,
) -> None:
    config, run = published(cypher, neo4j_uri, tmp_path)
    before = lists(cypher)
    assert before == wanted(run)
    changes(cypher)
    ingest(config, progress=False)
    others = of_others(cypher)
    assert main(["refresh", "--run", str(run.directory), "--publish"]) == 0
    fresh = load_run(run.directory)
    after, full = lists(cypher), wanted(fresh)
    assert after["nova"] == full["nova"]
    assert after["200"] == full["200"]
    touched = {key for key, items in before.items() if "103" in items}
    for key in {"c1", "c2", *touched} - {"103"}:
        assert after[key] == full[key]
    assert "103" not in {*after, *(item for items in after.values() for item in items)}
    assert len(vectors(cypher)["nova"]) == 8
    assert set(vectors(cypher)) == set(before) - {"103"} | {"nova", "200"}
    assert of_others(cypher) == others
    (publication,) = cypher("MATCH (p:KgrecPublication) RETURN p.graph_version AS version")
    assert publication["version"] == fresh.record.graph_version


def test_watching_and_forgetting_reach_it(
    cypher: Cypher,  # noqa: F811
    neo4j_uri: str,
    tmp_path: Path,
) -> None:
    config, run = published(cypher, neo4j_uri, tmp_path)
    changes(cypher)
    ingest(config, progress=False)
    (report,) = watch(run, config, every=1.0, publish=True, wait=lambda _: False)
    assert lists(cypher)["nova"] == wanted(report.run)["nova"]
    forget(config, user="c5", runs=[run.directory], progress=False)
    forget(config, item="107", runs=[run.directory], progress=False)
    after = lists(cypher)
    assert not {"c5", "107"} & {*after, *(item for items in after.values() for item in items)}
    assert not {"c5", "107"} & set(vectors(cypher))
    known = {row["number"] for row in cypher("MATCH (c:Customer) RETURN c.number AS number")}
    assert "c5" in known  # the node is not kgrec's


def test_nothing_published_there_is_told(
    cypher: Cypher,  # noqa: F811
    neo4j_uri: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, run = published(cypher, neo4j_uri, tmp_path)
    cypher("MATCH (c:KgrecCurrent) DETACH DELETE c")
    changes(cypher)
    ingest(config, progress=False)
    assert main(["refresh", "--run", str(run.directory), "--publish"]) == 1
    assert f"nothing is published in {neo4j_uri}" in capsys.readouterr().err
