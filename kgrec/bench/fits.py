"""One fit of one model: its order, all that was measured of it, and the files that carry them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from kgrec import __version__
from kgrec.errors import DataError, RunError
from kgrec.evaluation.metrics import FloatArray
from kgrec.files import write_text
from kgrec.graph.data import IndexArray
from kgrec.training.checkpoint import load_tensors, read_json, save_tensors, write_json

_ORDER, _FIT, _USERS = "order.json", "fit.json", "users.safetensors"
#: Counts up when fits change their form or their meaning.
_LAYOUT = 2
#: Rooms whose code makes kgrec what it is.
_ROOMS = ("text", "graph", "model", "evaluation", "augment", "training")


class Order(BaseModel):
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
        split: The split's `seed`, `graph_version` and counts.
        changes: kgrec's settings that are not its defaults.
        command: What gave the order.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    settings: str
    seed: int
    config: dict[str, Any]
    version: str
    refit: bool
    minutes: float
    cold: bool
    folder: Path
    sections: tuple[str, ...] | None = None
    split: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    command: str = ""

    @property
    def key(self) -> str:
        """A hash of all that the result depends on: equal keys, equal results."""
        about = self.model_dump(exclude={"config", "folder", "split", "changes", "command"})
        about["config"] = self._read("evaluation")
        about["code"] = code() if self.sections is None else None
        about["kgrec"], about["layout"] = __version__, _LAYOUT
        return digest(about)

    @property
    def variant(self) -> str:
        """A hash of what `settings` leave out: kgrec's code and settings; empty if none is read."""
        if self.sections == ():
            return ""
        return digest([self._read(), code() if self.sections is None else None])

    def _read(self, *more: str) -> dict[str, Any]:
        """The sections of the settings that change the result."""
        # Where the data came from is in the graph's version.
        all_but = set(self.config) - {"data", "store", "seed"}
        names = all_but if self.sections is None else {*self.sections, *more}
        return {name: self.config.get(name) for name in sorted(names)}

    def write(self) -> Path:
        """Writes the order into its folder, which is made; gives the file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / _ORDER, self.model_dump(mode="json"))
        return self.folder / _ORDER

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads an order; raises RunError if the file is missing or damaged."""
        return cls.model_validate(read_json(path))


