"""The loop that trains the graph network; read it from top to bottom."""

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.config import ModelConfig, TrainingConfig
from kgrec.errors import ConfigError, TrainingDiverged
from kgrec.graph.data import SyntheticEdges
from kgrec.model.graph_scorer import EmbeddingScorer, PropagationScorer
from kgrec.model.incidence import Incidence
from kgrec.model.losses import bpr_loss, softmax_loss
from kgrec.model.network import GraphNetwork, GraphTensors, RelationPropagation
from kgrec.model.scorer import Scorer
from kgrec.training.checkpoint import (
    Progress,
    Trained,
    copy_state,
    resume_training,
    save_training,
)
from kgrec.training.optimizers import build_optimizers, decay_rates
from kgrec.training.perturbation import backward
from kgrec.training.sampling import (
    NeighbourSampler,
    Positives,
    known_among,
    known_pairs,
    negative_probability,
    pair_edges,
    sample_batches,
    sample_negatives,
)

logger = logging.getLogger(__name__)

#: Above so many items `auto` samples negatives instead of scoring them all.
FULL_SOFTMAX_UP_TO = 5_000
#: Of the cosines, where the settings say none.
DEFAULT_TEMPERATURE = 0.2

NetworkScorer = PropagationScorer | EmbeddingScorer
Validate = Callable[[Scorer], float]


def train_network(
    graph: GraphTensors,
    history: Incidence,
    model: ModelConfig,
    training: TrainingConfig,
    *,
    seed: int,
    validate: Validate | None = None,
    checkpoint: Path | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda _: None,
    synthetic: SyntheticEdges | None = None,
    start: Trained | None = None,
) -> tuple[NetworkScorer, GraphNetwork, Progress]:
    """Trains until the valid metric stops rising, and gives the best epoch's scorer.

    Args:
        graph: The training graph, on the device to train on.
        history: The training items of each user, on the same device.
        model: What to train.
        training: How.
        seed: Of initial values, batches and negatives.
        validate: Judges a scorer on valid, higher is better; None trains all epochs.
        checkpoint: File to save to every `evaluate_every` epochs and to resume from.
        on_epoch: Is told each epoch's record.
        synthetic: Proposed pairs that are learned beside the interactions, by their weights; they
            pass no messages.
        start: Goes on from there instead of from initial values; `training.epochs` come on top.

    Returns:
        The scorer and network of the best epoch, and how training went.

    Raises:
        ConfigError: If neighbours are to be sampled where they cannot be.
        TrainingDiverged: If the loss is no longer finite.
        RunError: If the checkpoint is damaged.
    """
    _check_neighbours(model, training)
    generator = torch.Generator().manual_seed(seed)
    network = _network(graph, model, generator, start)
    optimizers = build_optimizers(network, training)
    temperature = None
    if model.score == "cosine":
        temperature = model.temperature or DEFAULT_TEMPERATURE
    positives = Positives.of(history, synthetic)
    batch_loss = BatchLoss(graph, history, positives, training, temperature, generator)
    progress, best = Progress(), copy_state(network)
    if checkpoint is not None and checkpoint.exists():
        progress, best = resume_training(checkpoint, network, optimizers, generator)
    while progress.epoch < training.epochs and progress.stale < training.patience:
        started = time.perf_counter()
        # Summed on the device: reading it after every step would make the device wait.
        total = torch.zeros((), dtype=torch.float64, device=history.device)
        decay_rates(optimizers, training.decay ** (progress.epoch + (start.epochs if start else 0)))
        for batch in sample_batches(len(positives), training.batch_size, generator):
            loss = partial(batch_loss, network, batch.to(history.device))
            total += backward(network, loss, training.adversarial, generator) * len(batch)
            for optimizer in optimizers:
                optimizer.step()
        record = progress.note_epoch(
            float(total) / max(len(positives), 1), time.perf_counter() - started
        )
        due = progress.epoch % training.evaluate_every == 0 or progress.epoch == training.epochs
        if validate is not None and due:
            record["valid"] = validate(scorer_of(network, graph, history, temperature))
            if progress.note_valid(record["valid"]):
                best = copy_state(network)
        logger.info(" ".join(f"{key}={value:.6g}" for key, value in record.items()))
        on_epoch(record)
        if checkpoint is not None and due:
            save_training(checkpoint, network, best, optimizers, generator, progress)
    if validate is not None and progress.best_epoch:
        network.load_state_dict(best)
    if not all(bool(parameter.isfinite().all()) for parameter in network.parameters()):
        raise TrainingDiverged(
            f"after epoch {progress.epoch} the network holds numbers that are not finite; "
            f"lower training.learning_rate"
        )
    return scorer_of(network, graph, history, temperature), network, progress


def scorer_of(
    network: GraphNetwork, graph: GraphTensors, history: Incidence, temperature: float | None
) -> NetworkScorer:
    """Gives the network as it stands as a scorer."""
    if isinstance(network.encoder, RelationPropagation):
        return PropagationScorer.from_network(network, graph, history, temperature)
    return EmbeddingScorer.from_network(network, history, temperature)


def _network(
    graph: GraphTensors, model: ModelConfig, generator: torch.Generator, start: Trained | None
) -> GraphNetwork:
    network = GraphNetwork(
        graph,
        encoder=model.encoder,
        channels=model.channels,
        num_layers=model.num_layers,
        heads=model.heads,
        popularity=model.popularity,
        generator=generator,
    )
    if start is not None:
        network.load_state_dict(start.state)
    return network.to(graph.edge_index.device)


