"""The graph network: node features through a relation-aware encoder to user and item embeddings."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData
from torch_geometric.data.storage import EdgeStorage
from torch_geometric.nn import RGATConv

from kgrec.errors import ShapeError
from kgrec.model.adjacency import RelationAdjacency


@dataclass(frozen=True)
class GraphTensors:
    """The whole graph in one index space: users, then items, then entities.

    Attributes:
        num_users: U.
        num_items: I.
        num_nodes: N, all nodes.
        edge_index: int64 (2, E), sources above targets; both directions of every relation.
        edge_type: int64 (E,).
        relation_names: R names; "INTERACTED" and its reverse, then each relation or behaviour and
            its reverse.
        relation_signs: R times 1, or -1 for behaviours that speak against an item.
        text: float32 (N, c), zero rows where a node has no text; None without text features.
    """

    num_users: int
    num_items: int
    num_nodes: int
    edge_index: Tensor
    edge_type: Tensor
    relation_names: tuple[str, ...]
    relation_signs: tuple[int, ...]
    text: Tensor | None = None

    @classmethod
    def from_hetero(cls, data: HeteroData, *, use_graph: bool = True) -> "GraphTensors":
        """Flattens a HeteroData with node types User, Item, Entity.

        Edge types of one name and role share one relation, hence one weight; a name that a second
        role has as well gets that role behind it (`VIEW`, a relation, and `VIEW_EVIDENCE`). Node
        stores may carry `text`, edge stores `role`: a value of `kgrec.schema.Role`, without which
        they are relations.

        Args:
            data: The graph; edge types come in both directions (`rev_` marks the reverse).
            use_graph: Whether relations take part; interactions and behaviours always do.
        """
        offset, total = {}, 0
        for label in ("User", "Item", "Entity"):
            offset[label] = total
            total += int(data[label].num_nodes)
        names: dict[tuple[str, str], str] = {}  # of each edge type's name and role
        index, kinds = [], []
        for head, name, tail in data.edge_types:
            store = data[head, name, tail]
            role = _role(name, store)
            if not use_graph and role == "relation":
                continue
            if (name, role) not in names:
                taken = name in names.values()
                names[name, role] = f"{name}_{role.upper()}" if taken else name
            kind = list(names).index((name, role))
            index.append(store.edge_index + torch.tensor([[offset[head]], [offset[tail]]]))
            kinds.append(torch.full((store.edge_index.shape[1],), kind))
        text = None
        if all("text" in data[label] for label in offset):
            text = torch.cat([data[label].text for label in offset])
        return cls(
            num_users=int(data["User"].num_nodes),
            num_items=int(data["Item"].num_nodes),
            num_nodes=total,
            edge_index=torch.cat(index, dim=1),
            edge_type=torch.cat(kinds),
            relation_names=tuple(names.values()),
            relation_signs=tuple(-1 if role == "negative" else 1 for _, role in names),
            text=text,
        )

    def to(self, device: torch.device) -> "GraphTensors":
        """The same graph on a device."""
        return replace(
            self,
            edge_index=self.edge_index.to(device),
            edge_type=self.edge_type.to(device),
            text=None if self.text is None else self.text.to(device),
        )


def _role(name: str, store: EdgeStorage) -> str:
    if name.removeprefix("rev_") == "INTERACTED":
        return "target"
    return str(store.role) if "role" in store else "relation"


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

    def layers(self, x: Tensor, keep: Tensor | None = None) -> list[Tensor]:
        """Gives X, P X, …, P^L X, each (N, d), over the edges to keep."""
        out = [x]
        weights = self.relation_weights()
        for _ in range(self.num_layers):
            out.append(self.adjacency.propagate(out[-1], weights, keep))
        return out

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Gives Z (N, d), over the edges to keep, bool (E,)."""
        return torch.stack(self.layers(x, keep)).mean(dim=0)


class RelationAttention(nn.Module):
    """Attention over relations: torch-geometric's RGATConv with residual connections.

        H_0 = X,   H_{l+1} = H_l + RGAT(H_l),   Z = 1/(L + 1) Σ_l H_l

    Attention averages and cannot subtract, so behaviours that speak against an item are relations
    like others here; what they say is left to the transformations of each relation.

    References:
        Busbridge et al., "Relational graph attention networks", arXiv:1904.05811.
    """

    edge_index: Tensor
    edge_type: Tensor

    def __init__(self, graph: GraphTensors, channels: int, num_layers: int, heads: int) -> None:
        super().__init__()
        self.register_buffer("edge_index", graph.edge_index, persistent=False)
        self.register_buffer("edge_type", graph.edge_type, persistent=False)
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

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Gives Z (N, d), over the edges to keep, bool (E,)."""
        edge_index, edge_type = self.edge_index, self.edge_type
        if keep is not None:
            edge_index, edge_type = edge_index[:, keep], edge_type[keep]
        out = [x]
        for conv in self.convs:
            out.append(out[-1] + conv(out[-1], edge_index, edge_type))
        return torch.stack(out).mean(dim=0)


class GraphNetwork(nn.Module):
    """Free embeddings and projected frozen text, encoded over the graph, and popularity.

        X = E + T W,   Z = encoder(X),   b_i = β log(1 + popularity of i)

    A cosine cannot grow with an item's popularity, so one learned scalar β adds it: without it
    the embeddings spend themselves on popularity and say less about taste.

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
        if self.text is None:
            return self.embedding
        return self.embedding + self.text @ self.project

    def item_bias(self) -> Tensor:
        """Gives b (I,), what each item's logit has beside the product of the embeddings."""
        return self.popularity * self.log_popularity

    def forward(self, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Gives the embeddings of users (U, d) and items (I, d).

        Args:
            keep: bool (E,), which edges pass messages; None is all.
        """
        z = self.encoder(self.features(), keep)
        return z[: self.num_users], z[self.num_users : self.num_users + self.num_items]


def _log_popularity(graph: GraphTensors) -> Tensor:
    """Log(1 + number of interactions) of each item, float32 (I,)."""
    counts = torch.zeros(graph.num_items, device=graph.edge_index.device)
    if "INTERACTED" in graph.relation_names:
        kind = graph.relation_names.index("INTERACTED")
        items = graph.edge_index[1, graph.edge_type == kind] - graph.num_users
        counts = torch.bincount(items, minlength=graph.num_items).float()
    return torch.log1p(counts)
