"""A store's graph as arrays: the order is that of the ids, whatever the store's is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kgrec.errors import StoreError
from kgrec.graph.fetch import fetch_graph, status
from kgrec.schema import EdgeKey, NodeLabel, Role, Split, interaction_key
from kgrec.store.base import Capabilities, EdgeBlock

USER, ITEM, ENTITY = NodeLabel
IDS = {USER: ["u1", "u10", "u2"], ITEM: ["A", "a", "b", "é"], ENTITY: ["x", "y"]}
VIEW = EdgeKey("VIEW", USER, ITEM)
DISMISS = EdgeKey("DISMISS", USER, ITEM)
GENRE = EdgeKey("GENRE", ITEM, ENTITY)
SAME = EdgeKey("SAME_AS", ITEM, ITEM)
#: Edges by ids, with their time and weight.
EDGES = {
    interaction_key(Split.TRAIN): [("u1", "a", 5.0, 1.0), ("u1", "b", 6.0, 1.0)],
    interaction_key(Split.VALID): [("u2", "é", 7.0, 1.0)],
    interaction_key(Split.TEST): [],
    DISMISS: [("u10", "A", 3.0, 1.0)],
    GENRE: [("é", "y", np.nan, np.nan), ("A", "x", np.nan, np.nan)],
    SAME: [("A", "a", np.nan, np.nan)],
    VIEW: [("u2", "b", 2.0, 4.0), ("u10", "é", 1.0, np.nan), ("u10", "a", 0.0, 3.0)],
}
CATALOGUE = [
    ("genre", GENRE, "relation", []),
    ("same_as", SAME, "identity", []),
    ("dismiss", DISMISS, "negative", ["time", "load"]),
    ("view", VIEW, "evidence", ["time", "weight", "count"]),
]


@dataclass
class Held:
    """As much of a store as fetching asks for; nodes and edges come in the order of a seed.

    Its `index` has gaps and follows that order, as after deliveries and deletions.
    """

    seed: int
    versions: list[str] = field(default_factory=lambda: ["v"])
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    uri: str = "held:"
    capabilities = Capabilities("held", "1", False, False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.order = {label: list(rng.permutation(ids)) for label, ids in IDS.items()}
        self.index = {
            label: dict(zip(ids, np.cumsum(rng.integers(1, 5, len(ids))).tolist(), strict=True))
            for label, ids in self.order.items()
        }
        self.edges = {
            key: [rows[n] for n in rng.permutation(len(rows))] for key, rows in EDGES.items()
        }

    def read(self, name: str, /, **params: Any) -> list[dict[str, Any]]:
        if name == "graph_state":
            version = self.versions[0] if len(self.versions) == 1 else self.versions.pop(0)
            properties = ["count", "rating", "time"]
            return [{"version": version, "state": "ready", "interaction_properties": properties}]
        if name == "relations":
            return [
                {"name": name, "type": key.type, "head": key.head.value, "tail": key.tail.value,
                 "role": role, "properties": properties}
                for name, key, role, properties in CATALOGUE
            ]  # fmt: skip
        if name == "count_edges":
            return [{"count": len(EDGES[params["key"]])}]
        if name == "loads":
            return []
        assert name == "count_nodes"
        return [{"count": len(IDS[params["label"]])}]

    def export_nodes(self, label: NodeLabel) -> pd.DataFrame:
        ids = self.order[label]
        index = [self.index[label][key] for key in ids]
        return pd.DataFrame({"id": ids, "index": index, "named": [f"<{key}>" for key in ids]})

    def export_edges(self, key: EdgeKey, properties: Sequence[str] = ()) -> Iterator[EdgeBlock]:
        self.asked.append((key.type, tuple(properties)))
        for row in self.edges[key]:  # a block an edge
            values = {"time": row[2], "weight": row[3], "rating": np.nan}
            yield EdgeBlock(
                np.array([self.index[key.head][row[0]]]),
                np.array([self.index[key.tail][row[1]]]),
                {name: np.array([values[name]]) for name in properties},
            )


@pytest.mark.parametrize("seed", range(8))
def test_equal_data_give_equal_arrays_in_the_order_of_ids(seed: int) -> None:
    store = Held(seed)
    graph = fetch_graph(store)
    assert {label: list(v.ids) for label, v in graph.vocabularies.items()} == IDS
    for label, frame in graph.properties.items():
        assert frame.columns.tolist() == ["named"]
        assert frame["named"].tolist() == [f"<{key}>" for key in IDS[label]]
        assert frame.index.tolist() == list(range(len(IDS[label])))
    assert graph.train.user_index.tolist() == [0, 0]
    assert graph.train.item_index.tolist() == [1, 2]
    assert graph.train.time is not None
    assert graph.train.time.tolist() == [5.0, 6.0]
    valid = graph.held_out[Split.VALID]
    assert (valid.user_index.tolist(), valid.item_index.tolist()) == ([2], [3])
    assert len(graph.held_out[Split.TEST]) == 0
    got = {
        r.name: (r.role, list(zip(r.head_index.tolist(), r.tail_index.tolist(), strict=True)))
        for r in graph.relations
    }
    assert got == {
        "dismiss": (Role.NEGATIVE, [(1, 0)]),
        "genre": (Role.RELATION, [(0, 0), (3, 1)]),
        "view": (Role.EVIDENCE, [(1, 1), (1, 3), (2, 2)]),
    }
    (same,) = graph.identities
    assert (same.name, same.head_index.tolist(), same.tail_index.tolist()) == ("same_as", [0], [1])
    user, item = graph.pairs_of(Role.NEGATIVE)
    assert (user.tolist(), item.tolist()) == ([1], [0])


def test_of_edges_only_what_is_there_and_wanted_is_read() -> None:
    store = Held(0)
    graph = fetch_graph(store)
    assert dict(store.asked) == {
        "INTERACTED": ("rating", "time"), "HELD_OUT_VALID": ("rating", "time"),
        "HELD_OUT_TEST": ("rating", "time"), "DISMISS": (), "GENRE": (), "SAME_AS": (), "VIEW": (),
    }  # fmt: skip
    assert {r.weight is None and r.time is None for r in graph.relations} == {True}
    store = Held(0)
    graph = fetch_graph(store, behaviour_properties=True)
    asked = dict(store.asked)
    assert (asked["VIEW"], asked["DISMISS"]) == (("weight", "time"), ("time",))
    dismiss, genre, view = graph.relations
    assert (dismiss.weight, genre.weight, genre.time) == (None, None, None)
    np.testing.assert_array_equal(view.weight, [3.0, np.nan, 4.0])
    np.testing.assert_array_equal(view.time, [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(dismiss.time, [3.0])


def test_a_part_of_the_edges_keeps_what_they_carry() -> None:
    view = fetch_graph(Held(0), behaviour_properties=True).relations[-1]
    part = view.take(np.array([True, False, True]))
    assert (part.head_index.tolist(), part.tail_index.tolist()) == ([1, 2], [1, 2])
    assert (part.weight.tolist(), part.time.tolist()) == ([3.0, 4.0], [0.0, 2.0])
    assert (part.name, part.key, part.role, len(part)) == ("view", VIEW, Role.EVIDENCE, 2)


def test_a_graph_that_changes_meanwhile_is_refused() -> None:
    with pytest.raises(StoreError, match="changed while it was read"):
        fetch_graph(Held(0, ["v", "w"]))


@pytest.mark.parametrize("late", [-1, 0, 99])
def test_an_edge_to_a_node_that_came_later_is_refused(late: int) -> None:
    store = Held(0)
    store.index[ITEM]["é"] = late  # after the nodes were exported
    exported = {label: Held(0).export_nodes(label) for label in NodeLabel}
    store.export_nodes = exported.__getitem__  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="changed while it was read"):
        fetch_graph(store)


def test_the_summary_tells_roles_apart() -> None:
    summary = status(Held(3))
    assert summary["nodes"] == {"User": 3, "Item": 4, "Entity": 2}
    assert summary["interactions"] == {"train": 2, "valid": 1, "test": 0}
    assert summary["behaviours"] == {
        "(User)-[VIEW]->(Item)": {"role": "evidence", "count": 3},
        "(User)-[DISMISS]->(Item)": {"role": "negative", "count": 1},
    }
    assert summary["relations"] == {"(Item)-[GENRE]->(Entity)": 2}
    assert summary["identities"] == {"(Item)-[SAME_AS]->(Item)": 1}
