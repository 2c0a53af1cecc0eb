"""The graph in memory: vocabularies, properties, index arrays; free of torch and of any store."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.errors import ShapeError
from kgrec.schema import EdgeKey, NodeLabel, Role, Split
from kgrec.vocabulary import Vocabulary

IndexArray = npt.NDArray[np.int64]

#: Values of the property `kind` of the entities that are a text: what a user wrote or looked for.
TEXT_KINDS = frozenset({"review", "query"})


class _Columns:
    """What dataclasses share whose arrays have one entry an edge; None is what nobody knows."""

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}

    def __len__(self) -> int:
        return len(next(iter(self._columns().values())))

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """The edges of some rows: a mask (n,), or their places (m,)."""
        columns = {name: column[rows] for name, column in self._columns().items()}
        return type(self)(**vars(self) | columns)


@dataclass(frozen=True)
class Interactions(_Columns):
    """User-item pairs of one split.

    Attributes:
        user_index: int64 (n,).
        item_index: int64 (n,).
        rating: float64 (n,), NaN where unknown; None if the data has no ratings.
        time: float64 (n,), seconds since 1970 UTC; None if the data has no times.
    """

    user_index: IndexArray
    item_index: IndexArray
    rating: npt.NDArray[np.float64] | None = None
    time: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class RelationEdges(_Columns):
    """The edges of one relation or behaviour between two labels; indices count within their labels.

    Attributes:
        name: The relation's or behaviour's name in the data.
        key: Its edge set.
        head_index: int64 (n,).
        tail_index: int64 (n,).
        role: What it says to a model: RELATION is knowledge (of items, entities and users),
            EVIDENCE and NEGATIVE are behaviours that speak for and against an item.
        weight: float64 (n,), NaN where unknown; None if it was not read or the data has none.
        time: float64 (n,), seconds since 1970 UTC, likewise.
    """

    name: str
    key: EdgeKey
    head_index: IndexArray
    tail_index: IndexArray
    role: Role = Role.RELATION
    weight: npt.NDArray[np.float64] | None = None
    time: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class SyntheticEdges(_Columns):
    """User-item pairs that nobody had, proposed to harden training on nodes with few edges.

    They are never part of popularity, valid, test or what is shown as a fact.

    Attributes:
        user_index: (m,) int64.
        item_index: (m,) int64.
        weight: (m,) float32, what each counts in the loss, where a real interaction counts 1.
        source: Who proposed them.
        seed: Of the proposals.
    """

    user_index: IndexArray
    item_index: IndexArray
    weight: npt.NDArray[np.float32]
    source: str
    seed: int

    def __post_init__(self) -> None:
        """Refuses columns of different lengths and weights that are no weights."""
        lengths = {len(self.user_index), len(self.item_index), len(self.weight)}
        if len(lengths) > 1:
            raise ShapeError(
                f"synthetic edges of {self.source} have columns of {sorted(lengths)} entries, "
                f"expected one length; give a user, an item and a weight for each"
            )
        if len(self.weight) and not (np.isfinite(self.weight).all() and self.weight.min() >= 0):
            raise ShapeError(
                f"synthetic edges of {self.source} have weights that are negative or no numbers, "
                f"expected 0 or more; real interactions count 1"
            )

    def distinct(self) -> Self:
        """Leaves out repeats, of which the first stays."""
        size = 1 + self.item_index.max(initial=-1)
        _, first = np.unique(self.user_index * size + self.item_index, return_index=True)
        return self.take(np.sort(first))


@dataclass(frozen=True)
class GraphData:
    """One version of the graph, ready to be turned into tensors.

    Attributes:
        version: The graph version it was read at.
        vocabularies: One per label.
        properties: Per label a frame whose row i describes node i.
        train: The interactions a model may learn from.
        held_out: The interactions of the other splits; only evaluation and early stopping read
            them.
        relations: All other edges a model may learn from: relations and behaviours, see `role`.
        identities: Which node was found to be which; told to people, never to a model, as the
            other edges already lead to the node that was kept.
    """

    version: str
    vocabularies: Mapping[NodeLabel, Vocabulary]
    properties: Mapping[NodeLabel, pd.DataFrame]
    train: Interactions
    held_out: Mapping[Split, Interactions]
    relations: tuple[RelationEdges, ...]
    identities: tuple[RelationEdges, ...] = ()

    @property
    def num_users(self) -> int:
        """Number of users."""
        return len(self.vocabularies[NodeLabel.USER])

    @property
    def num_items(self) -> int:
        """Number of items."""
        return len(self.vocabularies[NodeLabel.ITEM])

    @property
    def num_entities(self) -> int:
        """Number of entities."""
        return len(self.vocabularies[NodeLabel.ENTITY])

    def pairs_of(self, role: Role) -> tuple[IndexArray, IndexArray]:
        """Gives users and items (n,) of every edge of the behaviours of a role."""
        empty = np.empty(0, dtype=np.int64)
        parts = [r for r in self.relations if r.role is role]
        return (
            np.concatenate([empty, *(part.head_index for part in parts)]),
            np.concatenate([empty, *(part.tail_index for part in parts)]),
        )

    def with_splits(self, *splits: Split) -> "GraphData":
        """The same graph with the interactions of some held-out splits among those of train."""
        graph = self
        for split in splits:
            held_out = dict(graph.held_out)
            part = held_out.pop(split, None)
            if part is not None and len(part):
                graph = replace(
                    graph,
                    version=f"{graph.version}-with-{split}",
                    train=_joined(graph.train, part),
                    held_out=held_out,
                )
        return graph

    def without_train(self, mask: npt.NDArray[np.bool_]) -> "GraphData":
        """The same graph without some interactions of train.

        Behaviours that speak for the same pairs leave with them, as those of valid and test did.

        Args:
            mask: (n,) which of train leave.
        """
        moved = self.train.take(mask)
        keys = moved.user_index * self.num_items + moved.item_index
        relations = []
        for relation in self.relations:
            if relation.role is Role.EVIDENCE:
                pairs = relation.head_index * self.num_items + relation.tail_index
                relation = relation.take(~np.isin(pairs, keys))
            relations.append(relation)
        return replace(self, train=self.train.take(~mask), relations=tuple(relations))

    def without_graph(self) -> "GraphData":
        """The same users, items and interactions without knowledge, for the control run.

        Behaviours stay: they are interactions, and a control that lacked them would also lack
        data, not only the graph.
        """
        behaviours = tuple(r for r in self.relations if r.role is not Role.RELATION)
        return replace(self, relations=behaviours)

    def text_entities(self) -> npt.NDArray[np.bool_]:
        """Says which entities (num_entities,) are a text: reviews and queries."""
        frame = self.properties.get(NodeLabel.ENTITY)
        if frame is None or not {"kind", "text"} <= set(frame.columns):
            return np.zeros(self.num_entities, dtype=bool)
        mask: npt.NDArray[np.bool_] = (
            frame["kind"].isin(TEXT_KINDS) & frame["text"].notna()
        ).to_numpy(dtype=bool)
        return mask


def _joined(first: Interactions, second: Interactions) -> Interactions:
    """Both, sorted by user and item as a store gives them."""
    columns = {}
    for name in {**first._columns(), **second._columns()}:
        values = [getattr(part, name) for part in (first, second)]
        for at, part in enumerate((first, second)):
            values[at] = np.full(len(part), np.nan) if values[at] is None else values[at]
        columns[name] = np.concatenate(values)
    joined = Interactions(**columns)
    return joined.take(np.lexsort((joined.item_index, joined.user_index)))
