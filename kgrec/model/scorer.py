"""The one seam of every model: scores for users over all items, and what a score is made of."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from kgrec.errors import ShapeError
from kgrec.model.incidence import Incidence


@dataclass(frozen=True)
class Contributions:
    """What the scores of one user and k items are made of.

    Both ways of adding up give the score: by the user's own items, `by_item.sum(1) + rest`, and by
    relation, `by_relation.sum(1)`.

    Attributes:
        score: (k,) float, equal to the served scores.
        own_items: (h,) int64, the user's training items.
        by_item: (k, h), what each own item adds.
        rest: (k,), what no own item accounts for (the user's own embedding, popularity …).
        relation_names: r names; "self" is what reaches an item through no edge.
        by_relation: (k, r), what each relation adds.
        exact: Whether `by_item` follows from the score's formula; else it is a first-order
            estimate.
        relations_exact: The same for `by_relation`.
    """

    score: Tensor
    own_items: Tensor
    by_item: Tensor
    rest: Tensor
    relation_names: tuple[str, ...]
    by_relation: Tensor
    exact: bool = True
    relations_exact: bool = True


class Scorer(Protocol):
    """Scores every item for a batch of users; fitted when made, immutable afterwards."""

    @property
    def num_users(self) -> int:
        """Number of users."""

    @property
    def num_items(self) -> int:
        """Number of items."""

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives logits (B, num_items) float32 for users (B,) int64; seen items are not masked."""

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes the scores of one user and items (k,) int64."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Gives tensors and JSON values from which `from_state` makes an equal scorer."""

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Self:
        """Makes the scorer that `state` described."""


class ByHistory:
    """What all scorers over users' histories share.

    Attributes:
        history: The training items of each user.
    """

    history: Incidence

    @property
    def num_users(self) -> int:
        """Number of users."""
        return self.history.num_rows

    @property
    def num_items(self) -> int:
        """Number of items."""
        return self.history.num_columns

    def _by_own_items(self, user_index: int, by_item: Tensor) -> Contributions:
        """Scores that are sums over the user's own items, (k, h), through interactions alone."""
        score = by_item.sum(dim=1)
        return Contributions(
            score=score,
            own_items=self.history.row(user_index),
            by_item=by_item,
            rest=torch.zeros_like(score),
            relation_names=("INTERACTED",),
            by_relation=score[:, None],
        )

    def _unexplained(self, user_index: int, score: Tensor, relation: str = "self") -> Contributions:
        """Scores (k,) of which no own item accounts for anything."""
        own = self.history.row(user_index)
        return Contributions(
            score=score,
            own_items=own,
            by_item=score.new_zeros(len(score), len(own)),
            rest=score,
            relation_names=(relation,),
            by_relation=score[:, None],
        )


class FromHistory(ByHistory):
    """What scorers share that know nothing of a user but the history: others may be asked about."""

    def over(self, history: Incidence) -> Self:
        """Gives the same scorer for other users; what it learned of items stays.

        Args:
            history: What each of the other users has, over the same items.

        Raises:
            ShapeError: If the items are not as many, or a user's items do not count alike.
        """
        if history.num_columns != self.num_items:
            raise ShapeError(
                f"a scorer of {self.num_items} items was asked of users of a catalogue of "
                f"{history.num_columns}; expected the same items"
            )
        other = copy(self)
        other.history = history
        return other


class Wrapping:
    """What scorers share that stand around another and change some of its scores.

    Attributes:
        scorer: The wrapped scorer.
    """

    scorer: Scorer

    @property
    def innermost(self) -> Scorer:
        """The scorer that all wrappings stand around."""
        inner = self.scorer
        return inner.innermost if isinstance(inner, Wrapping) else inner

    @property
    def num_users(self) -> int:
        """Number of users."""
        return self.scorer.num_users

    @property
    def num_items(self) -> int:
        """Number of items."""
        return self.scorer.num_items

    @property
    def history(self) -> Incidence:
        """The training items of each user."""
        history: Incidence = self.scorer.history  # type: ignore[attr-defined]
        return history

    @property
    def parts(self) -> dict[str, Scorer]:
        """The parts of the wrapped fusion; none if it is another scorer."""
        parts: dict[str, Scorer] = getattr(self.scorer, "parts", {})
        return parts

    @property
    def part_weights(self) -> dict[str, float]:
        """Their weights."""
        weights: dict[str, float] = getattr(self.scorer, "part_weights", {})
        return weights
