"""A folder of results as one JSON object, from which pages and pictures are made."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kgrec.bench.fits import Fit, Row
from kgrec.bench.peers import REFERENCE
from kgrec.bench.results import Results, counted, digests_of, row_label

#: How long a model takes to become as good as this one, by this metric on valid, is reported.
_GOAL, _GOAL_METRIC = "ease", "ndcg@20"

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


def build_report(name: str, results: Results, models: Sequence[str] = ()) -> Report:
    """Gives everything that a folder of results says.

    Args:
        name: Of the set.
        results: What the folder holds; at least one fit.
        models: The order of the models; others come behind, by name.

    Returns:
        `name`, `command`, `date`, `commit` (of the latest fit), `commands` (how many), `machines`,
        `versions` (each once), `protocol`, `refit`, `seeds`, `splits` (`seed`, `graph_version`,
        counts), `settings` (kgrec's that are not defaults), `rows`, `notes` and, if there is one,
        `audit`. A row has `model`, `settings`, `status` (as `row_status` says), `errors` by seed,
        `seeds`, and of what is done `metrics`, `cohorts`, `valid` (name to `mean`, `sd`,
        `values`), `seconds` (`train`, `score`, without a refit `to_ease`, see `seconds_to_reach`),
        `peak_memory_mb`, `base_memory_mb` (held before the fit began), `parameters`, `choices` by
        seed, `origin` (the commits, threads and days of its fits), and `difference` (metric to
        `difference`, `low`, `high`: the model's minus kgrec's) of `difference_seeds`.
    """
    fits, ignored = counted(results.fits)
    place = {model: number for number, model in enumerate(models)}
    fits.sort(key=lambda fit: (place.get(fit.model, len(place)), fit.model, fit.seed))
    by_model: dict[str, dict[int, Fit]] = {}
    for fit in fits:
        by_model.setdefault(fit.model, {})[fit.seed] = fit
    latest = max(fits, key=lambda fit: fit.date)
    own = max(by_model.get(REFERENCE, {}).values(), key=lambda fit: fit.date, default=latest)
    rows = [row for of_model in by_model.values() for row in _rows(list(of_model.values()))]
    digests = digests_of(fits)
    for row in rows:
        past = results.differences.get(row["model"])
        if past is not None and past.holds(row["model"], digests):
            row |= {"difference": past.metrics, "difference_seeds": sorted(past.rows)}
    if not latest.refit:  # after a refit nobody's valid accuracy is known: valid was learned from
        _add_seconds_to_goal(rows, by_model)
    splits = {fit.split["seed"]: fit.split for fit in fits}
    report = {
        "name": name,
        "command": latest.command,
        "commands": len({fit.command for fit in fits}),
        "date": latest.date,
        "commit": latest.commit,
        "machines": _once(fit.machine for fit in fits),
        "versions": _once(fit.versions for fit in fits),
        "protocol": list(PROTOCOL),
        "refit": latest.refit,
        "seeds": sorted({fit.seed for fit in fits}),
        "splits": [splits[seed] for seed in sorted(splits)],
        "settings": own.changes,
        "rows": rows,
        "notes": [*_failures(fits), *ignored, *_ended_notes(fits), *_origin_notes(rows)],
    }
    return report if results.audit is None else {**report, "audit": results.audit}


def _rows(fits: Sequence[Fit]) -> Iterator[Report]:
    """The rows of one model: its own, then those of its parts."""
    model, settings = fits[0].model, fits[0].settings
    errors = {str(fit.seed): fit.error for fit in fits if fit.error is not None}
    for name in dict.fromkeys(["", *(name for fit in fits for name in fit.rows)]):
        with_row = [fit for fit in fits if name in fit.rows]
        row: Report = {
            "model": row_label(model, name),
            "settings": f"part of {model}" if name else settings,
            "status": row_status(with_row, errors),
            "errors": errors,
            "seeds": [fit.seed for fit in with_row],
        }
        if with_row:
            measured = [fit.rows[name] for fit in with_row]
            row |= _measures(measured)
            row["seconds"] = {"score": spread([part.score_seconds for part in measured])}
            row["origin"] = _origin(with_row)
            if not name:  # a part was fitted together with the whole
                _add_costs(row, with_row)
        yield row


def row_status(fits: Collection[Any], errors: Collection[Any]) -> str:
    """Says of a row with these results, and errors of other seeds, how it went.

    `failed` without any result, `partly` where a seed that was asked for failed, else `done`.
    """
    if not fits:
        return "failed"
    return "partly" if errors else "done"


def _measures(rows: Sequence[Row]) -> Report:
    cohorts = dict.fromkeys(name for row in rows for name in row.cohorts)
    return {
        "metrics": _spread_by_name([row.metrics for row in rows]),
        "valid": _spread_by_name([row.valid for row in rows]),
        "cohorts": {
            cohort: _spread_by_name([row.cohorts.get(cohort, {}) for row in rows])
            for cohort in cohorts
        },
        "parameters": rows[0].parameters,
    }


def _add_costs(row: Report, fits: Sequence[Fit]) -> None:
    row["seconds"]["train"] = spread([fit.train_seconds for fit in fits])
    row["peak_memory_mb"] = spread([fit.peak_memory_mb for fit in fits])
    row["base_memory_mb"] = spread([fit.base_memory_mb for fit in fits])
    row["choices"] = {str(fit.seed): fit.choices for fit in fits}


def _add_seconds_to_goal(rows: Sequence[Report], by_model: Mapping[str, Mapping[int, Fit]]) -> None:
    goals = {seed: fit for seed, fit in by_model.get(_GOAL, {}).items() if fit.error is None}
    for row in rows:
        fits = by_model.get(row["model"], {})
        pairs = [(fits[seed], goals[seed]) for seed in row["seeds"] if fits and seed in goals]
        if pairs:
            row["seconds"]["to_ease"] = spread([seconds_to_reach(*pair) for pair in pairs])


def seconds_to_reach(fit: Fit, goal: Fit) -> float | None:
    """Gives the seconds of training until NDCG@20 on valid is at least the goal's.

    Of a model that trained by epochs, and only once, these are the seconds of training until the
    first look at valid that is good enough, the looks themselves not counted; of a model made of
    parts, those until the first part that is good enough alone was fitted, its search included; of
    any other all its seconds, searches and looks included.

    Args:
        fit: The model's.
        goal: Of the same split.

    Returns:
        Seconds; None if the goal was not reached, or valid was learned from.
    """
    aim = goal.rows[""].valid.get(_GOAL_METRIC)
    if aim is None:
        return None
    if fit.looks:
        return next((seconds for seconds, accuracy in fit.looks if accuracy >= aim), None)
    total = 0.0
    for step, seconds in fit.choices.get("seconds", {}).items():  # in the order of fitting
        total += float(seconds)
        alone = fit.rows[step].valid.get(_GOAL_METRIC) if step in fit.rows else None
        if alone is not None and alone >= aim:
            return total
    accuracy = fit.rows[""].valid.get(_GOAL_METRIC)
    return fit.train_seconds if accuracy is not None and accuracy >= aim else None


def _spread_by_name(rows: Sequence[Mapping[str, float | None]]) -> dict[str, Report]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: spread([row.get(name) for row in rows]) for name in names}


def spread(values: Sequence[float | None]) -> Report:
    """Gives `mean`, `sd` (of a sample; None of one value) and `values`."""
    numbers = [float(value) for value in values if value is not None]
    return {
        "mean": float(np.mean(numbers)) if numbers else None,
        "sd": float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None,
        "values": list(values),
    }


def _origin(fits: Sequence[Fit]) -> Report:
    """What the processes say of themselves, each thing once."""
    return {
        "commit": sorted({commit for fit in fits for commit in str(fit.commit).split(", ")}),
        "threads": sorted({str(fit.machine.get("threads")) for fit in fits}),
        "date": sorted({fit.date[:10] for fit in fits}),
    }


def _failures(fits: Sequence[Fit]) -> Iterator[str]:
    for fit in fits:
        if fit.error is not None:
            yield f"{fit.model}, seed {fit.seed}, has no result: {fit.error}"


def _ended_notes(fits: Sequence[Fit]) -> Iterator[str]:
    """Says which models were still being trained when their minutes were over."""
    for fit in fits:
        if fit.choices.get("stopped_by") == "minutes":
            yield (
                f"{fit.model}, seed {fit.seed}, was ended by the limit on minutes after "
                f"{fit.choices['epochs']} epochs, its best in epoch {fit.choices['best_epoch']}: "
                f"with more time it may be better."
            )


def _origin_notes(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Says of what kind the rows are several."""
    for name, words in (("commit", "commit"), ("threads", "number of threads")):
        values = sorted({str(v) for row in rows for v in row.get("origin", {}).get(name, ())})
        if len(values) > 1:
            yield f"The rows are not of one {words}: {', '.join(values)}."


def _once(values: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each value once, in order."""
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())
