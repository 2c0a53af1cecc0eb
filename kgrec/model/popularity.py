"""Popularity: the floor below all floors, and the term that cosine scores lack."""

import torch
from torch import Tensor

from kgrec.model.folding import NewGraph
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import NO_WEIGHTS, FromHistory


class Popularity(FromHistory, kind="Popularity"):
    """Scores every item by log(1 + its number of training users), for every user alike.

    Attributes:
        history: The training items of each user.
        item_score: (num_items,) float32.
    """

    relation_weights = NO_WEIGHTS
    saved_values = ("num_items",)  # the counts follow from the history

    def __init__(self, history: Incidence) -> None:
        self.history = history
        counts = torch.bincount(history.columns, minlength=history.num_columns)
        self.item_score = torch.log1p(counts.float())

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives one row for all, (B, num_items) float32, the caller's to write to."""
        if len(user_indices) and int(user_indices.max()) >= self.num_users:
            raise IndexError(
                f"user index {int(user_indices.max())} is out of range, expected 0 to "
                f"{self.num_users - 1}; take indices from the graph's vocabulary"
            )
        return self.item_score.repeat(len(user_indices), 1)

    def folded(self, graph: NewGraph) -> "Popularity":
        """Counts the new graph's users."""
        return Popularity(graph.history)
