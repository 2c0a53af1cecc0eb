"""What is told to a generator of edges about a user and an item: what several scorers think."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from kgrec.augment.sources import USERS_AT_ONCE, unseen
from kgrec.model.fusion import standardise
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import Scorer

#: Bytes of what was told that a bank remembers.
_MOST_KEPT = 600_000_000


@dataclass(frozen=True, eq=False)
class Bank:
    """Scorers over one history; the first is the teacher that a generator starts from.

    Attributes:
        scorers: By name.
        history: What each user has.
        choosers: Names of those whose best items are the candidates.
    """

    scorers: Mapping[str, Scorer]
    history: Incidence
    choosers: tuple[str, ...]
    _cache: dict[tuple[int, bytes], tuple[Tensor, Tensor]] = field(
        default_factory=dict, init=False, repr=False
    )

    def over(self, history: Incidence) -> Self:
        """Gives the same scorers for other users."""
        scorers = {name: scorer.over(history) for name, scorer in self.scorers.items()}
        return type(self)(scorers, history, self.choosers)

    @property
    def num_features(self) -> int:
        """Numbers that are told of a user and an item, f."""
        return len(self.scorers) + 1

    def candidates(self, users: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Gives each user's candidates, and what is told of them; every scorer is asked once.

        Candidates are the unseen items with the best place among any chooser's. So each brings
        about as many, and what several rank high comes first. What was given is remembered while
        there is room, as a generator and what played against it are told the same.

        Args:
            users: (a,) int64.
            count: At most so many a user.

        Returns:
            Items (a, k) int64 with k = min(count, num_items), -1 where a user has no item left, and
            what `features` tells of them, (a, k, f) float32.
        """
        key = count, users.numpy().tobytes()
        if key in self._cache:
            return self._cache[key]
        most = min(count, self.history.num_columns)
        items = [torch.empty(0, most, dtype=torch.int64)]
        features = [torch.empty(0, most, self.num_features)]
        for block in torch.split(users, USERS_AT_ONCE):
            by_chooser = {name: self.scorers[name].score(block) for name in self.choosers}
            items.append(self._candidates(block, by_chooser, most))
            scores = (
                by_chooser[name] if name in by_chooser else scorer.score(block)
                for name, scorer in self.scorers.items()
            )
            features.append(self._features(block, items[-1], scores))
        pair = torch.cat(items), torch.cat(features)
        cached = sum(tensor.nbytes for tensors in self._cache.values() for tensor in tensors)
        if cached + sum(tensor.nbytes for tensor in pair) <= _MOST_KEPT:
            self._cache[key] = pair
        return pair

    def _candidates(self, block: Tensor, scores: Mapping[str, Tensor], count: int) -> Tensor:
        num_items = self.history.num_columns
        places = torch.arange(num_items, dtype=torch.float32)
        best = torch.full((len(block), num_items), torch.inf)
        for number, name in enumerate(self.choosers):
            ranked = scores[name].argsort(dim=1, descending=True, stable=True)
            # A small step for each scorer: on one place the earlier one's item comes first.
            place = (places + number / len(self.choosers)).expand_as(ranked)
            best = torch.minimum(best, torch.empty_like(best).scatter_(1, ranked, place))
        ((_, free),) = unseen(lambda _: -best, self.history, block)
        value, index = free.topk(count, dim=1)
        return index.masked_fill_(value == -torch.inf, -1)

    def features(self, users: Tensor, items: Tensor) -> Tensor:
        """Gives what is told of users (a,) and items (a, k), -1 for none: (a, k, f) float32.

        Scores are standardised over all items of a user, and as asinh, as a user of whom one item
        is known may have scores of 30; last comes log(1 + items the user has).
        """
        parts = [torch.empty(0, items.shape[1], self.num_features)]
        blocks = zip(
            torch.split(users, USERS_AT_ONCE), torch.split(items, USERS_AT_ONCE), strict=True
        )
        for block, candidates in blocks:
            scores = (scorer.score(block) for scorer in self.scorers.values())
            parts.append(self._features(block, candidates, scores))
        return torch.cat(parts)

    def _features(self, block: Tensor, items: Tensor, scores: Iterable[Tensor]) -> Tensor:
        among = items.clamp(min=0)
        columns = [standardise(column).gather(1, among).asinh_() for column in scores]
        lengths = self.history.lengths[block].float().log1p()
        columns.append(lengths[:, None].expand_as(columns[0]))
        return torch.stack(columns, dim=2)
