"""The folder of a set's results: one file a model and seed, and what follows from several.

    fits/<model>-<seed>.json   all facts of a fit
    differences.json           models compared with kgrec, user by user
    audit.json                 what the graph is worth

A run adds files or replaces them, on whatever machine; the report is a function of the folder. The
numbers of the users stay on the machine that fitted both models; what follows from them goes to the
results, with a hash of the rows that were compared. It counts as long as these are the rows of the
table.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic_core import to_json

from kgrec.bench.fits import Fit, PerUser, read_checked
from kgrec.bench.peers import REFERENCE
from kgrec.evaluation.bootstrap import Interval, paired_bootstrap
from kgrec.files import write_text

_FITS, _DIFFERENCES, _AUDIT = "fits", "differences.json", "audit.json"
#: The rows of fits by label and seed.
Digests = Mapping[str, Mapping[int, str]]
#: Gives the numbers of the users of a fit by row; None if they are not on this machine.
ReadUsers = Callable[[Fit], Mapping[str, PerUser] | None]


class Difference(BaseModel):
    """A row minus kgrec's.

    Attributes:
        rows: By seed the digests of the row and of kgrec's.
        metrics: By name `difference`, `low` and `high` of the 95 % interval.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: dict[int, tuple[str, str]]
    metrics: dict[str, dict[str, float]]

    def holds(self, label: str, digests: Digests) -> bool:
        """Whether the rows that were compared are those of the table."""
        own, reference = digests.get(label, {}), digests.get(REFERENCE, {})
        return all(pair == (own.get(s), reference.get(s)) for s, pair in self.rows.items())


@dataclass(frozen=True)
class Results:
    """What a folder holds.

    Attributes:
        fits: By name of their files.
        differences: By label of the row that is compared with kgrec's.
        audit: As `Audit.to_dict`, with `date` and `commit`; None if there was none.
    """

    fits: tuple[Fit, ...] = ()
    differences: dict[str, Difference] = field(default_factory=dict)
    audit: dict[str, Any] | None = None


def read_results(folder: Path) -> Results:
    """Reads a folder; one that is not there holds nothing.

    Raises:
        DataError: If a file in it is not what it should be.
    """
    fits = tuple(Fit.read(path) for path in sorted((folder / _FITS).glob("*.json")))
    differences = _read(folder / _DIFFERENCES, TypeAdapter(dict[str, Difference]))
    audit = _read(folder / _AUDIT, TypeAdapter(dict[str, Any]))
    return Results(fits, differences or {}, audit)


def _read(path: Path, kind: TypeAdapter[Any]) -> Any:
    return read_checked(path, kind) if path.exists() else None


def add_fit(folder: Path, fit: Fit) -> None:
    """Writes a fit into its file, unless the one that is there is better.

    A fit that failed replaces none that has a result, and an earlier one no later one.

    Raises:
        DataError: If something else is in its place.
        OSError: If it cannot be written.
    """
    path = fit_path(folder, fit.model, fit.seed)
    if path.exists():
        there = Fit.read(path)
        if (there.error is None, there.date) >= (fit.error is None, fit.date):
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    fit.write(path)


def fit_path(folder: Path, model: str, seed: int) -> Path:
    """Gives the file of a fit."""
    return folder / _FITS / f"{model}-{seed}.json"


def write_differences(folder: Path, differences: dict[str, Difference]) -> None:
    """Replaces all comparisons with kgrec."""
    _write(folder / _DIFFERENCES, differences)


def write_audit(folder: Path, audit: dict[str, Any]) -> None:
    """Replaces the graph audit."""
    _write(folder / _AUDIT, audit)


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, to_json(value, indent=1, inf_nan_mode="null").decode() + "\n")


