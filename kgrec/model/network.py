"""The graph network: node features through a relation-aware encoder to user and item embeddings."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from kgrec.errors import ShapeError
from kgrec.model.adjacency import RelationAdjacency
from kgrec.model.graph_tensors import Block, GraphTensors, SampledGraph
from kgrec.model.segments import sum_rows, sum_sampled

if TYPE_CHECKING:
    from torch_geometric.nn import RGATConv


class RelationPropagation(nn.Module):
    """Relation-weighted linear propagation.

        Z = 1/(L + 1) Σ_{l=0..L} P^l X,   P = Σ_r s_r softplus(w_r) Â_r

    with Â_r the symmetrically normalised adjacency of directed relation r, one learned scalar w_r
    for each, and the sign s_r = -1 for behaviours that speak against an item, else 1: how much a
    dislike says is learned, that it says no is known.

    References:
        LightGCN, He et al., arXiv:2002.02126 (no graph: its equations 3 and 4); one scalar a
        directed relation as in LightKG, arXiv:2506.10347.
    """

    signs: Tensor

    def __init__(self, graph: GraphTensors, num_layers: int) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.num_judged = graph.num_users + graph.num_items
        signs = torch.tensor(graph.relation_signs, dtype=torch.float32)  # (R,)
        self.register_buffer("signs", signs, persistent=False)
        self.adjacency = RelationAdjacency(
            graph.edge_index, graph.edge_type, graph.num_nodes, len(graph.relation_names)
        )
        # softplus(0.5413) = 1: every relation starts as plain LightGCN.
        self.weight = nn.Parameter(torch.full((len(graph.relation_names),), 0.5413))

    def relation_weights(self) -> Tensor:
        """The signed weights (R,) that scale the normalised adjacencies."""
        return self.signs * functional.softplus(self.weight)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Gives Z of users and items (U + I, d).

        Args:
            x: float (N, d), X.
            hidden: int64 (h,), places in `edge_index` of edges that pass no messages.
        """
        total = self.adjacency.accumulate(
            x, self.relation_weights(), self.num_layers, hidden, self.num_judged
        )
        return total / (self.num_layers + 1)

    def forward_sample(self, x: Tensor, blocks: Sequence[Block]) -> Tensor:
        """Gives an estimate of the seeds' rows of Z, (s, d), from x (k, d) of a sample's nodes.

        Horner's rule as in `RelationAdjacency.accumulate`, over a draw of P's edges a layer.
        """
        weights, out = self.relation_weights(), x
        for block in blocks:
            heard = sum_sampled(
                out, weights, block.pointer, block.index, block.relation, block.factor
            )
            out = x[: len(heard)] + heard
        return out / (len(blocks) + 1)


