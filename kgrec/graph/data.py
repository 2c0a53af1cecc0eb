"""The graph in memory: vocabularies, properties, index arrays; free of torch and of any store."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.schema import EdgeKey, NodeLabel, Split
from kgrec.vocabulary import Vocabulary

IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interactions:
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

    def __len__(self) -> int:
        return len(self.user_index)


@dataclass(frozen=True)
class RelationEdges:
    """The edges of one relation between two labels; indices count within their labels.

    Attributes:
        name: The relation's name in the data.
        key: Its edge set.
        head_index: int64 (n,).
        tail_index: int64 (n,).
    """

    name: str
    key: EdgeKey
    head_index: IndexArray
    tail_index: IndexArray

    def __len__(self) -> int:
        return len(self.head_index)


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
        relations: All relation edges.
    """

    version: str
    vocabularies: Mapping[NodeLabel, Vocabulary]
    properties: Mapping[NodeLabel, pd.DataFrame]
    train: Interactions
    held_out: Mapping[Split, Interactions]
    relations: tuple[RelationEdges, ...]

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

    def without_graph(self) -> "GraphData":
        """The same users, items and interactions with no relation edges, for the control run."""
        return GraphData(
            self.version, self.vocabularies, self.properties, self.train, self.held_out, ()
        )