def counted(fits: Sequence[Fit]) -> tuple[list[Fit], list[str]]:
    """Gives the fits that make up one table, and says of the others why they do not.

    A table is of one protocol and of one graph a split, those of the latest result; a row is of one
    model, that of its latest result: the same settings, and of kgrec the same code.
    """
    in_order = sorted(fits, key=lambda fit: (fit.error is None, fit.date))
    versions = {_split(fit)[0]: _split(fit)[1] for fit in in_order}
    latest = {fit.model: fit for fit in in_order}
    table, notes = [], []
    for fit in fits:
        split, version = _split(fit)
        last = latest[fit.model]
        if (fit.refit, version) != (in_order[-1].refit, versions[split]):
            notes.append(f"{fit.model}, seed {fit.seed}, does not count: it is of other data.")
        elif fit.error is None and (fit.settings, fit.variant) != (last.settings, last.variant):
            notes.append(
                f"{fit.model}, seed {fit.seed}, does not count: seed {last.seed} is of other "
                f"settings or code, and later."
            )
        else:
            table.append(fit)
    return table, notes


def _split(fit: Fit) -> tuple[Any, Any]:
    return fit.split.get("seed"), fit.split.get("graph_version")


def keep_only(folder: Path, fits: Iterable[tuple[str, int]]) -> None:
    """Removes everything but the fits of some models and seeds."""
    paths = {fit_path(folder, model, seed) for model, seed in fits}
    for path in [*(folder / _FITS).glob("*.json"), folder / _DIFFERENCES, folder / _AUDIT]:
        if path not in paths:
            path.unlink(missing_ok=True)


def row_label(model: str, row: str) -> str:
    """Gives what a table calls a row of a fit."""
    return f"{model}/{row}" if row else model


def digests_of(fits: Sequence[Fit]) -> Digests:
    """Gives the digests of all rows, by label and seed."""
    digests: dict[str, dict[int, str]] = {}
    for fit in fits:
        for name, row in fit.rows.items():
            digests.setdefault(row_label(fit.model, name), {})[fit.seed] = row.digest
    return digests


def compare(
    fits: Sequence[Fit], earlier: Mapping[str, Difference], read_users: ReadUsers
) -> dict[str, Difference]:
    """Compares all rows with kgrec's in the seeds whose users' numbers are on this machine.

    Args:
        fits: The fits of the table.
        earlier: The comparisons so far; one of more seeds stays as long as it holds.
        read_users: Where the numbers are.

    Returns:
        By label the comparisons that hold.
    """
    digests = digests_of(fits)
    holding = {label: past for label, past in earlier.items() if past.holds(label, digests)}
    users_of = {(fit.model, fit.seed): read_users(fit) or {} for fit in fits}
    pairs: dict[str, dict[int, tuple[PerUser, PerUser]]] = {}
    for (model, seed), users in users_of.items():
        reference = users_of.get((REFERENCE, seed), {}).get("")
        for name, per_user in users.items():
            label = row_label(model, name)
            if reference is not None and label != REFERENCE:
                pairs.setdefault(label, {})[seed] = (per_user, reference)
    for label, by_seed in pairs.items():
        if label not in holding or len(by_seed) >= len(holding[label].rows):
            holding[label] = _difference(label, by_seed, digests)
    return holding


def _difference(
    label: str, pairs: Mapping[int, tuple[PerUser, PerUser]], digests: Digests
) -> Difference:
    (first, _), *_ = pairs.values()
    intervals = {name: difference(list(pairs.values()), name) for name in first.metrics}
    return Difference(
        rows={seed: (digests[label][seed], digests[REFERENCE][seed]) for seed in pairs},
        metrics={name: asdict(interval) for name, interval in intervals.items() if interval},
    )


def difference(pairs: Sequence[tuple[PerUser, PerUser]], metric: str) -> Interval | None:
    """Gives the 95 % interval of the mean difference of a metric, the first minus the second.

    A user who is judged under several seeds is one user: their differences are averaged before the
    users are drawn.

    Args:
        pairs: Two models' numbers of one seed each, of the same users.
        metric: One of their metrics.

    Returns:
        The interval; None if the metric is of no user.
    """
    users = np.concatenate([a.users for a, _ in pairs])
    values = np.concatenate([a.metrics[metric] - b.metrics[metric] for a, b in pairs])
    measured = np.isfinite(values)
    if not measured.any():
        return None
    _, place = np.unique(users[measured], return_inverse=True)
    mean = np.bincount(place, values[measured]) / np.bincount(place)
    return paired_bootstrap(mean, np.zeros_like(mean))
