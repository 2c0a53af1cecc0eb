"""Interactions that nobody had, proposed to harden training on nodes with few edges."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from kgrec.errors import ShapeError
from kgrec.graph.data import IndexArray


@dataclass(frozen=True, eq=False)
class SyntheticEdges:
    """Proposed user-item pairs; never part of popularity, valid, test or what is shown as a fact.

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

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.user_index)

    def distinct(self) -> Self:
        """Leaves out repeats, of which the first stays."""
        size = 1 + self.item_index.max(initial=-1)
        _, first = np.unique(self.user_index * size + self.item_index, return_index=True)
        rows = np.sort(first)
        return type(self)(
            self.user_index[rows], self.item_index[rows], self.weight[rows], self.source, self.seed
        )
