"""Checkpoints that resume a training run exactly: safetensors with a JSON header."""

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kgrec.errors import RunError, TrainingDiverged
from kgrec.files import NOT_AS_WRITTEN, atomic_file, sealed, unsealed, write_text
from kgrec.model.network import GraphNetwork

logger = logging.getLogger(__name__)


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any], *, once: bool = False
) -> None:
    """Writes one safetensors file whose header carries `values` as JSON.

    One file appears whole or not at all, so tensors and values cannot come from two moments.

    Args:
        path: The file.
        tensors: By name.
        values: What JSON can carry.
        once: Whether equal tensors are written once and read as one: the networks of an ensemble
            have one graph. Not for what is changed in place after reading.
    """
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    same = _equal_ones(flat) if once else {}
    distinct = {name: tensor for name, tensor in flat.items() if name not in same}
    header = {"values": json.dumps(dict(values)), "same": json.dumps(same)}
    header["digest"] = _digest(distinct, header)
    with atomic_file(path) as temporary:
        save_file(_unshared(distinct), temporary, metadata=header)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save_tensors` wrote.

    Raises:
        RunError: If the file is missing, damaged or not one of these.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header = dict(file.metadata())
            digest = header.pop("digest", None)  # version 0.1 wrote none
            if digest is not None and digest != _digest(tensors, header):
                raise ValueError(NOT_AS_WRITTEN)
            values = json.loads(header["values"])
            same = json.loads(header.get("same", "{}"))
            tensors |= {name: tensors[first] for name, first in same.items()}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as exc:
        raise RunError(
            f"{path} is missing or damaged ({exc}); expected a whole safetensors file of kgrec's; "
            f"train again, or copy the run again"
        ) from exc
    return tensors, values


def _digest(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_json(path: Path, tree: Mapping[str, Any]) -> None:
    """Writes a JSON object with its digest; the file appears whole or not at all."""
    write_text(path, json.dumps(sealed(tree), indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object, with the digest of `write_json` or without any.

    Raises:
        RunError: If it is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(value, dict):
            value = unsealed(value)
    except (OSError, ValueError) as exc:
        raise RunError(
            f"{path} is missing or damaged ({exc}); expected a JSON object; "
            f"train again, or copy the run again"
        ) from exc
    if not isinstance(value, dict):
        raise RunError(f"{path} holds {type(value).__name__}, expected a JSON object; train again")
    return value


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Gives Adam's moments and step counts as named tensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{number}.{name}": tensor
        for number, moments in state.items()
        for name, tensor in moments.items()
    }


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what `pack_optimizer` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".", 2)
            state.setdefault(int(number), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _equal_ones(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Gives the name of the first equal tensor for each that has one before it."""
    by_shape: dict[tuple[torch.dtype, torch.Size], list[str]] = {}
    same = {}
    for name, tensor in tensors.items():
        alike = by_shape.setdefault((tensor.dtype, tensor.shape), [])
        first = next((earlier for earlier in alike if torch.equal(tensors[earlier], tensor)), None)
        if first is None:
            alike.append(name)
        else:
            same[name] = first
    return same


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # safetensors refuses tensors that share memory (a history that several parts hold).
    seen: set[int] = set()
    out = {}
    for name, tensor in tensors.items():
        pointer = tensor.untyped_storage().data_ptr()
        out[name] = tensor.clone() if pointer in seen and tensor.numel() else tensor
        seen.add(pointer)
    return out


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
