"""Scorers of a trained network: embeddings, and what each edge adds to them."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.model.incidence import Incidence
from kgrec.model.linear_network import LinearNetwork, narrow
from kgrec.model.network import GraphNetwork, GraphTensors, RelationPropagation
from kgrec.model.scorer import ByHistory, Contributions

#: Interactions as a user receives them.
_TO_USER = "rev_INTERACTED"


class PropagationScorer:
    """Scores by the embeddings of linear propagation, which add up over edges.

    Every embedding is exactly its node's own part and its incoming edges':

        z_v = s_v + Σ_{e → v} a_e y_source(e),
        s = X / (L + 1),   y = 1/(L + 1) Σ_{l < L} P^l X,   a_e = s_r softplus(w_r) norm_e

    so a score ⟨z_u, z_i⟩ / (|z_u| |z_i| τ) + b_i, its norms held, adds up over the user's own
    items and, on the item's side, over relations and behaviours; those that speak against an item
    have weights below 0.

    Attributes:
        network: All that was trained: X, edges, norms, relation weights and L.
        own: s of users and items, (U + I, d).
        message: y of all nodes, (N, d).
        pointer: int32 (N + 1,), the incoming edges of each node.
        source: int32 (E,), where they come from.
        kind: int16 (E,), their relation.
        weight: (E,), a_e.
        item_bias: (I,), b.
        relation_names: The directed relations.
        history: The training items of each user.
        temperature: τ; None scores by the inner product instead of the cosine.
    """

    def __init__(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        self.network = LinearNetwork.from_tensors(tensors, int(values["num_layers"]))
        self.pointer, self.source = self.network.pointer, self.network.source
        self.kind, self.weight = self.network.kind, self.network.weight
        self.item_bias = tensors["item_bias"]
        self.relation_names = tuple(values["relation_names"])
        self.temperature: float | None = values["temperature"]
        self._num_users, self._num_items = int(values["num_users"]), int(values["num_items"])
        self.history = Incidence(
            tensors["history_pointer"], tensors["history_columns"], self._num_items
        )
        judged = self._num_users + self._num_items
        self.message = self.network.message()
        self.own = self.network.x[:judged] / (self.network.num_layers + 1)
        z = self.own + self.network.propagate(self.message, judged)
        user, item = z[: self._num_users], z[self._num_users :]
        self.user_norm = torch.ones(self._num_users, device=z.device)
        self.item_norm = torch.ones(self._num_items, device=z.device)
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
        tensors = {
            "x": network.features().detach().clone(),
            "pointer": rows.pointer,
            "source": rows.index,
            "kind": narrow(encoder.adjacency.edge_type[rows.edge]),
            "norm": encoder.adjacency.norm[rows.edge],
            "relation_weight": encoder.relation_weights().detach().clone(),
            "item_bias": network.item_bias().detach().clone(),
            "history_pointer": history.pointer,
            "history_columns": history.columns,
        }
        values = {
            "relation_names": list(graph.relation_names),
            "temperature": temperature,
            "num_users": graph.num_users,
            "num_items": graph.num_items,
            "num_layers": encoder.num_layers,
        }
        return cls(tensors, values)

    @property
    def num_users(self) -> int:
        """Number of users."""
        return self._num_users

    @property
    def num_items(self) -> int:
        """Number of items."""
        return self._num_items

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives cosines over the temperature, or inner products, plus b, (B, num_items)."""
        user = self.user_embedding[user_indices.to(self.own.device)]
        return torch.addmm(self.item_bias, user, self.item_embedding.T)

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes exactly, with the two norms of the cosine held."""
        items = item_indices.to(self.own.device)
        target = self.item_embedding[items]  # (k, d)
        edges = slice(int(self.pointer[user_index]), int(self.pointer[user_index + 1]))
        parts = self.weight[edges, None] * self.message[self.source[edges]]  # (e, d)
        by_edge = target @ (parts / self.user_norm[user_index]).T  # (k, e)
        own_items = self.history.row(user_index)  # (h,)
        from_items = self.kind[edges] == self._relation(_TO_USER)
        place = torch.searchsorted(own_items, self.source[edges][from_items] - self._num_users)
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

    def brought_by(self, user_index: int, own_items: Tensor) -> Tensor:
        """Gives what some own items bring to the user's embedding, (d,)."""
        edges = slice(int(self.pointer[user_index]), int(self.pointer[user_index + 1]))
        kept = self.kind[edges] == self._relation(_TO_USER)
        kept &= torch.isin(self.source[edges], own_items.to(self.source) + self._num_users)
        heard = self.weight[edges][kept] @ self.message[self.source[edges][kept]]
        return heard / self.user_norm[user_index]

    def _by_relation(self, user_index: int, items: Tensor) -> Tensor:
        """What each relation brings to the items' embeddings: (k, 1 + R), first the own part."""
        user = self.user_embedding[user_index]  # (d,)
        nodes = items + self._num_users
        out = user.new_zeros(len(items), 1 + len(self.relation_names))
        out[:, 0] = self.own[nodes] @ user
        for row, node in enumerate(nodes.tolist()):
            edges = slice(int(self.pointer[node]), int(self.pointer[node + 1]))
            values = self.weight[edges] * (self.message[self.source[edges]] @ user)
            out[row].index_add_(0, 1 + self.kind[edges].int(), values)
        out /= self.item_norm[items, None]
        out[:, 0] += self.item_bias[items]
        return out

    def _relation(self, name: str) -> int:
        return self.relation_names.index(name)

    def to(self, device: torch.device) -> Self:
        """The same scorer on a device."""
        tensors, values = self.state()
        return self.from_state(
            {name: tensor.to(device) for name, tensor in tensors.items()}, values
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Gives the network, the bias and the history."""
        tensors = self.network.tensors() | {
            "item_bias": self.item_bias,
            "history_pointer": self.history.pointer,
            "history_columns": self.history.columns,
        }
        values = {
            "relation_names": list(self.relation_names),
            "temperature": self.temperature,
            "num_users": self._num_users,
            "num_items": self._num_items,
            "num_layers": self.network.num_layers,
        }
        return tensors, values

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Self:
        """Makes the scorer that `state` described."""
        return cls(tensors, values)


class EmbeddingScorer(ByHistory):
    """Scores by embeddings alone, for encoders whose embeddings do not add up over edges.

    Attributes:
        user_embedding: (U, d), normalised and over the temperature if the score is a cosine.
        item_embedding: (I, d).
        item_bias: (I,), added to every user's products.
        history: The training items of each user.
    """

    def __init__(
        self,
        user_embedding: Tensor,
        item_embedding: Tensor,
        item_bias: Tensor,
        history: Incidence,
    ) -> None:
        self.user_embedding = user_embedding
        self.item_embedding = item_embedding
        self.item_bias = item_bias
        self.history = history

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

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives inner products plus b, (B, num_items) float32."""
        user = self.user_embedding[user_indices.to(self.user_embedding.device)]
        return torch.addmm(self.item_bias, user, self.item_embedding.T)

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Leaves everything in `rest`: an attention score is no sum over items or relations."""
        items = item_indices.to(self.item_embedding.device)
        score = self.item_embedding[items] @ self.user_embedding[user_index]
        return self._unexplained(user_index, score + self.item_bias[items])

    def to(self, device: torch.device) -> Self:
        """The same scorer on a device."""
        tensors, values = self.state()
        return self.from_state(
            {name: tensor.to(device) for name, tensor in tensors.items()}, values
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Gives the embeddings and the history."""
        return {
            "user_embedding": self.user_embedding,
            "item_embedding": self.item_embedding,
            "item_bias": self.item_bias,
            "history_pointer": self.history.pointer,
            "history_columns": self.history.columns,
        }, {}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """Makes the scorer that `state` described."""
        item = tensors["item_embedding"]
        history = Incidence(tensors["history_pointer"], tensors["history_columns"], len(item))
        return cls(tensors["user_embedding"], item, tensors["item_bias"], history)
