"""Where training stands, and how it is saved and taken up again."""

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from kgrec.errors import RunError, TrainingDiverged
from kgrec.model.network import GraphNetwork
from kgrec.training.checkpoint import load_tensors, pack_optimizer, save_tensors, unpack_optimizer

logger = logging.getLogger(__name__)


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


@dataclass(frozen=True, eq=False)
class Trained:
    """Where another training can go on.

    Attributes:
        state: The network's parameters by name.
        epochs: After so many epochs; learning rates have decayed for as long.
    """

    state: dict[str, Tensor]
    epochs: int


def copy_state(network: GraphNetwork) -> dict[str, Tensor]:
    """Gives a copy of the network's parameters by name."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def save_training(
    path: Path,
    network: GraphNetwork,
    best: dict[str, Tensor],
    optimizers: Sequence[torch.optim.Optimizer],
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Saves all that `resume_training` needs; `best` is the best epoch's `copy_state`."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for number, optimizer in enumerate(optimizers):
        packed = pack_optimizer(optimizer)
        tensors |= {f"{_prefix(number)}{name}": tensor for name, tensor in packed.items()}
    tensors["generator"] = generator.get_state()
    save_tensors(path, tensors, asdict(progress) | {"best": _finite(progress.best)})


def resume_training(
    path: Path,
    network: GraphNetwork,
    optimizers: Sequence[torch.optim.Optimizer],
    generator: torch.Generator,
) -> tuple[Progress, dict[str, Tensor]]:
    """Puts back what `save_training` saved, and gives the progress and the best epoch's state.

    Raises:
        RunError: If the file is damaged.
    """
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
    for number, optimizer in enumerate(optimizers):
        unpack_optimizer(optimizer, part(_prefix(number)) if number else tensors)
    generator.set_state(tensors["generator"])
    progress = Progress(**values)
    progress.best = -math.inf if values["best"] is None else values["best"]
    logger.info("resumed epoch=%d best=%g", progress.epoch, progress.best)
    return progress, part("best.")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _prefix(number: int) -> str:
    # The first optimiser's names are those of runs that have only one.
    return f"also{number}." if number else ""
