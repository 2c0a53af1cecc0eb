"""The items that a generator may choose from: the best of several scorers."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kgrec.augment.masking import unseen
from kgrec.graph.data import IndexArray, Interactions
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import Scorer


def candidates(
    scorers: Sequence[Scorer], history: Incidence, users: IndexArray, count: int
) -> Tensor:
    """Gives for each user the unseen items with the best place among any scorer's.

    So each scorer brings about as many, and what several rank high comes first.

    Args:
        scorers: Of one catalogue.
        history: What each user has; that is not among the candidates.
        users: (a,) int64.
        count: At most so many a user.

    Returns:
        (a, min(count, num_items)) int64; -1 where a user has no item left.
    """
    num_items = history.num_columns
    places = torch.arange(num_items, dtype=torch.float32)

    def best_place(block: Tensor) -> Tensor:
        best = torch.full((len(block), num_items), torch.inf)
        for number, scorer in enumerate(scorers):
            ranked = scorer.score(block).argsort(dim=1, descending=True)
            # A small step for each scorer: on one place the earlier scorer's item comes first.
            place = (places + number / len(scorers)).expand_as(ranked)
            best = torch.minimum(best, torch.empty_like(best).scatter_(1, ranked, place))
        return -best

    found = []
    for _, scores in unseen(best_place, history, users):
        value, index = scores.topk(min(count, num_items), dim=1)
        found.append(index.masked_fill_(value == -torch.inf, -1))
    return torch.cat(found)


def recall(chosen: Tensor, users: IndexArray, hidden: Interactions) -> float:
    """Gives the share of the hidden pairs that are among the users' candidates.

    Args:
        chosen: (a, k) as `candidates` gives them.
        users: (a,) int64.
        hidden: Pairs of these users.
    """
    size = 1 + max(int(chosen.max()) if chosen.numel() else -1, hidden.item_index.max(initial=-1))
    keys = (torch.from_numpy(users)[:, None] * size + chosen)[chosen >= 0].numpy()
    wanted = np.unique(hidden.user_index * size + hidden.item_index)
    return float(np.isin(wanted, keys).mean()) if len(wanted) else 0.0
