"""Every query on every store, judged by plain Python; on random graphs too."""

from typing import Any

import pandas as pd
import pytest
from graph_oracle import random_dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from query_oracle import Oracle
from walk_oracle import WalkOracle

from kgrec import queries
from kgrec.data.tables import Dataset, RelationTable
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import write_dataset
from kgrec.queries import QUERIES
from kgrec.queries.description import describe
from kgrec.queries.walks import draw
from kgrec.schema import EdgeKey, NodeLabel, Split
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.store.cypher import queries as statements

WEIGHTS = {"GENRE": 2.5, "rev_GENRE": 0.5, "SEQUEL": 0, "INTERACTED": 0.25}
USER, ITEM, ENTITY = NodeLabel

Row = dict[str, Any]


class Asked:
    """Asks a store and the oracles the same, and remembers what was asked."""

    def __init__(self, store: GraphStore, dataset: Dataset) -> None:
        self.store, self.dataset = store, dataset
        self.oracle, self.walker = Oracle(dataset), WalkOracle(dataset)
        self.names: set[str] = set()

    def check(self, name: str, **params: Any) -> list[Row]:
        self.names.add(name)
        given = {k: v for k, v in describe(name).defaults.items() if k not in params}
        given = {k: QUERIES_DEFAULTS[name].get(k, v) for k, v in given.items()}
        judge = self.oracle if hasattr(self.oracle, name) else self.walker
        wanted = getattr(judge, name)(**{**given, **params})
        result = QUERIES[name](self.store, **params)
        got = result.to_dict()
        assert got["query"] == name
        assert [list(row) for row in got["rows"]] == [list(result.columns)] * len(result)
        assert len(got["rows"]) == len(wanted), (name, params)
        for row, expected in zip(got["rows"], wanted, strict=True):
            assert row == {k: _near(v) for k, v in expected.items()}, (name, params)
        rows: list[Row] = got["rows"]
        return rows

    def ids(self, label: NodeLabel) -> list[str]:
        found: list[str] = self.dataset.nodes[label]["id"].tolist()
        return found


def _near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value


#: Empty values that the functions write as `()` or None, as the oracles take them.
QUERIES_DEFAULTS: dict[str, dict[str, Any]] = {
    name: {
        k: {"weights": {}, "attributes": {}, "ranges": {}, "relations": []}[k]
        for k in describe(name).parameters
        if k in {"weights", "attributes", "ranges", "relations"}
    }
    for name in QUERIES
}


