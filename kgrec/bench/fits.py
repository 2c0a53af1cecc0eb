"""One fit of one model: its order, its result, and the files that carry them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from kgrec import __version__
from kgrec.errors import RunError
from kgrec.evaluation.metrics import FloatArray
from kgrec.graph.data import IndexArray
from kgrec.training.checkpoint import load_tensors, read_json, save_tensors, write_json

_ORDER, _RECORD, _USERS = "order.json", "fit.json", "users.safetensors"
#: Counts up when results change their form or their meaning.
_LAYOUT = 1
#: Rooms whose code makes kgrec what it is.
_ROOMS = ("text", "graph", "model", "evaluation", "augment", "training")


@dataclass(frozen=True)
class Order:
    """What a child process is told to do.

    Attributes:
        model: Name of the peer.
        settings: The peer's settings in words; when they change, its results are made anew.
        seed: Of the fit.
        config: kgrec's settings as JSON values, with the store that holds the split.
        version: The graph's version.
        refit: Whether the judged fit learns from valid as well.
        minutes: Peers that train by epochs stop after so long.
        cold: Whether cold and warm items are also judged apart.
        folder: Where the result goes.
        sections: Sections of the settings that change the result; None are all, and kgrec's code.
    """

    model: str
    settings: str
    seed: int
    config: Mapping[str, Any]
    version: str
    refit: bool
    minutes: float
    cold: bool
    folder: Path
    sections: tuple[str, ...] | None = None

    @property
    def key(self) -> str:
        """A hash of all that the result depends on: equal keys, equal results."""
        about = {
            name: value for name, value in asdict(self).items() if name not in ("config", "folder")
        }
        if self.sections is None:
            # Where the data came from is in the graph's version.
            read = set(self.config) - {"data", "store", "seed"}
            about["code"] = code()
        else:
            read = {*self.sections, "evaluation"}
        about["config"] = {name: self.config.get(name) for name in sorted(read)}
        about["kgrec"], about["layout"] = __version__, _LAYOUT
        text = json.dumps(about, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def write(self) -> Path:
        """Writes the order into its folder, which is made; gives the file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / _ORDER, {**asdict(self), "folder": str(self.folder)})
        return self.folder / _ORDER

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads an order; raises RunError if the file is missing or damaged."""
        values = read_json(path)
        sections = values["sections"]
        values["sections"] = None if sections is None else tuple(sections)
        return cls(**{**values, "folder": Path(values["folder"])})


@dataclass(frozen=True, eq=False)
class Row:
    """What was measured of one scorer of a fit.

    Attributes:
        metrics: Means over the judged users.
        cohorts: As `cohort_metrics`.
        valid: `recall@20` and `ndcg@20` on valid.
        score_seconds: To score all items for all users.
        parameters: Learned numbers.
        users: (n,) int64, the judged users.
        per_user: Per metric (n,) float64, NaN for users whom it is not of.
    """

    metrics: Mapping[str, float]
    cohorts: Mapping[str, Mapping[str, float | int]]
    valid: Mapping[str, float]
    score_seconds: float
    parameters: int
    users: IndexArray
    per_user: Mapping[str, FloatArray]


@dataclass(frozen=True, eq=False)
class Result:
    """What a fit gave.

    Attributes:
        key: Of its order.
        model: Name of the peer.
        seed: Of the fit.
        rows: "" is the scorer; the others are parts of it.
        train_seconds: To fit, searches included; the graph was read before.
        peak_memory_mb: The most memory the process held until it was fitted, in MB of 10⁶ bytes;
            Python, its packages and the graph are in it.
        base_memory_mb: The most it held before the fit began.
        chosen: What was chosen on valid, and how the fit went.
        origin: `kgrec_version`, `commit`, `date`, `threads` of the process that made it.
    """

    key: str
    model: str
    seed: int
    rows: Mapping[str, Row]
    train_seconds: float
    peak_memory_mb: float
    base_memory_mb: float
    chosen: Mapping[str, Any]
    origin: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Writes the numbers of the users first, then the record that makes the result whole."""
        tensors = {}
        for name, row in self.rows.items():
            tensors[f"{name}|users"] = torch.from_numpy(row.users)
            for metric, values in row.per_user.items():
                tensors[f"{name}|{metric}"] = torch.from_numpy(values)
        save_tensors(folder / _USERS, tensors, {"key": self.key})
        kept = ("metrics", "cohorts", "valid", "score_seconds", "parameters")
        rows = {
            name: {key: _finite(getattr(row, key)) for key in kept}
            for name, row in self.rows.items()
        }
        record = {
            name: _finite(getattr(self, name))
            for name in self.__dataclass_fields__
            if name != "rows"
        }
        write_json(folder / _RECORD, {**record, "rows": rows})


def read_result(folder: Path, key: str) -> Result | None:
    """Reads the result in a folder; None if there is none of this key."""
    try:
        record = read_json(folder / _RECORD)
        if record.get("key") != key:
            return None
        tensors, values = load_tensors(folder / _USERS)
    except RunError:
        return None
    if values.get("key") != key:
        return None
    rows = {}
    for name, row in record.pop("rows").items():
        prefix = f"{name}|"
        arrays = {
            metric.removeprefix(prefix): tensor.numpy()
            for metric, tensor in tensors.items()
            if metric.startswith(prefix)
        }
        users = arrays.pop("users")
        rows[name] = Row(**row, users=users, per_user=arrays)
    return Result(**record, rows=rows)


@cache
def code() -> str:
    """Gives a hash of the source files that kgrec's own results depend on."""
    total = hashlib.sha256()
    package = Path(__file__).parents[1]
    for room in _ROOMS:
        for path in sorted((package / room).rglob("*.py")):
            total.update(path.relative_to(package).as_posix().encode())
            total.update(path.read_bytes())
    return total.hexdigest()[:16]


def _finite(value: Any) -> Any:
    """Gives JSON values, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
