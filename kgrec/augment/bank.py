"""What is told to a generator of edges about a user and an item: what several scorers think."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from kgrec.augment.unseen import USERS_AT_ONCE, Scores, unseen
from kgrec.model.fusion import standardise
from kgrec.model.incidence import Incidence


class Told(Scores, Protocol):
    """Scores items from a history alone, so that it can be asked of users it was not fitted on."""

    def over(self, history: Incidence) -> Self:
        """Gives the same scorer for other users."""


@dataclass(frozen=True, eq=False)
class Bank:
    """Scorers over one history; the first is the teacher that a generator starts from.

    Attributes:
        scorers: By name.
        history: What each user has.
        choosers: Names of those whose best items are the candidates.
    """

    scorers: Mapping[str, Told]
    history: Incidence
    choosers: tuple[str, ...]

    def over(self, history: Incidence) -> Self:
        """Gives the same scorers for other users."""
        scorers = {name: scorer.over(history) for name, scorer in self.scorers.items()}
        return type(self)(scorers, history, self.choosers)

    @property
    def num_features(self) -> int:
        """Numbers that are told of a user and an item, f."""
        return len(self.scorers) + 1

    def candidates(self, users: Tensor, count: int) -> Tensor:
        """Gives for each user the unseen items with the best place among any chooser's.

        So each brings about as many, and what several rank high comes first.

        Args:
            users: (a,) int64.
            count: At most so many a user.

        Returns:
            (a, min(count, num_items)) int64; -1 where a user has no item left.
        """
        num_items = self.history.num_columns
        places = torch.arange(num_items, dtype=torch.float32)

        def best_place(block: Tensor) -> Tensor:
            best = torch.full((len(block), num_items), torch.inf)
            for number, name in enumerate(self.choosers):
                ranked = self.scorers[name].score(block)
                ranked = ranked.argsort(dim=1, descending=True, stable=True)
                # A small step for each scorer: on one place the earlier one's item comes first.
                place = (places + number / len(self.choosers)).expand_as(ranked)
                best = torch.minimum(best, torch.empty_like(best).scatter_(1, ranked, place))
            return -best

        found = [torch.empty(0, min(count, num_items), dtype=torch.int64)]
        for _, scores in unseen(best_place, self.history, users):
            value, index = scores.topk(min(count, num_items), dim=1)
            found.append(index.masked_fill_(value == -torch.inf, -1))
        return torch.cat(found)

    def features(self, users: Tensor, items: Tensor) -> Tensor:
        """Gives what is told of users (a,) and items (a, k), -1 for none: (a, k, f) float32.

        Scores are standardised over all items of a user, and as asinh, as a user of whom one item
        is known may have scores of 30; last comes log(1 + items the user has).
        """
        told = [torch.empty(0, items.shape[1], self.num_features)]
        lengths = self.history.lengths.float().log1p()
        blocks = zip(
            torch.split(users, USERS_AT_ONCE), torch.split(items, USERS_AT_ONCE), strict=True
        )
        for block, candidates in blocks:
            among = candidates.clamp(min=0)
            columns = [
                standardise(scorer.score(block)).gather(1, among).asinh_()
                for scorer in self.scorers.values()
            ]
            columns.append(lengths[block, None].expand_as(columns[0]))
            told.append(torch.stack(columns, dim=2))
        return torch.cat(told)
