"""The items that a generator may choose from: the best of several scorers."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kgrec.graph.data import IndexArray, Interactions
from kgrec.model.scorer import Scorer

#: Users whose scores are held at once.
_USERS_AT_ONCE = 256


def candidates(
    scorers: Sequence[Scorer], known: Interactions, users: IndexArray, count: int
) -> Tensor:
    """Gives for each user the unseen items with the best place among any scorer's.

    So each scorer brings about as many, and what several rank high comes first.

    Args:
        scorers: Of one catalogue.
        known: Items that a user has are not among them.
        users: (a,) int64.
        count: At most so many a user.

    Returns:
        (a, min(count, num_items)) int64; -1 where a user has no item left.
    """
    num_items = scorers[0].num_items
    count = min(count, num_items)
    found = torch.full((len(users), count), -1, dtype=torch.int64)
    order = np.argsort(known.user_index, kind="stable")
    owner, taken = known.user_index[order], torch.from_numpy(known.item_index[order])
    places = torch.arange(num_items, dtype=torch.float32)
    for start in range(0, len(users), _USERS_AT_ONCE):
        block = users[start : start + _USERS_AT_ONCE]
        best = torch.full((len(block), num_items), torch.inf)
        for number, scorer in enumerate(scorers):
            ranked = scorer.score(torch.from_numpy(block)).argsort(dim=1, descending=True)
            # A small step for each scorer: on one place the earlier scorer's item comes first.
            place = (places + number / len(scorers)).expand_as(ranked)
            best = torch.minimum(best, torch.empty_like(best).scatter_(1, ranked, place))
        for row, user in enumerate(block):
            low, high = np.searchsorted(owner, [user, user + 1])
            best[row, taken[low:high]] = torch.inf
        value, index = best.topk(count, dim=1, largest=False)
        found[start : start + len(block)] = index.masked_fill_(value.isinf(), -1)
    return found


def recall(chosen: Tensor, users: IndexArray, hidden: Interactions) -> float:
    """Gives the share of the hidden pairs that are among the users' candidates.

    Args:
        chosen: (a, k) as `candidates` gives them.
        users: (a,) int64, ascending.
        hidden: Pairs of these users.
    """
    size = 1 + max(int(chosen.max()) if chosen.numel() else -1, hidden.item_index.max(initial=-1))
    keys = (torch.from_numpy(users)[:, None] * size + chosen)[chosen >= 0].numpy()
    wanted = np.unique(hidden.user_index * size + hidden.item_index)
    return float(np.isin(wanted, keys).mean()) if len(wanted) else 0.0
