"""One suite for every store, judged by a plain Python oracle."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from graph_oracle import assert_holds, random_changes, random_dataset

from kgrec.data.tables import Changes, Dataset, RelationTable
from kgrec.errors import QueryFailed, SchemaError, ShapeError, StoreError
from kgrec.graph.fetch import fetch_graph, status
from kgrec.ingestion import apply_changes, graph_version, write_dataset
from kgrec.schema import EdgeKey, NodeLabel, Role, Split, interaction_key
from kgrec.store.base import GraphStore, Row
from kgrec.store.connect import open_store
from kgrec.store.cypher import queries
from kgrec.store.state import CatalogueEntry, write_relations

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_ingested_is_fetched(store: GraphStore, seed: int) -> None:
    dataset = random_dataset(seed, ratings=seed % 2 == 0)
    report = write_dataset(dataset, store)
    edges = sum(map(len, dataset.edges().values()))
    assert report.changed
    assert (report.version, report.num_written, report.num_removed) == (
        dataset.fingerprint,
        24 + edges,
        0,
    )
    assert_holds(store, dataset, provenance=True)
    graph = fetch_graph(store)
    for label in NodeLabel:
        assert graph.vocabularies[label].ids == tuple(sorted(dataset.nodes[label]["id"]))
    train = dataset.pairs(Split.TRAIN)
    users, items = (graph.vocabularies[x].ids for x in (NodeLabel.USER, NodeLabel.ITEM))
    fetched = zip(graph.train.user_index, graph.train.item_index, strict=True)
    wanted = set(zip(train["head"], train["tail"], strict=True))
    assert {(users[a], items[b]) for a, b in fetched} == wanted


def test_second_ingest_writes_nothing(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    dataset = random_dataset(2)
    assert write_dataset(dataset, store).changed
    run = store._run  # type: ignore[attr-defined]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an unchanged graph is not written")

    def only_read(text: str, params: object, *, writes: bool) -> object:
        assert not writes, text
        return run(text, params, writes=writes)

    with monkeypatch.context() as patch:
        patch.setattr(store, "_run", only_read)
        for name in ("bulk_load", "checkpoint"):
            patch.setattr(store, name, refuse)
        second = write_dataset(dataset, store)
    assert (second.num_written, second.num_removed, second.changed) == (0, 0, False)
    assert capfd.readouterr() == ("", "")  # no bar where stderr is no terminal
    assert_holds(store, dataset, provenance=True)


def test_another_version_leaves_nothing_of_the_old_one(store: GraphStore) -> None:
    for seed in (0, 1, 3, 0):
        dataset = random_dataset(seed, users=5 + seed, ratings=seed != 1)
        write_dataset(dataset, store)
        assert_holds(store, dataset, provenance=True)
        key = EdgeKey("GENRE", NodeLabel.ITEM, NodeLabel.ENTITY)
        assert all(not block.properties for block in store.export_edges(key))


def test_a_moved_split_leaves_no_train_edge_behind(store: GraphStore) -> None:
    old = random_dataset(3)
    frames = [old.interactions[split] for split in (Split.TEST, Split.VALID, Split.TRAIN)]
    new = Dataset(old.nodes, dict(zip(Split, frames, strict=True)), old.relations)
    write_dataset(old, store)
    report = write_dataset(new, store)
    moved = len(frames[0]) + len(frames[2])  # valid stays valid
    assert (report.num_written, report.num_removed) == (moved, moved)
    assert_holds(store, new)
    summary = status(store)
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
    assert write_dataset(dataset, store).changed
    assert_holds(store, dataset, provenance=True)


def test_only_the_difference_is_written(store: GraphStore) -> None:
    old = random_dataset(0)
    write_dataset(old, store)
    train = old.interactions[Split.TRAIN].copy()
    train.loc[0, "rating"] += 1
    train.loc[1, "load"] = 99
    titles = old.nodes[NodeLabel.ITEM].copy()
    titles.loc[3, "title"] = "Another"
    new = Dataset(
        {**old.nodes, NodeLabel.ITEM: titles},
        {**old.interactions, Split.TRAIN: train.drop(index=2)},
        old.relations,
        old.loads,
    )
    report = write_dataset(new, store)
    assert (report.num_written, report.num_removed) == (3, 1)
    assert_holds(store, new, provenance=True)


def test_nodes_keep_their_index_and_new_ones_get_the_next(store: GraphStore) -> None:
    full = random_dataset(0)
    frames = {label: frame.iloc[1:] for label, frame in full.nodes.items()}
    empty = {split: frame.iloc[:0] for split, frame in full.interactions.items()}
    write_dataset(Dataset(full.nodes, empty), store)
    before = store.export_nodes(NodeLabel.USER).set_index("id")["index"]
    more = pd.concat([frames[NodeLabel.USER], pd.DataFrame({"id": ["new"], "age": [5]})])
    write_dataset(Dataset({**frames, NodeLabel.USER: more}, empty), store)
    after = store.export_nodes(NodeLabel.USER).set_index("id")["index"]
    assert after["new"] == before.max() + 1
    kept = frames[NodeLabel.USER]["id"].tolist()
    assert after[kept].tolist() == before[kept].tolist()


def test_a_graph_that_somebody_meddled_with_is_mended(store: GraphStore) -> None:
    dataset = random_dataset(0)
    write_dataset(dataset, store)
    users, items = (dataset.nodes[x]["id"].tolist() for x in (NodeLabel.USER, NodeLabel.ITEM))
    train = interaction_key(Split.TRAIN)
    run = store._run  # type: ignore[attr-defined]
    run("MATCH (n:User) WHERE n.index < 2 SET n.index = 5", {}, writes=True)
    run("MERGE (n:Item {id: 'stray'}) SET n.title = 'no index'", {}, writes=True)
    twice = "MATCH (a:User {id: $a}) MATCH (b:Item {id: $b}) CREATE (a)-[:INTERACTED]->(b)"
    run(twice, {"a": users[3], "b": items[0]}, writes=True)
    run(twice, {"a": users[3], "b": items[0]}, writes=True)
    run("MATCH (:User)-[x:HELD_OUT_TEST]->(:Item) SET x.load = 'of old'", {}, writes=True)
    assert store.read("count_edges", key=train)[0]["count"] > len(dataset.interactions[Split.TRAIN])
    store.write("set_graph_state", version="x", state="ready", interaction_properties=[])
    write_dataset(dataset, store)
    assert_holds(store, dataset, provenance=True)


def test_the_list_of_loads_is_kept_without_a_new_version(store: GraphStore) -> None:
    dataset = random_dataset(0)
    write_dataset(dataset, store)
    undone = tuple(replace(load, undone=not load.undone) for load in dataset.loads[1:])
    other = Dataset(dataset.nodes, dataset.interactions, dataset.relations, undone)
    report = write_dataset(other, store)
    assert (report.num_written, report.num_removed, report.changed) == (0, 0, True)
    assert_holds(store, other, provenance=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_changes_lead_to_the_graph_of_a_whole_ingest(store: GraphStore, seed: int) -> None:
    old = random_dataset(seed)
    write_dataset(old, store)
    for step in range(3):
        new = random_dataset(100 + 10 * seed + step, users=7 + step, ratings=step != 1)
        changes = random_changes(old, new)
        report = apply_changes(changes, store)
        assert (report.num_written + report.num_removed, report.version) == (
            changes.rows,
            new.fingerprint,
        )
        assert_holds(store, new, provenance=True)
        assert not write_dataset(new, store).changed
        old = new


def test_changes_without_rows_bring_the_catalogue_and_the_loads(store: GraphStore) -> None:
    old = random_dataset(1)
    tables = tuple(replace(table, role=Role.EVIDENCE) for table in old.relations)
    new = Dataset(old.nodes, old.interactions, tables, old.loads[:1])
    write_dataset(old, store)
    changes = random_changes(old, new)
    assert changes.rows == 0
    apply_changes(changes, store)
    assert_holds(store, new, provenance=True)


def test_changes_of_another_version_are_refused(store: GraphStore) -> None:
    one, other, third = (random_dataset(seed) for seed in range(3))
    with pytest.raises(StoreError, match="fill it with kgrec ingest"):
        apply_changes(random_changes(one, other), store)
    write_dataset(third, store)
    with pytest.raises(StoreError, match="compares everything"):
        apply_changes(random_changes(one, other), store)
    assert_holds(store, third)
    store.write("set_graph_state", version="x", state="loading", interaction_properties=[])
    with pytest.raises(StoreError, match="run kgrec ingest again"):
        apply_changes(random_changes(third, other), store)


def test_changes_that_do_not_fit_leave_no_ready_graph(store: GraphStore) -> None:
    old, new = random_dataset(0), random_dataset(1)
    changes = random_changes(old, new)
    train = interaction_key(Split.TRAIN)
    lost = changes.edges[train].assign(tail="nobody knows it")
    gone = old.relations[0].key
    catalogue = tuple(entry for entry in changes.catalogue if entry[1] != gone)
    for wrong, message in (
        (replace(changes, edges={**changes.edges, train: lost}), "not in the graph"),
        (Changes(old.fingerprint, "y", {}, {}, {}, {}, catalogue), "out of the catalogue"),
    ):
        write_dataset(old, store)
        with pytest.raises(StoreError, match=message):
            apply_changes(wrong, store)
        with pytest.raises(StoreError, match="interrupted"):
            graph_version(store)
    write_dataset(new, store)
    assert_holds(store, new, provenance=True)


def test_changes_with_a_property_of_the_store_are_refused_untouched(store: GraphStore) -> None:
    old, new = random_dataset(0), random_dataset(1)
    write_dataset(old, store)
    changes = random_changes(old, new)
    users = changes.nodes[NodeLabel.USER].assign(embedding=1)
    with pytest.raises(SchemaError, match="user_embedding"):
        apply_changes(replace(changes, nodes={NodeLabel.USER: users}), store)
    assert_holds(store, old)


def test_empty_store(store: GraphStore) -> None:
    with pytest.raises(StoreError, match="fill it with kgrec ingest"):
        fetch_graph(store)
    assert status(store)["state"] == "empty"
    assert store.read("popular") == []
    assert store.export_nodes(NodeLabel.ITEM).empty
    assert list(store.export_edges(interaction_key(Split.TRAIN))) == []
    assert store.vectors(NodeLabel.ITEM)[0] == []


def test_dataset_without_interactions_and_relations(store: GraphStore) -> None:
    full = random_dataset(0)
    empty = {split: frame.iloc[:0] for split, frame in full.interactions.items()}
    dataset = Dataset(full.nodes, empty, ())
    write_dataset(dataset, store)
    assert_holds(store, dataset)
    write_dataset(full, store)
    write_dataset(dataset, store)
    assert_holds(store, dataset)


def test_queries_for_the_unknown_are_empty(store: GraphStore) -> None:
    write_dataset(random_dataset(0), store)
    assert store.read("user_history", user="nobody") == []
    assert store.read("paths", user="nobody", item="nothing") == []
    assert store.read("similar_items", item="nothing") == []


def test_foreign_nodes_are_not_touched(store: GraphStore) -> None:
    store.write_rows("upsert_nodes", [["mine", {"index": 0}]], label=NodeLabel.USER)
    with pytest.raises(StoreError, match="kgrec did not write"):
        write_dataset(random_dataset(0), store)
    assert store.read("count_nodes", label=NodeLabel.USER) == [{"count": 1}]


def test_upserts_are_idempotent_and_remove_what_is_null(store: GraphStore) -> None:
    store.apply_schema()
    store.apply_schema()
    for rating in (1.5, None):
        for label, key in ((NodeLabel.USER, "u"), (NodeLabel.ITEM, "i")):
            row = [key, {"index": 0, "age": None if rating is None else 3}]
            store.write_rows("upsert_nodes", [row, row], label=label)
        carried = {"time": 7} if rating is None else {"rating": rating, "time": 7}
        rows = [["u", "i", carried], ["u", "i", carried]]
        written = store.write("upsert_edges", rows=rows, key=interaction_key(Split.TRAIN))
        assert written == [{"written": 2}]
        (block,) = store.export_edges(interaction_key(Split.TRAIN), ("rating", "time"))
        assert block.head_index.tolist() == [0]
        wanted = {"rating": [np.nan if rating is None else rating], "time": [7.0]}
        for name, values in wanted.items():
            np.testing.assert_array_equal(block.properties[name], values)
        assert ("age" in store.export_nodes(NodeLabel.USER).columns) == (rating is not None)


def test_vectors_are_written_read_and_searched(store: GraphStore) -> None:
    dataset = random_dataset(0)
    write_dataset(dataset, store)
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


def test_vectors_of_changed_nodes_go(store: GraphStore) -> None:
    old = random_dataset(0)
    write_dataset(old, store)
    ids = old.nodes[NodeLabel.ITEM]["id"].tolist()
    matrix = np.eye(len(ids), dtype=np.float32)
    store.write_vectors(NodeLabel.ITEM, ids, matrix)
    frame = old.nodes[NodeLabel.ITEM].copy()
    frame.loc[2, "title"] = "Another"
    new = Dataset({**old.nodes, NodeLabel.ITEM: frame}, old.interactions, old.relations)
    apply_changes(random_changes(old, new), store)
    assert store.vectors(NodeLabel.ITEM)[0] == [key for key in ids if key != ids[2]]
    frame.loc[5, "year"] = 2001.0
    write_dataset(
        Dataset({**old.nodes, NodeLabel.ITEM: frame}, old.interactions, old.relations), store
    )
    kept, vectors = store.vectors(NodeLabel.ITEM)
    assert kept == [key for key in ids if key not in {ids[2], ids[5]}]
    np.testing.assert_array_equal(vectors, np.delete(matrix, [2, 5], axis=0))


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
        store.read("delete_relations", kept=[])
    with pytest.raises(QueryFailed):
        store.read("popular", limit="many")


def test_read_only_store_refuses_writes(store: GraphStore, store_uri: str) -> None:
    dataset = random_dataset(0)
    write_dataset(dataset, store)
    with open_store(store_uri, read_only=True) as reader:
        assert graph_version(reader) == dataset.fingerprint
        assert_holds(reader, dataset)
        with pytest.raises(StoreError, match="open for reading"):
            reader.write("delete_relations", kept=[])
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
        write_dataset(Dataset(nodes, full.interactions, full.relations), store)
    assert status(store)["state"] == "empty"


def test_relation_between_other_labels_of_one_type(store: GraphStore) -> None:
    full = random_dataset(0)
    first = EdgeKey("ABOUT", NodeLabel.ITEM, NodeLabel.ENTITY)
    second = EdgeKey("ABOUT", NodeLabel.ENTITY, NodeLabel.ENTITY)
    tables = (
        RelationTable("about", first, pd.DataFrame({"head": [0, 1, 2], "tail": [0, 1, 2]})),
        RelationTable("about", second, pd.DataFrame({"head": [1, 2], "tail": [0, 1]})),
    )
    dataset = Dataset(full.nodes, full.interactions, tables)
    write_dataset(dataset, store)
    assert_holds(store, dataset)
    smaller = Dataset(full.nodes, full.interactions, tables[:1])
    write_dataset(smaller, store)
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
        write_dataset(dataset, store)
        assert_holds(store, dataset)


def test_edges_outside_the_catalogue_reach_no_query(store: GraphStore) -> None:
    dataset = random_dataset(0)
    write_dataset(dataset, store)
    items = dataset.nodes[NodeLabel.ITEM]["id"].tolist()
    entity = dataset.nodes[NodeLabel.ENTITY]["id"].iloc[0]
    user = dataset.nodes[NodeLabel.USER]["id"].iloc[0]

    def answers() -> list[list[Row]]:
        nodes = [["User", user], ["Item", items[0]], ["Entity", entity]]
        values = {"user": user, "item": items[0], "own": items[1:], "limit": 1000, "nodes": nodes}
        values |= {"steps": [[0, *node, 0.5] for node in nodes], "hops": 4}
        values |= {"before": 0, "since": 1, "until": 3}
        return [
            store.read(query.name, **{p: values[p] for p in query.parameters if p in values})
            for query in queries(store.capabilities.engine)
        ]

    before = answers()
    synthetic = EdgeKey("SYNTHETIC", NodeLabel.ITEM, NodeLabel.ENTITY)
    store.write_rows("upsert_edges", [[item, entity, {}] for item in items], key=synthetic)
    similar = EdgeKey("SIMILAR", NodeLabel.ITEM, NodeLabel.ITEM)
    store.write_rows("upsert_edges", [[item, items[0], {}] for item in items], key=similar)
    assert store.read("count_edges", key=synthetic) == [{"count": len(items)}]
    assert answers() == before


def test_a_catalogue_of_a_killed_load_of_other_data_goes(store: GraphStore) -> None:
    dataset = random_dataset(0)
    store.apply_schema()
    store.write("set_graph_state", version="x", state="loading", interaction_properties=[])
    old = CatalogueEntry("old", EdgeKey("OLD", NodeLabel.ITEM, NodeLabel.ENTITY))
    write_relations(store, [old])
    write_dataset(dataset, store)
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
        write_dataset(random_dataset(0), store)
    with pytest.raises(StoreError, match="interrupted"):
        graph_version(store)


def test_a_graph_that_changes_while_it_is_read_is_refused(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(random_dataset(0), store)
    original = type(store).export_nodes

    def overtaken(self: GraphStore, label: NodeLabel) -> object:
        store.write("set_graph_state", version="other", state="ready", interaction_properties=[])
        return original(self, label)

    monkeypatch.setattr(type(store), "export_nodes", overtaken)
    with pytest.raises(StoreError, match="changed while it was read"):
        fetch_graph(store)
