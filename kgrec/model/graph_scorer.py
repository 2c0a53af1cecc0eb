"""Scorers of a trained network: embeddings, and what each edge adds to them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.model.folding import NewGraph, take_rows
from kgrec.model.incidence import Incidence
from kgrec.model.linear_network import LinearNetwork, narrow
from kgrec.model.network import GraphNetwork, GraphTensors, RelationPropagation
from kgrec.model.scorer import Contributions, Scorer

#: Interactions as a user receives them.
_TO_USER = "rev_INTERACTED"


class Embeddings(Scorer):
    """What scorers of users' and items' embeddings share.

    Attributes:
        user_embedding: (U, d), normalised and over the temperature if the score is a cosine.
        item_embedding: (I, d).
        item_bias: (I,), added to every user's products.
    """

    history_prefix = "history_"

    user_embedding: Tensor
    item_embedding: Tensor
    item_bias: Tensor

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives cosines over the temperature, or inner products, plus b, (B, num_items) float32."""
        user = self.user_embedding[user_indices.to(self.user_embedding.device)]
        return torch.addmm(self.item_bias, user, self.item_embedding.T)

    def embeddings(self) -> list[tuple[Tensor, Tensor]]:
        """Gives its users' and items' embeddings."""
        return [(self.user_embedding, self.item_embedding)]

    def item_likeness(self, item_indices: Tensor) -> Tensor:
        """Gives the cosines of items (B,) with all, (B, num_items)."""
        unit = functional.normalize(self.item_embedding, dim=1)
        return unit[item_indices] @ unit.T

    def to(self, device: torch.device) -> Self:
        """The same scorer on a device."""
        tensors, values = self.state()
        return self.from_state(
            {name: tensor.to(device) for name, tensor in tensors.items()}, values
        )


