"""Proposed pairs in a store: marked, listed, purged, and seen by nothing else."""

from typing import Any

import pytest
from graph_oracle import assert_holds, random_dataset

from kgrec.data.tables import Dataset
from kgrec.errors import StoreError
from kgrec.graph.fetch import fetch_graph, status
from kgrec.ingestion import graph_version, write_dataset
from kgrec.schema import NodeLabel, Split
from kgrec.store import synthetic
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.store.cypher import queries
from kgrec.store.synthetic import (
    SyntheticRun,
    purge_synthetic,
    synthetic_pairs,
    synthetic_runs,
    write_synthetic,
)


def ids(dataset: Dataset, label: NodeLabel) -> list[str]:
    return list(dataset.nodes[label]["id"])


def every_pair(dataset: Dataset) -> list[tuple[str, str, float]]:
    users, items = (ids(dataset, label) for label in (NodeLabel.USER, NodeLabel.ITEM))
    return [(user, item, 0.5) for user in users for item in items]


def everything_read(store: GraphStore, dataset: Dataset) -> dict[str, Any]:
    """All that queries and the export tell."""
    told: dict[str, Any] = {"summary": status(store), "version": graph_version(store)}
    users, items = (ids(dataset, label) for label in (NodeLabel.USER, NodeLabel.ITEM))
    for query in queries(store.capabilities.engine):
        for user in users[:3]:
            for item in items[:3]:
                values = {
                    "user": user, "item": item, "own": items, "limit": 1000, "since": 0, "until": 9,
                    "before": 0, "nodes": [["User", user], ["Item", item]],
                    "steps": [[0, "User", user, 0.5], [1, "Item", item, 0.5]],
                }  # fmt: skip
                given = {name: values[name] for name in query.parameters if name in values}
                told[f"{query.name} {sorted(given.items())}"] = store.read(query.name, **given)
    graph = fetch_graph(store)
    told["train"] = (graph.train.user_index.tolist(), graph.train.item_index.tolist())
    told["held out"] = {split: len(part) for split, part in graph.held_out.items()}
    told["relations"] = [(str(each.key), len(each)) for each in graph.relations]
    return told


def test_marks_are_written_once_listed_and_purged_by_run(store: GraphStore) -> None:
    dataset = random_dataset(0)
    write_dataset(dataset, store)
    users, items = (ids(dataset, label) for label in (NodeLabel.USER, NodeLabel.ITEM))
    first = [(users[0], items[0], 0.25), (users[0], items[1], 1.0), (users[2], items[1], 0.5)]
    for _ in range(2):
        assert write_synthetic(store, first, run="one", source="gan", seed=7) == 3
    write_synthetic(store, first[:1], run="two", source="teacher", seed=0)
    train = set(zip(*(dataset.pairs(Split.TRAIN)[end] for end in ("head", "tail")), strict=True))
    proven = sum(pair[:2] in train for pair in first)
    assert synthetic_runs(store) == [
        SyntheticRun("one", "gan", 7, 3, 2, 2, proven),
        SyntheticRun("two", "teacher", 0, 1, 1, 1, int(first[0][:2] in train)),
    ]
    assert synthetic_pairs(store, "one") == sorted(first)
    # The run's next proposals take the place of its last ones.
    write_synthetic(store, first[1:2], run="one", source="gan", seed=8)
    assert synthetic_pairs(store, "one") == first[1:2]
    assert synthetic_runs(store)[0].seed == 8
    assert purge_synthetic(store, "one") == 1
    assert [each.run for each in synthetic_runs(store)] == ["two"]
    assert purge_synthetic(store, "nobody") == 0
    assert purge_synthetic(store) == 1
    assert synthetic_runs(store) == []


def test_nothing_that_reads_the_graph_sees_them(store: GraphStore) -> None:
    dataset = random_dataset(1)
    write_dataset(dataset, store)
    before = everything_read(store, dataset)
    assert len(before) > 30
    pairs = every_pair(dataset)
    write_synthetic(store, pairs, run="all", source="random", seed=0)
    assert everything_read(store, dataset) == before
    assert synthetic_runs(store)[0].proven == len(dataset.pairs(Split.TRAIN))


def test_ingesting_keeps_them_but_those_of_nodes_that_go(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic, "_BATCH", 7)  # several transactions
    full = random_dataset(2)
    write_dataset(full, store)
    pairs = every_pair(full)
    write_synthetic(store, pairs, run="all", source="random", seed=0)
    assert not write_dataset(full, store).changed
    assert len(synthetic_pairs(store, "all")) == len(pairs)
    gone = ids(full, NodeLabel.USER)[0]
    nodes = {**full.nodes, NodeLabel.USER: full.nodes[NodeLabel.USER].iloc[1:]}
    empty = {split: frame.iloc[:0] for split, frame in full.interactions.items()}
    write_dataset(Dataset(nodes, empty), store)
    assert synthetic_pairs(store, "all") == sorted(pair for pair in pairs if pair[0] != gone)
    assert_holds(store, Dataset(nodes, empty))
    assert purge_synthetic(store) == len(pairs) - len(ids(full, NodeLabel.ITEM))


def test_what_cannot_be_written_is_refused_whole(store: GraphStore) -> None:
    dataset = random_dataset(0)
    write_dataset(dataset, store)
    good = every_pair(dataset)[0]
    options: dict[str, Any] = {"run": "r", "source": "gan", "seed": 0}
    with pytest.raises(StoreError, match="1 of 2 synthetic edges have a user or an item that is"):
        write_synthetic(store, [good, ("stranger", good[1], 1.0)], **options)
    assert synthetic_runs(store) == []
    with pytest.raises(StoreError, match="weight nan"):
        write_synthetic(store, [(*good[:2], float("nan"))], **options)
    with pytest.raises(StoreError, match="empty name"):
        write_synthetic(store, [good], **{**options, "run": " "})


def test_another_process_reads_them(engine_uri: str) -> None:
    dataset = random_dataset(0)
    pairs = every_pair(dataset)[:4]
    with open_store(engine_uri) as store:
        write_dataset(dataset, store)
        write_synthetic(store, pairs, run="r", source="gan", seed=0)
    with open_store(engine_uri, read_only=True) as store:
        assert synthetic_pairs(store, "r") == sorted(pairs)
