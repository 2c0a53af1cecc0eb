"""Scorers that stand around another, and the one for items that nobody has met yet.

Their scores are read off the items that are like them in content.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from kgrec.errors import ConfigError, ShapeError
from kgrec.model.folding import NewGraph, moved_to
from kgrec.model.fusion import moments
from kgrec.model.kinds import described, from_description, under
from kgrec.model.scorer import Contributions, Leaf, Scorer, plain


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


@dataclass(frozen=True, eq=False)
class Completion:
    """How cold items are put together from warm ones.

    Attributes:
        warm: (w,) int64, the warm items that are read.
        cold: (c,) int64, the items whose scores are replaced.
        weights: M, (w, c) float32: how much of warm item w is in cold item c.
        bias: b, (c,) float32, in standard deviations of a user's scores: how much everybody is
            expected to like the item, and how boldly cold items are shown.
        own_weight: β: what owning a warm item adds to its standardised score.

    Raises:
        ShapeError: If the tensors are not of these shapes.
    """

    warm: Tensor
    cold: Tensor
    weights: Tensor
    bias: Tensor
    own_weight: float

    def __post_init__(self) -> None:
        expected = (len(self.warm), len(self.cold))
        if self.weights.shape != expected or self.bias.shape != expected[1:]:
            raise ShapeError(
                f"a completion of {expected[1]} cold from {expected[0]} warm items needs weights "
                f"{expected} and a bias {expected[1:]}, got {tuple(self.weights.shape)} and "
                f"{tuple(self.bias.shape)}"
            )


class ColdCompletion(Wrapping, kind="ColdCompletion"):
    """A scorer whose cold items' scores are completed from its warm ones.

    With s_uw the wrapped scorer's scores of a user's warm items, m_u and d_u their mean and
    standard deviation, and x_u the user's own items,

        s_uc = m_u + d_u (Σ_w ((s_uw - m_u) / d_u + β x_uw) M_wc + b_c)

    All other scores are the wrapped scorer's own. As the sum is linear in them, what the wrapped
    scorer's scores decompose into carries over (m_u and d_u held, as in a fusion).

    Attributes:
        scorer: The wrapped scorer.
        completion: What the cold items are made of.

    References:
        Kernel ridge from content to a collaborative model's scores: after Gantner et al., "Learning
        attribute-to-feature mappings for cold-start recommendations", ICDM 2010, with scores in
        the place of factors.
    """

    changes_type = Completion

    def __init__(self, scorer: Scorer, completion: Completion) -> None:
        super().__init__(scorer, completion)
        self.completion = completion
        self._is_warm = torch.zeros(scorer.num_items, dtype=torch.int64)
        self._is_warm[completion.warm] = torch.arange(1, len(completion.warm) + 1)
        self._cold_place = torch.full((scorer.num_items,), -1)
        self._cold_place[completion.cold] = torch.arange(len(completion.cold))

    def replaces(self, user_index: int, item_index: int) -> bool:  # noqa: ARG002
        """Whether the item is cold."""
        return int(self._cold_place[item_index]) >= 0

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the wrapped scorer's logits (B, num_items), those of cold items completed."""
        own, lengths = self.history.take(user_indices.to(self.history.device))
        return self.complete(self.scorer.score(user_indices), own, lengths)

    def complete(self, scores: Tensor, own: Tensor, lengths: Tensor) -> Tensor:
        """Gives the wrapped scorer's scores (B, num_items) with those of cold items completed.

        Args:
            scores: Of B users.
            own: (m,) int64, the items of one user after the other.
            lengths: (B,) int64, how many each has.
        """
        if not scores.is_floating_point() or not len(scores):
            return scores
        completion = self.completion
        warm = scores[:, completion.warm]  # (B, w)
        deviation, mean = moments(warm)
        standard = self._with_own((warm - mean) / deviation, own, lengths)
        cold = standard @ completion.weights + completion.bias  # (B, c)
        scores = scores.clone()
        scores[:, completion.cold] = mean + torch.where(deviation.isfinite(), deviation, 0.0) * cold
        return scores

    def _with_own(self, standard: Tensor, items: Tensor, lengths: Tensor) -> Tensor:
        """Adds β to the warm items that the users have."""
        row = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        column = self._is_warm[items] - 1
        there = column >= 0
        standard[row[there], column[there]] += self.completion.own_weight
        return standard

    def without(self, user_index: int, items: Tensor) -> Tensor:
        """Completes what the wrapped scorer says without the items."""
        own = self.history.row(user_index)
        remaining = own[~torch.isin(own, items)]
        scores = self.scorer.without(user_index, items)[None]
        return self.complete(scores, remaining, torch.tensor([len(remaining)]))[0]

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes cold items through the warm ones they are made of.

        What reaches a cold item reaches it through its content, as no user has met it: by relation,
        everything but the bias is `content`.
        """
        place = self._cold_place[item_indices]
        is_cold = place >= 0
        parts = []
        if not bool(is_cold.all()):
            parts.append((~is_cold, self.scorer.contributions(user_index, item_indices[~is_cold])))
        if bool(is_cold.any()):
            parts.append((is_cold, self._of_cold(user_index, place[is_cold])))
        return parts[0][1] if len(parts) == 1 else _interleaved(parts)

    def _of_cold(self, user_index: int, columns: Tensor) -> Contributions:
        scores = self.scorer.score(torch.tensor([user_index]))[:, self.completion.warm]
        deviation, mean = (float(value) for value in moments(scores))
        if deviation == float("inf"):
            deviation = 0.0
        weights = self.completion.weights[:, columns]  # (w, k)
        warm = self.scorer.contributions(user_index, self.completion.warm)
        by_item = weights.mT @ warm.by_item  # (k, h)
        place = self._is_warm[warm.own_items] - 1  # (h,)
        there = place >= 0
        own = self.completion.own_weight * deviation * weights[place[there]].mT
        if deviation == 0.0:  # equal scores say nothing: only level and bias are left
            by_item = torch.zeros_like(by_item)
            rest = torch.full((len(columns),), mean)
        else:
            by_item[:, there] += own
            rest = mean + weights.mT @ (warm.rest - mean)
            rest = rest + deviation * self.completion.bias[columns]
        base = mean + deviation * self.completion.bias[columns]
        score = by_item.sum(dim=1) + rest
        return Contributions(
            score=score,
            own_items=warm.own_items,
            by_item=by_item,
            rest=rest,
            relation_names=("self", "content"),
            by_relation=torch.stack([base, score - base], dim=1),
            exact=warm.exact,
        )

    def folded(self, graph: NewGraph) -> "ColdCompletion":
        """Keeps the cold items that are still there, made of the warm ones that are."""
        old = self.completion
        moved = moved_to(graph.items, self.num_items)
        warm, cold = moved[old.warm], moved[old.cold]
        warm_stays, cold_stays = warm >= 0, cold >= 0
        completion = replace(
            old,
            warm=warm[warm_stays],
            cold=cold[cold_stays],
            weights=old.weights[warm_stays][:, cold_stays],
            bias=old.bias[cold_stays],
        )
        return ColdCompletion(self.scorer.folded(graph), completion)


def kernel_ridge(kernel: Tensor, across: Tensor, noise: Tensor) -> Tensor:
    """Gives (K + diag(noise))⁻¹ K', the weights of known nodes in unknown ones.

    Args:
        kernel: K, (w, w), symmetric positive semidefinite: how alike the known nodes are.
        across: K', (w, c): how alike known and unknown ones are.
        noise: (w,), positive: how little each known node's values are to be trusted.

    Returns:
        (w, c): unknown values are y · M for known values y.

    Raises:
        ConfigError: If the sum is not positive definite in the kernel's precision.

    References:
        Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, eq. 2.25.
    """
    noisy = kernel + torch.diag(noise)
    factor, info = torch.linalg.cholesky_ex(noisy)
    if int(info):
        raise ConfigError(
            f"the kernel plus noise of at least {float(noise.min()):.3g} is not positive definite "
            f"in {kernel.dtype}; expected more noise; try {10 * float(noise.min()):.3g}"
        )
    solved: Tensor = torch.cholesky_solve(across, factor)
    return solved


def _interleaved(parts: list[tuple[Tensor, Contributions]]) -> Contributions:
    """Puts the decompositions of two kinds of items back into the order they were asked in."""
    names = tuple(dict.fromkeys(name for _, part in parts for name in part.relation_names))
    first = parts[0][1]
    k, h = len(parts[0][0]), len(first.own_items)
    score, rest = first.score.new_empty(k), first.score.new_empty(k)
    by_item, by_relation = first.score.new_empty(k, h), first.score.new_empty(k, len(names))
    for rows, part in parts:
        score[rows], rest[rows], by_item[rows] = part.score, part.rest, part.by_item
        by_relation[rows] = part.by_names(names)
    return Contributions(
        score, first.own_items, by_item, rest, names, by_relation,
        exact=all(part.exact for _, part in parts),
        relations_exact=all(part.relations_exact for _, part in parts),
    )  # fmt: skip
