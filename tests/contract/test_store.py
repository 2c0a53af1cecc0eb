"""One suite for every store, judged by a plain Python oracle."""

import numpy as np
import pandas as pd
import pytest
from graph_oracle import Oracle, assert_holds, random_dataset

from kgrec.data.tables import Dataset, RelationTable
from kgrec.errors import QueryFailed, SchemaError, ShapeError, StoreError
from kgrec.graph.fetch import fetch_graph, graph_summary
from kgrec.ingestion import graph_version, ingest
from kgrec.schema import EdgeKey, NodeLabel, Split, interaction_key
from kgrec.store.base import GraphStore, Row
from kgrec.store.connect import open_store
from kgrec.store.cypher import queries

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_ingested_is_fetched(store: GraphStore, seed: int) -> None:
    dataset = random_dataset(seed, ratings=seed % 2 == 0)
    report = ingest(dataset, store)
    assert report.changed
    assert report.nodes == 24
    assert_holds(store, dataset)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_query_answers_as_the_oracle(store: GraphStore, seed: int) -> None:
    dataset = random_dataset(seed, ratings=seed % 2 == 0)
    ingest(dataset, store)
    oracle = Oracle(dataset)
    users, items = dataset.nodes[NodeLabel.USER]["id"], dataset.nodes[NodeLabel.ITEM]["id"]
    asked = {"graph_state"}

    def check(name: str, **params: object) -> None:
        asked.add(name)
        wanted = getattr(oracle, name)(**params)
        got = store.read(name, **params)
        assert got == [pytest.approx(row) if "cosine" in row else row for row in wanted]

    for limit in (1, 3, 1000):
        check("popular", limit=limit)
        check("schema_summary", limit=limit)
        for user in users:
            check("user_history", user=user, limit=limit)
            check("co_interacted", user=user, neighbours=2, limit=limit)
        for item in items:
            check("similar_items", item=item, limit=limit)
            check("item_neighbourhood", item=item, limit=limit)
            check("shared_entities", own=list(items[:4]), item=item, limit=limit)
            check("paths", user=users[0], item=item, limit=limit)
    check("relations")
    assert store.read("graph_state")[0]["version"] == dataset.fingerprint
    assert asked == {query.name for query in queries(store.capabilities.engine)}


def test_columns_are_those_of_the_header(store: GraphStore) -> None:
    dataset = random_dataset(1)
    ingest(dataset, store)
    user = dataset.interactions[Split.TRAIN]["user"].iloc[0]
    for query in queries(store.capabilities.engine):
        values = {"user": user, "item": dataset.nodes[NodeLabel.ITEM]["id"].iloc[0], "own": []}
        params = {name: values[name] for name in query.parameters if name in values}
        for row in store.read(query.name, **params):
            assert tuple(row) == query.columns


