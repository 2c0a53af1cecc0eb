"""The graph network: node features through a relation-aware encoder to user and item embeddings."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kgrec.errors import ShapeError
from kgrec.model.encoders import RelationAttention, RelationPropagation
from kgrec.model.graph_tensors import GraphTensors, SampledGraph

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
