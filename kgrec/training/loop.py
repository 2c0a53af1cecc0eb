"""The loop that trains the graph network; read it from top to bottom."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.config import ModelConfig, TrainingConfig
from kgrec.errors import RunError, TrainingDiverged
from kgrec.model.graph_scorer import EmbeddingScorer, PropagationScorer
from kgrec.model.incidence import Incidence
from kgrec.model.losses import bpr_loss, sampled_softmax_loss, softmax_loss
from kgrec.model.network import GraphNetwork, GraphTensors, RelationPropagation
from kgrec.model.scorer import Scorer
from kgrec.training.checkpoint import load_tensors, pack_optimizer, save_tensors, unpack_optimizer
from kgrec.training.sampling import (
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

NetworkScorer = PropagationScorer | EmbeddingScorer
Validate = Callable[[Scorer], float]


@dataclass
class Progress:
    """Where training stands; with the tensors of a checkpoint it is all that a resume needs.

    Attributes:
        epoch: Epochs done.
        best_epoch: The epoch with the best valid metric so far.
        best: That metric.
        stale: Evaluations since.
        history: Per epoch its loss, seconds, and the valid metric where it was taken.
    """

    epoch: int = 0
    best_epoch: int = 0
    best: float = -math.inf
    stale: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def note_epoch(self, loss: float, seconds: float) -> dict[str, float]:
        """Counts an epoch and gives its record; raises TrainingDiverged."""
        self.epoch += 1
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss of epoch {self.epoch} is {loss}, expected a finite number; "
                f"lower training.learning_rate"
            )
        self.history.append({"epoch": self.epoch, "loss": loss, "seconds": seconds})
        return self.history[-1]

    def note_valid(self, metric: float) -> bool:
        """Counts an evaluation and says whether it is the best so far."""
        if metric > self.best:
            self.best, self.best_epoch, self.stale = metric, self.epoch, 0
            return True
        self.stale += 1
        return False


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

    Returns:
        The scorer and network of the best epoch, and how training went.

    Raises:
        TrainingDiverged: If the loss is no longer finite.
        RunError: If the checkpoint is damaged.
    """
    generator = torch.Generator().manual_seed(seed)
    network = GraphNetwork(
        graph,
        encoder=model.encoder,
        channels=model.channels,
        num_layers=model.num_layers,
        heads=model.heads,
        popularity=model.popularity,
        generator=generator,
    ).to(graph.edge_index.device)
    optimizer = _optimizer(network, training)
    temperature = model.temperature if model.score == "cosine" else None
    step_loss = _loss(graph, history, training, temperature, generator)
    progress, best = Progress(), _copy(network)
    if checkpoint is not None and checkpoint.exists():
        progress, best = _resume(checkpoint, network, optimizer, generator)
    while progress.epoch < training.epochs and progress.stale < training.patience:
        started, total = time.perf_counter(), 0.0
        _decay(optimizer, training.decay**progress.epoch)
        for batch in sample_batches(len(history.columns), training.batch_size, generator):
            loss = step_loss(network, batch.to(history.device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        record = progress.note_epoch(
            total / max(len(history.columns), 1), time.perf_counter() - started
        )
        due = progress.epoch % training.evaluate_every == 0 or progress.epoch == training.epochs
        if validate is not None and due:
            record["valid"] = validate(scorer_of(network, graph, history, temperature))
            if progress.note_valid(record["valid"]):
                best = _copy(network)
        logger.info(" ".join(f"{key}={value:.6g}" for key, value in record.items()))
        on_epoch(record)
        if checkpoint is not None and due:
            _save(checkpoint, network, best, optimizer, generator, progress)
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


def _optimizer(network: GraphNetwork, training: TrainingConfig) -> torch.optim.Optimizer:
    relation = {
        name for name, _ in network.named_parameters() if name in {"encoder.weight", "popularity"}
    }  # the scalars of linear propagation, and β
    groups: list[dict[str, Any]] = [
        {"params": [network.embedding], "weight_decay": training.weight_decay},
        {
            "params": [
                p for name, p in network.named_parameters() if name not in {"embedding", *relation}
            ]
        },
        {
            "params": [p for name, p in network.named_parameters() if name in relation],
            "lr": training.relation_learning_rate,
        },
    ]
    optimizer = torch.optim.Adam([g for g in groups if g["params"]], lr=training.learning_rate)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def _decay(optimizer: torch.optim.Optimizer, factor: float) -> None:
    # From the epoch alone, so that a resumed run has the same rates.
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def _loss(
    graph: GraphTensors,
    history: Incidence,
    training: TrainingConfig,
    temperature: float | None,
    generator: torch.Generator,
) -> Callable[[GraphNetwork, Tensor], Tensor]:
    """Gives the loss of a batch as a function of the network and the positives' places (B,)."""
    kind = training.loss
    if kind == "auto":
        kind = "softmax" if graph.num_items <= FULL_SOFTMAX_UP_TO else "sampled_softmax"
    probability = negative_probability(history).cpu()
    users, items = history.rows, history.columns  # (n,) the positives
    edges = pair_edges(graph, history) if training.hide_targets else None

    def embed(network: GraphNetwork, batch: Tensor) -> tuple[Tensor, Tensor]:
        keep = None
        if edges is not None:
            keep = torch.ones_like(graph.edge_type, dtype=torch.bool)  # (E,)
            keep[edges.take(batch)[0]] = False
        user, item = network(keep)
        if temperature is None:
            return user, item
        return functional.normalize(user, dim=1) / temperature, functional.normalize(item, dim=1)

    def full(network: GraphNetwork, batch: Tensor) -> Tensor:
        user, item = embed(network, batch)
        scores = torch.addmm(network.item_bias(), user[users[batch]], item.T)  # (B, I)
        return softmax_loss(scores, items[batch], known_pairs(history, users[batch]))

    def sampled(network: GraphNetwork, batch: Tensor) -> Tensor:
        user, item = embed(network, batch)
        bias = network.item_bias()
        drawn, expected = sample_negatives(probability, training.num_negatives, generator)
        drawn, expected = drawn.to(users.device), expected.to(users.device)
        rows, targets = user[users[batch]], items[batch]  # (B, d), (B,)
        positive = (rows * item[targets]).sum(dim=1) + bias[targets]  # (B,)
        negative = torch.addmm(bias[drawn], rows, item[drawn].T)  # (B, m)
        known = known_among(history, users[batch], drawn)
        if kind == "bpr":
            return bpr_loss(positive, negative, known)
        return sampled_softmax_loss(positive, negative, expected, known)

    return full if kind == "softmax" else sampled


def _copy(network: GraphNetwork) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _save(
    path: Path,
    network: GraphNetwork,
    best: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    tensors |= pack_optimizer(optimizer)
    tensors["generator"] = generator.get_state()
    save_tensors(path, tensors, asdict(progress) | {"best": _finite(progress.best)})


def _resume(
    path: Path,
    network: GraphNetwork,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> tuple[Progress, dict[str, Tensor]]:
    try:
        tensors, values = load_tensors(path)
    except RunError as exc:
        raise RunError(
            f"cannot resume: {exc.args[0].partition(';')[0]}; delete it to train from the start"
        ) from exc
    device = network.embedding.device

    def part(prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): tensor.to(device)
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }

    network.load_state_dict(part("network."))
    unpack_optimizer(optimizer, tensors)
    generator.set_state(tensors["generator"])
    progress = Progress(**values)
    progress.best = -math.inf if values["best"] is None else values["best"]
    logger.info("resumed epoch=%d best=%g", progress.epoch, progress.best)
    return progress, part("best.")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
