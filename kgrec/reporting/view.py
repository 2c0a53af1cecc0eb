"""What the page shows of a report: rows and intervals that its template only lays out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kgrec.auditing.trials import ALL_USERS
from kgrec.evaluation.bootstrap import Interval
from kgrec.reporting.gather import ReportData

Intervals = dict[str, Interval]

_METRICS = ("recall", "ndcg", "precision", "mrr", "map", "hit_rate", "coverage", "novelty")
_MOST_RELATIONS = 24


@dataclass(frozen=True)
class Verdict:
    """The run beside the best floor.

    Attributes:
        floor: Name of the floor.
        words: What the run is: better, worse, or not to be told from it.
        difference: The run's NDCG minus the floor's, with its interval.
    """

    floor: str
    words: str
    difference: Interval


def view(data: ReportData) -> dict[str, Any]:
    """Gives what the template needs beside the report itself, by the names it uses."""
    measured, record = data.measured, data.run.record
    metrics = [n for n in (f"{m}@{data.k}" for m in _METRICS) if n in measured["metrics"]]
    return {
        "verdict": verdict(data),
        "means": {
            metric: {model: intervals[metric] for model, intervals in data.intervals.items()}
            for metric in ("ndcg", "recall")
        },
        "metrics": {n: n.partition("@")[0].replace("_", " ") for n in (*metrics, "roc_auc")},
        "models": {**measured["floors"], "this run": measured["metrics"]},
        "user_cohorts": _cohorts(measured["cohorts"], "users/"),
        "item_cohorts": _cohorts(measured["cohorts"], "items/"),
        "history": record.epochs,
        "relation_weights": relation_weights(record.relation_weights),
        **_audit_gains(data.audit),
        "source_gains": {} if record.augment is None else source_gains(record.augment.sources),
    }


def verdict(data: ReportData) -> Verdict | None:
    """Compares the run with the best floor by NDCG; None without floors."""
    metric, floors = f"ndcg@{data.k}", data.measured["floors"]
    if not floors:
        return None
    best = max(floors, key=lambda name: floors[name][metric])
    difference = Interval(**data.measured["differences"][best][metric])
    words = (
        "surely better than" if difference.low > 0
        else "surely worse than" if difference.high < 0
        else "not to be told from"
    )  # fmt: skip
    return Verdict(best, words, difference)


def relation_weights(weights: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Gives each relation's weight along and against its edges, the largest first."""
    pairs = {
        name.lower(): (weight, weights.get(f"rev_{name}", 0.0))
        for name, weight in weights.items()
        if not name.startswith("rev_")
    }
    order = sorted(pairs, key=lambda name: (-max(map(abs, pairs[name])), name))
    return {name: pairs[name] for name in order[:_MOST_RELATIONS]}


def source_gains(verdicts: Mapping[str, Any]) -> Intervals:
    """Gives what each source's synthetic edges add for sparse users, by the gate's verdicts."""
    return {
        source: _interval(verdict["cohorts"]["sparse"])
        for source, verdict in verdicts.items()
        if "sparse" in verdict["cohorts"]
    }


def _audit_gains(audit: Mapping[str, Any] | None) -> dict[str, Intervals]:
    """What the whole graph adds, and what each relation adds that the others do not."""
    if audit is None:
        return {"graph_gains": {}, "relation_gains": {}}
    gains = {
        variant: _interval(metrics["ndcg@20"][ALL_USERS])
        for variant, metrics in audit["differences"].items()
    }
    graph = {"no graph": "against no graph", "permuted": "against shuffled edges"}
    relations = {
        name: gains[f"without {name}"] for name in audit["edges"] if f"without {name}" in gains
    }
    return {
        "graph_gains": {words: gains[name] for name, words in graph.items() if name in gains},
        "relation_gains": dict(sorted(relations.items(), key=lambda gain: -gain[1].difference)),
    }


def _cohorts(cohorts: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {n.removeprefix(prefix): c for n, c in cohorts.items() if n.startswith(prefix)}


def _interval(difference: Mapping[str, float]) -> Interval:
    return Interval(difference["difference"], difference["low"], difference["high"])
