"""The best items of many users or items at once, as `Recommender` gives them one by one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kgrec.recommender import Recommender

#: Scores that are held at once; 64 MB.
SCORES_AT_ONCE = 2**24

_Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TopLists:
    """Lists of several heads, one after the other; a head without items has no place.

    Attributes:
        head: int64 (n,), the index of the user or item that a place is in the list of.
        item: int64 (n,), the index of the item.
        score: float32 (n,), descending within a list; equal ones by the index of the item.
        rank: int64 (n,), from 1 within a list.
        cold: bool (n,), whether nothing is known of the user, so that these are popular items.
    """

    head: _Indices
    item: _Indices
    score: npt.NDArray[np.float32]
    rank: _Indices
    cold: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.head)


def user_lists(recommender: Recommender, users: Tensor, k: int) -> TopLists:
    """Gives the k best items of users (B,) int64, as `Recommender.recommend` does.

    What a user has met in training and what they are known to dislike does not come; those of
    whom nothing is known get the most popular items, marked.
    """
    run = recommender.run
    cold = torch.tensor([recommender.is_stranger(user) for user in users.tolist()])
    scores = run.scorer.score(users).clone()  # (B, I)
    if cold.any():
        scores[cold] = recommender.popularity()
    for place, user in enumerate(users.tolist()):
        scores[place, run.scorer.history.row(user)] = -torch.inf
        scores[place, run.disliked.row(user)] = -torch.inf
    return _top(scores, users, k, cold)


def item_lists(recommender: Recommender, items: Tensor, k: int) -> TopLists:
    """Gives the k items closest to items (B,) int64, as `Recommender.similar_items` does.

    Raises:
        NotFittedError: If the run has neither network nor closed form.
    """
    scores = recommender.item_scores(items).clone()  # (B, I)
    scores[torch.arange(len(items)), items] = -torch.inf
    return _top(scores, items, k, torch.zeros(len(items), dtype=torch.bool))


def block_size(num_items: int) -> int:
    """Gives how many heads may be scored at once."""
    return max(1, SCORES_AT_ONCE // max(num_items, 1))


def _top(scores: Tensor, heads: Tensor, k: int, cold: Tensor) -> TopLists:
    """Gives the k best of each row (B, I), as a stable sort would, which sorts them all."""
    k = min(k, scores.shape[1])
    least = scores.topk(k, dim=1).values[:, -1:]  # (B, 1)
    # All that is as good as the k-th takes part: equals come in the order of their indices.
    row, column = torch.nonzero((scores >= least) & (scores > -torch.inf), as_tuple=True)
    value = scores[row, column]
    order = torch.sort(value, descending=True, stable=True).indices
    order = order[torch.sort(row[order], stable=True).indices]
    row, column, value = row[order], column[order], value[order]
    count = torch.bincount(row, minlength=len(scores))  # (B,)
    rank = torch.arange(len(row)) - (count.cumsum(0) - count)[row] + 1
    keep_mask = rank <= k
    row, column, value, rank = row[keep_mask], column[keep_mask], value[keep_mask], rank[keep_mask]
    return TopLists(
        heads[row].numpy(), column.numpy(), value.numpy(), rank.numpy(), cold[row].numpy()
    )
