"""Networks as peers: LightGCN by torch-geometric, and NeuMF; both draw their negatives."""

import warnings
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from kgrec.bench.peer import Job, PeerFit
from kgrec.bench.stopping import Stopping, train_until_best
from kgrec.graph.data import GraphData
from kgrec.model.graph_scorer import EmbeddingScorer
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import Contributions, Scorer
from kgrec.training.inner_split import history_of

LEARNING_RATE = 0.001
GCN_CHANNELS, GCN_LAYERS, GCN_REGULARISATION, GCN_BATCH = 64, 3, 1e-4, 2048
GCN_STOPPING = Stopping(every=5, patience=10, most=1000, default=200)
FACTORS, NEGATIVES, NEUMF_BATCH = 32, 4, 1024
NEUMF_STOPPING = Stopping(every=2, patience=5, most=100, default=20)

#: Hidden units held at once while all items are scored; 4 bytes each.
_UNITS_AT_ONCE = 20_000_000
#: Draws before a user who has almost everything keeps what came last.
_TRIES = 20


class Negatives:
    """Draws items uniformly among those a user does not have.

    Args:
        history: The training items of each user.
    """

    def __init__(self, history: Incidence) -> None:
        self._num_items = history.num_columns
        self._keys = history.rows * history.num_columns + history.columns  # ascending

    def draw(self, user: Tensor, generator: torch.Generator) -> Tensor:
        """Gives one item for each of users (n,) int64, (n,) int64.

        A draw that is the user's own is made again, at most 20 times.
        """
        item = torch.randint(self._num_items, user.shape, generator=generator)
        for _ in range(_TRIES):
            own = self._own(user, item).nonzero().squeeze(1)
            if not len(own):
                break
            item[own] = torch.randint(self._num_items, own.shape, generator=generator)
        return item

    def _own(self, user: Tensor, item: Tensor) -> Tensor:
        keys = user * self._num_items + item
        place = torch.searchsorted(self._keys, keys).clamp_(max=len(self._keys) - 1)
        return self._keys[place] == keys


def fit_lightgcn(job: Job, stopping: Stopping = GCN_STOPPING) -> PeerFit:
    """Trains with the published settings until valid no longer improves."""
    scorer, record = train_until_best(job, lambda graph: LightGcn(graph, job.seed), stopping)
    return PeerFit(scorer, choices=record)


class LightGcn:
    """LightGCN in training, with BPR's loss and one drawn negative for each interaction.

    References:
        He et al., LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation,
        SIGIR 2020, arXiv:2002.02126, section 4.1.2 for the settings.
    """

    def __init__(self, graph: GraphData, seed: int, learning_rate: float = LEARNING_RATE) -> None:
        from torch_geometric.nn.models import LightGCN

        self._history = history_of(graph)
        self._users = graph.num_users
        self._generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._model = LightGCN(
                self._users + graph.num_items, GCN_CHANNELS, GCN_LAYERS, normalize=False
            )
        # The paper's initialisation; torch-geometric's shrinks with the number of nodes.
        torch.nn.init.normal_(self._model.embedding.weight, std=0.1, generator=self._generator)
        self._adjacency = _normalised(self._history)
        self._negatives = Negatives(self._history)
        self._optimiser = torch.optim.Adam(self._model.parameters(), lr=learning_rate)

    def train_epoch(self) -> None:
        """Goes once through the interactions in a drawn order."""
        user, item = self._history.rows, self._history.columns
        order = torch.randperm(len(user), generator=self._generator)
        for batch in torch.split(order, GCN_BATCH):
            negative_item = self._negatives.draw(user[batch], self._generator)
            ends = [user[batch], item[batch] + self._users, negative_item + self._users]
            z = self._model.get_embedding(self._adjacency)
            # Selected, not indexed: the gradient of an index with repeats is summed in any order.
            head, positive, negative = (z.index_select(0, end) for end in ends)
            loss = self._model.recommendation_loss(
                (head * positive).sum(1),
                (head * negative).sum(1),
                node_id=torch.cat(ends),
                lambda_reg=GCN_REGULARISATION / 2,  # the paper's code halves the squares
            )
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()

    @torch.no_grad()
    def scorer(self) -> EmbeddingScorer:
        """Gives the propagated embeddings as they are now."""
        z = self._model.get_embedding(self._adjacency)
        user, item = z[: self._users].clone(), z[self._users :].clone()
        return EmbeddingScorer(user, item, torch.zeros(len(item)), self._history)


def _normalised(history: Any) -> Tensor:
    """Gives D^-½ A D^-½ of users and items, sparse by rows, (U + I, U + I); it is symmetric."""
    user, item = history.rows, history.columns + history.num_rows
    nodes = history.num_rows + history.num_columns
    row, column = torch.cat([user, item]), torch.cat([item, user])
    degree = torch.bincount(row, minlength=nodes).float()
    value = (degree[row] * degree[column]).rsqrt()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_coo_tensor(
            torch.stack([row, column]), value, (nodes, nodes), check_invariants=False
        ).to_sparse_csr()


def fit_neumf(job: Job, stopping: Stopping = NEUMF_STOPPING) -> PeerFit:
    """Trains with the published settings until valid no longer improves."""
    scorer, record = train_until_best(job, lambda graph: NeuMf(graph, job.seed), stopping)
    return PeerFit(scorer, choices=record)