@dataclass(eq=False, repr=False)
class PropagationScorer(Embeddings, kind="PropagationScorer"):
    """Scores by the embeddings of linear propagation, which add up over edges.

    Every embedding is exactly its node's own part and its incoming edges':

        z_v = s_v + Σ_{e → v} a_e y_source(e),
        s = X / (L + 1),   y = 1/(L + 1) Σ_{l < L} P^l X,   a_e = s_r softplus(w_r) norm_e

    so a score ⟨z_u, z_i⟩ / (|z_u| |z_i| τ) + b_i, its norms held, adds up over the user's own
    items and, on the item's side, over relations and behaviours; those that speak against an item
    have weights below 0.

    Attributes:
        network: All that was trained: X, edges, norms, relation weights and L.
        item_bias: (I,), b.
        history: The training items of each user.
        relation_names: The directed relations.
        temperature: τ; None scores by the inner product instead of the cosine.
        popularity: β, the bias is b = β log(1 + popularity).
        project: W, (c, d), what makes X of the texts of nodes to come; None without texts.
        own: s of users and items, (U + I, d).
        message: y of all nodes, (N, d).
        source: int32 (E,), where the network's edges come from.
        edge_type: int16 (E,), their relation.
        weight: (E,), a_e.
    """

    saved_tensors = ("item_bias", "project")
    saved_values = (
        "relation_names", "temperature", "popularity", "num_users", "num_items", "network",
    )  # fmt: skip

    network: LinearNetwork
    item_bias: Tensor
    history: Incidence
    relation_names: tuple[str, ...]
    temperature: float | None
    popularity: float = 0.0
    project: Tensor | None = None

    def __post_init__(self) -> None:
        self.source, self.edge_type = self.network.source, self.network.kind
        self.weight = self.network.weight
        num_scored = self.num_users + self.num_items
        self.message = self.network.message()
        self.own = self.network.x[:num_scored] / (self.network.num_layers + 1)
        z = self.own + self.network.propagate(self.message, num_scored)
        user, item = z[: self.num_users], z[self.num_users :]
        self.user_norm = torch.ones(self.num_users, device=z.device)
        self.item_norm = torch.ones(self.num_items, device=z.device)
        if self.temperature is not None:
            self.user_norm = user.norm(dim=1).clamp(min=1e-12) * self.temperature
            self.item_norm = item.norm(dim=1).clamp(min=1e-12)
        self.user_embedding = user / self.user_norm[:, None]  # (U, d)
        self.item_embedding = item / self.item_norm[:, None]  # (I, d)

    @classmethod
    @torch.no_grad()
    def from_network(
        cls,
        network: GraphNetwork,
        graph: GraphTensors,
        history: Incidence,
        temperature: float | None,
    ) -> Self:
        """Takes a trained propagation network over, edges and all."""
        encoder = network.encoder
        assert isinstance(encoder, RelationPropagation)
        rows = encoder.adjacency.by_target
        linear = LinearNetwork(
            network.features().detach().clone(),
            rows.pointer,
            rows.index,
            narrow(encoder.adjacency.edge_type[rows.edge]),
            encoder.adjacency.norm[rows.edge],
            encoder.relation_weights().detach().clone(),
            encoder.num_layers,
        )
        return cls(
            linear,
            network.item_bias().detach().clone(),
            history,
            graph.relation_names,
            temperature,
            float(network.popularity),
            None if network.text is None else network.project.detach().clone(),
        )

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes exactly, with the two norms of the cosine held."""
        items = item_indices.to(self.own.device)
        target = self.item_embedding[items]  # (k, d)
        edges = self.network.incoming(user_index)
        parts = self.weight[edges, None] * self.message[self.source[edges]]  # (e, d)
        by_edge = target @ (parts / self.user_norm[user_index]).T  # (k, e)
        own_items = self.history.row(user_index)  # (h,)
        from_items = self.edge_type[edges] == self.relation_names.index(_TO_USER)
        place = torch.searchsorted(own_items, self.source[edges][from_items] - self.num_users)
        by_item = target.new_zeros(len(items), len(own_items))
        by_item.index_add_(1, place, by_edge[:, from_items])
        score = target @ self.user_embedding[user_index] + self.item_bias[items]  # (k,)
        return Contributions(
            score=score,
            own_items=own_items,
            by_item=by_item,
            rest=score - by_item.sum(dim=1),
            relation_names=("self", *self.relation_names),
            by_relation=self._by_relation(user_index, items),
        )

    def without(self, user_index: int, items: Tensor) -> Tensor:
        """Takes off what the items bring to the user's embedding, its norm held."""
        edges = self.network.incoming(user_index)
        is_own = self.edge_type[edges] == self.relation_names.index(_TO_USER)
        is_own &= torch.isin(self.source[edges], items.to(self.source) + self.num_users)
        message = self.weight[edges][is_own] @ self.message[self.source[edges][is_own]]
        taken_off = self.item_embedding @ (message / self.user_norm[user_index])
        return self.score(torch.tensor([user_index]))[0] - taken_off

    def _by_relation(self, user_index: int, items: Tensor) -> Tensor:
        """What each relation brings to the items' embeddings: (k, 1 + R), first the own part."""
        user = self.user_embedding[user_index]  # (d,)
        nodes = items + self.num_users
        out = user.new_zeros(len(items), 1 + len(self.relation_names))
        out[:, 0] = self.own[nodes] @ user
        for row, node in enumerate(nodes.tolist()):
            edges = self.network.incoming(node)
            values = self.weight[edges] * (self.message[self.source[edges]] @ user)
            out[row].index_add_(0, 1 + self.edge_type[edges].int(), values)
        out /= self.item_norm[items, None]
        out[:, 0] += self.item_bias[items]
        return out

    def folded(self, graph: NewGraph) -> "PropagationScorer":
        """Runs the trained network over the new graph, with its degrees.

        Old nodes keep X. A new node has no free embedding: its X is that of its text, or zero, and
        its neighbours do the rest. Edges of relations that training did not know pass no messages.
        """
        place, new = graph.nodes, graph.find_tensors()
        x = take_rows(self.network.x, place)
        if self.project is not None and new.text is not None:
            fresh = place < 0
            if x is self.network.x and bool(fresh.any()):
                x = x.clone()
            x[fresh] = new.text[fresh] @ self.project
        names = {name: number for number, name in enumerate(self.relation_names)}
        kind = torch.tensor([names.get(name, -1) for name in new.relation_names])[new.edge_type]
        trained = kind >= 0
        network = LinearNetwork.of_edges(
            x,
            new.edge_index[:, trained],
            kind[trained],
            self.network.relation_weight,
            self.network.num_layers,
        )
        counts = torch.bincount(graph.history.columns, minlength=new.num_items).float()
        bias = self.popularity * torch.log1p(counts)
        return replace(self, network=network, item_bias=bias, history=graph.history)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Gives the network, the bias and the history."""
        tensors, values = super().state()
        network = values.pop("network")
        return tensors | network.tensors(), values | {"num_layers": network.num_layers}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Self:
        """Makes the scorer that `state` described."""
        made_of = {
            "network": LinearNetwork.from_tensors(tensors, int(values["num_layers"])),
            "relation_names": tuple(values["relation_names"]),
        }
        return super().from_state(tensors, {**values, **made_of})


@dataclass(eq=False, repr=False)
class EmbeddingScorer(Embeddings, kind="EmbeddingScorer"):
    """Scores by embeddings alone, for encoders whose embeddings do not add up over edges.

    An attention score is no sum over items or relations: everything is left in `rest`.

    Attributes:
        history: The training items of each user.
    """

    saved_tensors = ("item_embedding", "user_embedding", "item_bias")

    user_embedding: Tensor
    item_embedding: Tensor
    item_bias: Tensor
    history: Incidence

    @classmethod
    @torch.no_grad()
    def from_network(
        cls, network: GraphNetwork, history: Incidence, temperature: float | None
    ) -> Self:
        """Takes the embeddings out of a trained network of any encoder."""
        user, item = network()
        if temperature is not None:
            user = functional.normalize(user, dim=1) / temperature
            item = functional.normalize(item, dim=1)
        bias = network.item_bias()
        return cls(user.detach().clone(), item.detach().clone(), bias.detach().clone(), history)

    def folded(self, graph: NewGraph) -> "EmbeddingScorer":
        """Old nodes keep their embeddings; new ones have none, and all their products are 0."""
        return EmbeddingScorer(
            take_rows(self.user_embedding, graph.users),
            take_rows(self.item_embedding, graph.items),
            take_rows(self.item_bias, graph.items),
            graph.history,
        )
