"""Parameters, results and weights of queries, without a store."""

import json
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from kgrec.errors import ConfigError, RunError
from kgrec.queries import QUERIES, GraphResult, QueryResult, relation_weights
from kgrec.queries.description import describe
from kgrec.queries.results import Neighbour, SubgraphEdge, Walk
from kgrec.queries.results import Path as QueryPath
from kgrec.queries.rows import Interaction, UserProfile
from kgrec.queries.values import KINDS, MAX_ENTRIES, MAX_LIMIT, check_timeout, check_value, kind_of
from kgrec.queries.walks import draw


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("user", "u1", "u1"),
        ("own", "i1", ["i1"]),
        ("own", ("i1", "i2"), ["i1", "i2"]),
        ("limit", MAX_LIMIT, MAX_LIMIT),
        ("skip", 0, 0),
        ("since", 1.5, 1.5),
        ("unseen", False, False),
        ("relations", "film.film.directed_by", ["FILM_FILM_DIRECTED_BY"]),
        ("relations", ["GENRE", "INTERACTED"], ["GENRE", "INTERACTED"]),
        ("weights", {"GENRE": 2}, {"GENRE": 2.0}),
        ("weights", [("GENRE", 2), ("rev_GENRE", 0.5)], {"GENRE": 2.0, "rev_GENRE": 0.5}),
        ("attributes", {"genre": "g1", "made by": ["a", "b"]},
         [["GENRE", ["g1"]], ["MADE_BY", ["a", "b"]]]),
        ("ranges", {"year": (1990, None)}, [["year", 1990, None]]),
        ("label", "User", "User"),
        ("nodes", ["Item:a:b", ("User", "u")], [["Item", "a:b"], ["User", "u"]]),
        ("nodes", "Entity:e", [["Entity", "e"]]),
        ("nodes", ["Item:i", "Item:i"], [["Item", "i"]]),
    ],
)  # fmt: skip
def test_values_become_those_of_the_statements(name: str, given: Any, taken: Any) -> None:
    got = check_value("candidates", name, given)
    assert got == taken
    assert type(got) is type(taken)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("user", 7.5, "the id of a node"),
        ("user", True, "the id of a node"),
        ("user", "\ud800", "the id of a node"),
        ("limit", 0, "positive whole number, at most 10000"),
        ("limit", MAX_LIMIT + 1, "at most 10000"),
        ("limit", True, "positive whole number"),
        ("limit", 2.0, "positive whole number"),
        ("limit", "many", "limit=many"),
        ("skip", -1, "from 0"),
        ("since", float("nan"), "seconds since 1970"),
        ("since", "2020", "seconds since 1970"),
        ("unseen", 1, "true or false"),
        ("relations", "HELD_OUT_TEST", "keeps for its own"),
        ("relations", "", "a list of relations"),
        ("relations", [3], "a list of relations"),
        ("weights", {"GENRE": float("inf")}, "numbers by directed relation"),
        ("weights", {"GENRE": "2"}, "numbers by directed relation"),
        ("weights", "GENRE", "numbers by directed relation"),
        ("attributes", {"genre": [None]}, "ids or names of attributes"),
        ("attributes", {"HELD_OUT_VALID": ["i"]}, "keeps for its own"),
        ("ranges", {"year": 3}, r"\[low, high\]"),
        ("ranges", {"year": ("a", "b")}, r"\[low, high\]"),
        ("label", "Entity", "User or Item"),
        ("label", "User) DETACH DELETE n //", "User or Item"),
        ("nodes", ["Film:i1"], "a label and an id"),
        ("nodes", ["i1"], "a label and an id"),
        ("own", ["i"] * (MAX_ENTRIES + 1), "10001 entries"),
        ("seed", -1, "from 0"),
        ("user", None, "the id of a node"),
    ],
)
def test_values_of_another_kind_are_refused(name: str, given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_value("candidates", name, given)


def test_none_is_a_value_only_where_it_is_the_default() -> None:
    assert check_value("popular", "since", None, optional=True) is None
    with pytest.raises(ConfigError, match="since=None"):
        check_value("trending", "since", None)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), True, "soon"])
def test_timeouts_are_positive_seconds(timeout: Any) -> None:
    with pytest.raises(ConfigError, match="positive number of seconds"):
        check_timeout("popular", timeout)
    assert check_timeout("popular", 2) == 2.0
    assert check_timeout("popular", None) is None


def test_a_narrower_kind_wins() -> None:
    assert kind_of("paths", "hops") is not kind_of("subgraph", "hops")
    with pytest.raises(ConfigError, match="from 2, at most 4"):
        check_value("paths", "hops", 5)
    with pytest.raises(ConfigError, match="at most 5"):
        check_value("subgraph", "hops", 6)


def test_every_parameter_has_a_kind_and_no_kind_is_idle() -> None:
    used = set()
    for name in QUERIES:
        for parameter in describe(name).parameters:
            used |= {parameter, f"{name}.{parameter}"} & set(KINDS)
            assert kind_of(name, parameter).expectation
    assert used | {"before"} == set(KINDS)  # which `trending` works out itself


def test_a_command_line_is_read_by_kind() -> None:
    assert kind_of("x", "user").read("7") == "7"
    assert kind_of("x", "own").read('["a", "b"]') == ["a", "b"]
    assert kind_of("x", "own").read("7") == "7"
    assert kind_of("x", "limit").read("7") == 7
    assert kind_of("x", "weights").read('{"GENRE": 2}') == {"GENRE": 2}
    assert kind_of("x", "nodes").read("Item:i1") == "Item:i1"