class RelationAttention(nn.Module):
    """Attention over relations: RGAT with residual connections.

        H_0 = X,   H_{l+1} = H_l + RGAT(H_l),   Z = 1/(L + 1) Σ_l H_l

    Attention averages and cannot subtract, so behaviours that speak against an item are relations
    like others here; what they say is left to the transformations of each relation.

    It gains nowhere it was measured (docs/experiments.md): on one draw of MovieLens-100k three
    networks reach a test NDCG@20 of .3354 alone and .3597 in the fusion, where
    `RelationPropagation` has .3364 and .3616, within noise, and less on valid; on Book-Crossing
    .0657 alone, where it has .0931, a clear loss, and .1148 in the fusion, where it has .1143. An
    epoch takes 30 to 40 times as long.

    References:
        Busbridge et al., "Relational graph attention networks", arXiv:1904.05811.
    """

    order: Tensor
    source: Tensor
    target: Tensor
    relation: Tensor

    def __init__(self, graph: GraphTensors, channels: int, num_layers: int, heads: int) -> None:
        from torch_geometric.nn import RGATConv  # seconds to import, and all else does without

        super().__init__()
        self.num_judged = graph.num_users + graph.num_items
        order = torch.argsort(graph.edge_index[1], stable=True)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("source", graph.edge_index[0, order], persistent=False)
        self.register_buffer("target", graph.edge_index[1, order], persistent=False)
        self.register_buffer("relation", graph.edge_type[order], persistent=False)
        convs = [
            RGATConv(
                channels,
                channels,
                num_relations=len(graph.relation_names),
                num_bases=4,
                heads=heads,
                concat=False,
            )
            for _ in range(num_layers)
        ]
        for conv in convs:
            # RGATConv leaves this unused parameter as the memory was, which may be NaN.
            nn.init.constant_(conv.l2, 1 / channels)
        self.convs = nn.ModuleList(convs)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Gives Z of users and items (U + I, d); `hidden` as in `RelationPropagation`."""
        edges = (self.source, self.target, self.relation)
        if hidden is not None:
            visible = torch.ones_like(self.order, dtype=torch.bool).index_fill_(0, hidden, False)
            visible = visible[self.order]
            edges = (self.source[visible], self.target[visible], self.relation[visible])
        out = [x]
        for conv in self.convs:
            out.append(out[-1] + attend(conv, out[-1], *edges))
        return torch.stack(out).mean(dim=0)[: self.num_judged]


def attend(conv: "RGATConv", x: Tensor, source: Tensor, target: Tensor, relation: Tensor) -> Tensor:
    """What RGATConv computes from its parameters, without a matrix for each edge.

    A relation's transformation is a mixture of few bases, W_r = Σ_b a_rb B_b, so nodes are
    transformed once a basis and an edge only mixes; RGATConv gathers a W_r for each edge, which
    takes 10 GB in ml-100k.

    Args:
        conv: A layer with bases whose heads are averaged.
        x: float (N, d).
        source: int64 (e,), the node that each edge leaves.
        target: int64 (e,), the node at which it arrives, ascending.
        relation: int64 (e,), its relation.

    Returns:
        float (N, d).
    """
    from torch_geometric.utils import softmax

    num_nodes, channels = x.shape
    parts = conv.num_bases * conv.heads
    basis = conv.basis.transpose(0, 1).reshape(channels, -1)
    by_basis = (x @ basis).view(num_nodes, conv.num_bases, -1)  # (N, b, heads d)
    query, key = by_basis @ conv.q, by_basis @ conv.k  # (N, b, heads)
    mixture = conv.att[relation]  # (e, b)
    logit = torch.einsum("eb,ebh->eh", mixture, query[target] + key[source])
    logit = functional.leaky_relu(logit, conv.negative_slope)
    attention = softmax(logit, target, num_nodes=num_nodes) / conv.heads  # (e, heads)
    weight = mixture[:, :, None] * attention[:, None, :]  # (e, b, heads)
    pointer = functional.pad(torch.bincount(target, minlength=num_nodes).cumsum(0), (1, 0))
    index = source[:, None] * parts + torch.arange(parts, device=x.device)  # (e, b heads)
    table = by_basis.reshape(-1, channels)  # (N b heads, d)
    bias: Tensor = conv.bias
    return bias + sum_rows(pointer * parts, index.view(-1), table, weight.view(-1))


__all__ = ["GraphNetwork", "GraphTensors", "RelationAttention", "RelationPropagation"]


class GraphNetwork(nn.Module):
    """Free embeddings and projected frozen text, encoded over the graph, and popularity.

        X = E + T W + Δ,   Z = encoder(X),   b_i = β log(1 + popularity of i)

    A cosine cannot grow with an item's popularity, so one learned scalar β adds it: without it
    the embeddings spend themselves on popularity and say less about taste. Δ is a perturbation that
    training may ask for, nothing otherwise.

    Args:
        graph: The graph, on the device the network shall live on.
        encoder: "propagation" or "attention".
        channels: Embedding dimensions d.
        num_layers: Rounds of message passing.
        heads: Attention heads.
        popularity: Whether b takes part; else it is 0.
        generator: Source of the initial values (on the CPU).

    References:
        Frozen whitened text beside a free embedding: see docs/architecture.md.
    """

    text: Tensor | None
    log_popularity: Tensor
    perturbation: Tensor | None = None  # Δ (N, d)

    def __init__(
        self,
        graph: GraphTensors,
        *,
        encoder: str = "propagation",
        channels: int = 64,
        num_layers: int = 2,
        heads: int = 2,
        popularity: bool = True,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.num_users, self.num_items = graph.num_users, graph.num_items
        self.relation_names = graph.relation_names
        start = torch.randn(graph.num_nodes, channels, generator=generator) * 0.1
        self.embedding = nn.Parameter(start)  # (N, d)
        self.register_buffer("text", graph.text, persistent=False)
        if graph.text is not None:
            width = graph.text.shape[1]
            project = torch.randn(width, channels, generator=generator) * (0.1 / width**0.5)
            self.project = nn.Parameter(project)  # (c, d)
        self.register_buffer("log_popularity", _log_popularity(graph), persistent=False)
        self.popularity = nn.Parameter(torch.zeros(1), requires_grad=popularity)  # β
        if encoder == "propagation":
            self.encoder: nn.Module = RelationPropagation(graph, num_layers)
        elif encoder == "attention":
            # PyG draws its initial values from the global generator.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
                self.encoder = RelationAttention(graph, channels, num_layers, heads)
        else:
            raise ShapeError(f"encoder {encoder!r} is neither 'propagation' nor 'attention'")

    def features(self) -> Tensor:
        """Gives X (N, d)."""
        x: Tensor = self.embedding
        if self.text is not None:
            x = x + self.text @ self.project
        return x if self.perturbation is None else x + self.perturbation

    def item_bias(self) -> Tensor:
        """Gives b (I,), what each item's logit has beside the product of the embeddings."""
        return self.popularity * self.log_popularity

    def forward(self, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Gives the embeddings of users (U, d) and items (I, d).

        Args:
            hidden: int64 (h,), places in `edge_index` of edges that pass no messages; None is none.
        """
        z = self.encoder(self.features(), hidden)  # (U + I, d)
        # One node of the graph of gradients, which two slices would not be.
        user, item = torch.split(z, [self.num_users, self.num_items])
        return user, item

    def embed_sample(self, sample: SampledGraph, weight_decay: float = 0.0) -> Tensor:
        """Gives an estimate of the seeds' embeddings (s, d); linear propagation only.

        The gradient of the free embeddings is sparse: the sample's nodes alone have one.

        Args:
            sample: The nodes and edges drawn.
            weight_decay: L2 on the sample's free embeddings, added to their gradient as Adam adds
                its own.
        """
        assert isinstance(self.encoder, RelationPropagation)
        x = functional.embedding(sample.nodes, self.embedding, sparse=True)  # (k, d)
        if weight_decay and x.requires_grad:
            own = x.detach()
            x.register_hook(lambda grad: grad + weight_decay * own)  # type: ignore[no-untyped-call]
        if self.text is not None:
            x = x + self.text.index_select(0, sample.nodes) @ self.project
        return self.encoder.forward_sample(x, sample.blocks)


def _log_popularity(graph: GraphTensors) -> Tensor:
    """Log(1 + number of interactions) of each item, float32 (I,)."""
    counts = torch.zeros(graph.num_items, device=graph.edge_index.device)
    if "INTERACTED" in graph.relation_names:
        kind = graph.relation_names.index("INTERACTED")
        items = graph.edge_index[1, graph.edge_type == kind] - graph.num_users
        counts = torch.bincount(items, minlength=graph.num_items).float()
    return torch.log1p(counts)
