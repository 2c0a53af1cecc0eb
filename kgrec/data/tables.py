"""The validated tables that every reader ends in and every store is filled from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from kgrec.errors import DataError
from kgrec.schema import EdgeKey, NodeLabel, Split, interaction_key


@dataclass(frozen=True)
class RelationTable:
    """The triples of one relation between two labels.

    Attributes:
        name: The relation's name in the data, e.g. `directed_by`.
        key: Its edge set in the store.
        edges: Columns `head`, `tail` (external ids, str), no repeats, sorted.
    """

    name: str
    key: EdgeKey
    edges: pd.DataFrame


@dataclass(frozen=True)
class Dataset:
    """Everything that is known, as validated tables with external ids.

    Attributes:
        nodes: Per label a frame with column `id` (str, unique, sorted) and property columns
            (str, int64 or float64; missing values are None/NaN).
        interactions: Per split a frame with columns `user`, `item` (str) and optionally `rating`
            (float64) and `time` (int64, seconds since 1970 UTC). A pair is in one split only, once.
        relations: The triples, one table per relation and pair of labels.
        notes: What reading left out or changed, in sentences for the user.
    """

    nodes: Mapping[NodeLabel, pd.DataFrame]
    interactions: Mapping[Split, pd.DataFrame]
    relations: tuple[RelationTable, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        known = {label: pd.Index(frame["id"]) for label, frame in self.nodes.items()}
        for label, ids in known.items():
            if ids.has_duplicates:
                raise DataError(f"{label} id {ids[ids.duplicated()][0]!r} occurs twice")
        edges = [
            (interaction_key(split), frame["user"], frame["item"])
            for split, frame in self.interactions.items()
        ]
        edges += [(table.key, table.edges["head"], table.edges["tail"]) for table in self.relations]
        for key, heads, tails in edges:
            for label, ends in ((key.head, heads), (key.tail, tails)):
                # Looking up the unique ids is ten times faster than Series.isin on all of them.
                unique = pd.Index(ends.unique())
                stray = unique[known[label].get_indexer(unique) < 0]
                if len(stray):
                    raise DataError(f"{key} names {label} {stray[0]!r}, which is in no node table")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all contents, 16 hex digits: equal data, equal fingerprint, on any store."""
        digest = hashlib.sha256()
        tables: list[tuple[str, pd.DataFrame]] = [
            *((str(label), self.nodes[label]) for label in sorted(self.nodes)),
            *((str(interaction_key(s)), self.interactions[s]) for s in sorted(self.interactions)),
            *((f"{t.name} {t.key}", t.edges) for t in sorted(self.relations, key=lambda t: t.key)),
        ]
        for name, frame in tables:
            digest.update(f"{name} {list(frame.columns)} {len(frame)};".encode())
            digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
        return digest.hexdigest()[:16]
