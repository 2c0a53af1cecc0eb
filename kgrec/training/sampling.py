"""Positives, batches of them and shared negatives, drawn from explicit generators.

Where a graph does not fit, messages come from some neighbours of each node: a step then costs what
its batch and fan-outs say, however large the graph is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from kgrec.graph.data import SyntheticEdges
from kgrec.model.adjacency import symmetric_norm
from kgrec.model.graph_tensors import Block, GraphTensors, SampledGraph
from kgrec.model.incidence import Incidence


@dataclass(frozen=True, eq=False)
class Positives:
    """User-item pairs with their weights in the loss; the real ones come first.

    Attributes:
        users: (n,) int64.
        items: (n,) int64.
        weight: (n,) float32; None is 1 each.
        known: All of them by user: what must not be drawn as a negative.
        real: How many of them are real; only these have edges in the graph.
    """

    users: Tensor
    items: Tensor
    weight: Tensor | None
    known: Incidence
    real: int

    @classmethod
    def of(cls, history: Incidence, synthetic: SyntheticEdges | None = None) -> Self:
        """Takes the interactions of a history, and proposed ones beside them.

        Args:
            history: The training items of each user.
            synthetic: Proposed pairs that are not in it; they end on the history's device.
        """
        users, items = history.rows, history.columns
        if synthetic is None or not len(synthetic):
            return cls(users, items, None, history, len(items))
        device = history.device
        users = torch.cat([users, torch.from_numpy(synthetic.user_index).to(device)])
        items = torch.cat([items, torch.from_numpy(synthetic.item_index).to(device)])
        synthetic_weight = torch.from_numpy(synthetic.weight).to(device)
        weight = torch.cat([synthetic_weight.new_ones(len(history.columns)), synthetic_weight])
        known = Incidence.from_pairs(users, items, history.num_rows, history.num_columns)
        return cls(users, items, weight, known, len(history.columns))

    def __len__(self) -> int:
        """Number of pairs, n."""
        return len(self.items)

    def weights(self, batch: Tensor) -> Tensor | None:
        """Gives the weights of places (B,), (B,)."""
        return None if self.weight is None else self.weight[batch]

    def real_among(self, batch: Tensor) -> Tensor:
        """Gives those of places (B,) that are real interactions'."""
        return batch if self.weight is None else batch[batch < self.real]