def _check_neighbours(model: ModelConfig, training: TrainingConfig) -> None:
    if training.neighbours is None:
        return
    if training.adversarial is not None:
        raise ConfigError(
            "training.adversarial perturbs the embeddings of all nodes, training.neighbours draws "
            "some of them; unset one of the two"
        )
    if model.encoder != "propagation":
        raise ConfigError(
            f"training.neighbours is set and model.encoder is {model.encoder!r}, expected "
            f"'propagation'; only its sums can be estimated from a draw: unset one of them"
        )
    if len(training.neighbours) != model.num_layers:
        raise ConfigError(
            f"training.neighbours has {len(training.neighbours)} numbers, expected "
            f"{model.num_layers}, one for each of model.num_layers; give as many"
        )


class BatchLoss:
    """The loss of a batch of positives, against all items or against sampled negatives.

    Embeddings come from the whole graph or, with `training.neighbours`, from some neighbours of
    each node that the batch needs.

    Args:
        graph: The training graph.
        history: The training items of each user.
        positives: What batches hold places of.
        training: Which loss, how many negatives, whether edges of what is predicted are hidden.
        temperature: Of the cosines; None scores by inner products.
        generator: Draws negatives and neighbours; on the CPU.
    """

    def __init__(
        self,
        graph: GraphTensors,
        history: Incidence,
        positives: Positives,
        training: TrainingConfig,
        temperature: float | None,
        generator: torch.Generator,
    ) -> None:
        self.graph, self.positives, self.training = graph, positives, training
        self.temperature, self.generator = temperature, generator
        self.kind = training.loss
        if self.kind == "auto":
            self.kind = "softmax" if graph.num_items <= FULL_SOFTMAX_UP_TO else "sampled_softmax"
        self.probability = negative_probability(history).cpu()
        self.edges = pair_edges(graph, history) if training.hide_targets else None
        self.sampler = None
        if training.neighbours is not None:
            self.sampler = NeighbourSampler(graph, training.neighbours)

    def __call__(self, network: GraphNetwork, batch: Tensor) -> Tensor:
        """Gives the loss of the positives at places (B,), a scalar."""
        against = self._against_all if self.kind == "softmax" else self._against_sample
        return against(network, batch)

    def _against_all(self, network: GraphNetwork, batch: Tensor) -> Tensor:
        rows, owner = torch.unique(self.positives.users[batch], return_inverse=True)  # (u,), (B,)
        targets, bias = self.positives.items[batch], network.item_bias()
        user, item = self._embed(network, batch, rows, None)  # (u, d), (I, d)
        positive = _products(user, owner, item, targets) + bias[targets]  # (B,)
        pairs = known_pairs(self.positives.known, rows)
        weight = self.positives.weights(batch)
        return softmax_loss(user, item, bias, pairs, positive, owner, weight)

    def _against_sample(self, network: GraphNetwork, batch: Tensor) -> Tensor:
        rows, owner = torch.unique(self.positives.users[batch], return_inverse=True)  # (u,), (B,)
        targets, bias = self.positives.items[batch], network.item_bias()
        negatives, correction = sample_negatives(
            self.probability, self.training.num_negatives, self.generator
        )
        negatives, correction = negatives.to(rows.device), correction.to(rows.device)  # (m,)
        user, item = self._embed(network, batch, rows, torch.cat([targets, negatives]))
        item, negative = torch.split(item, [len(targets), len(negatives)])
        positive = _products(user, owner, item, torch.arange(len(batch), device=item.device))
        positive = positive + bias[targets]  # (B,)
        pairs = known_among(self.positives.known, rows, negatives)
        weight = self.positives.weights(batch)
        if self.kind == "bpr":
            scores = torch.addmm(bias[negatives], user, negative.T)  # (u, m)
            mask = torch.zeros_like(scores, dtype=torch.bool)
            mask[pairs[0], pairs[1]] = True
            return bpr_loss(positive, scores[owner], mask[owner], weight)
        bias = bias[negatives] - correction
        return softmax_loss(user, negative, bias, pairs, positive, owner, weight)

    def _embed(
        self, network: GraphNetwork, batch: Tensor, users: Tensor, items: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Embeds users (a,) and items (b,), None being all, to predict the positives of a batch.

        Returns:
            (a, d) and (b, d); their products are the scores without the items' bias.
        """
        hidden = None
        if self.edges is not None:
            hidden = self.edges.take(self.positives.real_among(batch))[0]
        if self.sampler is not None:
            user, item = self._embed_sample(network, users, items, hidden)
        else:
            user, item = network(hidden)
            user = user.index_select(0, users)
            item = item if items is None else item.index_select(0, items)
        if self.temperature is None:
            return user, item
        user = functional.normalize(user, dim=1) / self.temperature
        return user, functional.normalize(item, dim=1)

    def _embed_sample(
        self, network: GraphNetwork, users: Tensor, items: Tensor | None, hidden: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        assert self.sampler is not None
        if items is None:
            items = torch.arange(self.graph.num_items, device=users.device)
        distinct, place = torch.unique(items, return_inverse=True)
        seeds = torch.cat([users, distinct + self.graph.num_users])
        sample = self.sampler.sample(seeds, self.generator, hidden)
        z = network.embed_sample(sample, self.training.weight_decay)
        return z[: len(users)], z[len(users) :].index_select(0, place)


def _products(left: Tensor, at: Tensor, right: Tensor, there: Tensor) -> Tensor:
    """Inner products of rows `at` of left with rows `there` of right, (B,)."""
    return (left.index_select(0, at) * right.index_select(0, there)).sum(dim=1)
