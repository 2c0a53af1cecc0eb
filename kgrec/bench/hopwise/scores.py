"""What the driver wrote, as Scorers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from kgrec.errors import RunError
from kgrec.graph.data import GraphData
from kgrec.model.graph_scorer import EmbeddingScorer
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import Contributions, Scorer
from kgrec.training.inner_split import history_of


def read_scores(folder: Path, graph: GraphData) -> Scorer:
    """Makes a scorer of the driver's files.

    Users without a training item are unknown to a peer (hopwise never trains them, RippleNet cannot
    score them): they get log popularity, ln(1 + number of training users), whatever the peer says.

    Args:
        folder: Holds `user.npy` (U, d) and `item.npy` (I, d), or `scores.npy` (U, I), float32.
        graph: What it was trained on.

    Raises:
        RunError: If files are missing or of other users and items.
    """
    history = history_of(graph)
    popularity = history.transposed().lengths.float().log1p()  # (I,)
    unknown = history.lengths == 0  # (U,)
    if (folder / "scores.npy").exists():
        scores = np.load(folder / "scores.npy", mmap_mode="r", allow_pickle=False)
        _check(folder, scores.shape, (graph.num_users, graph.num_items))
        return MatrixScorer(scores, unknown, popularity, history)
    user, item = (_read(folder / f"{name}.npy") for name in ("user", "item"))
    _check(folder, (len(user), len(item)), (graph.num_users, graph.num_items))
    # One more dimension carries the popularity: 1 for unknown users, whose others are 0.
    user[unknown] = 0.0
    user = torch.cat([user, unknown.float()[:, None]], dim=1)  # (U, d + 1)
    item = torch.cat([item, popularity[:, None]], dim=1)  # (I, d + 1)
    return EmbeddingScorer(user, item, torch.zeros(len(item)), history)


def _read(path: Path) -> Tensor:
    if not path.exists():
        raise RunError(
            f"{path} is missing; expected embeddings or scores of a hopwise model; train it again"
        )
    return torch.from_numpy(np.load(path, allow_pickle=False))


def _check(folder: Path, shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    if shape != expected:
        raise RunError(
            f"{folder} holds scores of {shape} users and items; expected {expected}; it is of "
            f"another graph: train again"
        )


class MatrixScorer(Scorer):
    """Looks scores up in a matrix, which may stay on disk.

    Attributes:
        scores: (U, I) float32.
        unknown: (U,) bool, users that get `popularity` instead.
        popularity: (I,) float32.
        history: The training items of each user.
    """

    def __init__(
        self,
        scores: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
        unknown: Tensor,
        popularity: Tensor,
        history: Incidence,
    ) -> None:
        self.scores, self.unknown, self.popularity = scores, unknown, popularity
        self.history = history

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the rows of the users, (B, num_items) float32."""
        rows = torch.from_numpy(self.scores[user_indices.cpu().numpy()])  # (B, I), a copy
        rows[self.unknown[user_indices]] = self.popularity
        return rows

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Leaves everything in `rest`: nobody knows what the scores are made of."""
        score = self.score(torch.tensor([user_index]))[0, item_indices]
        return self.unexplained(user_index, score)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Gives the matrix, read into memory, and the history."""
        return {
            "scores": torch.from_numpy(np.array(self.scores)),
            "unknown": self.unknown,
            "popularity": self.popularity,
            "history_pointer": self.history.pointer,
            "history_columns": self.history.columns,
        }, {}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """Makes the scorer that `state` described."""
        popularity = tensors["popularity"]
        history = Incidence(tensors["history_pointer"], tensors["history_columns"], len(popularity))
        return cls(tensors["scores"].numpy(), tensors["unknown"], popularity, history)