def test_second_ingest_writes_nothing(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    dataset = random_dataset(2)
    first = ingest(dataset, store)
    relations = sum(len(table.edges) for table in dataset.relations)
    interactions = sum(map(len, dataset.interactions.values()))
    assert (first.version, first.nodes) == (dataset.fingerprint, 9 + 8 + 7)
    assert (first.edges, first.changed) == (interactions + relations, True)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an unchanged graph is not written")

    with monkeypatch.context() as patch:
        for name in ("write", "write_rows", "bulk_load", "checkpoint", "apply_schema"):
            patch.setattr(store, name, refuse)
        second = ingest(dataset, store)
    assert (second.edges, second.changed) == (first.edges, False)
    assert capfd.readouterr() == ("", "")  # no bar where stderr is no terminal
    assert_holds(store, dataset)


def test_another_version_leaves_nothing_of_the_old_one(store: GraphStore) -> None:
    for seed in (0, 1, 3, 0):
        dataset = random_dataset(seed, users=5 + seed, ratings=seed != 1)
        ingest(dataset, store)
        assert_holds(store, dataset)
        key = EdgeKey("GENRE", NodeLabel.ITEM, NodeLabel.ENTITY)
        assert all(not block.properties for block in store.export_edges(key))


def test_a_moved_split_leaves_no_train_edge_behind(store: GraphStore) -> None:
    old = random_dataset(3)
    frames = [old.interactions[split] for split in (Split.TEST, Split.VALID, Split.TRAIN)]
    new = Dataset(old.nodes, dict(zip(Split, frames, strict=True)), old.relations)
    ingest(old, store)
    ingest(new, store)
    assert_holds(store, new)
    summary = graph_summary(store)
    assert summary["interactions"] == {
        split.value: len(frame) for split, frame in new.interactions.items()
    }


def test_an_interrupted_load_is_completed(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = random_dataset(0)
    frames = {
        label: dataset.nodes[label].assign(index=range(len(dataset.nodes[label])))
        for label in NodeLabel
    }
    store.apply_schema()
    store.write("set_graph_state", version="x", state="loading", interaction_properties=[])
    store.bulk_load(frames, {})
    with pytest.raises(StoreError, match="interrupted"):
        graph_version(store)
    with pytest.raises(StoreError, match="run kgrec ingest again"):
        fetch_graph(store)
    assert ingest(dataset, store).changed
    assert_holds(store, dataset)


def test_empty_store(store: GraphStore) -> None:
    with pytest.raises(StoreError, match="fill it with kgrec ingest"):
        fetch_graph(store)
    assert graph_summary(store)["state"] == "empty"
    assert store.read("popular") == []
    assert store.export_nodes(NodeLabel.ITEM).empty
    assert list(store.export_edges(interaction_key(Split.TRAIN))) == []
    assert store.vectors(NodeLabel.ITEM)[0] == []


def test_dataset_without_interactions_and_relations(store: GraphStore) -> None:
    full = random_dataset(0)
    empty = {split: frame.iloc[:0] for split, frame in full.interactions.items()}
    dataset = Dataset(full.nodes, empty, ())
    ingest(dataset, store)
    assert_holds(store, dataset)
    ingest(full, store)
    ingest(dataset, store)
    assert_holds(store, dataset)


def test_queries_for_the_unknown_are_empty(store: GraphStore) -> None:
    ingest(random_dataset(0), store)
    assert store.read("user_history", user="nobody") == []
    assert store.read("paths", user="nobody", item="nothing") == []
    assert store.read("similar_items", item="nothing") == []


def test_held_out_interactions_reach_no_query(store: GraphStore) -> None:
    full = random_dataset(0)
    user, item = full.nodes[NodeLabel.USER]["id"][0], full.nodes[NodeLabel.ITEM]["id"][0]
    nothing = full.interactions[Split.TRAIN].iloc[:0]
    tell_tale = pd.DataFrame({"user": [user], "item": [item], "rating": [5.0], "time": [1]})
    splits = {Split.TRAIN: nothing, Split.VALID: nothing, Split.TEST: tell_tale}
    ingest(Dataset(full.nodes, splits, ()), store)
    for query in queries(store.capabilities.engine):
        values = {"user": user, "item": item, "own": [item]}
        params = {name: values[name] for name in query.parameters if name in values}
        rows = store.read(query.name, **params)
        if query.name in {"graph_state"}:
            continue
        assert rows == [], query.name


def test_foreign_nodes_are_not_touched(store: GraphStore) -> None:
    store.write_rows("upsert_nodes", [["mine", {"index": 0}]], label=NodeLabel.USER, load="x")
    with pytest.raises(StoreError, match="kgrec did not write"):
        ingest(random_dataset(0), store)
    assert store.read("count_nodes", label=NodeLabel.USER) == [{"count": 1}]


def test_upserts_are_idempotent_and_remove_what_is_null(store: GraphStore) -> None:
    store.apply_schema()
    store.apply_schema()
    for rating in (1.5, None):
        for label, key in ((NodeLabel.USER, "u"), (NodeLabel.ITEM, "i")):
            row = [key, {"index": 0, "age": None if rating is None else 3}]
            store.write_rows("upsert_nodes", [row, row], label=label, load="x")
        rows = [["u", "i", rating, 7], ["u", "i", rating, 7]]
        store.write_rows("upsert_interactions", rows, key=interaction_key(Split.TRAIN), load="x")
        (block,) = store.export_edges(interaction_key(Split.TRAIN), ("rating", "time"))
        assert block.head_index.tolist() == [0]
        wanted = {"rating": [np.nan if rating is None else rating], "time": [7.0]}
        for name, values in wanted.items():
            np.testing.assert_array_equal(block.properties[name], values)
        assert ("age" in store.export_nodes(NodeLabel.USER).columns) == (rating is not None)


def test_vectors_are_written_read_and_searched(store: GraphStore) -> None:
    dataset = random_dataset(0)
    ingest(dataset, store)
    ids = dataset.nodes[NodeLabel.ITEM]["id"].tolist()[1:]
    rng = np.random.default_rng(0)
    for width in (4, 3):  # the second write has another size
        matrix = rng.normal(size=(len(ids), width)).astype(np.float32)
        store.write_vectors(NodeLabel.ITEM, ids, matrix)
        got_ids, got = store.vectors(NodeLabel.ITEM)
        assert got_ids == ids
        np.testing.assert_array_equal(got, matrix)
        rows = store.read("nearest", label=NodeLabel.ITEM, vector=matrix[2].tolist(), limit=3)
        unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        nearest = np.argsort(-unit @ unit[2], kind="stable")[:3]
        assert [row["id"] for row in rows] == [ids[i] for i in nearest]
    assert "embedding" not in store.export_nodes(NodeLabel.ITEM).columns
    ingest(random_dataset(1), store)
    assert store.vectors(NodeLabel.ITEM)[0] == []


def test_vectors_of_a_wrong_shape_are_refused(store: GraphStore) -> None:
    with pytest.raises(ShapeError, match="expected"):
        store.write_vectors(NodeLabel.ITEM, ["a"], np.zeros((2, 3), dtype=np.float32))
    with pytest.raises(ShapeError, match="finite"):
        store.write_vectors(NodeLabel.ITEM, ["a"], np.full((1, 3), np.nan, dtype=np.float32))


def test_wrong_statements_and_parameters(store: GraphStore) -> None:
    with pytest.raises(SchemaError, match="no statement 'nope'"):
        store.read("nope")
    with pytest.raises(SchemaError, match="missing 'user'"):
        store.read("user_history", limit=3)
    with pytest.raises(SchemaError, match="no parameter 'usr'"):
        store.read("user_history", user="a", usr="b")
    with pytest.raises(SchemaError, match="placeholders"):
        store.read("count_nodes")
    with pytest.raises(SchemaError, match="writes"):
        store.read("sweep_relations", load="x")
    with pytest.raises(QueryFailed):
        store.read("popular", limit="many")


def test_read_only_store_refuses_writes(store: GraphStore, store_uri: str) -> None:
    dataset = random_dataset(0)
    ingest(dataset, store)
    with open_store(store_uri, read_only=True) as reader:
        assert graph_version(reader) == dataset.fingerprint
        assert_holds(reader, dataset)
        with pytest.raises(StoreError, match="open for reading"):
            reader.write("sweep_relations", load="x")
        with pytest.raises(StoreError, match="open for reading"):
            reader.bulk_load({}, {})


def test_closed_store_refuses(store: GraphStore) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.read("popular")


def test_shadowed_property_names_are_refused(store: GraphStore) -> None:
    full = random_dataset(0)
    nodes = {**full.nodes, NodeLabel.ITEM: full.nodes[NodeLabel.ITEM].assign(type="film")}
    with pytest.raises(SchemaError, match="item_type"):
        ingest(Dataset(nodes, full.interactions, full.relations), store)
    assert graph_summary(store)["state"] == "empty"


def test_relation_between_other_labels_of_one_type(store: GraphStore) -> None:
    full = random_dataset(0)
    items = full.nodes[NodeLabel.ITEM]["id"].tolist()
    entities = full.nodes[NodeLabel.ENTITY]["id"].tolist()
    first = EdgeKey("ABOUT", NodeLabel.ITEM, NodeLabel.ENTITY)
    second = EdgeKey("ABOUT", NodeLabel.ENTITY, NodeLabel.ENTITY)
    tables = (
        RelationTable("about", first, pd.DataFrame({"head": items[:3], "tail": entities[:3]})),
        RelationTable("about", second, pd.DataFrame({"head": entities[1:3], "tail": entities[:2]})),
    )
    dataset = Dataset(full.nodes, full.interactions, tables)
    ingest(dataset, store)
    assert_holds(store, dataset)
    smaller = Dataset(full.nodes, full.interactions, tables[:1])
    ingest(smaller, store)
    assert_holds(store, smaller)
    assert store.read("count_edges", key=second) == [{"count": 0}]


def test_properties_of_an_older_version_are_removed(store: GraphStore) -> None:
    full = random_dataset(0)
    bare = {
        label: frame.drop(columns=["age", "year"], errors="ignore")
        for label, frame in full.nodes.items()
    }
    smaller = Dataset(bare, full.interactions, full.relations)
    for dataset in (full, smaller, full):
        ingest(dataset, store)
        assert_holds(store, dataset)


def test_edges_outside_the_catalogue_reach_no_query(store: GraphStore) -> None:
    dataset = random_dataset(0)
    ingest(dataset, store)
    items = dataset.nodes[NodeLabel.ITEM]["id"].tolist()
    entity = dataset.nodes[NodeLabel.ENTITY]["id"].iloc[0]
    user = dataset.nodes[NodeLabel.USER]["id"].iloc[0]

    def answers() -> list[list[Row]]:
        values = {"user": user, "item": items[0], "own": items[1:], "limit": 1000}
        return [
            store.read(query.name, **{p: values[p] for p in query.parameters if p in values})
            for query in queries(store.capabilities.engine)
        ]

    before = answers()
    synthetic = EdgeKey("SYNTHETIC", NodeLabel.ITEM, NodeLabel.ENTITY)
    store.write_rows("upsert_edges", [[item, entity] for item in items], key=synthetic, load="x")
    similar = EdgeKey("SIMILAR", NodeLabel.ITEM, NodeLabel.ITEM)
    store.write_rows("upsert_edges", [[item, items[0]] for item in items], key=similar, load="x")
    assert store.read("count_edges", key=synthetic) == [{"count": len(items)}]
    assert answers() == before


def test_a_catalogue_of_a_killed_load_of_other_data_goes(store: GraphStore) -> None:
    dataset = random_dataset(0)
    store.apply_schema()
    store.write("set_graph_state", version="x", state="loading", interaction_properties=[])
    store.write_rows("upsert_relations", [["k", "old", "OLD", "Item", "Entity"]], load="x")
    ingest(dataset, store)
    names = {row["name"] for row in store.read("relations")}
    assert names == {table.name for table in dataset.relations}


def test_two_loads_at_once_are_found_out(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = type(store).bulk_load

    def overtaken(self: GraphStore, *arguments: object, **more: object) -> None:
        original(self, *arguments, **more)
        store.write("set_graph_state", version="other", state="loading", interaction_properties=[])

    monkeypatch.setattr(type(store), "bulk_load", overtaken)
    with pytest.raises(StoreError, match="another process changed the graph"):
        ingest(random_dataset(0), store)
    with pytest.raises(StoreError, match="interrupted"):
        graph_version(store)


def test_a_graph_that_changes_while_it_is_read_is_refused(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(random_dataset(0), store)
    original = type(store).export_nodes

    def overtaken(self: GraphStore, label: NodeLabel) -> object:
        store.write("set_graph_state", version="other", state="ready", interaction_properties=[])
        return original(self, label)

    monkeypatch.setattr(type(store), "export_nodes", overtaken)
    with pytest.raises(StoreError, match="changed while it was read"):
        fetch_graph(store)
