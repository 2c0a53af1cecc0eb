"""The folder of a set's results: one file a model and seed, and what follows from several.

    fits/<model>-<seed>.json   all facts of a fit
    differences.json           models compared with kgrec, user by user
    audit.json                 what the graph is worth

A run adds files or replaces them, on whatever machine; the report is a function of the folder.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from kgrec.bench.differences import Difference
from kgrec.bench.fits import Fit
from kgrec.errors import DataError
from kgrec.files import write_text

_FITS, _DIFFERENCES, _AUDIT = "fits", "differences.json", "audit.json"


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
    try:
        return kind.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as exc:
        reason = exc.errors()[0]["msg"] if isinstance(exc, ValidationError) else exc
        raise DataError(
            f"{path} cannot be read ({reason}); expected what `kgrec bench` wrote; move it away, "
            f"or give another --out"
        ) from exc


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
