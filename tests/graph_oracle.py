"""Random small datasets, and what every named query must answer on them, in plain Python."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kgrec.data.tables import Dataset, RelationTable
from kgrec.graph.data import GraphData
from kgrec.graph.fetch import fetch_graph, graph_summary
from kgrec.schema import EdgeKey, NodeLabel, Split
from kgrec.store.base import GraphStore

#: What ids and names may hold; each has broken some store or some careless statement.
AWKWARD = (
    "'",
    '"',
    "`",
    "\\",
    "{{label}}",
    "$user",
    "é",
    "日本",
    "😀",
    "a b",
    "x\ny",
    "007",
    "//",
    "%",
)

KEYS = (
    ("genre", EdgeKey("GENRE", NodeLabel.ITEM, NodeLabel.ENTITY)),
    ("directed_by", EdgeKey("DIRECTED_BY", NodeLabel.ITEM, NodeLabel.ENTITY)),
    ("part_of", EdgeKey("PART_OF", NodeLabel.ENTITY, NodeLabel.ENTITY)),
    ("sequel", EdgeKey("SEQUEL", NodeLabel.ITEM, NodeLabel.ITEM)),
    ("features", EdgeKey("FEATURES", NodeLabel.ENTITY, NodeLabel.ITEM)),
    ("likes", EdgeKey("LIKES", NodeLabel.USER, NodeLabel.ENTITY)),
    ("genre", EdgeKey("GENRE", NodeLabel.ENTITY, NodeLabel.ENTITY)),
)

Row = dict[str, Any]


def random_dataset(
    seed: int, users: int = 9, items: int = 8, entities: int = 7, *, ratings: bool = True
) -> Dataset:
    """Makes a dataset with awkward ids, missing values and every kind of edge set."""
    rng = np.random.default_rng(seed)
    ids = {
        label: sorted(_identifier(rng, f"{label[0].lower()}{n}") for n in range(count))
        for label, count in zip(NodeLabel, (users, items, entities), strict=True)
    }
    nodes = {
        NodeLabel.USER: pd.DataFrame(
            {"id": ids[NodeLabel.USER], "age": rng.integers(10, 80, users)}
        ),
        NodeLabel.ITEM: pd.DataFrame(
            {
                "id": ids[NodeLabel.ITEM],
                "title": _some(rng, [f"Title {x}" for x in ids[NodeLabel.ITEM]]),
                "year": np.where(rng.random(items) < 0.3, np.nan, rng.integers(1900, 2020, items)),
            }
        ),
        NodeLabel.ENTITY: pd.DataFrame(
            {
                "id": ids[NodeLabel.ENTITY],
                "name": _some(rng, [f"Name {x}" for x in ids[NodeLabel.ENTITY]]),
            }
        ),
    }
    pairs = _pairs(rng, ids[NodeLabel.USER], ids[NodeLabel.ITEM], share=0.5)
    frame = pd.DataFrame(pairs, columns=["user", "item"], dtype=object)
    if ratings:
        frame["rating"] = rng.integers(1, 11, len(frame)) / 2
        frame["time"] = rng.integers(0, 4, len(frame))
    part = rng.choice(3, len(frame), p=(0.7, 0.15, 0.15))
    interactions = {
        split: frame[part == at].reset_index(drop=True) for at, split in enumerate(Split)
    }
    relations = tuple(
        RelationTable(
            name,
            key,
            pd.DataFrame(
                _pairs(rng, ids[key.head], ids[key.tail], share=0.25),
                columns=["head", "tail"],
                dtype=object,
            ),
        )
        for name, key in KEYS
        if rng.random() < 0.9
    )
    return Dataset(nodes, interactions, relations)


def _identifier(rng: np.random.Generator, stem: str) -> str:
    return f"{rng.choice(AWKWARD)}{stem}" if rng.random() < 0.7 else stem


def _some(rng: np.random.Generator, values: list[str]) -> list[str | None]:
    return [value if rng.random() < 0.8 else None for value in values]


def _pairs(
    rng: np.random.Generator, heads: list[str], tails: list[str], share: float
) -> list[tuple[str, str]]:
    return [(head, tail) for head in heads for tail in tails if rng.random() < share]


@dataclass(frozen=True)
class Edge:
    """One relation edge."""

    name: str
    key: EdgeKey
    head: str
    tail: str


class Oracle:
    """Answers the named queries from the tables of a dataset."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        train = dataset.interactions[Split.TRAIN]
        self.items_of: dict[str, set[str]] = {x: set() for x in dataset.nodes[NodeLabel.USER]["id"]}
        self.users_of: dict[str, set[str]] = {x: set() for x in dataset.nodes[NodeLabel.ITEM]["id"]}
        for user, item in zip(train["user"], train["item"], strict=True):
            self.items_of[user].add(item)
            self.users_of[item].add(user)
        self.edges = [
            Edge(table.name, table.key, head, tail)
            for table in dataset.relations
            for head, tail in zip(table.edges["head"], table.edges["tail"], strict=True)
        ]
        self._shown = {
            (label, key): None if pd.isna(value) else value
            for label, column in ((NodeLabel.ITEM, "title"), (NodeLabel.ENTITY, "name"))
            for key, value in zip(
                dataset.nodes[label]["id"], dataset.nodes[label][column], strict=True
            )
        }

    def title(self, item: str) -> str | None:
        return self._shown[NodeLabel.ITEM, item]

    def name(self, entity: str) -> str | None:
        return self._shown[NodeLabel.ENTITY, entity]

    def user_history(self, user: str, limit: int) -> list[Row]:
        train = self.dataset.interactions[Split.TRAIN]
        own = train[train["user"] == user]
        rows = [
            {
                "id": row["item"],
                "title": self.title(row["item"]),
                "rating": row.get("rating"),
                "time": row.get("time"),
            }
            for row in own.to_dict("records")
        ]
        return sorted(rows, key=lambda row: (-(row["time"] or 0), row["id"]))[:limit]

    def popular(self, limit: int) -> list[Row]:
        rows = [
            {"id": item, "title": self.title(item), "users": len(users)}
            for item, users in self.users_of.items()
            if users
        ]
        return sorted(rows, key=lambda row: (-row["users"], row["id"]))[:limit]

    def similar_items(self, item: str, limit: int) -> list[Row]:
        own = self.users_of[item]
        rows = [
            {
                "id": other,
                "title": self.title(other),
                "shared": len(own & users),
                "cosine": len(own & users) / math.sqrt(len(own) * len(users)),
            }
            for other, users in self.users_of.items()
            if other != item and own & users
        ]
        return sorted(rows, key=lambda row: (-row["cosine"], row["id"]))[:limit]

    def co_interacted(self, user: str, neighbours: int, limit: int) -> list[Row]:
        own = self.items_of[user]
        overlap = {
            other: len(own & items)
            for other, items in self.items_of.items()
            if other != user and own & items
        }
        nearest = sorted(overlap, key=lambda other: (-overlap[other], other))[:neighbours]
        weights: Counter[str] = Counter()
        for other in nearest:
            for item in self.items_of[other] - own:
                weights[item] += overlap[other]
        rows = [{"id": x, "title": self.title(x), "weight": w} for x, w in weights.items()]
        return sorted(rows, key=lambda row: (-row["weight"], row["id"]))[:limit]

    def item_neighbourhood(self, item: str, limit: int) -> list[Row]:
        rows = []
        for edge in self.edges:
            ends = ((edge.key.head, edge.head), (edge.key.tail, edge.tail))
            for outgoing, (near, far) in ((True, ends), (False, ends[::-1])):
                if near == (NodeLabel.ITEM, item) and far[0] != NodeLabel.USER:
                    rows.append(
                        {
                            "relation": edge.name,
                            "type": edge.key.type,
                            "outgoing": outgoing or ends[0] == ends[1],
                            "label": far[0].value,
                            "id": far[1],
                            "name": self._shown[far],
                        }
                    )
        unique = {tuple(row.items()): row for row in rows}.values()
        return sorted(unique, key=lambda row: (*_order(row), row["label"], row["id"]))[:limit]

    def shared_entities(self, own: list[str], item: str, limit: int) -> list[Row]:
        found = set()
        for type_in, _, label, entity in self._steps(item):
            if label == NodeLabel.ITEM and entity in own and entity != item:
                found.add((entity, type_in, None, None, type_in))
            if label == NodeLabel.ENTITY:
                for other in own:
                    for type_own, _, kind, end in self._steps(other):
                        if (kind, end) == (label, entity) and other != item:
                            found.add((other, type_own, entity, self.name(entity), type_in))
        columns = ("own", "type_in", "entity", "name", "type_out")
        rows = [dict(zip(columns, row, strict=True)) for row in found]
        return sorted(
            rows,
            key=lambda row: (row["own"], row["entity"] or "", row["type_in"], row["type_out"]),
        )[:limit]

    def paths(self, user: str, item: str, limit: int) -> list[Row]:
        found = set()
        own = sorted(self.items_of[user] - {item})
        for row in self.shared_entities(own, item, 10**9):
            middle = [row["entity"]] if row["entity"] is not None else []
            types = [row["type_in"], row["type_out"]] if middle else [row["type_in"]]
            found.add(
                (
                    (user, row["own"], *middle, item),
                    ("User", "Item", *["Entity" for _ in middle], "Item"),
                    (None, self.title(row["own"]), *map(self.name, middle), self.title(item)),
                    ("INTERACTED", *types),
                )
            )
        for mine in own:
            for other in (self.users_of[mine] & self.users_of[item]) - {user}:
                found.add(
                    (
                        (user, mine, other, item),
                        ("User", "Item", "User", "Item"),
                        (None, self.title(mine), None, self.title(item)),
                        ("INTERACTED",) * 3,
                    )
                )
        ordered = sorted(found, key=lambda path: (len(path[0]), path[1], path[0], path[3]))
        columns = ("ids", "labels", "names", "types")
        return [dict(zip(columns, map(list, path), strict=True)) for path in ordered][:limit]

    def schema_summary(self, limit: int) -> list[Row]:
        counts = Counter(edge.key.type for edge in self.edges)
        counts["INTERACTED"] += len(self.dataset.interactions[Split.TRAIN])
        ends: dict[str, list[str]] = {"INTERACTED": ["User->Item"]}
        for table in sorted(self.dataset.relations, key=lambda table: table.key):
            key = table.key
            ends.setdefault(key.type, []).append(f"{key.head.value}->{key.tail.value}")
        rows = [
            {"type": kind, "edges": count, "connects": ends[kind]}
            for kind, count in counts.items()
            if count
        ]
        return sorted(rows, key=lambda row: (-row["edges"], row["type"]))[:limit]

    def relations(self) -> list[Row]:
        rows = [
            {"name": t.name, "type": t.key.type, "head": t.key.head.value, "tail": t.key.tail.value}
            for t in self.dataset.relations
        ]
        return sorted(rows, key=lambda row: (row["type"], row["head"], row["tail"]))

    def _steps(self, item: str) -> set[tuple[str, str, NodeLabel, str]]:
        """Relation edges at an item, either way round: type, item, label and id of the far end."""
        here = (NodeLabel.ITEM, item)
        steps = set()
        for edge in self.edges:
            ends = ((edge.key.head, edge.head), (edge.key.tail, edge.tail))
            for near, far in (ends, ends[::-1]):
                if near == here:
                    steps.add((edge.key.type, item, *far))
        return steps


