"""Sources of synthetic edges; all propose as many, for the same users and items."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from kgrec.config import AugmentConfig
from kgrec.graph.data import IndexArray, SyntheticEdges
from kgrec.model.incidence import Incidence


@dataclass(frozen=True, eq=False)
class Plan:
    """How many edges each source may propose; the same for all, so that they can be compared.

    Attributes:
        history: What each user has; none of it is proposed.
        users: (a,) int64, users with few interactions.
        items: (b,) int64, items with few.
        per_user: Edges for each of the users.
        per_item: Edges for each of the items.
        weight: What an edge counts in the loss, where a real interaction counts 1.
    """

    history: Incidence
    users: IndexArray
    items: IndexArray
    per_user: int
    per_item: int
    weight: float

    @classmethod
    def for_sparse_nodes(cls, history: Incidence, config: AugmentConfig) -> Self:
        """Takes users and items with 1 to `at_most` different partners.

        Nodes without any are left to what serves cold nodes.

        Args:
            history: The training items of each user.
            config: Who has few, how many edges each of them gets, and what an edge counts.
        """
        by_item = torch.bincount(history.columns, minlength=history.num_columns)
        users, items = (
            torch.nonzero((count >= 1) & (count <= config.at_most)).squeeze(1).numpy()
            for count in (history.lengths, by_item)
        )
        return cls(history, users, items, config.per_user, config.per_item, config.weight)


#: Users whose scores are held at once.
USERS_AT_ONCE = 512

#: Scores all items for users (B,), (B, num_items).
ScoreUsers = Callable[[Tensor], Tensor]


class Scores(Protocol):
    """Scores all items for users."""

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives (B, num_items) float32 for users (B,) int64."""


def unseen(score: ScoreUsers, history: Incidence, users: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Scores users block by block, what they have at minus infinity.

    Args:
        score: Scores all items for users.
        history: What each user has.
        users: (a,) int64.

    Yields:
        The users (B,) and their scores (B, num_items).
    """
    for block in torch.split(users, USERS_AT_ONCE):
        scores = score(block).clone()
        items, lengths = history.take(block)
        rows = torch.repeat_interleave(torch.arange(len(block)), lengths)
        scores[rows, items] = -torch.inf
        yield block, scores


class Source(Protocol):
    """Proposes edges."""

    @property
    def name(self) -> str:
        """What its edges are marked with."""

    def propose(self, plan: Plan, seed: int) -> SyntheticEdges:
        """Proposes for each sparse user and each sparse item, nothing that is known.

        Args:
            plan: For whom, and how many.
            seed: Of what is drawn.
        """


@dataclass(frozen=True)
class ScoredSource:
    """The best unseen items of each sparse user, the best other users of each sparse item.

    Attributes:
        name: What the edges are marked with.
        scorer: Says what is best.
    """

    name: str
    scorer: Scores

    def propose(self, plan: Plan, seed: int) -> SyntheticEdges:
        """Gives the same edges whatever the seed."""
        return propose_best(self.name, plan, seed, self.scorer.score)


def propose_best(name: str, plan: Plan, seed: int, score: ScoreUsers) -> SyntheticEdges:
    """Proposes what scores best: items of sparse users, other users of sparse items.

    Args:
        name: What the edges are marked with.
        plan: For whom, and how many.
        seed: What the edges are marked with, too.
        score: Gives scores (B, num_items) of users (B,); minus infinity is never proposed.
    """
    pairs = [_for_users(plan, score), _for_items(plan, score)]
    user = np.concatenate([users for users, _ in pairs])
    item = np.concatenate([items for _, items in pairs])
    weight = np.full(len(user), plan.weight, dtype=np.float32)
    return SyntheticEdges(user, item, weight, name, seed).distinct()


def _for_users(plan: Plan, score: ScoreUsers) -> tuple[IndexArray, IndexArray]:
    """The `per_user` best unseen items of each sparse user."""
    users, items = [], []
    if plan.per_user:
        for block, scores in unseen(score, plan.history, torch.from_numpy(plan.users)):
            top = scores.topk(min(plan.per_user, scores.shape[1]), dim=1)
            proposed = top.values > -torch.inf
            rows, _ = proposed.nonzero(as_tuple=True)
            users.append(block[rows].numpy())
            items.append(top.indices[proposed].numpy())
    return _joined(users), _joined(items)


def _for_items(plan: Plan, score: ScoreUsers) -> tuple[IndexArray, IndexArray]:
    """The `per_item` users who score each sparse item highest and do not have it.

    Scores are standardised by user: sums over long histories would else take every place.
    """
    count = plan.per_item
    if not count or not len(plan.items):
        return _joined([]), _joined([])
    items = torch.from_numpy(plan.items)
    best = torch.full((len(items), count), -torch.inf)
    takers = torch.zeros(len(items), count, dtype=torch.int64)
    everyone = torch.nonzero(plan.history.lengths).squeeze(1)
    for block, scores in unseen(lambda users: _standard(score(users)), plan.history, everyone):
        values = torch.cat([best, scores[:, items].T], dim=1)  # (b, count + B)
        owners = torch.cat([takers, block.expand(len(items), -1)], dim=1)
        best, place = values.topk(count, dim=1)
        takers = owners.gather(1, place)
    proposed = best > -torch.inf
    rows, _ = proposed.nonzero(as_tuple=True)
    return takers[proposed].numpy(), plan.items[rows.numpy()]


def _standard(scores: Tensor) -> Tensor:
    """Scores (B, num_items) standardised over a user's items that have one."""
    there = scores.isfinite()
    filled = torch.where(there, scores, torch.nan)
    mean = filled.nanmean(dim=1, keepdim=True)
    spread = (filled - mean).square().nanmean(dim=1, keepdim=True).sqrt()
    flat = spread <= 1e-6 * mean.abs() + 1e-9  # what rounding leaves of equal scores
    return torch.where(there, (scores - mean) / spread.masked_fill(flat, torch.inf), -torch.inf)


def _joined(parts: list[IndexArray]) -> IndexArray:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
