"""What a score loses when edges are taken away.

With the trained weights, the degree norms and the two norms of the cosine held, z is a sum over
walks, so the loss is exactly what all walks carry that use one of the edges:

    ⟨z_u, z_i⟩ - ⟨z_u - Δ_u, z_i - Δ_i⟩,   Δ_v = 1/(L + 1) Σ_{α from v over a lost edge} w(α) x_end

When the graph is renormalised, the edges that remain at a lost edge's ends count more, and the
cosine is that of the new embeddings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from kgrec.explanation.walks import Floats, Ints, Networks, Reach, Walks
from kgrec.model.graph_scorer import PropagationScorer


@dataclass(frozen=True, eq=False)
class Ends:
    """A user and an item of some networks, with their walks.

    Attributes:
        networks: The networks.
        scales: float64 (m,), what each network's score is multiplied by in the whole.
        user: Number of the user's node.
        item: Number of the item's node.
        user_reach: The walks of the user.
        item_reach: The walks of the item.
    """

    networks: Networks
    scales: Floats
    user: int
    item: int
    user_reach: Reach
    item_reach: Reach

    @property
    def factors(self) -> Floats:
        """What ⟨z_u, z_i⟩ of each network is multiplied by in the score, (m,)."""
        item = self.item - self.networks.num_users
        norms = [
            float(scorer.user_norm[self.user]) * float(scorer.item_norm[item])
            for scorer in self.networks.scorers
        ]
        out: Floats = self.scales / np.array(norms)
        return out

    @property
    def truncated(self) -> bool:
        """Whether walks are missing."""
        return self.user_reach.dropped > 0 or self.item_reach.dropped > 0


def carried(ends: Ends, edges: Sequence[int]) -> float:
    """Gives what the score owes to all walks over some facts, everything else held.

    Args:
        ends: The pair.
        edges: Places of edges; their twins go with them.
    """
    lost = _with_twins(ends.networks, edges)
    walk_changes = [
        _walk_changes(ends, reach, lost, None) for reach in (ends.user_reach, ends.item_reach)
    ]
    total = 0.0
    for number, (factor, scorer) in enumerate(
        zip(ends.factors.tolist(), ends.networks.scorers, strict=True)
    ):
        z_u, z_i = embeddings(scorer, ends.user, ends.item)
        if ends.truncated:
            d_u, d_i = _rebuilt(scorer, ends, lost, z_u, z_i)
        else:
            d_u, d_i = (_delta(ends, side, number) for side in walk_changes)
        total += factor * float(d_u @ z_i + z_u @ d_i - d_u @ d_i)
    return total


def renormalised_drop(ends: Ends, edges: Sequence[int]) -> float:
    """Gives how much lower the networks' part of the score is in a graph without some facts.

    Degrees are counted anew, and the cosine's norms are those of the new embeddings. The relation
    weights stay, and the fusion's means and deviations are held.
    """
    lost = _with_twins(ends.networks, edges)
    item, total = ends.item - ends.networks.num_users, 0.0
    norm_changes = _norm_changes(ends.networks, lost)
    walk_changes = [
        _walk_changes(ends, reach, *norm_changes) for reach in (ends.user_reach, ends.item_reach)
    ]
    for number, (scale, scorer) in enumerate(
        zip(ends.scales.tolist(), ends.networks.scorers, strict=True)
    ):
        z_u, z_i = embeddings(scorer, ends.user, ends.item)
        if ends.truncated:
            d_u, d_i = _rebuilt(scorer, ends, lost, z_u, z_i, renormalise=True)
        else:
            d_u, d_i = (_delta(ends, side, number) for side in walk_changes)
        new_u, new_i = z_u - d_u, z_i - d_i
        size = float(scorer.user_norm[ends.user]) * float(scorer.item_norm[item])
        before = float(z_u @ z_i) / size
        if scorer.temperature is not None:
            lengths = [max(float(np.linalg.norm(z)), 1e-12) for z in (new_u, new_i)]
            size = lengths[0] * lengths[1] * scorer.temperature
        total += scale * (before - float(new_u @ new_i) / size)
    return total


def embeddings(scorer: PropagationScorer, user: int, item: int) -> tuple[Floats, Floats]:
    """Z of a user and an item by their nodes' numbers, before they are normalised."""
    index = item - scorer.num_users
    z_u = scorer.user_embedding[user].double() * scorer.user_norm[user].double()
    z_i = scorer.item_embedding[index].double() * scorer.item_norm[index].double()
    return z_u.numpy(), z_i.numpy()


