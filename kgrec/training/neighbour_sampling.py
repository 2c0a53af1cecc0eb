"""Batches whose messages come from some neighbours of each node: for graphs that do not fit.

A step costs what its batch and fan-outs say, however large the graph is.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from kgrec.model.adjacency import symmetric_norm
from kgrec.model.graph_tensors import Block, GraphTensors, SampledGraph


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