def _order(row: Row) -> tuple[Any, ...]:
    return row["relation"], row["type"], not row["outgoing"]


def _edge_set(dataset: Dataset, split: Split) -> set[tuple[object, ...]]:
    frame = dataset.interactions[split]
    return set(frame.itertuples(index=False, name=None))


def _fetched_set(graph: GraphData, split: Split) -> set[tuple[object, ...]]:
    part = graph.train if split == Split.TRAIN else graph.held_out[split]
    users, items = (graph.vocabularies[x].ids for x in (NodeLabel.USER, NodeLabel.ITEM))
    columns = [[users[i] for i in part.user_index], [items[i] for i in part.item_index]]
    columns += [list(c) for c in (part.rating, part.time) if c is not None]
    return set(zip(*columns, strict=True))


def assert_holds(store: GraphStore, dataset: Dataset) -> None:
    """The store's graph equals the dataset, and nothing else is in it."""
    graph = fetch_graph(store)
    assert graph.version == dataset.fingerprint
    for label in NodeLabel:
        wanted = dataset.nodes[label].reset_index(drop=True)
        assert graph.vocabularies[label].ids == tuple(wanted["id"])
        got = graph.properties[label]
        given = [c for c in wanted.columns if c != "id" and wanted[c].notna().any()]
        for column in given:
            for a, b in zip(got[column], wanted[column], strict=True):
                assert (pd.isna(a) and pd.isna(b)) or a == b
        extra = [c for c in got.columns if c not in given and got[c].notna().any()]
        assert extra == []
    for split in Split:
        assert _fetched_set(graph, split) == _edge_set(dataset, split)
    wanted_relations = {t.key: t for t in dataset.relations}
    assert {r.key for r in graph.relations} == set(wanted_relations)
    for relation in graph.relations:
        heads = graph.vocabularies[relation.key.head].ids
        tails = graph.vocabularies[relation.key.tail].ids
        got_edges = [
            (heads[a], tails[b])
            for a, b in zip(relation.head_index, relation.tail_index, strict=True)
        ]
        table = wanted_relations[relation.key]
        assert relation.name == table.name
        assert len(got_edges) == len(set(got_edges))
        assert set(got_edges) == set(table.edges.itertuples(index=False, name=None))
    summary = graph_summary(store)
    assert summary["nodes"] == {label.value: len(dataset.nodes[label]) for label in NodeLabel}
    assert summary["interactions"] == {
        split.value: len(frame) for split, frame in dataset.interactions.items()
    }