class Network(nn.Module):
    """The logit hᵀ [p_u ⊙ q_i ; MLP([p'_u ; q'_i])].

    With f predictive factors, p and q have f dimensions, p' and q' 2f, and the perceptron's layers
    4f → 2f → f, each behind a ReLU but the input.

    References:
        He et al., Neural Collaborative Filtering, WWW 2017, arXiv:1708.05031, eq. 12 and
        section 4.1.
    """

    def __init__(self, num_users: int, num_items: int, factors: int) -> None:
        super().__init__()
        self.user = nn.Embedding(num_users, factors)
        self.item = nn.Embedding(num_items, factors)
        self.user_deep = nn.Embedding(num_users, 2 * factors)
        self.item_deep = nn.Embedding(num_items, 2 * factors)
        self.first = nn.Linear(4 * factors, 2 * factors)
        self.second = nn.Linear(2 * factors, factors)
        self.output = nn.Linear(2 * factors, 1)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.01)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """Gives logits (n,) of pairs, users (n,) and items (n,) int64."""
        hidden = torch.cat([self.user_deep(user), self.item_deep(item)], dim=1)
        hidden = functional.relu(self.second(functional.relu(self.first(hidden))))
        joined = torch.cat([self.user(user) * self.item(item), hidden], dim=1)  # (n, 2f)
        logits: Tensor = self.output(joined).squeeze(1)
        return logits

    def rows(self, user: Tensor) -> Tensor:
        """Gives the logits of users (b,) int64 and all items, (b, num_items).

        The first layer is linear in its two halves, so each half is multiplied only once.
        """
        of_user, of_item = self.first.weight.chunk(2, dim=1)  # (2f, 2f) each
        deep = (self.user_deep(user) @ of_user.T + self.first.bias)[:, None]  # (b, 1, 2f)
        hidden = functional.relu(deep + self.item_deep.weight @ of_item.T)  # (b, I, 2f)
        hidden = functional.relu(self.second(hidden))  # (b, I, f)
        wide, last = self.output.weight.squeeze(0).chunk(2)  # (f,) each
        logits: Tensor = (self.user(user) * wide) @ self.item.weight.T
        return logits + hidden @ last + self.output.bias


class NeuMfScorer(Scorer):
    """A trained NeuMF.

    Attributes:
        history: The training items of each user.
        network: The network, not trained further.
    """

    def __init__(self, history: Incidence, network: Network) -> None:
        self.history = history
        self.network = network

    @torch.no_grad()
    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the logits, (B, num_items) float32."""
        width = self.network.first.out_features
        step = max(1, _UNITS_AT_ONCE // (width * self.num_items))
        parts = [self.network.rows(user) for user in torch.split(user_indices, step)]
        return torch.cat(parts) if parts else torch.empty(0, self.num_items)

    @torch.no_grad()
    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Leaves everything in `rest`: the perceptron's logit is no sum over items."""
        score = self.network(torch.full_like(item_indices, user_index), item_indices)
        return self.unexplained(user_index, score)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Gives the history and the network's parameters."""
        tensors = {f"network.{name}": x for name, x in self.network.state_dict().items()}
        history = {"pointer": self.history.pointer, "columns": self.history.columns}
        return {**history, **tensors}, {"factors": self.network.user.embedding_dim}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Self:
        """Makes the scorer that `state` described."""
        weights = {
            name.removeprefix("network."): tensor
            for name, tensor in tensors.items()
            if name.startswith("network.")
        }
        num_items = len(weights["item.weight"])
        network = Network(len(weights["user.weight"]), num_items, int(values["factors"]))
        network.load_state_dict(weights)
        return cls(Incidence(tensors["pointer"], tensors["columns"], num_items), network)


class NeuMf:
    """NeuMF in training: log loss, four drawn negatives for each interaction, no pretraining."""

    def __init__(self, graph: GraphData, seed: int, learning_rate: float = LEARNING_RATE) -> None:
        self._history = history_of(graph)
        self._generator = torch.Generator().manual_seed(seed)
        self._sizes = (graph.num_users, graph.num_items, FACTORS)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._network = Network(*self._sizes)
        self._negatives = Negatives(self._history)
        self._optimiser = torch.optim.Adam(self._network.parameters(), lr=learning_rate)

    def train_epoch(self) -> None:
        """Goes once through the interactions and their negatives in a drawn order."""
        user = self._history.rows.repeat(1 + NEGATIVES)
        own = self._history.columns
        negative_item = self._negatives.draw(user[len(own) :], self._generator)
        item = torch.cat([own, negative_item])
        label = torch.cat([torch.ones(len(own)), torch.zeros(len(negative_item))])
        order = torch.randperm(len(user), generator=self._generator)
        for batch in torch.split(order, NEUMF_BATCH):
            logits = self._network(user[batch], item[batch])
            loss = functional.binary_cross_entropy_with_logits(logits, label[batch])
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()

    def scorer(self) -> NeuMfScorer:
        """Gives the network as it is now."""
        network = Network(*self._sizes)
        network.load_state_dict(self._network.state_dict())
        return NeuMfScorer(self._history, network.requires_grad_(False))
