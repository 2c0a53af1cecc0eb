"""Several scorers as one: scores standardised, weighted and summed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any, Self

import torch
from torch import Tensor

from kgrec.errors import ShapeError
from kgrec.model.folding import NewGraph
from kgrec.model.kinds import described, from_description, under
from kgrec.model.scorer import Contributions, Leaf, Scorer


def standardise(scores: Tensor) -> Tensor:
    """Gives (scores - mean) / standard deviation of each row (B, num_items)."""
    deviation, mean = moments(scores)
    return (scores - mean) / deviation


def moments(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Standard deviation and mean of each row, (B, 1).

    What rounding leaves of a row of equal scores counts as no deviation: it would be blown up.
    """
    if not len(scores):  # torch warns of means of nothing
        return scores.new_empty(0, 1), scores.new_empty(0, 1)
    deviation, mean = torch.std_mean(scores, dim=1, correction=0, keepdim=True)
    flat = deviation <= 1e-6 * mean.abs() + 1e-9
    return deviation.masked_fill(flat, torch.inf), mean


class Fusion(Scorer, kind="Fusion"):
    """Scores Σ_c α_c (s_c - mean_u(s_c)) / σ_c over parts c.

    σ_c is the standard deviation of the user's own scores, or one number for all users. A closed
    form's scores are small for a user of whom little is known: with one number for all, the part
    then says little, and popularity, say, the more. Either is affine in one user's scores, so what
    the parts decompose into still adds up.

    Attributes:
        parts: Scorers over the same users and items, by name.
        part_weights: α by name; parts of weight 0 are not asked.
        part_scales: σ by name, of the parts that have one number for all users.

    Raises:
        ShapeError: If there is no part, or parts differ in their numbers of users or items.
    """

    def __init__(
        self,
        parts: Mapping[str, Scorer],
        part_weights: Mapping[str, float],
        part_scales: Mapping[str, float] | None = None,
    ) -> None:
        sizes = {name: (part.num_users, part.num_items) for name, part in parts.items()}
        if len(set(sizes.values())) != 1 or set(parts) != set(part_weights):
            raise ShapeError(
                f"a fusion needs parts over the same users and items, each with a weight; got "
                f"{sizes} and weights for {sorted(part_weights)}"
            )
        self.history = next(iter(parts.values())).history
        self.parts = dict(parts)
        self.part_weights = {name: float(weight) for name, weight in part_weights.items()}
        self.part_scales = {
            name: float(scale) for name, scale in (part_scales or {}).items() if name in parts
        }

    def without_idle_parts(self) -> "Fusion":
        """The same fusion without the parts of weight 0, which would only take room."""
        used = {name: part for name, part in self.parts.items() if self.part_weights[name] != 0}
        if not used:
            return self
        return Fusion(used, {name: self.part_weights[name] for name in used}, self.part_scales)

    def _used(self) -> list[tuple[str, float]]:
        used = [(name, weight) for name, weight in self.part_weights.items() if weight != 0]
        return used or [(next(iter(self.parts)), 1.0)]

    def _affine_of(self, name: str, weight: float, scores: Tensor) -> tuple[Tensor, Tensor]:
        """The factor on a part's scores (B, num_items), and what is taken off before; (B, 1)."""
        if name not in self.part_scales:
            deviation, mean = moments(scores)
            return weight / deviation, mean
        mean = scores.mean(dim=1, keepdim=True)
        return torch.full_like(mean, weight / self.part_scales[name]), mean

    def affine(self, user_index: int) -> list[tuple[str, Tensor, Tensor]]:
        """Gives name, scale and shift of each part: Σ scale (s - shift) is the user's score."""
        user = torch.tensor([user_index])
        out = []
        for name, weight in self._used():
            scale, shift = self._affine_of(name, weight, self.parts[name].score(user))
            out.append((name, scale[0, 0], shift[0, 0]))
        return out

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the weighted sum of standardised scores (B, num_items) float32."""
        return self._combined(lambda part: part.score(user_indices))

    def without(self, user_index: int, items: Tensor) -> Tensor:
        """Asks every part, and standardises anew."""
        return self._combined(lambda part: part.without(user_index, items)[None])[0]

    def leaves(self, user_index: int, item_index: int) -> tuple[list[Leaf], float]:
        """Gives the parts' leaves, scaled.

        Standardising is affine once its means and deviations, which are the user's, are held; a
        fusion of fusions is affine again.
        """
        out: list[Leaf] = []
        constant = 0.0
        for name, scale, shift in self.affine(user_index):
            factor, offset = float(scale), float(shift)
            part = self.parts[name]
            if not part.parts:
                out.append(Leaf(name, part, factor, offset))
                continue
            inner, inner_constant = part.leaves(user_index, item_index)
            out += [
                Leaf(f"{name}/{leaf.name}", leaf.scorer, factor * leaf.scale, leaf.shift)
                for leaf in inner
            ]
            constant += factor * (inner_constant - offset)
        return out, constant

    def embeddings(self) -> list[tuple[Tensor, Tensor]]:
        """Gives those of all parts."""
        return [pair for part in self.parts.values() for pair in part.embeddings()]

    def item_likeness(self, item_indices: Tensor) -> Tensor:
        """Gives the mean over parts, which must all compare items: those of an ensemble do."""
        alike = [part.item_likeness(item_indices) for part in self.parts.values()]
        return torch.stack(alike).mean(dim=0)

    def _combined(self, scores_of: Callable[[Scorer], Tensor]) -> Tensor:
        """The weighted sum of standardised scores (B, num_items), asked part by part."""
        total: Tensor | None = None
        for name, weight in self._used():
            scores = scores_of(self.parts[name])
            scale, shift = self._affine_of(name, weight, scores)
            scores = (scores - shift).mul_(scale)
            total = scores if total is None else total.add_(scores)
        assert total is not None
        return total

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes through the parts; each part's mean is taken off `rest` and "self"."""
        return reduce(
            _add,
            [
                _affine(self.parts[name].contributions(user_index, item_indices), scale, shift)
                for name, scale, shift in self.affine(user_index)
            ],
        )

    def folded(self, graph: NewGraph) -> "Fusion":
        """Folds every part; the weights stay."""
        parts = {name: part.folded(graph) for name, part in self.parts.items()}
        return Fusion(parts, self.part_weights, self.part_scales)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Gives the parts' states under their names."""
        tensors: dict[str, Tensor] = {}
        values: dict[str, Any] = {
            "part_weights": self.part_weights,
            "part_scales": self.part_scales,
            "parts": {},
        }
        for name, part in self.parts.items():
            part_tensors, values["parts"][name] = described(part)
            tensors |= {f"{name}/{key}": tensor for key, tensor in part_tensors.items()}
        return tensors, values

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Self:
        """Makes the scorer that `state` described."""
        parts = {
            name: from_description(under(name, tensors), part)
            for name, part in values["parts"].items()
        }
        return cls(parts, values["part_weights"], values["part_scales"])


def _affine(part: Contributions, scale: Tensor, shift: Tensor) -> Contributions:
    """The decomposition of scale · (score - shift)."""
    by_relation = part.by_relation * scale
    names = part.relation_names
    if "self" not in names:
        names = ("self", *names)
        by_relation = torch.cat([torch.zeros_like(by_relation[:, :1]), by_relation], dim=1)
    by_relation[:, names.index("self")] -= scale * shift
    return replace(
        part,
        score=(part.score - shift) * scale,
        by_item=part.by_item * scale,
        rest=(part.rest - shift) * scale,
        relation_names=names,
        by_relation=by_relation,
    )


def _add(left: Contributions, right: Contributions) -> Contributions:
    names = tuple(dict.fromkeys(left.relation_names + right.relation_names))
    return Contributions(
        score=left.score + right.score,
        own_items=left.own_items,
        by_item=left.by_item + right.by_item,
        rest=left.rest + right.rest,
        relation_names=names,
        by_relation=left.by_names(names) + right.by_names(names),
        exact=left.exact and right.exact,
        relations_exact=left.relations_exact and right.relations_exact,
    )
