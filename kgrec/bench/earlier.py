"""Rows of an earlier report that stay, because nothing as good has come in their place.

A whole table takes days of a small machine. So a run may fit a few models, on another machine than
the run before, and its report takes over what the folder's `results.json` holds of the others.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kgrec.bench.seeds import joinable, joined, with_differences
from kgrec.errors import DataError

Report = dict[str, Any]

#: What every row says of the processes that fitted it, and what a note calls it.
ORIGINS = {"commit": "commit", "threads": "number of threads", "date": "day"}
#: Of these a table may well be of several.
_TOLD = ("commit", "threads")


def read_earlier(path: Path) -> Report | None:
    """Reads the report of an earlier run; None if there is none.

    Raises:
        DataError: If the file is no report.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        report: Report = json.loads(text)
        list(map(_model, report["rows"])), report["splits"], report["refit"]
    except (ValueError, KeyError, TypeError) as exc:
        raise DataError(
            f"{path} is no report of a benchmark ({type(exc).__name__}: {exc}); expected what "
            f"`kgrec bench` wrote; move it away, or give another --out"
        ) from exc
    return report


def with_earlier(report: Report, earlier: Report, models: Sequence[str]) -> Report:
    """Gives the report with the earlier rows that it has nothing as good for.

    A model's rows, those of its parts included, are joined with the earlier ones of other seeds if
    it is the same model (`joinable`); else they are taken from the run that fitted it with more
    seeds, of two with as many from the later one. Differences stay those to the kgrec that was
    fitted beside the row; where there was none, those of the other run, if its row has the same
    numbers.

    Args:
        report: Of this run.
        earlier: Of the run before. If it is of other data or refits otherwise, nothing is taken.
        models: The order of the models.

    Returns:
        The report; `has_earlier` says whether any row is not of this run alone.
    """
    if not _comparable(report, earlier):
        return report
    now, then = _by_model(report["rows"]), _by_model(earlier["rows"])
    names = [name for name in dict.fromkeys([*models, *now, *then]) if name in now or name in then]
    rows: list[Report] = []
    for name in names:
        new, old = now.get(name, []), then.get(name, [])
        if joinable(new, old):
            rows += joined(new, old)
        else:
            better = max(old, new, key=_num_seeds_then_later(now, name))
            rows += with_differences(better, old if better is new else new)
    failures = [note for note in report["notes"] if "has no result" in note]
    splits = {split["seed"]: split for split in [*earlier["splits"], *report["splits"]]}
    return {
        **{key: value for key, value in earlier.items() if key == "audit"},
        **report,
        "seeds": sorted({*report["seeds"], *(seed for row in rows for seed in row["seeds"])}),
        "splits": [splits[seed] for seed in sorted(splits)],
        "rows": rows,
        "has_earlier": any(row not in report["rows"] for row in rows),
        "notes": [*failures, *ended_notes(rows), *origin_notes(rows)],
    }


def ended_notes(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Says which models were still being trained when their minutes were over."""
    for row in rows:
        for seed, chosen in row.get("chosen", {}).items():
            if isinstance(chosen, Mapping) and chosen.get("stopped_by") == "minutes":
                yield (
                    f"{row['model']}, seed {seed}, was ended by the limit on minutes after "
                    f"{chosen['epochs']} epochs, its best in epoch {chosen['best_epoch']}: with "
                    f"more time it may be better."
                )


def origin_notes(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Says of what kind the rows are several."""
    for what in _TOLD:
        found = sorted(
            {str(value) for row in rows for value in row.get("origin", {}).get(what, ())}
        )
        if len(found) > 1:
            yield f"The rows are not of one {ORIGINS[what]}: {', '.join(found)}."


def _comparable(report: Report, earlier: Report) -> bool:
    versions = {split["seed"]: split["graph_version"] for split in earlier["splits"]}
    same = all(
        versions.get(split["seed"], split["graph_version"]) == split["graph_version"]
        for split in report["splits"]
    )
    return same and report["refit"] == earlier["refit"]


def _model(row: Mapping[str, Any]) -> str:
    return str(row["model"]).partition("/")[0]


def _by_model(rows: Sequence[Report]) -> dict[str, list[Report]]:
    found: dict[str, list[Report]] = {}
    for row in rows:
        found.setdefault(_model(row), []).append(row)
    return found


def _num_seeds_then_later(now: Mapping[str, list[Report]], name: str) -> Any:
    """A key: rows of more seeds first, then those of this run."""

    def key(rows: list[Report]) -> tuple[int, bool]:
        seeds = len(rows[0]["seeds"]) if rows else -1
        return seeds, rows is now.get(name)

    return key
