"""The one seam of every model: scores, what a score is made of, and what becomes of a model.

A model's own file says all there is to know of it: how it scores, which part each own item has in a
score, how it scores other users or a user without some items, how it is folded into another
version of its graph, and how it is saved. Nothing elsewhere lists the models.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor

from kgrec.errors import NotFittedError, RunError, ShapeError, TrainingDiverged
from kgrec.model.incidence import Incidence
from kgrec.model.kinds import register_kind

if TYPE_CHECKING:
    from kgrec.model.folding import NewGraph


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

    def by_names(self, names: Sequence[str]) -> Tensor:
        """Gives `by_relation` in columns of these names, (k, n); what has none adds 0."""
        places = [names.index(name) for name in self.relation_names]
        columns = torch.tensor(places, device=self.by_relation.device)
        out = self.by_relation.new_zeros(len(self.score), len(names))
        return out.index_add_(1, columns, self.by_relation)


@dataclass(frozen=True, eq=False)
class Leaf:
    """One model of a fusion, for one user: it brings scale · (its score - shift).

    Attributes:
        name: Its place in the fusion, such as "closed_form" or "network/0".
        scorer: The model.
        scale: What its scores are multiplied by.
        shift: What is taken off before.
    """

    name: str
    scorer: "Scorer"
    scale: float = 1.0
    shift: float = 0.0


#: Of scorers that know nothing of relations.
NO_WEIGHTS: Mapping[str, float] = MappingProxyType({})


class Scorer(ABC):
    """Scores every item for a batch of users; fitted when made, immutable afterwards.

    A class that is saved in runs names its kind, `class Mine(Scorer, kind="Mine")`; a run's file
    knows it by that. `score` is all that a model must have. Without more, nothing explains its
    scores, and what it cannot do, being saved among it, raises an error that says so.

    Attributes:
        saved_tensors: Names of the tensors and of the incidences over items that are saved beside
            the history; the first has a row for each item, or `num_items` is a value. What is None
            is left out. A class that names none says itself how it is saved.
        saved_values: Names of the values likewise; `__init__` takes all of them by name, but not
            the numbers of users and items, which follow from the history.
        history_prefix: What the history's tensors are called by.
        history: The training items of each user, (num_users, num_items).
        parts: The scorers that it adds up, by name; none but in a fusion.
        part_weights: Their weights.
        relation_weights: Weights of the graph's relations by name, empty if it knows of none; None
            if it has none by relation, but may use them all.
    """

    kind: ClassVar[str] = ""
    saved_tensors: ClassVar[tuple[str, ...]] = ()
    saved_values: ClassVar[tuple[str, ...]] = ()
    history_prefix: ClassVar[str] = ""
    history: Incidence
    parts: Mapping[str, "Scorer"] = MappingProxyType({})
    part_weights: Mapping[str, float] = NO_WEIGHTS
    relation_weights: Mapping[str, float] | None = None

    def __init_subclass__(cls, kind: str = "", **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls.kind = kind
        if kind:
            register_kind(kind, cls)

    @property
    def num_users(self) -> int:
        """Number of users."""
        return self.history.num_rows

    @property
    def num_items(self) -> int:
        """Number of items."""
        return self.history.num_columns

    @property
    def innermost(self) -> "Scorer":
        """The scorer that all wrappings stand around; itself where there are none."""
        return self

    @abstractmethod
    def score(self, user_indices: Tensor) -> Tensor:
        """Gives logits (B, num_items) float32 for users (B,) int64; seen items are not masked."""

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes the scores of one user and items (k,) int64; all in `rest` if nobody can."""
        score = self.score(torch.tensor([user_index]))[0]
        return self.unexplained(user_index, score[item_indices.to(score.device)])

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Gives tensors and JSON values from which `from_state` makes an equal scorer.

        Raises:
            RunError: If scorers of this class cannot be saved.
        """
        if not (self.saved_tensors or self.saved_values):
            raise RunError(
                f"a {type(self).__name__} cannot be saved; expected a class with a kind and the "
                f"methods `state` and `from_state`"
            )
        tensors = self.history.tensors(self.history_prefix)
        for name in self.saved_tensors:
            value = getattr(self, name)
            if isinstance(value, Incidence):
                tensors |= value.tensors(f"{name}_")
            elif value is not None:
                tensors[name] = value
        return tensors, {name: plain(getattr(self, name)) for name in self.saved_values}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Self:
        """Makes the scorer that `state` described; what is not there gets its default.

        Raises:
            RunError: If scorers of this class cannot be saved.
        """
        if not (cls.saved_tensors or cls.saved_values):
            raise RunError(
                f"a {cls.__name__} cannot be read from {len(tensors)} tensors and {len(values)} "
                f"values; expected a class with the methods `state` and `from_state`"
            )
        if "num_items" in values:
            num_items = int(values["num_items"])
        else:
            first = cls.saved_tensors[0]
            num_items = len(tensors[first] if first in tensors else tensors[f"{first}_pointer"][1:])
        arguments: dict[str, Any] = {
            "history": Incidence.from_tensors(tensors, num_items, cls.history_prefix)
        }
        for name in cls.saved_tensors:
            if name in tensors:
                arguments[name] = tensors[name]
            elif f"{name}_pointer" in tensors:
                arguments[name] = Incidence.from_tensors(tensors, num_items, f"{name}_")
        for name in cls.saved_values:
            if name in values and name not in ("num_users", "num_items"):
                arguments[name] = values[name]
        return cls(**arguments)

    def over(self, history: Incidence) -> Self:
        """Gives the same scorer for other users; what it learned of items stays.

        Args:
            history: What each of the other users has, over the same items.

        Raises:
            ShapeError: If its scores do not follow from a history alone, the items are not as many,
                or a user's items do not count alike.
        """
        raise ShapeError(
            f"a {type(self).__name__} learned of its {self.num_users} users by themselves, so it "
            f"cannot score {history.num_rows} others; expected one that scores from histories, "
            f"such as the closed form"
        )

    def without(self, user_index: int, items: Tensor) -> Tensor:
        """Gives a user's scores (num_items,) as if the user did not have some own items.

        What was trained is held. A model whose scores are no sums over own items keeps them.

        Args:
            user_index: The user.
            items: (g,) int64, own items that no longer speak for the user.
        """
        del items
        return self.score(torch.tensor([user_index]))[0]

    def folded(self, graph: "NewGraph") -> "Scorer":
        """Gives the scorer over another version of its graph, without training.

        What was learned of items, of relations and of old nodes stays; what users have is the new
        graph's. New users are served by what they have. New items have nothing that was learned:
        item-to-item scorers and factors know nothing of them, a network embeds them by their text
        and their edges. Nothing changes where the graph did not.

        Raises:
            ShapeError: If it cannot be folded, or needs times that are not there.
        """
        raise ShapeError(
            f"a {type(self).__name__} cannot be folded into another graph of {len(graph.users)} "
            f"users; expected a scorer with a method `folded`; train again"
        )

    def leaves(self, user_index: int, item_index: int) -> tuple[list[Leaf], float]:
        """Gives the models whose shares add up to one score, and what is added to them.

        Returns:
            Leaves and a constant c: the score is Σ scale (s - shift) + c.
        """
        del user_index, item_index
        return [Leaf("model", self)], 0.0

    def embeddings(self) -> list[tuple[Tensor, Tensor]]:
        """Gives (num_users, d) and (num_items, d) of every network that it holds."""
        return []

    def item_likeness(self, item_indices: Tensor) -> Tensor:
        """Gives how alike items (B,) int64 are to all, (B, num_items); raises NotFittedError."""
        raise NotFittedError(
            f"a {type(self).__name__} does not compare {len(item_indices)} items; expected a "
            f"network or a dense closed form"
        )

    def profile_views(self, user_index: int) -> tuple[str, ...]:
        """Names what a user is known by whose scores no interaction speaks for; none for others."""
        del user_index
        return ()

    def by_own_items(self, user_index: int, by_item: Tensor) -> Contributions:
        """Contributions to k scores that are sums over the user's own items, (k, h).

        They flow through interactions alone; for the `contributions` of scorers.
        """
        score = by_item.sum(dim=1)
        return Contributions(
            score=score,
            own_items=self.history.row(user_index),
            by_item=by_item,
            rest=torch.zeros_like(score),
            relation_names=("INTERACTED",),
            by_relation=score[:, None],
        )

    def unexplained(self, user_index: int, score: Tensor, relation: str = "self") -> Contributions:
        """Contributions to scores (k,) of which no own item accounts for anything; likewise."""
        own = self.history.row(user_index)
        return Contributions(
            score=score,
            own_items=own,
            by_item=score.new_zeros(len(score), len(own)),
            rest=score,
            relation_names=(relation,),
            by_relation=score[:, None],
        )


def plain(value: Any) -> Any:
    """What JSON gives back of a value: it has no tuples."""
    return list(value) if isinstance(value, tuple) else value


def check_numbers(best: Tensor, whose: str) -> None:
    """Raises TrainingDiverged if one of the best scores (..., k) of lists is not a number."""
    bad = best.isnan().any(dim=-1)
    if bad.any():
        raise TrainingDiverged(
            f"scores of {whose} are not numbers, in {int(bad.sum())} of {bad.numel()} lists; lower "
            f"training.learning_rate and train again, or mend your own part"
        )


class FromHistory(Scorer):
    """What scorers share that know nothing of a user but the history: others may be asked about."""

    def over(self, history: Incidence) -> Self:
        """Gives the same scorer for other users; raises ShapeError if it is of other items."""
        if history.num_columns != self.num_items:
            raise ShapeError(
                f"a scorer of {self.num_items} items was asked of users of a catalogue of "
                f"{history.num_columns}; expected the same items"
            )
        scorer = copy(self)
        scorer.history = history
        return scorer

    def without(self, user_index: int, items: Tensor) -> Tensor:
        """Scores the history without the items."""
        own = self.history.row(user_index)
        remaining = own[~torch.isin(own, items)]
        history = Incidence(torch.tensor([0, len(remaining)]), remaining, self.num_items)
        return self.over(history).score(torch.tensor([0]))[0]
