"""Random small datasets, and whether a store holds one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from kgrec.data.journal.manifest import Load
from kgrec.data.tables import Changes, Dataset, RelationTable
from kgrec.ingestion import graph_version
from kgrec.ingestion.tables import read_loads
from kgrec.schema import EDGE_PROPERTIES, SAME_AS, EdgeKey, NodeLabel, Role, Split, interaction_key
from kgrec.store.base import GraphStore
from kgrec.store.state import read_relations, read_state

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
    ("view", EdgeKey("VIEW", NodeLabel.USER, NodeLabel.ITEM)),
    ("dismiss", EdgeKey("DISMISS", NodeLabel.USER, NodeLabel.ITEM)),
    ("same_as", EdgeKey(SAME_AS, NodeLabel.ITEM, NodeLabel.ITEM)),
)

#: Behaviours and identities carry something, and are no relations.
ROLES = {"view": Role.EVIDENCE, "dismiss": Role.NEGATIVE, "same_as": Role.IDENTITY}

LOADS = (
    Load(1, "events", "interactions", ("a.csv", "b, c.csv"), "0123456789abcdef", 90, 0, "2024"),
    Load(2, "items", "items", ("i.csv",), "fedcba9876543210", 8, 3, "2025", undone=True),
    Load(12, "shop", "interactions", (), "00000000000000aa", 5, 1, "2025-02-03T04:05:06Z"),
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
            {
                "id": ids[NodeLabel.USER],
                "age": rng.integers(10, 80, users),
                "load": rng.choice([1, 2], users),
            }
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
        frame["session"] = np.where(rng.random(len(frame)) < 0.4, np.nan, frame["time"] // 2)
        frame["load"] = rng.choice([1, 12], len(frame))
    part = rng.choice(3, len(frame), p=(0.7, 0.15, 0.15))
    interactions = {
        split: frame[part == at].reset_index(drop=True) for at, split in enumerate(Split)
    }
    relations = tuple(
        RelationTable(
            name,
            key,
            _edges(rng, _pairs(rng, ids[key.head], ids[key.tail], share=0.25), name in ROLES),
            ROLES.get(name, Role.RELATION),
        )
        for name, key in KEYS
        if rng.random() < 0.9
    )
    loads = tuple(load for load in LOADS if rng.random() < 0.8)
    return dataset_of_ids(nodes, interactions, relations, loads=loads)


def dataset_of_ids(
    nodes: Mapping[NodeLabel, pd.DataFrame],
    interactions: Mapping[Split, pd.DataFrame],
    relations: Sequence[RelationTable] = (),
    **more: tuple[Load, ...],
) -> Dataset:
    """Makes a dataset of edges whose ends are ids (`user` and `item` of interactions)."""
    index_of = {label: pd.Index(frame["id"]) for label, frame in nodes.items()}

    def placed(key: EdgeKey, frame: pd.DataFrame) -> pd.DataFrame:
        ends = {}
        for label, end in ((key.head, "head"), (key.tail, "tail")):
            ends[end] = index_of[label].get_indexer(pd.Index(frame[end]))
            assert (ends[end] >= 0).all(), f"{key} names a {label} that is in no node table"
        return frame.assign(**ends).reset_index(drop=True)

    ends = {"user": "head", "item": "tail"}
    return Dataset(
        nodes,
        {s: placed(interaction_key(s), f.rename(columns=ends)) for s, f in interactions.items()},
        tuple(replace(table, edges=placed(table.key, table.edges)) for table in relations),
        **more,
    )


def _edges(rng: np.random.Generator, pairs: list[tuple[str, str]], carries: bool) -> pd.DataFrame:
    frame = pd.DataFrame(pairs, columns=["head", "tail"], dtype=object)
    if carries:
        frame["weight"] = np.where(rng.random(len(frame)) < 0.5, np.nan, rng.random(len(frame)))
        frame["count"] = rng.integers(1, 3, len(frame))
        frame["score"] = np.nan  # as good as no column
        frame["load"] = 12
    return frame


def random_changes(old: Dataset, new: Dataset) -> Changes:
    """What makes one dataset into another, row by row in plain Python."""
    ids = {label: set(new.nodes[label]["id"]) for label in NodeLabel}
    nodes, gone_nodes = {}, {}
    for label in NodeLabel:
        before = {row["id"]: row for row in _records(old.nodes[label])}
        frame = new.nodes[label]
        changed = [row != before.get(row["id"]) for row in _records(frame)]
        nodes[label] = frame[changed]
        gone_nodes[label] = sorted(before.keys() - ids[label])
    edges, gone_edges = {}, {}
    empty = pd.DataFrame({"head": [], "tail": []}, dtype=object)
    keys = old.edges().keys() | new.edges().keys()
    for key in sorted(keys):
        one, other = (x.pairs(key) if key in x.edges() else empty for x in (old, new))
        before = {(row["head"], row["tail"]): row for row in _records(one)}
        pairs = list(zip(other["head"], other["tail"], strict=True))
        changed = [row != before.get(p) for p, row in zip(pairs, _records(other), strict=True)]
        edges[key] = other[changed]
        left = [p for p in before if p not in set(pairs)]
        # The edges of a node that goes are not named.
        left = [(a, b) for a, b in left if a in ids[key.head] and b in ids[key.tail]]
        gone_edges[key] = pd.DataFrame(left, columns=["head", "tail"], dtype=object)
    return Changes(
        old.fingerprint,
        new.fingerprint,
        {label: frame for label, frame in nodes.items() if len(frame)},
        {label: gone for label, gone in gone_nodes.items() if gone},
        {key: frame for key, frame in edges.items() if len(frame)},
        {key: frame for key, frame in gone_edges.items() if len(frame)},
        tuple((table.name, table.key, table.role) for table in new.relations),
        new.loads,
    )


def _records(frame: pd.DataFrame) -> list[Row]:
    """Rows without what is missing."""
    rows = frame.to_dict("records")
    return [{str(k): v for k, v in row.items() if not pd.isna(v)} for row in rows]


def _identifier(rng: np.random.Generator, stem: str) -> str:
    return f"{rng.choice(AWKWARD)}{stem}" if rng.random() < 0.7 else stem


def _some(rng: np.random.Generator, values: list[str]) -> list[str | None]:
    return [value if rng.random() < 0.8 else None for value in values]


def _pairs(
    rng: np.random.Generator, heads: list[str], tails: list[str], share: float
) -> list[tuple[str, str]]:
    return [(head, tail) for head in heads for tail in tails if rng.random() < share]


def assert_holds(store: GraphStore, dataset: Dataset, *, provenance: bool = False) -> None:
    """The store's graph equals the dataset, and nothing else is in it.

    Args:
        store: The store.
        dataset: What it shall hold.
        provenance: Whether the loads are compared too, of nodes, edges and the list.
    """
    assert graph_version(store) == dataset.fingerprint
    ids = {label: _assert_nodes(store, label, dataset, provenance) for label in NodeLabel}
    stored = {entry.key: entry for entry in read_relations(store)}
    tables = {table.key: table for table in dataset.relations}
    assert stored.keys() == tables.keys()
    for key, entry in stored.items():
        assert (entry.name, entry.role) == (tables[key].name, tables[key].role)
    state = read_state(store)
    assert state is not None
    names = [name for name in EDGE_PROPERTIES if provenance or name != "load"]
    for key, frame in dataset.edges().items():
        said = stored[key].properties if key in stored else state.interaction_properties
        assert {x for x in EDGE_PROPERTIES if x in frame and frame[x].notna().any()} <= set(said)
        got = _stored_edges(store, key, ids, names)
        assert len(got) == len(frame) == store.read("count_edges", key=key)[0]["count"], key
        assert set(got) == set(_given_edges(dataset, key, names)), key
    if provenance:
        assert read_loads(store) == tuple(sorted(dataset.loads, key=lambda load: load.number))


def _assert_nodes(
    store: GraphStore, label: NodeLabel, dataset: Dataset, provenance: bool
) -> dict[int, str]:
    """Compares the nodes of a label; gives the id by index."""
    got = store.export_nodes(label, provenance=provenance)
    wanted = dataset.nodes[label]
    assert len(got) == len(wanted) == store.read("count_nodes", label=label)[0]["count"]
    assert got["index"].is_unique
    assert set(got["id"]) == set(wanted["id"])
    ordered = got.set_index("id").loc[wanted["id"].tolist()]
    left_out = {"id", "index"} if provenance else {"id", "index", "load"}
    for name in (set(got.columns) | set(wanted.columns)) - left_out:
        absent = pd.Series([None] * len(wanted), dtype=object)
        one, other = (frame.get(name, absent) for frame in (ordered, wanted))
        for a, b in zip(one, other, strict=True):
            assert (pd.isna(a) and pd.isna(b)) or a == b, (label, name)
    return dict(zip(got["index"], got["id"], strict=True))


_Edge = tuple[str, str, tuple[float | None, ...]]


def _stored_edges(
    store: GraphStore, key: EdgeKey, ids: dict[NodeLabel, dict[int, str]], names: list[str]
) -> list[_Edge]:
    return [
        (ids[key.head][head], ids[key.tail][tail], _known(values))
        for block in store.export_edges(key, names)
        for head, tail, *values in zip(
            block.head_index.tolist(),
            block.tail_index.tolist(),
            *(block.properties[name].tolist() for name in names),
            strict=True,
        )
    ]


def _given_edges(dataset: Dataset, key: EdgeKey, names: list[str]) -> list[_Edge]:
    pairs = dataset.pairs(key)
    columns = [pairs[name] if name in pairs else [None] * len(pairs) for name in names]
    return [
        (head, tail, _known(values))
        for head, tail, *values in zip(pairs["head"], pairs["tail"], *columns, strict=True)
    ]


def _known(values: list[Any]) -> tuple[float | None, ...]:
    return tuple(None if pd.isna(value) else float(value) for value in values)