def sample_batches(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Gives the places 0 … count - 1 in random order, (batch_size,) int64 at a time."""
    order = torch.randperm(count, generator=generator)
    for start in range(0, count, batch_size):
        yield order[start : start + batch_size]


def negative_probability(history: Incidence, exponent: float = 0.75) -> Tensor:
    """Gives the probability (num_items,) of drawing each item: (1 + popularity)^exponent.

    References:
        Mikolov et al., arXiv:1310.4546, section 2.2.
    """
    popularity = torch.bincount(history.columns, minlength=history.num_columns)
    weight = (1.0 + popularity.double()).pow(exponent)
    return (weight / weight.sum()).float()


def sample_negatives(
    probability: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draws items with replacement and gives each distinct one once.

    Args:
        probability: (num_items,), q.
        count: Number of draws n.
        generator: On the CPU.

    Returns:
        The items (m,) int64, ascending, and log(n q_j / times drawn) (m,): subtracting it from the
        scores makes the sum over the drawn items an unbiased estimate of the sum over all.
    """
    draws = torch.multinomial(probability, count, replacement=True, generator=generator)
    items, times = torch.unique(draws, return_counts=True)
    return items, torch.log(probability[items] * count / times)


def pair_edges(graph: GraphTensors, history: Incidence) -> Incidence:
    """Finds the edges that tell of each training interaction, to hide while it is predicted.

    These are the interaction itself, every behaviour of that user towards that item, and what joins
    them through a node that is the user's alone (a review they wrote of it, a query that led to
    it), all in both directions. Shown, they give the answer away: most who take an item have looked
    at it, while no held-out pair has any of these edges. On the example shop (4 of them, 2 seeds
    each, batches of 64) valid NDCG@20 of the network was .244 with all of these hidden, .181 with
    the interaction alone hidden, and .172 with nothing hidden.

    Args:
        graph: The graph that holds every interaction in both directions.
        history: The n interactions.

    Returns:
        (n, E): row p has the places in `edge_index` of the edges of interaction p.
    """
    owner = _owners(graph)  # (N,)
    items = torch.arange(graph.num_nodes, device=owner.device) - graph.num_users  # (N,)
    items[graph.num_users + graph.num_items :] = -1
    keys = history.rows * graph.num_items + history.columns  # (n,) ascending
    pairs, places = [], []
    for user_end, item_end in (graph.edge_index, graph.edge_index.flip(0)):
        user, item = owner[user_end], items[item_end]  # (E,)
        place = torch.nonzero((user >= 0) & (item >= 0)).squeeze(1)
        key = user[place] * graph.num_items + item[place]
        pair = torch.searchsorted(keys, key).clamp(max=max(len(keys) - 1, 0))
        there = keys[pair] == key if len(keys) else torch.zeros_like(key, dtype=torch.bool)
        pairs.append(pair[there])
        places.append(place[there])
    return Incidence.from_pairs(
        torch.cat(pairs), torch.cat(places), len(keys), graph.edge_index.shape[1]
    )


def _owners(graph: GraphTensors) -> Tensor:
    """Whose each node is, int64 (N,): a user is their own, an entity that of its only user; or -1.

    What several users share (a country) belongs to nobody.
    """
    owner = torch.full((graph.num_nodes,), -1, device=graph.edge_index.device)
    head, tail = graph.edge_index
    mine = (head < graph.num_users) & (tail >= graph.num_users + graph.num_items)
    joined = torch.unique(graph.edge_index[:, mine], dim=1)  # users above entities, each pair once
    count = torch.bincount(joined[1], minlength=graph.num_nodes)
    alone = count[joined[1]] == 1
    owner[joined[1, alone]] = joined[0, alone]
    owner[: graph.num_users] = torch.arange(graph.num_users, device=owner.device)
    return owner


def known_pairs(history: Incidence, users: Tensor) -> Tensor:
    """Gives (row, item) of every training item of users (B,): int64 (2, m)."""
    items, lengths = history.take(users)
    rows = torch.repeat_interleave(torch.arange(len(users), device=users.device), lengths)
    return torch.stack([rows, items])


def known_among(history: Incidence, users: Tensor, items: Tensor) -> Tensor:
    """Gives (row, place) of every training item of users (B,) among items (m,), distinct.

    Returns:
        int64 (2, k).
    """
    place = torch.full((history.num_columns,), -1, device=items.device)
    place[items] = torch.arange(len(items), device=items.device)
    rows, own = known_pairs(history, users)
    columns = place.index_select(0, own)
    is_among = columns >= 0
    return torch.stack([rows[is_among], columns[is_among]])


class NeighbourSampler:
    """Draws incoming edges of nodes, layer by layer, so that sums over them are unbiased.

    A node with at most f edges keeps them all. Of n > f edges, one is drawn from each f-th part of
    them, places ⌊(j + u_j) n / f⌋ for j = 0 … f - 1 with u_j uniform in [0, 1), and weighs n / f:
    place p is expected ∫ over [p, p + 1) of f / n = f / n times. The edges of a node stand by
    relation, so that each relation gets its share of the draws, and the cost is f whatever n is.
    Layers draw on their own: the expectation of a product of layers is the product.

    Args:
        graph: The whole graph; its edges may stay where they are while batches go elsewhere.
        num_neighbours: f of each hop, the one next to the batch first.

    References:
        Hamilton et al., "Inductive representation learning on large graphs", arXiv:1706.02216;
        stratified instead of simple random draws as in Cochran, "Sampling techniques", chapter 5.
    """

    def __init__(self, graph: GraphTensors, num_neighbours: Sequence[int]) -> None:
        self.num_neighbours = tuple(num_neighbours)
        source, target = graph.edge_index
        norm = symmetric_norm(graph.edge_index, graph.edge_type, graph.num_nodes)
        order = torch.argsort(graph.edge_type, stable=True)
        order = order[torch.argsort(target[order], stable=True)]
        self._pointer = torch.zeros(graph.num_nodes + 1, dtype=torch.int64, device=source.device)
        torch.cumsum(torch.bincount(target, minlength=graph.num_nodes), 0, out=self._pointer[1:])
        self._source, self._norm = source[order], norm[order]  # (E,)
        self._relation = graph.edge_type[order]  # (E,)
        self._edge = order  # (E,) places in the edge list
        self._hidden = torch.zeros(len(order), dtype=torch.bool, device=source.device)
        # Where each node stands in the sample at hand; nowhere between samples.
        self._nowhere = 2**62
        self._place = torch.full((graph.num_nodes,), self._nowhere, device=source.device)

    def sample(
        self, seeds: Tensor, generator: torch.Generator, hidden: Tensor | None = None
    ) -> SampledGraph:
        """Draws what the seeds' embeddings need.

        Args:
            seeds: int64 (s,), distinct nodes.
            generator: On the CPU.
            hidden: int64 (h,), places in `edge_index` of edges that pass no messages.

        Returns:
            The seeds and all nodes that they hear of, and the edges of each layer.
        """
        if hidden is not None:
            self._hidden[hidden] = True
        nodes, blocks = seeds, []
        self._place[seeds] = torch.arange(len(seeds), device=seeds.device)
        for count in self.num_neighbours:
            entries, lengths, scale = self._draw(nodes, count, generator)  # (e,), (n,), (e,)
            nodes, index = self._extend(nodes, self._source.index_select(0, entries))
            pointer = torch.zeros(len(lengths) + 1, dtype=torch.int64, device=seeds.device)
            torch.cumsum(lengths, 0, out=pointer[1:])
            factor = self._norm.index_select(0, entries) * scale
            if hidden is not None:
                edge = self._edge.index_select(0, entries)
                factor = factor.masked_fill(self._hidden.index_select(0, edge), 0.0)
            relation = self._relation.index_select(0, entries)
            blocks.append(Block(pointer, index, relation, factor))
        self._place[nodes] = self._nowhere
        if hidden is not None:
            self._hidden[hidden] = False
        return SampledGraph(nodes, tuple(reversed(blocks)))

    def _draw(
        self, nodes: Tensor, count: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draws at most `count` incoming edges of each node.

        Returns:
            Entries (e,) of the edges by target, how many each node has (n,), and what each weighs
            to stand for all (e,) float32.
        """
        start = self._pointer.index_select(0, nodes)
        degree = self._pointer.index_select(0, nodes + 1) - start  # (n,)
        lengths = degree.clamp(max=count)  # (n,)
        first = lengths.cumsum(0) - lengths
        owner = torch.repeat_interleave(lengths)  # (e,)
        part = torch.arange(len(owner), device=nodes.device) - first.index_select(0, owner)
        # In float64: in float32 a hub's later edges could not all be drawn.
        stride = (degree / lengths.clamp(min=1).double()).index_select(0, owner)
        shift = torch.rand(len(owner), generator=generator, dtype=torch.float64).to(nodes.device)
        shift = torch.where(stride > 1, shift, 0.0)
        last = degree.index_select(0, owner) - 1
        place = torch.minimum(((part + shift) * stride).long(), last)
        return start.index_select(0, owner) + place, lengths, stride.float()

    def _extend(self, nodes: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """Adds nodes (e,), repeats among them, that are not there yet; gives their places too."""
        order = torch.arange(len(nodes), len(nodes) + len(heard), device=nodes.device)
        self._place.scatter_reduce_(0, heard, order, "amin")
        place = self._place.index_select(0, heard)  # of the first mention
        new = heard[place == order]
        self._place[new] = torch.arange(len(nodes), len(nodes) + len(new), device=nodes.device)
        return torch.cat([nodes, new]), self._place.index_select(0, heard)