class Row(BaseModel):
    """What was measured of one scorer of a fit.

    Attributes:
        metrics: Means over the judged users; None is of nobody.
        cohorts: As `cohort_metrics`.
        valid: `recall@20` and `ndcg@20` on valid; empty where models learned from it.
        score_seconds: To score all items for all users.
        parameters: Learned numbers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics: dict[str, float | None]
    cohorts: dict[str, dict[str, float | None]]
    valid: dict[str, float | None]
    score_seconds: float
    parameters: int

    @property
    def digest(self) -> str:
        """A hash of the metrics: of two rows with the same one, users had the same lists."""
        return digest(self.metrics)


class Fit(BaseModel):
    """All facts of a fit, or of why there is none.

    Attributes:
        model: Name of the peer.
        seed: The seed of the table; what draws nothing is fitted once for several.
        settings: The peer's settings in words.
        variant: As in the order. Fits of equal settings and variant are of one model.
        key: Of the order; empty where it is not known.
        split: `seed`, `graph_version`, and how many users, items, entities and so on there are.
        refit: Whether the judged fit learned from valid as well.
        changes: kgrec's settings that are not its defaults.
        command: What asked for it.
        date: When it was done, ISO 8601, UTC.
        commit: Of the source tree; several, where it is only known to be one of them; None outside
            of git.
        machine: As `machine.machine`.
        versions: As `machine.versions`.
        error: Why there is no result; None if there is one.
        rows: "" is the scorer; the others are parts of it.
        train_seconds: To fit, searches included; the graph was read before.
        peak_memory_mb: The most memory the process held until it was fitted, in MB of 10⁶ bytes;
            Python, its packages and the graph are in it.
        base_memory_mb: The most it held before the fit began.
        choices: What was chosen on valid, and how the fit went.
        looks: Of a model that trained once by epochs, the seconds of training and the valid
            NDCG@20 of each look that was better than all before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    seed: int
    settings: str
    variant: str = ""
    key: str = ""
    split: dict[str, Any] = {}
    refit: bool = False
    changes: dict[str, Any] = {}
    command: str = ""
    date: str = ""
    commit: str | None = None
    machine: dict[str, Any] = {}
    versions: dict[str, str] = {}
    error: str | None = None
    rows: dict[str, Row] = {}
    train_seconds: float | None = None
    peak_memory_mb: float | None = None
    base_memory_mb: float | None = None
    choices: dict[str, Any] = {}
    looks: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(cls, order: Order, about: Mapping[str, Any], **measured: Any) -> Self:
        """Gives the fit of an order.

        Args:
            order: The order.
            about: `origin()` of the process that carried it out, or gave up.
            **measured: The other attributes.
        """
        choices = measured.pop("choices", {})
        same = {"model", "seed", "settings", "split", "refit", "changes", "command"}
        return cls(
            **order.model_dump(include=same),
            variant=order.variant,
            key=order.key,
            choices=_plain(choices),
            looks=best_looks(choices),
            **about,
            **measured,
        )

    def write(self, path: Path) -> None:
        """Writes the fit; its file appears whole or not at all."""
        write_text(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `write` wrote.

        Raises:
            DataError: If it is something else.
        """
        fit: Self = read_checked(path, TypeAdapter(cls), "is no fit of a benchmark")
        return fit


def read_checked(path: Path, kind: TypeAdapter[Any], trouble: str = "cannot be read") -> Any:
    """Reads a JSON file of one kind; raises DataError with the trouble if it is something else."""
    try:
        return kind.validate_json(path.read_bytes())
    except (OSError, ValueError) as exc:
        reason = exc.errors()[0]["msg"] if isinstance(exc, ValidationError) else exc
        raise DataError(
            f"{path} {trouble} ({reason}); expected what `kgrec bench` wrote; move it away, or "
            f"give another --out"
        ) from exc


@dataclass(frozen=True, eq=False)
class PerUser:
    """The metrics of a scorer, user by user.

    Attributes:
        users: (n,) int64, the judged users.
        metrics: By name (n,) float64, NaN for users whom it is not of.
    """

    users: IndexArray
    metrics: Mapping[str, FloatArray]


def write_result(folder: Path, fit: Fit, users: Mapping[str, PerUser]) -> None:
    """Writes the numbers of the users first, then the fit, which makes the result whole.

    Args:
        folder: Of the order.
        fit: The fit.
        users: By the names of its rows.
    """
    tensors = {}
    for name, per_user in users.items():
        tensors[f"{name}|users"] = torch.from_numpy(per_user.users)
        for metric, values in per_user.metrics.items():
            tensors[f"{name}|{metric}"] = torch.from_numpy(values)
    save_tensors(folder / _USERS, tensors, {"key": fit.key})
    fit.write(folder / _FIT)


def read_result(folder: Path, key: str) -> Fit | None:
    """Reads the fit in an order's folder; None if there is none of this key."""
    try:
        fit = Fit.read(folder / _FIT)
    except DataError:
        return None
    return fit if fit.key == key and read_users(folder, key) is not None else None


def read_users(folder: Path, key: str) -> dict[str, PerUser] | None:
    """Reads the numbers of the users by row; None if there are none of this key."""
    try:
        tensors, values = load_tensors(folder / _USERS)
    except RunError:
        return None
    if values.get("key") != key:
        return None
    arrays: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        row, _, metric = name.partition("|")
        arrays.setdefault(row, {})[metric] = tensor.numpy()
    return {row: PerUser(metrics.pop("users"), metrics) for row, metrics in arrays.items()}


def best_looks(choices: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    """Gives the looks at valid that were better than all before; none of several trainings."""
    looks: list[tuple[float, float]] = []
    for look in [] if "tried" in choices else choices.get("history") or []:
        if not looks or look["valid_ndcg@20"] > looks[-1][1]:
            looks.append((look["training_seconds"], look["valid_ndcg@20"]))
    return tuple(looks)


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


def digest(value: Any) -> str:
    """Gives a short hash of JSON values."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """Gives JSON values, NaN and infinities as null, without the courses of trainings."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items() if key != "history"}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
