"""What queries must not do on any store: write, tell of held-out data, run for ever, be tricked."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from graph_oracle import AWKWARD, random_dataset

from kgrec import queries
from kgrec.data.tables import Dataset, RelationTable
from kgrec.errors import ConfigError, QueryTimedOut, SchemaError, StoreError
from kgrec.ingestion import write_dataset
from kgrec.queries import QUERIES
from kgrec.queries.description import describe
from kgrec.schema import EdgeKey, NodeLabel, Role, Split, interaction_key
from kgrec.store.base import GraphStore
from kgrec.store.cypher import load_statements, parse_statement

#: Values that would do something else than mean themselves, if they were ever part of a statement.
HOSTILE = (
    "'}) DETACH DELETE n //",
    '"}) MATCH (n) DETACH DELETE n RETURN 1 AS x //',
    "x' OR 1=1 //",
    "$user",
    "{{label}}",
    "`) SET n.id = 'owned' //",
    "\\u0027}) DETACH DELETE n //",
    "a\nMATCH (n) DETACH DELETE n",
    "'; CREATE (:User {id: 'owned'}); //",
    "HELD_OUT_TEST",
    "]->() DETACH DELETE n //",
    "𝕏 ' \" ` \\",
    "",
    *AWKWARD,
)

USER, ITEM, ENTITY = NodeLabel
GENRE = EdgeKey("GENRE", ITEM, ENTITY)


def values_for(user: str, item: str) -> dict[str, Any]:
    """A value for every parameter that has no default."""
    return {
        "user": user,
        "item": item,
        "own": [item],
        "nodes": [(USER, user), (ITEM, item)],
        "seed": 3,
        "since": 1,
        "until": 3,
    }


def ask_all(store: GraphStore, user: str, item: str) -> dict[str, Any]:
    given = values_for(user, item)
    answers = {}
    for name, function in QUERIES.items():
        if name not in {"graph_state", "loads"}:
            params = {k: v for k, v in given.items() if k in describe(name).parameters}
            answers[name] = function(store, **params).to_dict()["rows"]
    return answers


def with_vectors(store: GraphStore, items: list[str]) -> None:
    matrix = np.random.default_rng(0).normal(size=(len(items), 6)).astype(np.float32)
    store.write_vectors(ITEM, items, matrix)


def test_held_out_interactions_only_mask_and_synthetic_edges_change_no_answer(
    store: GraphStore,
) -> None:
    full = random_dataset(0)
    nothing = full.interactions[Split.TRAIN].iloc[:0]
    train = {Split.TRAIN: full.interactions[Split.TRAIN], Split.VALID: nothing, Split.TEST: nothing}
    pairs = full.pairs(Split.TEST)
    assert len(pairs)
    user, item = pairs["head"].iloc[0], pairs["tail"].iloc[0]
    items = full.nodes[ITEM]["id"].tolist()
    write_dataset(Dataset(full.nodes, train, full.relations), store)
    with_vectors(store, items)
    without = ask_all(store, user, item)
    write_dataset(full, store)
    with_vectors(store, items)
    assert store.read("count_edges", key=interaction_key(Split.TEST))[0]["count"] == len(pairs)
    key = EdgeKey("SYNTHETIC", USER, ITEM)
    rows = [[a, b, {"synthetic": True}] for a, b in zip(pairs["head"], pairs["tail"], strict=True)]
    store.write_rows("upsert_edges", rows, key=key)
    met = {
        pair[1]
        for split in (Split.VALID, Split.TEST)
        for pair in full.pairs(split)[["head", "tail"]].itertuples(index=False)
        if pair[0] == user
    }
    assert any(row["id"] in met for row in without["candidates"])
    for name in ("candidates", "co_interacted"):  # of what a user has met, nothing is offered
        without[name] = [row for row in without[name] if row["id"] not in met]
    answers = ask_all(store, user, item)
    # A history is all that was, and says of each row what split it is in.
    assert {row["id"] for row in answers["user_history"] if row["split"] == "test"} <= met
    answers["user_history"] = [r for r in answers["user_history"] if r["split"] == "train"]
    assert answers == without
    assert all(without[name] for name in ("user_history", "paths", "subgraph", "random_walks"))


def test_hostile_texts_are_values(store: GraphStore) -> None:
    ids = list(dict.fromkeys(HOSTILE))
    count = len(ids)
    frames = {
        USER: pd.DataFrame({"id": ids}),
        ITEM: pd.DataFrame({"id": ids, "title": ids, "year": range(count)}),
        ENTITY: pd.DataFrame({"id": ids, "name": ids}),
    }
    at = np.arange(count)
    train = pd.DataFrame({"head": at, "tail": at, "rating": 1.0, "time": 1})
    splits = {Split.TRAIN: train, Split.VALID: train.iloc[:0], Split.TEST: train.iloc[:0]}
    table = RelationTable("genre", GENRE, pd.DataFrame({"head": at, "tail": at}))
    write_dataset(Dataset(frames, splits, (table,)), store)
    for text in ids:
        (interaction,) = queries.user_history(store, text)
        assert (interaction.id, interaction.title) == (text, text)
        (neighbour,) = queries.item_neighbourhood(store, text)
        assert (neighbour.id, neighbour.name) == (text, text)
        (profile,) = queries.user_profile(store, text)
        assert (profile.id, profile.attributes[0].id) == (text, text)
        (found,) = queries.candidates(store, attributes={"genre": text})
        assert found.id == text
        (walk,) = queries.random_walks(store, [(USER, text)], seed=1, length=1)
        assert walk.ids == (text, text)
        edges = queries.subgraph(store, [(ENTITY, text)], hops=2)
        assert {(edge.head, edge.tail) for edge in edges} == {(text, text)}
        assert queries.candidates(store, available=text).rows == ()
        assert queries.candidates(store, ranges={text: (0, 1)}).rows == ()
        assert queries.similar_by_attributes(store, text, weights={text: 3.0}).rows == ()
    for label in NodeLabel:
        assert store.read("count_nodes", label=label)[0]["count"] == count


@pytest.mark.parametrize("name", ["GENRE]->() DETACH DELETE n //", "HELD_OUT_TEST", "'", "日本"])
def test_relations_that_are_none_of_the_schema_find_nothing(store: GraphStore, name: str) -> None:
    dataset = random_dataset(0)
    write_dataset(dataset, store)
    item = dataset.nodes[ITEM]["id"].iloc[0]
    before = store.read("count_nodes", label=ENTITY)
    for ask in (
        lambda: queries.item_neighbourhood(store, item, relations=name),
        lambda: queries.attribute_statistics(store, relations=[name]),
        lambda: queries.subgraph(store, [(ITEM, item)], relations=name),
        lambda: queries.candidates(store, attributes={name: ["x"]}),
    ):
        try:
            assert len(ask()) == 0
        except ConfigError as exc:
            assert "relation" in str(exc)  # noqa: PT017 - either way, nothing is found
    assert store.read("count_nodes", label=ENTITY) == before


def test_the_engine_itself_refuses_to_write(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(random_dataset(0), store)
    before = store.read("count_nodes", label=USER)
    header = "// purpose: P.\n// use: query\n// columns: x\n// writes: no\n"
    for text in (
        "CREATE (n:User {id: 'owned'}) RETURN n.id AS x",
        "MATCH (n:User) SET n.age = 3 RETURN n.id AS x",
        "MATCH (n:User) DETACH DELETE n RETURN 1 AS x",
    ):
        lying = parse_statement("popular", header + text)
        monkeypatch.setattr(store, "_statement", lambda _, lying=lying: lying)
        with pytest.raises(StoreError, match=r"more than read|writes|Writing"):
            store.query("popular", {})
        monkeypatch.undo()
    assert store.read("count_nodes", label=USER) == before


def test_only_queries_are_asked(store: GraphStore) -> None:
    write_dataset(random_dataset(0), store)
    for name in ("upsert_nodes", "export_nodes", "delete_nodes", "nothing"):
        with pytest.raises(SchemaError, match="the queries are"):
            store.query(name, {})
    with pytest.raises(SchemaError, match="has no parameter 'usr'"):
        store.query("popular", {"usr": "x"})


def test_a_query_that_takes_too_long_is_stopped(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(random_dataset(0), store)
    header = "// purpose: P.\n// use: query\n// columns: x\n// writes: no\n"
    slow = "UNWIND range(1, 1000000) AS a UNWIND range(1, 1000000) AS b RETURN sum(a * b) AS x"
    endless = parse_statement("popular", header + slow)
    monkeypatch.setattr(store, "_statement", lambda _: endless)
    with pytest.raises(QueryTimedOut, match="took longer"):
        store.query("popular", {}, timeout=0.2)
    monkeypatch.undo()
    assert len(queries.popular(store))  # and the store answers on


def test_vectors_are_ranked_by_their_cosine(store: GraphStore) -> None:
    dataset = random_dataset(0)
    write_dataset(dataset, store)
    ids = dataset.nodes[ITEM]["id"].tolist()
    with pytest.raises(StoreError, match="no text vectors of items"):
        queries.similar_by_vector(store, ids[0])
    matrix = np.random.default_rng(1).normal(size=(len(ids) - 1, 16)).astype(np.float32)
    store.write_vectors(ITEM, ids[:-1], matrix)
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    for at, item in enumerate(ids[:-1]):
        cosine = unit @ unit[at]
        order = [n for n in np.argsort(-cosine) if n != at]
        found = queries.similar_by_vector(store, item)
        assert [row.id for row in found] == [ids[n] for n in order]
        assert [row.cosine for row in found] == pytest.approx(cosine[order].tolist(), abs=1e-5)
        page = queries.similar_by_vector(store, item, skip=2, limit=2)
        assert [row.id for row in page] == [ids[n] for n in order[2:4]]
    assert queries.similar_by_vector(store, ids[-1]).rows == ()  # it has no vector


def test_pages_are_the_whole(store: GraphStore) -> None:
    dataset = random_dataset(2)
    write_dataset(dataset, store)
    user, item = dataset.nodes[USER]["id"].iloc[0], dataset.nodes[ITEM]["id"].iloc[0]
    with_vectors(store, dataset.nodes[ITEM]["id"].tolist())
    given = values_for(user, item)
    for name, function in QUERIES.items():
        wanted = describe(name).parameters
        if "skip" not in wanted:
            continue
        params = {k: v for k, v in given.items() if k in wanted}
        whole = function(store, **params, limit=1000).rows
        pages = [function(store, **params, skip=at, limit=3).rows for at in range(0, 60, 3)]
        assert tuple(row for page in pages for row in page) == whole[:60], name


def test_unknown_nodes_have_no_rows(store: GraphStore) -> None:
    write_dataset(random_dataset(0), store)
    assert queries.user_profile(store, "nobody").rows == ()
    assert queries.candidates(store, user="nobody").rows == ()
    assert queries.paths(store, "nobody", "nothing", hops=4).rows == ()
    assert queries.random_walks(store, [(USER, "nobody")], seed=0).rows == ()
    assert queries.subgraph(store, ["Item:nothing"]).rows == ()


def test_negative_behaviours_and_types_that_two_roles_share(store: GraphStore) -> None:
    """A relation and a behaviour may have one type; only the relation's edges are followed."""
    frames = {
        USER: pd.DataFrame({"id": ["u0", "u1"]}),
        ITEM: pd.DataFrame({"id": ["i0", "i1", "i2"], "stock": [0, 2, 5]}),
        ENTITY: pd.DataFrame({"id": ["e0"]}),
    }
    train = pd.DataFrame({"head": [0], "tail": [0]})
    splits = {Split.TRAIN: train, Split.VALID: train.iloc[:0], Split.TEST: train.iloc[:0]}
    tables = (
        RelationTable(
            "view", EdgeKey("VIEW", ITEM, ITEM), pd.DataFrame({"head": [0], "tail": [1]})
        ),
        RelationTable(
            "view", EdgeKey("VIEW", USER, ITEM), pd.DataFrame({"head": [0, 1], "tail": [2, 2]}),
            Role.EVIDENCE,
        ),
        RelationTable(
            "dismiss", EdgeKey("DISMISS", USER, ITEM), pd.DataFrame({"head": [0], "tail": [2]}),
            Role.NEGATIVE,
        ),
    )  # fmt: skip
    write_dataset(Dataset(frames, splits, tables), store)
    (path,) = queries.paths(store, "u0", "i1", hops=4)
    assert (path.ids, path.steps) == (("u0", "i0", "i1"), ("INTERACTED", "VIEW"))
    assert path.score == 1 / 2  # i0 has one interaction
    assert queries.paths(store, "u1", "i2", hops=4).rows == ()
    edges = queries.subgraph(store, [(USER, "u0")], hops=3)
    assert {(e.head, e.tail) for e in edges} == {("u0", "i0"), ("i0", "i1")}
    assert [row.id for row in queries.candidates(store, user="u0")] == ["i1"]
    kept = queries.candidates(store, user="u0", undisliked=False, available="stock")
    assert [row.id for row in kept] == ["i1", "i2"]
    behaviours = queries.user_profile(store, "u0")[0].behaviours
    assert [(one.type, one.edges) for one in behaviours] == [("DISMISS", 1), ("VIEW", 1)]


