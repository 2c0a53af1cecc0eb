"""Scorers that stand around another and change some of its scores."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

from torch import Tensor

from kgrec.model.kinds import described, from_description, under
from kgrec.model.scorer import Leaf, Scorer, plain


class Wrapping(Scorer):
    """What scorers share that stand around another and change some of its scores.

    Attributes:
        changes_type: Class of the changes, a dataclass of tensors and JSON values, which are saved
            under their own names.
        scorer: The wrapped scorer.
        changes: What is changed.
    """

    changes_type: ClassVar[type]

    def __init__(self, scorer: Scorer, changes: Any = None) -> None:
        self.scorer, self.changes = scorer, changes
        self.history = scorer.history
        self.parts, self.part_weights = scorer.parts, scorer.part_weights
        self.relation_weights = scorer.relation_weights

    def rewrapped(self, scorer: Scorer) -> Self:
        """Gives the same changes around another scorer of the same users and items."""
        return type(self)(scorer, self.changes)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Gives the wrapped scorer's state and the changes."""
        tensors, values = described(self.scorer)
        tensors = {f"scorer/{key}": tensor for key, tensor in tensors.items()}
        for name, value in vars(self.changes).items():
            (tensors if isinstance(value, Tensor) else values)[name] = plain(value)
        return tensors, values

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Self:
        """Makes the scorer that `state` described."""
        known = {**tensors, **values}
        changes = {field.name: known[field.name] for field in fields(cls.changes_type)}
        for name, value in changes.items():
            changes[name] = tuple(value) if isinstance(value, list) else value
        scorer = from_description(under("scorer", tensors), values)
        return cls(scorer, cls.changes_type(**changes))

    @abstractmethod
    def replaces(self, user_index: int, item_index: int) -> bool:
        """Whether it gives this score itself, instead of the wrapped scorer's."""

    @property
    def innermost(self) -> Scorer:
        """The scorer that all wrappings stand around."""
        return self.scorer.innermost

    def leaves(self, user_index: int, item_index: int) -> tuple[list[Leaf], float]:
        """Gives those of the wrapped scorer where its score stays, else this as one model."""
        if self.replaces(user_index, item_index):
            return super().leaves(user_index, item_index)
        return self.scorer.leaves(user_index, item_index)

    def embeddings(self) -> list[tuple[Tensor, Tensor]]:
        """Gives those of the wrapped scorer."""
        return self.scorer.embeddings()

    def item_likeness(self, item_indices: Tensor) -> Tensor:
        """Gives what the wrapped scorer says."""
        return self.scorer.item_likeness(item_indices)

    def profile_views(self, user_index: int) -> tuple[str, ...]:
        """Names those of the wrapped scorer."""
        return self.scorer.profile_views(user_index)
