"""Walks against the messages: from a node to the nodes whose features reach it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kgrec.model.graph_scorer import PropagationScorer
from kgrec.model.linear_network import LinearNetwork

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Walks:
    """Walks of one length from one node.

    Attributes:
        edges: int64 (n, l), the edges in the order of the walk; each ends where the last began.
        nodes: int64 (n, l + 1), the nodes, the root first.
        weights: float64 (m, n), the product of the edges' weights in each network.
    """

    edges: Ints
    nodes: Ints
    weights: Floats

    def __len__(self) -> int:
        return len(self.edges)

    @property
    def ends(self) -> Ints:
        """int64 (n,), where the walks end."""
        return self.nodes[:, -1]


@dataclass(frozen=True, eq=False)
class Reach:
    """All walks from a node, or the heaviest if there are too many.

    Attributes:
        levels: By length, 0 … L.
        dropped: No walk that is missing weighs more; 0 if none is.
    """

    levels: tuple[Walks, ...]
    dropped: float


class Networks:
    """Trained networks over one graph, ready to be walked.

    Args:
        scorers: At least one; all over the same edges.

    Attributes:
        num_layers: L.
        relation_weight: float64 (m, R).
        twin: int64 (R,), the relation that goes the other way.
    """

    def __init__(self, scorers: Sequence[PropagationScorer]) -> None:
        self.scorers = tuple(scorers)
        first = scorers[0].network
        self.num_layers = first.num_layers
        self.num_users = scorers[0].num_users
        self.relation_names = scorers[0].relation_names
        self.pointer, self.source = first.pointer.numpy(), first.source.numpy()
        self.kind, self.norm = first.kind.numpy(), first.norm.numpy()
        self.relation_weight = np.stack(
            [scorer.network.relation_weight.double().numpy() for scorer in scorers]
        )
        self.twin = _twins(self.relation_names)

    @cached_property
    def peak(self) -> float:
        """No edge weighs more in any network."""
        if not len(self.norm):
            return 0.0
        return float(np.abs(self.relation_weight).max() * self.norm.max())

    @cached_property
    def scratch(self) -> npt.NDArray[np.int32]:
        """int32 (E,) of zeros; who writes into it leaves zeros behind."""
        return np.zeros(len(self.norm), dtype=np.int32)

    @cached_property
    def twin_edge(self) -> Ints:
        """int64 (E,), for each edge the one that states the same fact the other way."""
        target = np.repeat(np.arange(len(self.pointer) - 1), np.diff(self.pointer))
        source, kind = self.source.astype(np.int64), self.kind.astype(np.int64)
        own = np.lexsort((source, kind, target))
        reverse = np.lexsort((target, self.twin[kind], source))
        out = np.empty(len(source), dtype=np.int64)
        out[own] = reverse
        return out

    def into(self, node: int) -> slice:
        """The places of the edges that arrive at a node."""
        return slice(int(self.pointer[node]), int(self.pointer[node + 1]))

    def size_of(self, edges: Ints) -> Floats:
        """The mean of |a| over the networks, float64 (n,)."""
        weights = np.abs(self.relation_weight).mean(axis=0)
        out: Floats = weights[self.kind[edges]] * self.norm[edges]
        return out

    def marked(self, nodes: Ints) -> npt.NDArray[np.bool_]:
        """Gives bool (N,), true at some nodes."""
        mask = np.zeros(len(self.pointer) - 1, dtype=bool)
        mask[nodes] = True
        return mask

    def edges_into(self, nodes: Ints) -> tuple[Ints, Ints]:
        """The edges that arrive at nodes (n,): for each its row among them, and its place."""
        starts = self.pointer[nodes].astype(np.int64)
        counts = self.pointer[nodes + 1] - starts
        shift = np.repeat(starts - (counts.cumsum() - counts), counts)
        edges = shift + np.arange(len(shift), dtype=np.int64)
        return np.repeat(np.arange(len(nodes)), counts), edges.astype(np.int64)

    def walk(self, root: int, budget: int) -> Reach:
        """Gives the walks of up to L edges from a node, at most `budget` of each length.

        Those that cannot be followed are the lightest: what they weigh at most is told.
        """
        count = len(self.scorers)
        level = Walks(
            np.empty((1, 0), dtype=np.int64),
            np.array([[root]], dtype=np.int64),
            np.ones((count, 1)),
        )
        levels, dropped = [level], 0.0
        for layers_left in reversed(range(self.num_layers)):
            level, lost = self._further(levels[-1], budget)
            dropped = max(dropped, lost * max(self.peak, self.peak ** (layers_left + 1)))
            levels.append(level)
        return Reach(tuple(levels), dropped)

    def twins_of(self, edges: Ints) -> Ints:
        """The edges that state the same facts the other way, (n,) like `edges`."""
        if "twin_edge" in self.__dict__:
            return self.twin_edge[edges]
        targets = np.searchsorted(self.pointer, edges, side="right") - 1
        out = np.empty_like(edges)
        for place, (edge, target) in enumerate(zip(edges.tolist(), targets.tolist(), strict=True)):
            into = self.into(int(self.source[edge]))
            same = self.kind[into] == self.twin[self.kind[edge]]
            out[place] = into.start + int(np.flatnonzero(same & (self.source[into] == target))[0])
        return out

    def _further(self, walks: Walks, budget: int) -> tuple[Walks, float]:
        """Walks of one edge more, and the weight of the heaviest that was not followed."""
        counts = self.pointer[walks.ends + 1].astype(np.int64) - self.pointer[walks.ends]
        rows, lost = np.arange(len(walks)), 0.0
        if counts.sum() > budget:
            weight = np.abs(walks.weights).max(axis=0)
            order = np.argsort(-weight, kind="stable")
            followed = int(np.searchsorted(counts[order].cumsum(), budget, side="right"))
            rows = np.sort(order[:followed])
            lost = float(weight[order[followed]])
        row, edges = self.edges_into(walks.ends[rows])
        row = rows[row]
        weights = self.relation_weight[:, self.kind[edges]] * self.norm[edges]
        return Walks(
            np.column_stack([walks.edges[row], edges]),
            np.column_stack([walks.nodes[row], self.source[edges].astype(np.int64)]),
            walks.weights[:, row] * weights,
        ), lost


class Member(NamedTuple):
    """One network of a pair.

    Attributes:
        number: Its row in what the networks have together.
        scorer: The network.
        factor: What ⟨z_u, z_i⟩ is multiplied by in the score.
        z_u: float64 (d,), the user's embedding before it is normalised.
        z_i: float64 (d,), the item's.
    """

    number: int
    scorer: PropagationScorer
    factor: float
    z_u: Floats
    z_i: Floats


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

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """Each network with what it makes of the pair."""
        index, members = self.item - self.networks.num_users, []
        for number, factor in enumerate(self.factors.tolist()):
            scorer = self.networks.scorers[number]
            z_u = scorer.user_embedding[self.user].double() * scorer.user_norm[self.user].double()
            z_i = scorer.item_embedding[index].double() * scorer.item_norm[index].double()
            members.append(Member(number, scorer, factor, z_u.numpy(), z_i.numpy()))
        return tuple(members)

    @property
    def truncated(self) -> bool:
        """Whether walks are missing."""
        return self.user_reach.dropped > 0 or self.item_reach.dropped > 0


def same_graph(one: LinearNetwork, other: LinearNetwork) -> bool:
    """Whether two networks have the same edges, norms and number of layers."""
    return one.num_layers == other.num_layers and all(
        a is b or (a.shape == b.shape and bool((a == b).all()))
        for a, b in (
            (getattr(one, name), getattr(other, name))
            for name in ("pointer", "source", "kind", "norm")
        )
    )


def _twins(names: Sequence[str]) -> Ints:
    """The place of `rev_X` for each X, and the other way round."""
    place = {name: number for number, name in enumerate(names)}
    return np.array(
        [
            place[name.removeprefix("rev_") if name.startswith("rev_") else f"rev_{name}"]
            for name in names
        ],
        dtype=np.int64,
    )
