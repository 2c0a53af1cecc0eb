"""What a benchmark found, as one JSON object."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from kgrec.bench.earlier import ORIGINS, ended_notes, origin_notes
from kgrec.bench.fits import Result, Row
from kgrec.bench.machine import commit, machine, now, versions
from kgrec.bench.peers import REFERENCE
from kgrec.bench.reaching import GOAL, seconds_to_reach
from kgrec.bench.run import Outcomes
from kgrec.bench.seeds import spread, status
from kgrec.bench.sets import SplitStore
from kgrec.config.bench import BenchConfig
from kgrec.evaluation.bootstrap import Interval, paired_bootstrap

#: What is the same for every row, in words.
PROTOCOL = (
    "Everything is chosen on train and valid. Test is ranked once a fit: all items, train and "
    "valid masked, ties never in favour of the truth, means over the users with test items.",
    "Seconds to train include every search; each fit has a process of its own. Peak memory is "
    "that of the process until it was fitted, Python, packages and graph included.",
    "Tail recall counts only items outside the most popular 20 % of the items in train.",
    "Mean ± standard deviation are over seeds. Intervals are of the difference to kgrec, 95 %, "
    "paired bootstrap over users, a user's differences averaged over the seeds first.",
)

Report = dict[str, Any]


def build_bench_report(
    bench: BenchConfig,
    outcomes: Sequence[Outcomes],
    splits: Sequence[SplitStore],
    command: str,
) -> Report:
    """Gives everything that was measured.

    Returns:
        `name`, `command`, `date`, `commit`, `machine`, `versions`, `protocol`, `refit`, `seeds`,
        `splits` (`seed`, `graph_version`, counts), `settings` (kgrec's that are not defaults),
        `rows` and `notes`. A row has `model`, `settings`, `status` (as `seeds.status` says),
        `errors` by seed, `seeds`, `seeded`, and of what is done `metrics`, `cohorts`, `valid`
        (name to `mean`, `sd`, `values`), `seconds` (`train`, `score`, without a refit `to_ease`,
        see `seconds_to_reach`), `peak_memory_mb`, `base_memory_mb` (held before the fit began),
        `parameters`, `chosen` by seed, `origin` (the commits, threads and days of its fits), and
        `difference` (metric to `difference`, `low`, `high`: the model's minus kgrec's).
    """
    by_name = {outcome.peer.name: outcome for outcome in outcomes}
    reference, goal = by_name.get(REFERENCE), by_name.get(GOAL)
    rows = [row for outcome in outcomes for row in _rows(outcome, reference, bench)]
    for row in rows:
        # After a refit nobody's valid accuracy is known: valid was learned from.
        if goal is not None and not bench.refit and row["model"] in by_name and row["seeds"]:
            row["seconds"]["to_ease"] = _reaching(by_name[row["model"]], goal)
    settings = splits[0].config.model_dump(
        mode="json", exclude_defaults=True, exclude={"data", "store", "seed"}
    )
    return {
        "name": bench.name,
        "command": command,
        "date": now(),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "protocol": list(PROTOCOL),
        "refit": bench.refit,
        "seeds": list(bench.seeds),
        "splits": [
            {"seed": split.seed, "graph_version": split.version, **split.counts} for split in splits
        ],
        "settings": settings,
        "rows": rows,
        "notes": [*_failures(outcomes), *ended_notes(rows), *origin_notes(rows)],
    }


def _rows(outcome: Outcomes, reference: Outcomes | None, bench: BenchConfig) -> Iterator[Report]:
    names: dict[str, None] = {"": None}  # in order, "" first
    for result in outcome.results.values():
        names.update(dict.fromkeys(result.rows))
    for name in names:
        found = {s: r.rows[name] for s, r in outcome.results.items() if name in r.rows}
        label = f"{outcome.peer.name}/{name}" if name else outcome.peer.name
        row: Report = {
            "model": label,
            "settings": f"part of {outcome.peer.name}" if name else outcome.peer.settings,
            "status": status(found, outcome.errors),
            "errors": {str(seed): error for seed, error in outcome.errors.items()},
            "seeds": list(found),
            "seeded": outcome.peer.seeded or bench.split_seeds,
        }
        if found:
            row.update(_measured(list(found.values())))
            row.update(_costs(outcome, found, whole=not name))
            row["origin"] = _origin([outcome.results[seed] for seed in found])
            if reference is not None and label != REFERENCE:
                row["difference"] = _differences(found, reference)
        yield row


def _measured(rows: Sequence[Row]) -> Report:
    cohorts = {name: None for row in rows for name in row.cohorts}
    return {
        "metrics": _spread([row.metrics for row in rows]),
        "valid": _spread([row.valid for row in rows]),
        "cohorts": {
            cohort: _spread([row.cohorts.get(cohort, {}) for row in rows]) for cohort in cohorts
        },
        "parameters": rows[0].parameters,
    }


def _costs(outcome: Outcomes, found: Mapping[int, Row], *, whole: bool) -> Report:
    """Of a part only its scoring was measured: it was fitted together with the whole."""
    costs: Report = {"seconds": {"score": spread([row.score_seconds for row in found.values()])}}
    if whole:
        results = [outcome.results[seed] for seed in found]
        costs["seconds"]["train"] = spread([result.train_seconds for result in results])
        costs["peak_memory_mb"] = spread([result.peak_memory_mb for result in results])
        costs["base_memory_mb"] = spread([result.base_memory_mb for result in results])
        costs["chosen"] = {
            str(seed): _without_curves(outcome.results[seed].chosen) for seed in found
        }
    return costs


def _without_curves(chosen: Any) -> Any:
    """What was chosen without the course of every training, which is most of it."""
    if isinstance(chosen, Mapping):
        return {k: _without_curves(v) for k, v in chosen.items() if k != "history"}
    return [_without_curves(part) for part in chosen] if isinstance(chosen, list) else chosen


def _reaching(outcome: Outcomes, goal: Outcomes) -> Report:
    pairs = [(r, goal.results[seed]) for seed, r in outcome.results.items() if seed in goal.results]
    return spread([seconds_to_reach(result, wanted) for result, wanted in pairs])


def _spread(rows: Sequence[Mapping[str, float | None]]) -> dict[str, Report]:
    names = {name: None for row in rows for name in row}
    return {name: spread([row.get(name) for row in rows]) for name in names}


def _differences(found: Mapping[int, Row], reference: Outcomes) -> dict[str, Report]:
    pairs = [
        (row, reference.results[seed].rows[""])
        for seed, row in found.items()
        if seed in reference.results
    ]
    if not pairs:
        return {}
    return {
        metric: asdict(interval)
        for metric in pairs[0][0].per_user
        if (interval := difference(pairs, metric)) is not None
    }


def difference(pairs: Sequence[tuple[Row, Row]], metric: str) -> Interval | None:
    """Gives the 95 % interval of the mean difference of a metric, the first minus the second.

    A user who is judged under several seeds is one user: their differences are averaged before the
    users are drawn.

    Args:
        pairs: Two models' rows of one seed each, of the same users.
        metric: A metric of `per_user`.

    Returns:
        The interval; None if the metric is of no user.
    """
    users = np.concatenate([a.users for a, _ in pairs])
    values = np.concatenate([a.per_user[metric] - b.per_user[metric] for a, b in pairs])
    told = np.isfinite(values)
    if not told.any():
        return None
    _, place = np.unique(users[told], return_inverse=True)
    mean = np.bincount(place, values[told]) / np.bincount(place)
    return paired_bootstrap(mean, np.zeros_like(mean))


def _origin(results: Sequence[Result]) -> Report:
    """What the processes say of themselves, each thing once."""
    said = {what: {str(result.origin.get(what)) for result in results} for what in ORIGINS}
    return {
        what: sorted({value[:10] for value in values} if what == "date" else values)
        for what, values in said.items()
    }


def _failures(outcomes: Sequence[Outcomes]) -> Iterator[str]:
    for outcome in outcomes:
        for seed, error in outcome.errors.items():
            yield f"{outcome.peer.name}, seed {seed}, has no result: {error}"
