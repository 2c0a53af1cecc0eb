"""Whether items that share a neighbour please the same users: a check of links without a model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kgrec.auditing.names import relation_name
from kgrec.auditing.variants import permuted, without_behaviours
from kgrec.graph.data import GraphData
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import Ease
from kgrec.training.relation_rows import relation_rows

#: L2 of the partial correlations; their order of magnitude matters, not their exact value.
_RIDGE = 200.0
#: Only so many of the most popular items are compared; the inverse is dense.
_MOST_ITEMS = 4000
#: Rows whose sums over items are held at once; times _MOST_ITEMS × 4 B.
_ROWS_AT_ONCE = 2048
#: Standard deviations above the shuffled mean, and share of it, from which on items are said to be
#: alike: many links make the smallest excess sure, but not large.
_SURE, _MORE = 3.0, 0.2
#: Memberships a relation must have before it is judged.
_FEWEST = 100


@dataclass(frozen=True)
class Likeness:
    """How alike the items are that a relation brings together.

    Attributes:
        memberships: Items beside others in a row, over all rows; what the means are taken over.
        real: Mean partial correlation of an item with the others of its row.
        shuffled: The same, edges shuffled; mean over the shuffles.
        deviation: Standard deviation over the shuffles.
    """

    memberships: int
    real: float
    shuffled: float
    deviation: float

    @property
    def z(self) -> float:
        """Standard deviations by which `real` exceeds the shuffles."""
        return (self.real - self.shuffled) / max(self.deviation, 1e-12)

    @property
    def enough(self) -> bool:
        """Whether there are enough memberships to tell."""
        return self.memberships >= _FEWEST

    @property
    def alike(self) -> bool:
        """Whether the items are more alike than shuffled ones: surely, and by a fifth or more."""
        return self.z >= _SURE and self.real - self.shuffled >= _MORE * abs(self.shuffled)

    @property
    def words(self) -> str:
        """Times the shuffled mean and standard deviations from it: `× 10.0, z 18.0`."""
        if not self.enough:
            return "too few"
        times = f"× {self.real / self.shuffled:.1f}, " if self.shuffled > 0 else ""
        return f"{times}z {self.z:.1f}"


def relation_likeness(
    graph: GraphData,
    *,
    shuffles: int = 8,
    seed: int = 0,
    advance: Callable[[str], None] = lambda _: None,
) -> dict[str, Likeness]:
    """Compares each relation with its own shuffles.

    Items are alike as far as train says: by the partial correlation -P_ij / √(P_ii P_jj), where
    P = (XᵀX + λI)⁻¹, which popularity alone does not raise. A relation whose links are wrong brings
    together items that are no more alike than those it brings together shuffled, degrees kept.

    Args:
        graph: The graph; held-out interactions are not looked at.
        shuffles: How many, 2 or more.
        seed: Of the shuffles.
        advance: Is called after each shuffle.

    Returns:
        By relation, those without a row of two items left out; a relation and its inverse are one.
    """
    if not relation_rows(without_behaviours(graph)):
        return {}  # spares the inverse
    place = _places(graph)
    alike = _partial_correlations(graph, place)
    real = _means(graph, alike, place)
    null: dict[str, list[float]] = {name: [] for name in real}  # means of the shuffles
    for number in range(shuffles):
        means = _means(permuted(graph, seed + number), alike, place)
        for name in null:
            null[name].append(means[name][1] if name in means else 0.0)
        advance(f"shuffle {number + 1}")
    return {
        name: Likeness(count, mean, float(np.mean(null[name])), float(np.std(null[name], ddof=1)))
        for name, (count, mean) in real.items()
    }


def _partial_correlations(graph: GraphData, place: Tensor) -> Tensor:
    """Gives them for the kept items, (n, n) float32, zero on the diagonal."""
    item = place[torch.from_numpy(graph.train.item_index)]
    inside = item >= 0
    user = torch.from_numpy(graph.train.user_index)[inside]
    ease = Ease.fit(
        Incidence.from_pairs(user, item[inside], graph.num_users, int(place.max()) + 1),
        ridge=_RIDGE,
    )
    # B_ij = -P_ij / P_jj off the diagonal, so B_ij B_ji is the squared partial correlation.
    return ease.weights.sign() * (ease.weights * ease.weights.T).clamp(min=0).sqrt()


def _places(graph: GraphData) -> Tensor:
    """Gives the place of each item (num_items,) among the most popular; -1 for the others."""
    popularity = np.bincount(graph.train.item_index, minlength=graph.num_items)
    most_popular = np.sort(np.argsort(-popularity, kind="stable")[:_MOST_ITEMS])
    place = torch.full((graph.num_items,), -1, dtype=torch.int64)
    place[torch.from_numpy(most_popular)] = torch.arange(len(most_popular))
    return place


def _means(graph: GraphData, alike: Tensor, place: Tensor) -> dict[str, tuple[int, float]]:
    """Gives memberships and their mean likeness by relation."""
    totals: dict[str, tuple[int, float]] = {}
    for relation in relation_rows(without_behaviours(graph)):
        item = place[relation.rows.columns]
        there = item >= 0
        rows = Incidence.from_pairs(
            relation.rows.rows[there], item[there], relation.rows.num_rows, len(alike)
        )
        name = relation_name(relation.name)
        count, total = totals.get(name, (0, 0.0))
        more, sum_of_means = _sum(rows, alike)
        totals[name] = count + more, total + sum_of_means
    return {name: (count, total / count) for name, (count, total) in totals.items() if count}


def _sum(rows: Incidence, alike: Tensor) -> tuple[int, float]:
    """Sums, over the items of rows of two or more, each item's mean likeness to the others."""
    several = (rows.lengths > 1).nonzero().flatten()
    count, total = 0, 0.0
    for start in range(0, len(several), _ROWS_AT_ONCE):
        columns, lengths = rows.take(several[start : start + _ROWS_AT_ONCE])
        sums = functional.embedding_bag(  # (b, n): of row i with item j
            columns, alike, lengths.cumsum(0) - lengths, mode="sum"
        )
        local = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        total += float((sums[local, columns] / (lengths - 1)[local]).double().sum())
        count += len(columns)
    return count, total