def test_counting_at_hubs_is_bounded(store: GraphStore) -> None:
    """Relation edges decide, but an entity with ten times as many edges is not counted out."""
    items = [f"i{number}" for number in range(22)]
    frames = {
        USER: pd.DataFrame({"id": ["u0"]}),
        ITEM: pd.DataFrame({"id": items}),
        ENTITY: pd.DataFrame({"id": ["e0"]}),
    }
    train = pd.DataFrame({"head": [0], "tail": [0]})
    splits = {Split.TRAIN: train, Split.VALID: train.iloc[:0], Split.TEST: train.iloc[:0]}
    genre = RelationTable("genre", GENRE, pd.DataFrame({"head": [0, 1], "tail": [0, 0]}))
    write_dataset(Dataset(frames, splits, (genre,)), store)

    def found(most: int) -> tuple[int, int]:
        similar = queries.similar_by_attributes(store, "i0", max_degree=most)
        return len(similar), len(queries.paths(store, "u0", "i1", max_degree=most))

    assert [found(most) for most in (1, 2, 3)] == [(0, 0), (1, 1), (1, 1)]
    key = EdgeKey("SYNTHETIC", ITEM, ENTITY)
    store.write_rows("upsert_edges", [[item, "e0", {}] for item in items[:19]], key=key)
    assert [found(most) for most in (1, 2, 3)] == [(0, 0), (0, 0), (1, 1)]  # 21 edges in all
    (similar,) = queries.similar_by_attributes(store, "i0")
    assert similar.score == 0.5


def test_columns_are_those_of_the_header(store: GraphStore) -> None:
    driven = {"random_walks", "subgraph"}  # one statement a step, rows of their own
    for name, statement in load_statements(store.capabilities.engine).items():
        if statement.use == "query" and name not in driven:
            assert describe(name).columns == statement.columns, name
            own = set(statement.parameters) - {"before"}  # which `trending` works out itself
            assert set(describe(name).parameters) == own, name
            for key, value in describe(name).defaults.items():
                assert statement.defaults[key] == value, (name, key)
