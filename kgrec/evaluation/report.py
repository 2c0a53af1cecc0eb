"""An evaluation as JSON and as a table."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from kgrec.errors import ShapeError
from kgrec.evaluation.bootstrap import Interval, paired_bootstrap
from kgrec.evaluation.evaluate import Evaluation

Report = dict[str, Any]

#: Columns of the table, as far as they were measured.
_COLUMNS = ("precision", "recall", "ndcg", "mrr", "map", "hit_rate", "coverage", "novelty")


def build_report(
    run: str,
    evaluation: Evaluation,
    floors: Mapping[str, Evaluation] | None = None,
    *,
    train_seconds: float,
) -> Report:
    """Gives everything that was measured as one JSON object.

    Args:
        run: Name or directory of the run.
        evaluation: The run's.
        floors: The floors', on the same split and users.
        train_seconds: How long training took.

    Returns:
        `run`, `split`, `seed`, `num_users`, `metrics`, `cohorts`, `floors` (name to metrics),
        `differences` (name to metric to `difference`, `low`, `high`: run minus floor with the 95 %
        interval of the paired bootstrap), `seconds` (`train`, `evaluate`), `peak_memory_mb`.

    Raises:
        ShapeError: If a floor was judged on other users.
    """
    floors = floors or {}
    return {
        "run": run,
        "split": str(evaluation.split),
        "seed": evaluation.seed,
        "num_users": evaluation.num_users,
        "metrics": dict(evaluation.metrics),
        "cohorts": {name: dict(cohort) for name, cohort in evaluation.cohorts.items()},
        "floors": {name: dict(floor.metrics) for name, floor in floors.items()},
        "differences": {
            name: {
                metric: asdict(compare(evaluation, floor, metric))
                for k in evaluation.k
                for metric in (f"recall@{k}", f"ndcg@{k}")
            }
            for name, floor in floors.items()
        },
        "seconds": {"train": train_seconds, "evaluate": evaluation.seconds},
        "peak_memory_mb": evaluation.peak_memory_mb,
    }


def compare(a: Evaluation, b: Evaluation, metric: str) -> Interval:
    """Gives the 95 % interval of a's metric minus b's, users paired.

    Raises:
        ShapeError: If they were judged on other users.
    """
    if a.split is not b.split or list(a.users) != list(b.users):
        raise ShapeError(
            f"evaluations of {a.num_users:,} users of {a.split!s} and {b.num_users:,} of "
            f"{b.split!s} cannot be paired; judge both on one split of one graph"
        )
    return paired_bootstrap(a.per_user[metric], b.per_user[metric], seed=a.seed)


def metrics_table(report: Report) -> Table:
    """Gives the run beside its floors at the largest k, the run last, as a rich table."""
    k = max(int(name.partition("@")[2]) for name in report["metrics"] if "@" in name)
    names = [f"{column}@{k}" for column in _COLUMNS] + ["roc_auc"]
    table = Table(title=f"{report['split']}: {report['num_users']:,} users")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    rows = {**report["floors"], report["run"]: report["metrics"]}
    best = {name: max(metrics.get(name, 0.0) for metrics in rows.values()) for name in names}
    for label, metrics in rows.items():
        cells = (
            "" if name not in metrics else _cell(metrics[name], metrics[name] >= best[name])
            for name in names
        )
        table.add_row(label, *cells)
    return table


def cohorts_table(report: Report) -> Table:
    """Gives the cohorts of users and of items at the largest k, as a rich table."""
    cohorts: Mapping[str, Mapping[str, float]] = report["cohorts"]
    k = max(int(name.partition("@")[2]) for name in report["metrics"] if "@" in name)
    table = Table(title="users by train interactions, items by popularity")
    table.add_column("cohort")
    for name in ("num_users", f"recall@{k}", f"ndcg@{k}"):
        table.add_column(name, justify="right")
    for label, cohort in cohorts.items():
        table.add_row(
            label,
            f"{cohort['num_users']:,}",
            _cell(cohort[f"recall@{k}"]),
            _cell(cohort[f"ndcg@{k}"]),
        )
    return table


def _cell(value: float, best: bool = False) -> Text:
    text = f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"
    return Text(text, "bold" if best else "")
