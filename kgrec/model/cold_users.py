"""Scores for users who have done nothing yet: read off the users who are like them."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kgrec.errors import ShapeError
from kgrec.model.cold import Wrapping
from kgrec.model.folding import NewGraph, moved_to, take_rows
from kgrec.model.scorer import Contributions, Scorer


@dataclass(frozen=True, eq=False)
class Profiles:
    """What is expected of cold users, by what is known of them.

    Attributes:
        cold: (c,) int64, the users whose scores are replaced, each once.
        factors: F, (c, r) float32, a user's place in the directions.
        directions: D, (r, num_items) float32, in which users who are known differ.
        base: b, (num_items,) float32, what everybody is expected to like: log popularity with mean
            0 and standard deviation 1 over the items.
        views: What is known of users, for people to read.

    Raises:
        ShapeError: If the tensors are not of these shapes.
    """

    cold: Tensor
    factors: Tensor
    directions: Tensor
    base: Tensor
    views: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rank = len(self.directions)
        expected = (len(self.cold), rank), (rank, len(self.base))
        shapes = tuple(self.factors.shape), tuple(self.directions.shape)
        if shapes != expected:
            raise ShapeError(
                f"profiles of {len(self.cold)} users over {len(self.base)} items in {rank} "
                f"directions need factors and directions {expected}, got {shapes}"
            )


class ColdUsers(Wrapping, kind="ColdUsers"):
    """A scorer whose cold users' scores are expected from what is known of them.

        s_u = b + F_u D

    All other users keep the wrapped scorer's scores.

    Attributes:
        scorer: The wrapped scorer.
        profiles: What is expected of the cold users.

    Raises:
        ShapeError: If the profiles are of another catalogue.
    """

    changes_type = Profiles

    def __init__(self, scorer: Scorer, profiles: Profiles) -> None:
        if len(profiles.base) != scorer.num_items:
            raise ShapeError(
                f"profiles over {len(profiles.base)} items, but the scorer has {scorer.num_items}; "
                f"both must be fitted on one graph"
            )
        super().__init__(scorer, profiles)
        self.profiles = profiles
        self._place = torch.full((scorer.num_users,), -1)
        self._place[profiles.cold] = torch.arange(len(profiles.cold))

    def replaces(self, user_index: int, item_index: int = 0) -> bool:  # noqa: ARG002
        """Whether the user is cold."""
        return int(self._place[user_index]) >= 0

    def profile_views(self, user_index: int) -> tuple[str, ...]:
        """Names the views of a cold user."""
        return self.profiles.views if self.replaces(user_index) else ()

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the wrapped scorer's logits (B, num_items), the rows of cold users replaced."""
        scores = self.scorer.score(user_indices)
        place = self._place[user_indices.cpu()]
        rows = (place >= 0).nonzero().squeeze(1)
        if len(rows):
            profiles = self.profiles
            expected = profiles.base + profiles.factors[place[rows]] @ profiles.directions
            scores[rows.to(scores.device)] = expected.to(scores)
        return scores

    def without(self, user_index: int, items: Tensor) -> Tensor:
        """Asks the wrapped scorer; a cold user has nothing that could be missing."""
        if self.replaces(user_index):
            return super().without(user_index, items)
        return self.scorer.without(user_index, items)

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes as the wrapped scorer does, of cold users into popularity and profile.

        A cold user has no own items: everything is in `rest`. By relation, `self` is what everybody
        is expected to like, `profile` what the user differs in.
        """
        if not self.replaces(user_index):
            return self.scorer.contributions(user_index, item_indices)
        profiles = self.profiles
        items = item_indices.cpu()
        base = profiles.base[items]  # (k,)
        profile = profiles.factors[self._place[user_index]] @ profiles.directions[:, items]  # (k,)
        return replace(
            self.unexplained(user_index, base + profile),
            relation_names=("self", "profile"),
            by_relation=torch.stack([base, profile], dim=1),
        )

    def folded(self, graph: NewGraph) -> "ColdUsers":
        """Those who have items by now are served like all others; the rest keep their profiles."""
        old = self.profiles
        cold = moved_to(graph.users, self.num_users)[old.cold]
        stays = cold >= 0
        stays[stays.clone()] = graph.history.lengths[cold[stays]] == 0
        profiles = replace(
            old,
            cold=cold[stays],
            factors=old.factors[stays],
            directions=take_rows(old.directions.mT, graph.items).mT.contiguous(),
            base=take_rows(old.base, graph.items, float(old.base.min())),
        )
        return ColdUsers(self.scorer.folded(graph), profiles)
