"""The validated tables that all data ends in and every store is filled from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from kgrec.data.fingerprint import edge_hashes, hash_ids, node_hashes, total, version_of
from kgrec.data.journal.manifest import Load
from kgrec.errors import DataError
from kgrec.schema import EDGE_PROPERTIES, EdgeKey, NodeLabel, Role, Split, interaction_key


@dataclass(frozen=True)
class RelationTable:
    """One set of edges that is no split of the target.

    Attributes:
        name: The relation's or behaviour's name in the data, e.g. `directed_by`, `view`.
        key: Its edge set in the store.
        edges: Columns `head`, `tail` (positions in the node frames, integers), no repeats, and
            any of EDGE_PROPERTIES.
        role: What it says to a model.
    """

    name: str
    key: EdgeKey
    edges: pd.DataFrame
    role: Role = Role.RELATION


@dataclass(frozen=True)
class Dataset:
    """Everything that is known, as validated tables.

    Attributes:
        nodes: Per label a frame with column `id` (str, unique), property columns (str, int64 or
            float64; missing values are None/NaN) and optionally `load`.
        interactions: Per split a frame with columns `head`, `tail` (positions of the user and the
            item in their node frames, integers) and any of EDGE_PROPERTIES. A pair is in one split
            only, once.
        relations: All other edges, one table per relation and pair of labels.
        loads: Where rows came from.
        notes: What cleaning mended, left out or refused, in sentences for the user.

    Raises:
        DataError: If an id occurs twice, or an edge has an end that no node is.
    """

    nodes: Mapping[NodeLabel, pd.DataFrame]
    interactions: Mapping[Split, pd.DataFrame]
    relations: tuple[RelationTable, ...] = ()
    loads: tuple[Load, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        for label, frame in self.nodes.items():
            ids = pd.Index(frame["id"])
            if ids.has_duplicates:
                raise DataError(f"{label} id {ids[ids.duplicated()][0]!r} occurs twice")
        for key, edges in self.edges().items():
            for label, end in ((key.head, "head"), (key.tail, "tail")):
                num_nodes, positions = len(self.nodes.get(label, ())), edges[end].to_numpy()
                if len(positions) and not (positions.min() >= 0 and positions.max() < num_nodes):
                    raise DataError(
                        f"{key} has a {end} at position {positions.max()}; expected one of the "
                        f"{num_nodes:,} {label} nodes"
                    )
            if stray := set(edges.columns) - {"head", "tail", *EDGE_PROPERTIES}:
                raise DataError(
                    f"{key} carries {sorted(stray)[0]!r}; expected some of "
                    f"{', '.join(EDGE_PROPERTIES)}"
                )

    def edges(self) -> dict[EdgeKey, pd.DataFrame]:
        """Gives all edges by set: `head`, `tail` and properties."""
        edges = {interaction_key(split): frame for split, frame in self.interactions.items()}
        return edges | {table.key: table.edges for table in self.relations}

    def pairs(self, key: EdgeKey | Split) -> pd.DataFrame:
        """Gives the edges of a set with the ids of their ends as `head` and `tail`."""
        key = interaction_key(key) if isinstance(key, Split) else key
        frame = self.edges()[key]
        ends = {
            end: self.nodes[label]["id"].to_numpy(dtype=object)[frame[end].to_numpy()]
            for label, end in ((key.head, "head"), (key.tail, "tail"))
        }
        return frame.assign(**ends)

    @cached_property
    def fingerprint(self) -> str:
        """The graph version, 16 hex digits: equal data, equal version, on any store, in any order.

        Of nodes with their properties, edges with theirs, and the names and roles of relations;
        not of loads.
        """
        ids = {label: hash_ids(frame["id"]) for label, frame in self.nodes.items()}
        value = sum(
            total(node_hashes(label, ids[label], frame.drop(columns="id")))
            for label, frame in self.nodes.items()
        )
        for name, key, frame in named_edges(self.interactions, self.relations):
            value += total(edge_hashes(name, key, frame, ids))
        return version_of(value)


def named_edges(
    interactions: Mapping[Split, pd.DataFrame], tables: Iterable[RelationTable]
) -> list[tuple[str, EdgeKey, pd.DataFrame]]:
    """Gives per edge set the text that its hashes are made with, the set and the edges."""
    edges = [
        (str(interaction_key(split)), interaction_key(split), frame)
        for split, frame in interactions.items()
    ]
    return edges + [(f"{t.name} {t.key} {t.role}", t.key, t.edges) for t in tables]


@dataclass(frozen=True)
class Changes:
    """What makes one version of a graph into another, named by ids.

    Attributes:
        base: The version that it applies to; None if what is there was compared itself.
        version: The version it leads to.
        nodes: Per label new or changed nodes: `id` and every property they have (a property that
            is missing or None is removed), optionally `load`.
        gone_nodes: Per label the ids that are no more; their edges go with them.
        edges: Per edge set new or changed edges: `head`, `tail` (ids) and every property.
        gone_edges: Per edge set `head` and `tail` (ids) of the edges that are no more.
        catalogue: All relations afterwards: name, edge set, role.
        loads: All loads afterwards.
        more_nodes: How many nodes more there are afterwards.
        more_edges: How many edges more there are afterwards.
    """

    base: str | None
    version: str
    nodes: Mapping[NodeLabel, pd.DataFrame]
    gone_nodes: Mapping[NodeLabel, list[str]]
    edges: Mapping[EdgeKey, pd.DataFrame]
    gone_edges: Mapping[EdgeKey, pd.DataFrame]
    catalogue: tuple[tuple[str, EdgeKey, Role], ...]
    loads: tuple[Load, ...] = ()
    more_nodes: int = 0
    more_edges: int = 0

    @property
    def rows(self) -> int:
        """How many nodes and edges it writes or removes."""
        parts = (self.nodes, self.edges, self.gone_nodes, self.gone_edges)
        return sum(len(rows) for part in parts for rows in part.values())
