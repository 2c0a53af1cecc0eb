"""What was measured under several seeds: its spread, and rows of some seeds joined with others.

Fits of slow models are spread over runs, and over machines. A row of one run and the row of another
are one row of all their seeds, if they are of the same model with the same settings.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

Report = dict[str, Any]

#: What a row has a spread of, or by name spreads of.
_SPREADS = ("peak_memory_mb", "base_memory_mb")
_NAMED = ("metrics", "valid", "seconds")


def spread(values: Sequence[float | None]) -> Report:
    """Gives `mean`, `sd` (of a sample; None of one value) and `values`."""
    known = [float(value) for value in values if value is not None]
    return {
        "mean": float(np.mean(known)) if known else None,
        "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "values": list(values),
    }


def status(seeds: Collection[int], errors: Collection[Any]) -> str:
    """Says of a row with results of these seeds and errors of others how it went.

    `failed` without any result, `partly` where a seed that was asked for failed, else `done`.
    """
    if not seeds:
        return "failed"
    return "partly" if errors else "done"


def joinable(now: Sequence[Report], then: Sequence[Report]) -> bool:
    """Whether a model's rows of two runs are of the same model, and each has seeds of its own.

    Settings must be the same; of kgrec itself, which is what is being worked on, the commit, too.
    """
    if not (now and then):
        return False
    new, old = set(now[0]["seeds"]), set(then[0]["seeds"])
    if new <= old or old <= new:
        return False
    same = now[0].get("settings") == then[0].get("settings")
    if str(now[0]["model"]).startswith("kgrec"):
        same = same and now[0]["origin"]["commit"] == then[0]["origin"]["commit"]
    return same


def joined(now: Sequence[Report], then: Sequence[Report]) -> list[Report]:
    """Joins a model's rows, those of its parts included; of a seed that both have, now's.

    Differences cannot be joined, as users are drawn anew over all seeds: those of the row with more
    seeds stay, and `difference_seeds` says of which they are.
    """
    rows = {row["model"]: row for row in then}
    return [
        *(_join(row, rows[row["model"]]) if row["model"] in rows else row for row in now),
        *(row for row in then if row["model"] not in {row["model"] for row in now}),
    ]


def _join(now: Report, then: Report) -> Report:
    if set(then["seeds"]) <= set(now["seeds"]):
        return now
    seeds = sorted({*now["seeds"], *then["seeds"]})

    def both(*path: str) -> Report | None:
        return _joined_spread(now, then, seeds, path)

    out: Report = {**now, "seeds": seeds}
    for name in _NAMED:
        keys = dict.fromkeys([*then.get(name, {}), *now.get(name, {})])
        out[name] = {key: both(name, key) for key in keys}
    out["cohorts"] = {
        cohort: {key: both("cohorts", cohort, key) for key in found}
        for cohort, found in {**then.get("cohorts", {}), **now.get("cohorts", {})}.items()
    }
    out |= {name: both(name) for name in _SPREADS if name in now}
    if "chosen" in now:
        out["chosen"] = {**then.get("chosen", {}), **now["chosen"]}
    errors = {**then.get("errors", {}), **now.get("errors", {})}
    out["errors"] = {seed: error for seed, error in errors.items() if int(seed) not in seeds}
    out["status"] = status(seeds, out["errors"])
    out["origin"] = {
        what: sorted({*then["origin"].get(what, ()), *said}) for what, said in now["origin"].items()
    }
    compared = max((then, now), key=lambda row: bool(row.get("difference")) * len(_compared(row)))
    out["difference"] = compared.get("difference", {})
    out["difference_seeds"] = _compared(compared)
    return out


def with_differences(rows: Sequence[Report], other: Sequence[Report]) -> list[Report]:
    """Gives rows that were not compared with kgrec the comparison that another run's rows have.

    Only where both runs measured the very same metrics in all seeds that were compared; these are
    `difference_seeds`.
    """
    compared = {row["model"]: row for row in other if row.get("difference")}
    return [
        _with_difference(row, compared[row["model"]])
        if row["model"] in compared and not row.get("difference")
        else row
        for row in rows
    ]


def _with_difference(row: Report, compared: Report) -> Report:
    seeds = _compared(compared)
    for name in row["metrics"]:
        new, old = (_by_seed(each, ("metrics", name)) or {} for each in (row, compared))
        if any(seed not in new or new[seed] != old.get(seed) for seed in seeds):
            return row
    return {**row, "difference": compared["difference"], "difference_seeds": seeds}


def _compared(row: Report) -> list[int]:
    """The seeds that a row's differences are of."""
    return list(row["difference_seeds"] if "difference_seeds" in row else row["seeds"])


def _joined_spread(
    now: Report, then: Report, seeds: Sequence[int], path: Sequence[str]
) -> Report | None:
    """The spread over the seeds of both; of one, where the other did not measure it by seed."""
    new, old = (_by_seed(row, path) for row in (now, then))
    if new is None or old is None:
        return _found(now, path) or _found(then, path)
    return spread([new[seed] if seed in new else old[seed] for seed in seeds])


def _by_seed(row: Report, path: Sequence[str]) -> dict[int, float | None] | None:
    found = _found(row, path)
    if found is None or len(found["values"]) != len(row["seeds"]):
        return None
    return dict(zip(row["seeds"], found["values"], strict=True))


def _found(row: Report, path: Sequence[str]) -> Report | None:
    found: Any = row
    for name in path:
        found = found.get(name, {})
    return found or None