def _with_twins(networks: Networks, edges: Sequence[int]) -> Ints:
    places = np.array(edges, dtype=np.int64)
    return np.unique(np.concatenate([places, networks.twins_of(places)]))


@dataclass(frozen=True, eq=False)
class _WalkChange:
    """The walks of one length over changed edges, and what is lost of each weight, 0 to 1."""

    level: Walks
    rows: Ints
    lost: Floats


def _walk_changes(
    ends: Ends, reach: Reach, edges: Ints, factors: Floats | None
) -> list[_WalkChange]:
    """Finds the walks over edges whose weights are multiplied by factors; None is by 0."""
    place = ends.networks.scratch
    place[edges] = np.arange(1, len(edges) + 1)
    by_change = np.concatenate([[1.0], np.zeros(len(edges)) if factors is None else factors])
    changes = []
    for level in reach.levels[1:]:
        steps = [place[level.edges[:, step]] for step in range(level.edges.shape[1])]
        rows = np.flatnonzero(np.logical_or.reduce(steps))
        if len(rows):
            factor = np.prod([by_change[step[rows]] for step in steps], axis=0)
            changes.append(_WalkChange(level, rows, 1.0 - factor))
    place[edges] = 0
    return changes


def _delta(ends: Ends, changes: Sequence[_WalkChange], number: int) -> Floats:
    """Σ (w - w') x_end / (L + 1) over changed walks in one network, (d,)."""
    x = ends.networks.scorers[number].network.x
    total = np.zeros(x.shape[1])
    for change in changes:
        weight = change.level.weights[number, change.rows] * change.lost
        total += weight @ x[torch.from_numpy(change.level.ends[change.rows])].numpy()
    out: Floats = total / (ends.networks.num_layers + 1)
    return out


def _norm_changes(networks: Networks, lost: Ints) -> tuple[Ints, Floats]:
    """Edges whose norm changes and by what factor; 0 for those that are lost."""
    factor: dict[int, float] = {}
    ends: dict[tuple[int, int, bool], int] = {}
    for edge in lost.tolist():
        kind = int(networks.kind[edge])
        target = int(np.searchsorted(networks.pointer, edge, side="right")) - 1
        for node, as_target in ((target, True), (int(networks.source[edge]), False)):
            key = (node, kind, as_target)
            ends[key] = ends.get(key, 0) + 1
    for (node, kind, as_target), num_lost in ends.items():
        into = networks.into(node)
        there = kind if as_target else int(networks.twin[kind])
        edges = into.start + np.flatnonzero(networks.kind[into] == there)
        degree = len(edges)
        if not as_target:
            edges = networks.twin_edge[edges]
        by = np.sqrt(degree / (degree - num_lost)) if degree > num_lost else 0.0
        for edge in edges.tolist():
            factor[edge] = factor.get(edge, 1.0) * by
    for edge in lost.tolist():
        factor[edge] = 0.0
    changed_edges = np.array(list(factor), dtype=np.int64)
    return changed_edges, np.array(list(factor.values()))


def _rebuilt(
    scorer: PropagationScorer,
    ends: Ends,
    lost: Ints,
    z_u: Floats,
    z_i: Floats,
    *,
    renormalise: bool = False,
) -> tuple[Floats, Floats]:
    """Δ of both ends from the network without the edges; for when walks are missing."""
    less = scorer.network.without(torch.from_numpy(lost), renormalise=renormalise)
    message = less.message()
    rows = ends.item + 1
    z = less.x[:rows] / (less.num_layers + 1) + less.propagate(message, rows)
    return z_u - z[ends.user].double().numpy(), z_i - z[ends.item].double().numpy()
