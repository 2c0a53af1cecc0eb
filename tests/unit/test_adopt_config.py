"""`[adopt]`: what queries follow from it, and what it refuses."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from neo4j.spatial import CartesianPoint, WGS84Point
from neo4j.time import Duration

import kgrec
from kgrec.adopt import OWN, graph_of_users
from kgrec.config import AdoptConfig, Config, DataConfig, PropertyRule, StoreConfig
from kgrec.config.adopted import sources
from kgrec.errors import ConfigError
from kgrec.store.records import record_tables

SHOP: dict[str, Any] = {
    "uri": "neo4j+s://graph.example:7687",
    "database": "shop",
    "user": {"label": "Customer", "key": "number", "properties": ["age"]},
    "item": {
        "label": "Movie",
        "key": "movieId",
        "key_type": "integer",
        "title": "name",
        "text": ["plot"],
        "attributes": ["language"],
        "properties": ["Release Year", "id"],
    },
    "interactions": [
        {"type": "RATED", "rating": "stars", "time": "at", "min_rating": 3},
        {
            "type": "SEEN BY", "direction": "in", "role": "evidence", "time": "t",
            "time_format": {"unit": "ms"},
        },
    ],
    "entities": [{"label": "Person", "key": "name", "properties": ["born"]}],
    "other_labels": False,
}  # fmt: skip


def shop(**changes: Any) -> Config:
    return Config.build({"adopt": {**deepcopy(SHOP), **changes}})


def cypher(config: Config) -> dict[str, str]:
    return {source.name: source.cypher or "" for source in config.data.sources}


def test_the_queries() -> None:
    assert cypher(shop()) == {
        "adopt-interactions-rated": (
            "MATCH (u:`Customer`)-[x:`RATED`]->(i:`Movie`)\n"
            "RETURN toString(u.`number`) AS user, toString(i.`movieId`) AS item, "
            "x.`stars` AS rating, x.`at` AS time"
        ),
        "adopt-interactions-seen_by": (
            "MATCH (u:`Customer`)<-[x:`SEEN BY`]-(i:`Movie`)\n"
            "RETURN toString(u.`number`) AS user, toString(i.`movieId`) AS item, x.`t` AS time"
        ),
        "adopt-items": (
            "MATCH (n:`Movie`)\n"
            "RETURN toString(n.`movieId`) AS id, n.`name` AS title, n.`plot` AS plot, "
            "n.`language` AS language, n.`Release Year` AS release_year, n.`id` AS graph_id"
        ),
        "adopt-users": "MATCH (n:`Customer`)\nRETURN toString(n.`number`) AS id, n.`age` AS age",
        "adopt-entities-1": (
            "MATCH (n:`Person`)\nWHERE NOT n:`Customer` AND NOT n:`Movie`\n"
            "RETURN 'Person:' + toString(n.`name`) AS id, n.`name` AS name, n.`born` AS born"
        ),
        "adopt-relations": (
            "MATCH (a)-[r]->(b)\n"
            "WHERE NOT type(r) IN ['RATED', 'SEEN BY'] AND NOT toLower(type(r)) STARTS WITH "
            "'kgrec_' AND NOT a:`Customer` AND (a:`Movie` OR a:`Person`) AND NOT b:`Customer` "
            "AND (b:`Movie` OR b:`Person`)\n"
            "RETURN CASE WHEN a:`Movie` THEN toString(a.`movieId`) WHEN a:`Person` THEN "
            "'Person:' + toString(a.`name`) END AS head, CASE type(r) WHEN 'HELD_OUT_TEST' THEN "
            "'GRAPH_HELD_OUT_TEST' WHEN 'HELD_OUT_VALID' THEN 'GRAPH_HELD_OUT_VALID' WHEN "
            "'INTERACTED' THEN 'GRAPH_INTERACTED' WHEN 'RECOMMENDED' THEN 'GRAPH_RECOMMENDED' WHEN "
            "'SAME_AS' THEN 'GRAPH_SAME_AS' WHEN 'SIMILAR' THEN 'GRAPH_SIMILAR' WHEN 'SYNTHETIC' "
            "THEN 'GRAPH_SYNTHETIC' ELSE type(r) END AS relation, CASE WHEN b:`Movie` THEN "
            "toString(b.`movieId`) WHEN b:`Person` THEN 'Person:' + toString(b.`name`) END AS tail"
        ),
        "adopt-social": (
            "MATCH (a:`Customer`)-[r]->(b:`Customer`)\n"
            "WHERE NOT type(r) IN ['RATED', 'SEEN BY'] AND NOT toLower(type(r)) STARTS WITH "
            "'kgrec_'\n"
            "RETURN toString(a.`number`) AS head, CASE type(r) WHEN 'HELD_OUT_TEST' THEN "
            "'GRAPH_HELD_OUT_TEST' WHEN 'HELD_OUT_VALID' THEN 'GRAPH_HELD_OUT_VALID' WHEN "
            "'INTERACTED' THEN 'GRAPH_INTERACTED' WHEN 'RECOMMENDED' THEN 'GRAPH_RECOMMENDED' WHEN "
            "'SAME_AS' THEN 'GRAPH_SAME_AS' WHEN 'SIMILAR' THEN 'GRAPH_SIMILAR' WHEN 'SYNTHETIC' "
            "THEN 'GRAPH_SYNTHETIC' ELSE type(r) END AS relation, toString(b.`number`) AS tail"
        ),
    }


def test_the_data_that_follows() -> None:
    data = shop().data
    by_name = {source.name: source for source in data.sources}
    assert {s.uri for s in data.sources} == {"neo4j+s://graph.example:7687"}
    assert {s.database for s in data.sources} == {"shop"}
    assert all(source.replace for source in data.sources)
    assert by_name["adopt-items"].properties == {
        "plot": PropertyRule(kind="text"), "language": PropertyRule(kind="attribute"),
    }  # fmt: skip
    assert by_name["adopt-interactions-seen_by"].time.unit == "ms"
    assert {name: (b.role, b.min_rating) for name, b in data.behaviours.items()} == {
        "rated": ("target", 3), "seen_by": ("evidence", None),
    }  # fmt: skip
    assert data.unknown_triples == "drop"


def test_labels_that_are_not_listed() -> None:
    text = cypher(shop(other_labels=True))
    assert text["adopt-entities-others"].startswith(
        "MATCH (n)\nWHERE NOT n:`Customer` AND NOT n:`Movie` AND NOT n:`Person` AND NOT any("
    )
    assert "ELSE head(labels(a)) + ':' + toString(coalesce(a.`id`" in text["adopt-relations"]


def test_relations_can_be_chosen_and_renamed() -> None:
    relations = {"include": ["A", "B|C"], "rename": {"A": "made_by"}}
    text = cypher(shop(relations=relations))["adopt-relations"]
    assert text.startswith("MATCH (a)-[r:`A`|`B|C`]->(b)\nWHERE NOT toLower(type(r))")
    assert "WHEN 'A' THEN 'made_by'" in text
    text = cypher(shop(relations={"exclude": ["X'Y"]}))["adopt-relations"]
    assert "NOT type(r) IN ['RATED', 'SEEN BY', 'X\\'Y']" in text


def test_what_is_saved_builds_the_same_settings() -> None:
    config = shop()
    assert Config.build(json.loads(config.to_json()), base=Path("/elsewhere")) == config
    changed = json.loads(config.to_json())
    changed["adopt"]["item"]["label"] = "Film"
    assert "`Film`" in cypher(Config.build(changed))["adopt-items"]
    assert "`Movie`" not in str(cypher(Config.build(changed)))


def test_other_data_stands_beside_it() -> None:
    more = {"name": "old", "kind": "interactions", "path": "old.csv", "behaviour": "rated"}
    config = Config.build({"adopt": SHOP, "data": {"sources": [more], "min_rating": None}})
    assert [s.name for s in config.data.sources][:2] == ["old", "adopt-interactions-rated"]
    given = Config(adopt=AdoptConfig.model_validate(SHOP), data=DataConfig(interactions=Path("a")))
    assert given.data.interactions == Path("a")
    assert len(given.data.sources) == 7


def test_settings_may_override_it(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[adopt]\nuri = "bolt://a"\nuser = {label = "U", key = "k"}\n'
                    'item = {label = "I", key = "k"}\ninteractions = [{type = "T"}]\n')  # fmt: skip
    config = Config.load(path, ("adopt.uri=bolt://b", 'adopt.item.title="t"'))
    assert {source.uri for source in config.data.sources} == {"bolt://b"}
    assert "n.`t` AS title" in cypher(config)["adopt-items"]


WRONG = {
    "label": ({"user": {"label": "", "key": "k"}}, "adopt.user.label: '' cannot be a label"),
    "key": ({"item": {"label": "M", "key": "a\\u0060b"}}, "adopt.item.key.*has a backslash"),
    "property": (
        {"user": {"label": "C", "key": "k", "properties": ["a\nb"]}},
        r"adopt.user.properties.0: .*U\+000A",
    ),
    "type": ({"interactions": [{"type": "x" * 256}]}, "adopt.interactions.0.type.*256 characters"),
    "no type": ({"interactions": []}, "adopt.interactions"),
    "target": ({"interactions": [{"type": "A", "role": "evidence"}]}, "nothing to recommend for"),
    "type twice": (
        {"interactions": [{"type": "A"}, {"type": "A", "name": "b"}]},
        "the type 'A' stands twice",
    ),
    "name twice": ({"interactions": [{"type": "A B"}, {"type": "a_b"}]}, "are called 'a_b'"),
    "one label": ({"item": {"label": "Customer", "key": "k"}}, "'Customer' stands for two things"),
    "both": ({"relations": {"include": ["RATED"]}}, "both an interaction and a relation"),
    "in and out": (
        {"relations": {"include": ["A"], "exclude": ["A"]}},
        "include and exclude the type 'A'",
    ),
    "rename": ({"relations": {"rename": {"A": "x'y"}}}, "adopt.relations.rename.A"),
    "direction": (
        {"interactions": [{"type": "A", "direction": "-[]-() DETACH DELETE n //"}]},
        "adopt.interactions.0.direction",
    ),
    "unknown": ({"lable": "x"}, "adopt.lable: unknown key"),
    "credentials": ({"uri": "bolt://anna:geheim@h"}, "uri holds credentials.*KGREC_SOURCE_USER"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused(case: str) -> None:
    changes, message = WRONG[case]
    with pytest.raises(ConfigError, match=message) as caught:
        shop(**changes)
    assert "geheim" not in str(caught.value)
    assert "data:" not in str(caught.value)  # what would follow is not missed


@pytest.mark.parametrize(
    "tree",
    [
        {"adopt": "bolt://anna:geheim@h"},
        {"adopt": {**SHOP, "uri": ["bolt://anna:geheim@h"]}},
        {"adopt": {**SHOP, "password": "geheim"}},
        {"data": {"sources": [{"name": "a", "kind": "items", "cypher": "RETURN 1 AS id",
                               "uri": "bolt://anna:geheim@h"}]}},
    ],
)  # fmt: skip
def test_no_error_shows_a_password(tree: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.build(tree)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "store", ["neo4j+s://graph.example:7687", "bolt://Graph.Example", "neo4j://graph.example/"]
)
def test_the_adopted_graph_is_not_where_kgrec_makes_its_own(store: str) -> None:
    tree = {"adopt": SHOP, "store": {"uri": store, "database": "shop"}}
    with pytest.raises(ConfigError, match=r"store\.uri is the graph that \[adopt\] reads"):
        Config.build(tree)
    other = Config.build({**tree, "store": {"uri": store, "database": "kgrec"}})
    moved = other.model_copy(update={"store": StoreConfig(uri=store, database="shop")})
    with pytest.raises(ConfigError, match=r"store\.uri is the graph"):
        kgrec.ingest(moved)
    Config.build({**tree, "store": {"uri": "embedded:shop", "database": "shop"}})


def test_its_naming() -> None:
    _, naming = graph_of_users(shop())
    assert (naming.user, naming.item, naming.item_key_type) == ("Customer", "Movie", "integer")
    assert naming.interacted == ("RATED", "SEEN BY")
    assert naming.foreign
    assert graph_of_users(Config.build({"data": {"interactions": "a.csv"}}))[1] is OWN


@pytest.mark.parametrize("name", ["a`b", "`) DETACH DELETE n //", "a'b", "日本", "x" * 250, " "])
def test_hostile_names_stay_names(name: str) -> None:
    entity = {"label": name, "key": name, "name": name, "properties": [name]}
    adopt = AdoptConfig.model_validate(
        {
            "uri": "bolt://h",
            "user": {"label": "U", "key": name, "properties": [name]},
            "item": {"label": "I", "key": name, "title": name, "text": [name, name]},
            "interactions": [{"type": name, "rating": name, "time": name, "weight": name}],
            "entities": [entity],
            "relations": {"exclude": [name + "2"], "rename": {name: "r"}},
        }
    )
    made = sources(adopt)
    assert len({source.name for source in made}) == len(made) == 7
    for source in made:
        # Without what is in back-ticks or quotes, only kgrec's own words are left.
        assert source.cypher is not None
        assert bare(source.cypher).isascii()
        for word in ("DETACH", "DELETE", "//", "日"):
            assert word not in bare(source.cypher)


def bare(text: str) -> str:
    """Gives a query without its names and texts, read as Cypher reads them."""
    out, at = [], 0
    while at < len(text):
        end = text[at]
        if end not in "`'":
            out.append(end)
            at += 1
            continue
        at += 1
        while text[at] != end or (end == "`" and text[at : at + 2] == "``"):
            at += 2 if text[at : at + 2] in ("``", "\\'") else 1
        at += 1
    return "".join(out)


def test_a_point_property_is_read_as_its_coordinates() -> None:
    (times,) = record_tables(["long"], [[Duration(months=1, seconds=2)]], 10)
    assert times["long"].to_pylist() == ["P1MT2S"]  # a tuple, too
    rows = [["a", CartesianPoint((1.5, 2))], ["b", None], ["c", [WGS84Point((13.4, 52.5))]]]
    assert next(record_tables(["id", "place"], rows[:2], 10)).to_pylist() == [
        {"id": "a", "place": "1.5 2.0"},
        {"id": "b", "place": None},
    ]
    assert next(record_tables(["id", "place"], rows[2:], 10))["place"].to_pylist() == [
        ["13.4 52.5"]
    ]
