"""A graph that follows what is taken in is, bit by bit, the one that reading it again gives."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_ingest import day, shop, some_rows, write

from kgrec.config import Config
from kgrec.data.journal.manifest import journal_folder
from kgrec.graph.data import GraphData, Interactions, RelationEdges
from kgrec.graph.fetch import fetch_graph
from kgrec.graph.patch import is_current, patched
from kgrec.graph.snapshot import NAME, read_graph, write_graph
from kgrec.ingestion import ingest
from kgrec.schema import NodeLabel, Split
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.upkeep.forget import forget
from kgrec.upkeep.watching import KeptGraph


def assert_same(found: GraphData, wanted: GraphData) -> None:
    """Asserts that two graphs are equal in every value, order and type."""
    assert found.version == wanted.version
    assert list(found.vocabularies) == list(wanted.vocabularies)
    for label, vocabulary in wanted.vocabularies.items():
        assert found.vocabularies[label] == vocabulary
        assert all(type(key) is str for key in found.vocabularies[label].ids)
        pd.testing.assert_frame_equal(found.properties[label], wanted.properties[label])
    assert list(found.held_out) == list(wanted.held_out)
    pairs = [(found.train, wanted.train)]
    pairs += [(found.held_out[split], wanted.held_out[split]) for split in wanted.held_out]
    for mine, theirs in pairs:
        _assert_equal_arrays(mine, theirs, "user_index", "item_index", "rating", "time")
    for mine, theirs in (
        (found.relations, wanted.relations),
        (found.identities, wanted.identities),
    ):
        assert [(r.name, r.key, r.role) for r in mine] == [(r.name, r.key, r.role) for r in theirs]
        for one, other in zip(mine, theirs, strict=True):
            _assert_equal_arrays(one, other, "head_index", "tail_index", "weight", "time")


def _assert_equal_arrays(
    one: Interactions | RelationEdges, other: Interactions | RelationEdges, *names: str
) -> None:
    for name in names:
        mine, theirs = getattr(one, name), getattr(other, name)
        assert (mine is None) == (theirs is None), name
        if mine is not None:
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)


def fetched(config: Config) -> GraphData:
    with open_store(config.store, read_only=True) as store:
        return fetch_graph(store)


@given(seeds=st.lists(st.integers(0, 999), min_size=2, max_size=4), users=st.integers(3, 9))
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_patched_by_deliveries_it_is_as_read_again(
    tmp_path_factory: pytest.TempPathFactory, seeds: list[int], users: int
) -> None:
    """New users and items, ratings that change, pairs that move from test to train, dislikes."""
    folder = tmp_path_factory.mktemp("shop")
    config = shop(folder)
    day(folder, 0, some_rows(seeds[0], users=users, items=6))
    ingest(config, progress=False)
    graph = fetched(config)
    kept = folder / "there" / NAME
    kept.parent.mkdir()
    for number, seed in enumerate(seeds[1:], start=1):
        day(folder, number, some_rows(seed, count=15, users=users + number, items=6 + 2 * number))
        report = ingest(config, progress=False)
        assert report.changes is not None
        found = patched(graph, report.changes)
        assert found is not None
        wanted = fetched(config)
        assert_same(found, wanted)
        with open_store(config.store, read_only=True) as store:
            assert is_current(found, store)
            assert not is_current(graph, store)
        assert write_graph(kept, found)
        again = read_graph(kept)
        assert again is not None
        assert_same(again, wanted)
        assert [path.name for path in kept.parent.iterdir()] == [NAME]
        graph = again


def test_ratings_that_come_later_are_a_column_of_all(tmp_path: Path) -> None:
    config = shop(tmp_path)
    day(tmp_path, 0, [(f"u{n}", f"i{n % 4}", "buy", 1000 + n, "") for n in range(20)])
    ingest(config, progress=False)
    graph = fetched(config)
    assert graph.train.rating is None
    day(tmp_path, 1, [("u3", "i1", "rate", 3000, "4"), ("u3", "i2", "rate", 3001, "5")])
    changes = ingest(config, progress=False).changes
    assert changes is not None
    found = patched(graph, changes)
    assert found is not None
    assert found.train.rating is not None
    assert_same(found, fetched(config))


def test_what_is_no_mere_delivery_is_read(tmp_path: Path) -> None:
    config = shop(tmp_path)
    day(tmp_path, 0, some_rows(1))
    ingest(config, progress=False)
    graph = fetched(config)
    write(tmp_path / "items2.csv", "id,title,brand", ["i1,Another Title,brand9", "i77,New,brand1"])
    assert ingest(config, progress=False).changes is None
    day(tmp_path, 1, some_rows(2, count=9))
    changes = ingest(config, progress=False).changes
    assert changes is not None
    assert patched(graph, changes) is None  # of another version
    again = fetched(config)
    for wrong in (
        replace(changes, base=again.version, gone_nodes={NodeLabel.USER: ["u1"]}),
        replace(
            changes,
            base=again.version,
            nodes={NodeLabel.ITEM: pd.DataFrame({"id": ["x"], "title": ["A Title"]})},
        ),
        replace(changes, base=again.version, nodes={NodeLabel.USER: pd.DataFrame({"id": ["u1"]})}),
    ):
        assert patched(again, wrong) is None


def test_kept_beside_the_journal_it_serves_the_next_process(
    tmp_path: Path, engine_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KGREC_CACHE", str(tmp_path / "cache"))
    config = shop(tmp_path / "shop", engine_uri, '[data.cleaning]\nmax_bad_rows = "40%"\n')
    reads: list[str] = []

    def counted(store: GraphStore) -> GraphData:
        reads.append(store.uri)
        return fetch_graph(store)

    monkeypatch.setattr("kgrec.upkeep.watching.fetch_graph", counted)

    def process(number: int) -> GraphData:
        day(tmp_path / "shop", number, some_rows(number, count=12, items=9 + number))
        graphs = KeptGraph(config)
        with open_store(config.store) as store:
            graphs.take_in(store)
            found = graphs(store)
            assert_same(found, fetch_graph(store))
        graphs.write()
        return found

    process(0)
    assert len(reads) == 1
    process(1)
    process(2)
    assert len(reads) == 1
    day(tmp_path / "shop", 3, some_rows(3, count=12))
    ingest(config, progress=False)  # by another process, which keeps nothing
    process(4)
    assert len(reads) == 1
    write(tmp_path / "shop" / "items2.csv", "id,title,brand", ["i1,Another Title,brand9"])
    process(14)  # a title is no delivery of interactions
    assert len(reads) == 2
    (journal_folder(config) / NAME).write_bytes(b"damaged")
    with pytest.MonkeyPatch.context() as patch:
        warned: list[str] = []
        patch.setattr(logging.getLogger("kgrec.graph.snapshot"), "warning", _into(warned))
        process(5)
    assert len(reads) == 3
    assert len(warned) == 1
    user = process(6).vocabularies[NodeLabel.USER].ids[0]
    forget(config, user=user)
    assert not (journal_folder(config) / NAME).exists()
    assert user not in process(7).vocabularies[NodeLabel.USER]
    assert len(reads) == 4


def _into(told: list[str]) -> Callable[..., None]:
    return lambda message, *values: told.append(message % values)


def test_a_graph_that_was_forgotten_meanwhile_is_not_kept(tmp_path: Path) -> None:
    config = shop(tmp_path)
    day(tmp_path, 0, some_rows(1))
    ingest(config, progress=False)
    graphs = KeptGraph(config)
    with open_store(config.store, read_only=True) as store:
        graphs(store)
    day(tmp_path, 1, some_rows(2))
    ingest(config, progress=False)
    graphs.write()
    assert not (journal_folder(config) / NAME).exists()


def test_a_column_of_mixed_kinds_is_not_kept(tmp_path: Path) -> None:
    config = shop(tmp_path)
    day(tmp_path, 0, some_rows(1))
    ingest(config, progress=False)
    graph = fetched(config)
    items = graph.properties[NodeLabel.ITEM].assign(odd=pd.Series([1, "a"] * 9, dtype=object))
    path = tmp_path / NAME
    assert not write_graph(
        path, replace(graph, properties={**graph.properties, NodeLabel.ITEM: items})
    )
    assert not path.exists()
    assert read_graph(path) is None
    assert Split.TRAIN not in graph.held_out
