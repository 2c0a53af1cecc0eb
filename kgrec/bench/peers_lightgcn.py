"""LightGCN, by torch-geometric."""

import warnings
from typing import Any

import torch
from torch import Tensor

from kgrec.bench.peer import Job, PeerFit
from kgrec.bench.sampling import Negatives
from kgrec.bench.stopping import Stopping, train_until_best
from kgrec.graph.data import GraphData
from kgrec.model.graph_scorer import EmbeddingScorer
from kgrec.training.inner_split import history_of

CHANNELS, LAYERS, LEARNING_RATE, REGULARISATION, BATCH = 64, 3, 0.001, 1e-4, 2048
STOPPING = Stopping(every=5, patience=10, most=1000, default=200)


def fit_lightgcn(job: Job, stopping: Stopping = STOPPING) -> PeerFit:
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
            self._model = LightGCN(self._users + graph.num_items, CHANNELS, LAYERS, normalize=False)
        # The paper's initialisation; torch-geometric's shrinks with the number of nodes.
        torch.nn.init.normal_(self._model.embedding.weight, std=0.1, generator=self._generator)
        self._adjacency = _normalised(self._history)
        self._negatives = Negatives(self._history)
        self._optimiser = torch.optim.Adam(self._model.parameters(), lr=learning_rate)

    def train_epoch(self) -> None:
        """Goes once through the interactions in a drawn order."""
        user, item = self._history.rows, self._history.columns
        order = torch.randperm(len(user), generator=self._generator)
        for batch in torch.split(order, BATCH):
            negative_item = self._negatives.draw(user[batch], self._generator)
            ends = [user[batch], item[batch] + self._users, negative_item + self._users]
            z = self._model.get_embedding(self._adjacency)
            # Selected, not indexed: the gradient of an index with repeats is summed in any order.
            head, positive, negative = (z.index_select(0, end) for end in ends)
            loss = self._model.recommendation_loss(
                (head * positive).sum(1),
                (head * negative).sum(1),
                node_id=torch.cat(ends),
                lambda_reg=REGULARISATION / 2,  # the paper's code halves the squares
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