def ask_about_users(asked: Asked, users: list[str], items: list[str], limit: int) -> None:
    for user in users:
        asked.check("user_history", user=user, skip=limit // 2, limit=limit)
        asked.check("user_profile", user=user, limit=limit)
        asked.check("co_interacted", user=user, neighbours=2, limit=limit)
        asked.check("candidates", user=user, limit=limit)
        asked.check("candidates", user=user, unseen=False, undisliked=limit > 1)
    for hops in (2, 3, 4):
        for item in items:
            asked.check("paths", user=users[0], item=item, hops=hops, limit=limit)
    asked.check("paths", user=users[-1], item=items[0], hops=4, weights=WEIGHTS, limit=500)
    asked.check("paths", user=users[-1], item=items[0], hops=4, max_degree=7, skip=1, limit=500)
    asked.check("paths", user=users[-1], item=items[0], max_degree=2)


def ask_about_items(asked: Asked, items: list[str], limit: int) -> None:
    entities = asked.ids(ENTITY)
    for item in items:
        asked.check("similar_items", item=item, skip=limit // 3, limit=limit)
        asked.check("similar_by_attributes", item=item, limit=limit)
        asked.check("similar_by_attributes", item=item, weights=WEIGHTS, max_degree=8)
        asked.check("item_neighbourhood", item=item, limit=limit)
        asked.check("item_neighbourhood", item=item, relations=["GENRE", "SEQUEL"], skip=1)
        asked.check("shared_entities", own=items[:4], item=item, limit=limit)
    for attributes in ({"genre": entities[:3]}, {"GENRE": entities, "directed_by": entities[:4]}):
        for ranges in ({}, {"year": (1930, None)}, {"year": (None, 1980)}, {"none": (0, 1)}):
            asked.check("candidates", attributes=attributes, ranges=ranges, limit=limit)
    asked.check("candidates", available="year", ranges={"year": (1900, 2000)})
    asked.check("candidates", available="nothing")


def ask_about_the_graph(asked: Asked, limit: int) -> None:
    for window in ((None, None), (1, 3), (None, 2), (2, None)):
        asked.check("popular", since=window[0], until=window[1], limit=limit)
    for since in (1, 2, 3):
        asked.check("trending", since=since, until=since + 1, limit=limit)
        asked.check("trending", since=since, until=since + 2, skip=1)
    asked.check("attribute_statistics", limit=limit)
    asked.check("attribute_statistics", relations=["GENRE"], skip=1)
    for label in ("User", "Item"):
        asked.check("sparse_nodes", label=label, at_most=limit, skip=1)
        asked.check("cold_nodes", label=label, limit=limit)
    asked.check("schema_summary", limit=limit)
    asked.check("relations")
    asked.check("loads")


def ask_from_node_to_node(asked: Asked, seed: int) -> None:
    nodes = [(label, asked.ids(label)[seed % 3]) for label in NodeLabel]
    for params in (
        {},
        {"hops": 1, "per_node": 2},
        {"hops": 3, "per_hop": 3, "max_degree": 5},
        {"relations": ["GENRE", "INTERACTED"], "per_node": 3},
    ):
        asked.check("subgraph", nodes=nodes, **params)
    asked.names.add("random_walks")
    for relations in ([], ["GENRE", "INTERACTED"]):
        found = queries.random_walks(
            asked.store, nodes, seed=seed, length=5, walks=3, relations=relations
        )
        assert {walk.walk for walk in found} <= {0, 1, 2}
        for walk in found:
            place = (NodeLabel(walk.labels[0]), walk.ids[0])
            for step, name in enumerate(walk.steps):
                options = asked.walker.steps(place, relations)
                number = draw(seed, walk.labels[0], walk.ids[0], walk.walk, step)
                kind, outgoing, place = options[int(number * len(options))]
                assert name == (kind if outgoing else f"rev_{kind}")
                assert (walk.labels[step + 1], walk.ids[step + 1]) == place
                assert walk.names[step + 1] == asked.walker.shown(place)
            assert len(walk.steps) == 5 or not asked.walker.steps(place, relations)


def ask_everything(asked: Asked, limit: int, seed: int) -> None:
    users, items = asked.ids(USER), asked.ids(ITEM)
    ask_about_users(asked, users[:3], items[:3], limit)
    ask_about_items(asked, items[:4], limit)
    ask_about_the_graph(asked, limit)
    ask_from_node_to_node(asked, seed)


@pytest.mark.parametrize("seed", range(3))
def test_every_query_answers_as_the_oracle(store: GraphStore, seed: int) -> None:
    dataset = random_dataset(seed, ratings=seed % 2 == 0)
    write_dataset(dataset, store)
    asked = Asked(store, dataset)
    for limit in (2, 1000):
        ask_everything(asked, limit, seed)
    (state,) = queries.graph_state(store)
    assert (state.version, state.state) == (dataset.fingerprint, "ready")
    elsewhere = {  # similar_by_vector in test_query_guards, the others in test_published_queries
        "similar_by_vector", "publications", "published_recommendations", "published_similar",
        "recommend_filtered",
    }  # fmt: skip
    assert asked.names | {"graph_state"} | elsewhere == set(QUERIES)
    assert set(QUERIES) == {query.name for query in statements(store.capabilities.engine)}


@given(
    seed=st.integers(0, 10_000),
    sizes=st.tuples(st.integers(3, 12), st.integers(4, 10), st.integers(4, 9)),
    limit=st.integers(1, 30),
)
@settings(
    max_examples=12, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_random_graphs(
    tmp_path_factory: pytest.TempPathFactory, seed: int, sizes: tuple[int, int, int], limit: int
) -> None:
    dataset = random_dataset(seed, *sizes, ratings=seed % 3 > 0)
    with open_store(f"embedded:{tmp_path_factory.mktemp('random') / 'graph.kgl'}") as store:
        write_dataset(dataset, store)
        ask_everything(Asked(store, dataset), limit, seed)


def test_attributes_are_met_by_name_and_the_nearest_is_suggested(
    store: GraphStore, caplog: pytest.LogCaptureFixture
) -> None:
    ids = ["genre:Drama", "tag:Drama", "x1"]
    entities = pd.DataFrame({"id": ids, "name": ["Drama", "Drama", None]})
    genre, tag = (EdgeKey(kind, NodeLabel.ITEM, NodeLabel.ENTITY) for kind in ("GENRE", "TAG"))
    edges = [pd.DataFrame({"head": [at], "tail": [at]}) for at in range(2)]
    train = pd.DataFrame({"head": [0, 0, 0], "tail": [0, 1, 2]})
    dataset = Dataset(
        {
            NodeLabel.USER: pd.DataFrame({"id": ["u"]}),
            NodeLabel.ITEM: pd.DataFrame({"id": ["a", "b", "c"], "title": ["A", "B", "C"]}),
            NodeLabel.ENTITY: entities,
        },
        {Split.TRAIN: train, Split.VALID: train.iloc[:0], Split.TEST: train.iloc[:0]},
        (RelationTable("genre", genre, edges[0]), RelationTable("tag", tag, edges[1])),
    )
    write_dataset(dataset, store)
    for value in ("genre:Drama", "Drama", "drama"):
        assert [row.id for row in queries.candidates(store, attributes={"genre": [value]})] == ["a"]
    assert [row.id for row in queries.candidates(store, attributes=[("TAG", "Drama")])] == ["b"]
    assert not caplog.records
    assert list(queries.candidates(store, attributes={"GENRE": ["Dramma"]})) == []
    assert "no attribute by GENRE has the id or name 'Dramma'" in caplog.text
    assert "the nearest are 'Drama' (id 'genre:Drama')" in caplog.text


def test_times_keep_their_fraction_of_a_second(store: GraphStore) -> None:
    times = [1598930862.9, 1598930862.1, 1598930862.5]
    train = pd.DataFrame({"head": [0] * 3, "tail": [0, 1, 2], "time": times})
    dataset = Dataset(
        {
            NodeLabel.USER: pd.DataFrame({"id": ["u"]}),
            NodeLabel.ITEM: pd.DataFrame({"id": ["a", "b", "c"], "title": ["A", "B", "C"]}),
            NodeLabel.ENTITY: pd.DataFrame({"id": ["e"], "name": ["E"]}),
        },
        {Split.TRAIN: train.iloc[:2], Split.VALID: train.iloc[2:], Split.TEST: train.iloc[:0]},
        (),
    )
    write_dataset(dataset, store)
    rows = [(row.id, row.time, row.split) for row in queries.user_history(store, "u")]
    assert rows == [("a", times[0], "train"), ("c", times[2], "valid"), ("b", times[1], "train")]
    assert fetch_graph(store).train.time.tolist() == times[:2]  # type: ignore[union-attr]
