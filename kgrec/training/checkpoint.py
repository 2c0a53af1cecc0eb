"""Checkpoints that resume a training run exactly: safetensors with a JSON header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kgrec.errors import RunError
from kgrec.files import atomic_file, write_text


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
    with atomic_file(path) as temporary:
        save_file(_unshared(distinct), temporary, metadata=header)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save_tensors` wrote.

    Raises:
        RunError: If the file is missing, truncated or not one of these.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            values = json.loads(file.metadata()["values"])
            same = json.loads(file.metadata().get("same", "{}"))
            tensors |= {name: tensors[first] for name, first in same.items()}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as exc:
        raise RunError(
            f"{path} is missing or damaged ({exc}); expected a whole safetensors file of kgrec's; "
            f"train again, or copy the run again"
        ) from exc
    return tensors, values


def write_json(path: Path, value: Any) -> None:
    """Writes JSON; the file appears whole or not at all."""
    write_text(path, json.dumps(value, indent=2, sort_keys=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        RunError: If it is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
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
