"""A Neo4j graph with names of its own: read as data, never written, whatever its names are."""

import json
import logging
import os
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import neo4j
import pytest

import kgrec
from kgrec import publication
from kgrec.adopt import graph_of_users
from kgrec.cli.app import main
from kgrec.config import Config
from kgrec.errors import ConfigError, DataError, StoreError, StoreUnavailable
from kgrec.publication import prepare
from kgrec.schema import NodeLabel
from kgrec.store.connect import open_store

Run = Callable[..., list[dict[str, Any]]]

#: Names that would do something if they were taken for anything but names. They are values, too.
HOSTILE = (
    "X`) DETACH DELETE n //",
    "X' OR true RETURN 1 AS user //",
    "n) SET n.hacked = true WITH n MATCH (m",
    "``; {{user}} $rows `",
    "日本 🎬",
)

#: Settings of a training that takes a second.
FAST = (
    "text.enabled=false", "fusion.network=false", "user_side.enabled=false",
    "factors.enabled=false", "directed.enabled=false", "closed_form.search_steps=3",
)  # fmt: skip


@pytest.fixture
def cypher(neo4j_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs Cypher on somebody else's Neo4j, with its credentials where sources look for them."""
    user, password = (os.environ.get(f"KGREC_NEO4J_{name}", "") for name in ("USER", "PASSWORD"))
    monkeypatch.setenv("KGREC_SOURCE_USER", user or "neo4j")
    monkeypatch.setenv("KGREC_SOURCE_PASSWORD", password)
    with neo4j.GraphDatabase.driver(
        neo4j_uri, auth=(user or "neo4j", password), telemetry_disabled=True
    ) as driver:
        yield lambda text, **params: [r.data() for r in driver.execute_query(text, params).records]


def ticked(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def state(cypher: Run) -> list[dict[str, Any]]:
    """All of a graph, in an order that does not depend on how it is kept."""
    return cypher(
        "MATCH (n) OPTIONAL MATCH (n)-[r]->(m) "
        "RETURN labels(n) AS labels, properties(n) AS own, type(r) AS type, properties(r) AS said, "
        "properties(m) AS other ORDER BY toString(n.k), toString(n.number), toString(m.k)"
    )


def shop(cypher: Run) -> None:
    """12 customers who bought 6 of 12 things each, things by two makers; keys are integers."""
    cypher(
        "UNWIND range(0, 11) AS n CREATE (:Customer {number: 'c' + n})"
        " CREATE (:Thing {sku: 100 + n, name: 'thing ' + n, price: n / 2.0}) WITH collect(n) AS all"
        " UNWIND ['Ada', 'Ben'] AS maker CREATE (:Maker {name: maker})"
    )
    cypher(
        "MATCH (c:Customer), (t:Thing) WITH c, t, toInteger(substring(c.number, 1)) AS u,"
        " t.sku - 100 AS i WHERE (u + i) % 2 = 0 AND (u + 3 * i) % 11 < 9"
        " CREATE (c)-[:BOUGHT {stars: 1 + (u + i) % 5, at: 1700000000 + 100 * u + i}]->(t)"
    )
    cypher(
        "MATCH (t:Thing), (m:Maker) WHERE (m.name = 'Ada') = (t.sku % 2 = 0)"
        " CREATE (m)-[:MADE]->(t)"
    )


SHOP = {
    "user": {"label": "Customer", "key": "number"},
    "item": {"label": "Thing", "key": "sku", "key_type": "integer", "title": "name",
             "properties": ["price"]},
    "interactions": [{"type": "BOUGHT", "rating": "stars", "time": "at"}],
}  # fmt: skip


def settings(folder: Path, uri: str, adopt: dict[str, Any]) -> Config:
    tree = {"store": {"uri": f"embedded:{folder / 'graph.kgl'}"}, "adopt": {"uri": uri, **adopt}}
    return Config.build(tree)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_and_values_are_names_and_values(
    name: str, cypher: Run, neo4j_uri: str, tmp_path: Path
) -> None:
    label = {role: ticked(f"{role}{name}") for role in ("user", "item", "entity")}
    own, kind = ticked(name), {role: ticked(f"{role}{name}") for role in ("did", "has")}
    cypher(
        f"UNWIND range(0, 4) AS n CREATE (:{label['user']} {{{own}: $name + n, k: n}})"
        f" CREATE (:{label['item']} {{{own}: $name + n, k: n}})"
        f" CREATE (:{label['entity']} {{{own}: $name + n, k: n}})",
        name=name,
    )
    cypher(
        f"MATCH (u:{label['user']}), (i:{label['item']}), (e:{label['entity']})"
        f" WHERE u.k <> i.k AND e.k = i.k MERGE (u)-[r:{kind['did']}]->(i) SET r.{own} = 4"
        f" MERGE (i)-[:{kind['has']}]->(e)"
    )
    before = state(cypher)
    adopt = {
        "user": {"label": f"user{name}", "key": name, "properties": [name]},
        "item": {"label": f"item{name}", "key": name, "title": name, "attributes": [name]},
        "interactions": [{"type": f"did{name}", "rating": name, "weight": name}],
        "entities": [{"label": f"entity{name}", "key": name, "name": name, "properties": [name]}],
        "relations": {"exclude": [f"other{name}"], "rename": {f"has{name}": "has"}},
    }
    config = settings(tmp_path, neo4j_uri, adopt)
    kgrec.ingest(config, progress=False)
    assert state(cypher) == before
    with open_store(config.store, read_only=True) as store:
        for node in (NodeLabel.USER, NodeLabel.ITEM):
            assert sorted(store.export_nodes(node)["id"]) == [f"{name}{n}" for n in range(5)]
        named = store.export_nodes(NodeLabel.ENTITY).set_index("id")["name"]
        assert [named[f"entity{name}:{name}{n}"] for n in range(5)] == [
            f"{name}{n}" for n in range(5)
        ]
        edges = {row["type"]: row["edges"] for row in store.read("schema_summary")}
    assert edges["HAS"] == 5


def test_an_escaped_back_tick_ends_a_name_in_neo4j_and_is_refused_here(
    cypher: Run, neo4j_uri: str, tmp_path: Path
) -> None:
    """Why a backslash is refused: the server reads the escape before it reads the name."""
    name = "Customer\\u0060) CREATE (:Hacked) //"
    cypher("MATCH (n:`Customer\\u0060) CREATE (:Hacked) RETURN 1 AS x")
    cypher("CREATE (n:`Customer\\u0060) RETURN 1 AS x")
    assert cypher("MATCH (n:Customer) RETURN count(n) AS n") == [{"n": 1}]  # it did
    with pytest.raises(ConfigError, match="backslash"):
        settings(tmp_path, neo4j_uri, {**SHOP, "user": {"label": name, "key": "number"}})


def test_a_graph_becomes_a_graph_of_kgrecs_and_changes_follow(
    cypher: Run, neo4j_uri: str, tmp_path: Path
) -> None:
    shop(cypher)
    config = settings(tmp_path, neo4j_uri, SHOP)
    first = kgrec.ingest(config, progress=False)
    bought = cypher("MATCH ()-[r:BOUGHT]->() RETURN count(r) AS n")[0]["n"]
    rows = {load.source: load.rows for load in first.loads}
    assert rows == {
        "adopt-interactions-bought": bought, "adopt-items": 12, "adopt-users": 12,
        "adopt-entities-others": 2, "adopt-relations": 12, "adopt-social": 0,
    }  # fmt: skip
    with open_store(config.store, read_only=True) as store:
        items = store.export_nodes(NodeLabel.ITEM).set_index("id")
        assert (items.loc["103", "title"], items.loc["103", "price"]) == ("thing 3", 1.5)
        assert sorted(store.export_nodes(NodeLabel.ENTITY)["id"]) == ["Maker:Ada", "Maker:Ben"]
    again = kgrec.ingest(config, progress=False)
    assert (again.changed, again.loads, again.version) == (False, (), first.version)

    cypher("MATCH (c:Customer {number: 'c0'}) CREATE (:Thing {sku: 200, name: 'new'})<-[:BOUGHT "
           "{stars: 5, at: 1800000000}]-(c)")  # fmt: skip
    cypher("MATCH (:Customer {number: 'c1'})-[r:BOUGHT]->() WITH r LIMIT 1 DELETE r")
    cypher("MATCH (m:Maker {name: 'Ben'}) DETACH DELETE m")
    cypher("MATCH (a:Customer {number: 'c0'}), (b:Customer {number: 'c1'}) CREATE (a)-[:KNOWS]->(b)"
           " CREATE (b)-[:KGREC_KNOWS]->(a)")  # fmt: skip
    changed = kgrec.ingest(config, progress=False)
    assert {load.source: load.rows for load in changed.loads} == {
        "adopt-interactions-bought": bought, "adopt-items": 13, "adopt-entities-others": 1,
        "adopt-relations": 6, "adopt-social": 1,
    }  # fmt: skip
    with open_store(config.store, read_only=True) as store:
        assert "200" in set(store.export_nodes(NodeLabel.ITEM)["id"])
        assert list(store.export_nodes(NodeLabel.ENTITY)["id"]) == ["Maker:Ada"]
        rows = store.read("schema_summary")
        assert [(r["edges"], r["connects"]) for r in rows if r["type"] == "KNOWS"] == [
            (1, ["User->User"])
        ]
    fresh = settings(tmp_path / "fresh", neo4j_uri, SHOP)
    (tmp_path / "fresh").mkdir()
    assert kgrec.ingest(fresh, progress=False).version == changed.version


def test_what_kgrec_wrote_is_no_data(cypher: Run, neo4j_uri: str, tmp_path: Path) -> None:
    shop(cypher)
    config = settings(tmp_path, neo4j_uri, SHOP)
    first = kgrec.ingest(config, progress=False)
    cypher("MATCH (c:Customer), (t:Thing) CREATE (c)-[:KGREC_RECOMMENDED {score: 1}]->(t)")
    cypher("MATCH (t:Thing), (s:Thing) CREATE (t)-[:KGREC_SIMILAR]->(s) SET t.kgrec_vector_a = [1]")
    cypher("CREATE (p:KgrecPublication {id: 'x'}) WITH p MATCH (t:Thing) CREATE (p)-[:OF]->(t)")
    again = kgrec.ingest(config, progress=False)
    assert (again.changed, again.loads, again.version) == (False, (), first.version)


def test_a_label_that_no_node_has_is_named(cypher: Run, neo4j_uri: str, tmp_path: Path) -> None:
    shop(cypher)
    adopt = {**SHOP, "interactions": [{"type": "BUYS"}]}
    with pytest.raises(DataError, match=r"adopt-interactions-buys has no rows.*labels and"):
        kgrec.ingest(settings(tmp_path, neo4j_uri, adopt), progress=False)


@pytest.mark.parametrize("at", ["user", "item"])
def test_a_key_type_that_fits_nothing_is_refused(
    at: str, cypher: Run, neo4j_uri: str, tmp_path: Path
) -> None:
    shop(cypher)
    turned = {"user": "integer", "item": "string"}[at]
    config = settings(tmp_path, neo4j_uri, {**SHOP, at: {**SHOP[at], "key_type": turned}})
    for read in (kgrec.check, lambda config: kgrec.ingest(config, progress=False)):
        with pytest.raises(ConfigError, match=rf"adopt\.{at}\.key_type is '{turned}', but none of"):
            read(config)
    assert not (tmp_path / "graph.kgl").exists()


@pytest.mark.parametrize("number", ["'c3'", "' c3'", "7", "'7 '"])
def test_nodes_that_share_a_key_are_refused(
    number: str, cypher: Run, neo4j_uri: str, tmp_path: Path
) -> None:
    shop(cypher)
    cypher(f"CREATE (:Customer {{number: {number}}}) CREATE (:Customer {{number: '7'}})")
    if "7" not in number:
        cypher("MATCH (c:Customer {number: '7'}) DELETE c")
    with pytest.raises(DataError, match=r"1 of the 1[34] Customer nodes share their key"):
        kgrec.ingest(settings(tmp_path, neo4j_uri, SHOP), progress=False)


def test_inspect_proposes_what_ingest_takes(
    cypher: Run, neo4j_uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop(cypher)
    cypher("CREATE CONSTRAINT thing_sku IF NOT EXISTS FOR (t:Thing) REQUIRE t.sku IS UNIQUE")
    cypher("MATCH (t:Thing) SET t.kgrec_vector_a = [1.0]")
    before = state(cypher)
    out = tmp_path / "kgrec.toml"
    try:
        assert main(["inspect", "--store", neo4j_uri, "--out", str(out), "--json"]) == 0
    finally:
        cypher("DROP CONSTRAINT thing_sku")
    answer = json.loads(capsys.readouterr().out)
    assert state(cypher) == before
    assert {label["name"]: label["nodes"] for label in answer["labels"]} == {
        "Customer": 12, "Thing": 12, "Maker": 2,
    }  # fmt: skip
    bought = next(kind for kind in answer["types"] if kind["name"] == "BOUGHT")
    degrees = cypher("MATCH (c:Customer) RETURN COUNT {(c)-[:BOUGHT]->()} AS n")
    counts = [row["n"] for row in degrees]
    assert bought["edges"] == bought["heads"]["Customer"] == bought["tails"]["Thing"] == sum(counts)
    assert bought["outgoing"]["mean"] == pytest.approx(sum(counts) / 12)
    assert bought["outgoing"]["largest"] == max(counts)
    assert {p["name"]: p["type"] for p in bought["properties"]} == {
        "at": "INTEGER", "stars": "INTEGER",
    }  # fmt: skip
    things = next(label for label in answer["labels"] if label["name"] == "Thing")
    assert [p["name"] for p in things["properties"]] == ["name", "price", "sku"]
    assert answer["proposal"]["unsure"] == []
    assert answer["config"] == out.read_text()
    adopt = tomllib.loads(out.read_text())["adopt"]
    assert adopt["user"] == {"label": "Customer", "key": "number", "key_type": "string"}
    assert adopt["item"] == {
        "label": "Thing", "key": "sku", "key_type": "integer", "title": "name",
        "properties": ["price"],
    }  # fmt: skip
    assert adopt["interactions"] == [{"type": "BOUGHT", "rating": "stars", "time": "at"}]
    assert adopt["entities"] == [{"label": "Maker", "key": "name"}]
    assert main(["inspect", "--store", neo4j_uri, "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["ingest", "--config", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["nodes"] == 26


def test_publishing_asks_for_indexes_and_makes_none_of_others_labels(
    cypher: Run, neo4j_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(cypher)
    _, naming = graph_of_users(settings(tmp_path, neo4j_uri, SHOP))
    shown = "SHOW CONSTRAINTS YIELD name WHERE NOT name STARTS WITH 'kgrec_' RETURN count(*) AS n"
    before = cypher(shown)
    with open_store(neo4j_uri) as store:
        prepare(store, naming)  # so few nodes are looked through
        monkeypatch.setattr(publication, "SCANNED", 11)
        for label, key in (("Customer", "number"), ("Thing", "sku")):
            said = rf"{label}.{key} has no index .*all 12 nodes.*CREATE CONSTRAINT .*`{label}`"
            with pytest.raises(StoreError, match=said) as caught:
                prepare(store, naming)
            cypher(str(caught.value).partition("make one: ")[2])
        prepare(store, naming)
    assert cypher(shown)[0]["n"] == before[0]["n"] + 2
    for row in cypher("SHOW CONSTRAINTS YIELD name, labelsOrTypes AS labels RETURN name, labels"):
        if row["labels"][0] in ("Customer", "Thing"):
            cypher(f"DROP CONSTRAINT {ticked(row['name'])}")


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("embedded:graph.kgl", "is no Neo4j"),
        ("http://localhost", "is no Neo4j"),
        ("bolt://anna:geheim@h", "holds credentials"),
        ("anna:geheim@h", "…@h is no Neo4j"),
    ],
)
def test_inspect_refuses_other_addresses(
    store: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", "--store", store]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "geheim" not in told


def test_an_empty_graph_and_kgrecs_own_say_so(
    cypher: Run, neo4j_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", "--store", neo4j_uri]) == 1
    assert "has no relationships" in capsys.readouterr().err
    cypher("CREATE (:KgrecGraph {id: 'graph'})-[:X]->(:Y)")
    assert main(["inspect", "--store", neo4j_uri]) == 1
    assert "is kgrec's own" in capsys.readouterr().err


@pytest.mark.parametrize("scheme", ["bolt+s", "neo4j+s"])
def test_tls_is_asked_for_and_never_left_out(
    scheme: str, cypher: Run, neo4j_uri: str, tmp_path: Path
) -> None:
    """The test server speaks no TLS: an address that asks for it must fail, not fall back."""
    shop(cypher)
    address = neo4j_uri.replace("bolt://", f"{scheme}://")
    with pytest.raises(StoreUnavailable, match="no Neo4j answers"):
        kgrec.ingest(settings(tmp_path, address, SHOP), progress=False)


def test_no_file_log_or_error_holds_the_password(
    cypher: Run,
    neo4j_uri: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop(cypher)
    secrets = [os.environ["KGREC_SOURCE_PASSWORD"], "not-the-password"]
    config, run = str(tmp_path / "kgrec.toml"), str(tmp_path / "run")
    fast = [word for one in FAST for word in ("--set", one)]
    with caplog.at_level(logging.DEBUG):
        assert main(["inspect", "--store", neo4j_uri, "--out", config, "--debug"]) == 0
        assert main(["ingest", "--config", config, "--debug"]) == 0
        assert main(["train", "--config", config, "--run", run, *fast, "--debug"]) == 0
        assert main(["recommend", "--run", run, "--user", "c0", "--debug"]) == 0
        monkeypatch.setenv("KGREC_SOURCE_PASSWORD", secrets[1])
        assert main(["ingest", "--config", config, "--debug"]) == 1
        assert main(["inspect", "--store", neo4j_uri, "--debug"]) == 1
    told = capsys.readouterr()
    assert "refuses the credentials" in told.err
    assert "neo4j" in caplog.text  # the driver's own debug lines are among what is searched
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {"config.json", "record.json", "journal.json"}
    texts = [told.out, told.err, caplog.text, *(p.read_bytes().decode("latin-1") for p in written)]
    for secret in secrets:
        assert not [text[:80] for text in texts if secret in text]
