"""The optimizers of a network, and how their rates fall."""

from typing import Any

import torch

from kgrec.config import TrainingConfig
from kgrec.model.network import GraphNetwork
from kgrec.training.row_adam import RowAdam


def build_optimizers(
    network: GraphNetwork, training: TrainingConfig
) -> tuple[torch.optim.Optimizer, ...]:
    """Gives Adam for all parameters; with sampled neighbours the embedding has one by rows."""
    parameters = dict(network.named_parameters())
    embedding = parameters.pop("embedding")
    # The scalars of linear propagation, and β.
    relation = [
        parameters.pop(name) for name in ("encoder.weight", "popularity") if name in parameters
    ]
    groups: list[dict[str, Any]] = [
        {"params": [embedding], "weight_decay": training.weight_decay},
        {"params": list(parameters.values())},
        {"params": relation, "lr": training.relation_learning_rate},
    ]
    sparse: list[torch.optim.Optimizer] = []
    if training.neighbours is not None:  # only the rows of a batch have a gradient
        sparse = [RowAdam([embedding], lr=training.learning_rate)]
        groups = groups[1:]
    dense = torch.optim.Adam(
        [group for group in groups if group["params"]], lr=training.learning_rate, fused=True
    )
    for optimizer in (dense, *sparse):
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return dense, *sparse


def decay_rates(optimizers: tuple[torch.optim.Optimizer, ...], factor: float) -> None:
    """Sets the rates to a share of the initial ones; of the epoch alone, as runs may be resumed."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