def test_a_result_is_a_sequence_a_table_and_json() -> None:
    rows = (Interaction("a", None, 4.5, 3, "train"), Interaction("b", "B", None, None, "test"))
    result = QueryResult("user_history", {"user": "u"}, Interaction, rows)
    assert (len(result), result[0], result[-1:], list(result)) == (2, rows[0], rows[1:], list(rows))
    assert rows[1] in result
    frame = result.to_frame()
    assert frame.columns.tolist() == ["id", "title", "rating", "time", "split"]
    assert frame["id"].tolist() == ["a", "b"]
    assert result.to_dict() == {
        "query": "user_history",
        "rows": [
            {"id": "a", "title": None, "rating": 4.5, "time": 3, "split": "train"},
            {"id": "b", "title": "B", "rating": None, "time": None, "split": "test"},
        ],
    }
    empty = QueryResult("user_history", {}, Interaction, ())
    assert not empty
    assert empty.to_frame().columns.tolist() == ["id", "title", "rating", "time", "split"]
    with pytest.raises(AttributeError):
        rows[0].id = "c"  # type: ignore[misc]


def test_a_profile_has_rows_inside() -> None:
    record = {
        "id": "u", "interactions": 2, "first": 1, "last": 3, "rating": None,
        "behaviours": [{"type": "VIEW", "edges": 3}], "properties": [["age", 7]],
        "attributes": [{"type": "GENRE", "id": "g", "name": None, "items": 2}],
    }  # fmt: skip
    profile = UserProfile.of(record)
    assert (profile.attributes[0].items, profile.behaviours[0].edges) == (2, 3)
    assert profile.to_dict() == {**record, "properties": {"age": 7}}


def test_paths_and_walks_become_graphs_of_true_directions() -> None:
    path = QueryPath.of(
        {
            "ids": ["u", "i", "e", "j"],
            "labels": ["User", "Item", "Entity", "Item"],
            "names": [None, "I", "E", "J"],
            "types": ["INTERACTED", "GENRE", "GENRE"],
            "steps": ["INTERACTED", "GENRE", "rev_GENRE"],
            "score": 0.5,
        }
    )
    walk = Walk(0, ("j", "e"), ("Item", "Entity"), (None, "E"), ("GENRE",))
    graph = GraphResult("paths", {}, QueryPath, (path,)).to_networkx()
    assert isinstance(graph, nx.MultiDiGraph)
    user, item, entity, other = ("User", "u"), ("Item", "i"), ("Entity", "e"), ("Item", "j")
    wanted = {
        (user, item, "INTERACTED"),
        (item, entity, "GENRE"),
        (other, entity, "GENRE"),
    }
    assert set(graph.edges(keys=True)) == wanted
    assert graph.nodes[entity] == {"label": "Entity", "id": "e", "name": "E"}
    assert graph.edges[other, entity, "GENRE"]["type"] == "GENRE"
    walked = GraphResult("random_walks", {}, Walk, (walk,)).to_networkx()
    assert list(walked.edges(keys=True)) == [(other, entity, "GENRE")]


def test_neighbourhoods_and_subgraphs_become_graphs() -> None:
    rows = (
        Neighbour("genre", "GENRE", True, "Entity", "e", "E"),
        Neighbour("sequel", "SEQUEL", False, "Item", "j", None),
    )
    graph = GraphResult("item_neighbourhood", {"item": "i"}, Neighbour, rows).to_networkx()
    assert set(graph.edges(keys=True)) == {
        (("Item", "i"), ("Entity", "e"), "GENRE"),
        (("Item", "j"), ("Item", "i"), "SEQUEL"),
    }
    edge = SubgraphEdge("User", "x", None, "Item", "x", "X", "INTERACTED", 1)
    small = GraphResult("subgraph", {}, SubgraphEdge, (edge, edge)).to_networkx()
    assert list(small.edges(keys=True)) == [(("User", "x"), ("Item", "x"), "INTERACTED")]
    assert small.number_of_nodes() == 2  # one id, two labels


def test_draws_depend_on_all_they_are_told_and_on_nothing_else() -> None:
    draws = {
        draw(seed, label, key, walk, step)
        for seed in range(3)
        for label in ("User", "Item")
        for key in ("a", "b")
        for walk in range(3)
        for step in range(3)
    }
    assert len(draws) == 108
    assert all(0 <= number < 1 for number in draws)
    assert 0.4 < sum(draws) / 108 < 0.6
    assert draw(1, "User", "a", 0, 0) == draw(1, "User", "a", 0, 0)


def test_weights_come_from_a_run(tmp_path: Path) -> None:
    record = {"relation_weights": {"GENRE": 1.5, "rev_GENRE": 0.5}, "seed": 0}
    assert relation_weights(record) == {"GENRE": 1.5, "rev_GENRE": 0.5}
    (tmp_path / "record.json").write_text(json.dumps(record))
    assert relation_weights(tmp_path) == record["relation_weights"]
    for wrong in ({}, {"relation_weights": {}}):
        with pytest.raises(RunError, match="no learned relation weights"):
            relation_weights(wrong)
    with pytest.raises(RunError, match="no run in"):
        relation_weights(tmp_path / "nothing")
    (tmp_path / "record.json").write_text("[]")
    with pytest.raises(RunError, match="no JSON object"):
        relation_weights(tmp_path)
