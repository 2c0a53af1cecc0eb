"""A benchmark's report as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from kgrec.auditing.likeness import Likeness
from kgrec.auditing.trials import ALL_USERS
from kgrec.auditing.verdict import best_first

#: What a likeness is made of; the rest of its JSON follows from it.
_LIKENESS = tuple(field.name for field in fields(Likeness))

Report = Mapping[str, Any]


def to_markdown(report: Report) -> str:
    """Gives the page: table, differences, cohorts, settings, machine, notes."""
    return "\n".join(_lines(report)) + "\n"


def columns(report: Report) -> list[str]:
    """Gives the metrics of the table, in the order they were measured."""
    names: dict[str, None] = {}
    for row in report["rows"]:
        names.update(dict.fromkeys(row.get("metrics", {})))
    return list(names)


def longest(report: Report) -> int:
    """Gives the longest list's length."""
    lengths = (int(name.rpartition("@")[2]) for name in columns(report))
    return max(lengths, default=20)


def _lines(report: Report) -> Iterator[str]:
    yield f"# {report['name']}"
    yield ""
    seeds = ", ".join(map(str, report["seeds"]))
    opening = "Made"
    if report["commands"] > 1:
        opening = "Made by several runs (Settings says of which day each row is), the last"
    yield f"{opening} by `{report['command']}` on {report['date'][:10]}, seeds {seeds}."
    yield ""
    yield from (f"- {sentence}" for sentence in report["protocol"])
    if report["refit"]:
        yield "- Once everything was chosen, models were fitted again on train and valid."
    for split in report["splits"]:
        counts = {k: v for k, v in split.items() if k not in ("seed", "graph_version")}
        in_words = ", ".join(f"{v:,} {k.replace('_', ' ')}" for k, v in counts.items())
        yield f"- Split {split['seed']}: {in_words}; graph version `{split['graph_version']}`."
    if report["notes"]:
        yield ""
        yield from (f"- **{note}**" for note in report["notes"])
    yield from _section("Accuracy", _accuracy(report))
    yield from _section("Cost", _cost(report))
    yield from _section("Difference to kgrec", _difference(report))
    for kind, groups in (
        ("users/", "users by train interactions"),
        ("items/", "items by popularity"),
    ):
        yield from _section(f"NDCG@{longest(report)}, {groups}", _cohorts(report, kind))
    if "audit" in report:
        yield from _section("Graph audit", audit_section(report["audit"]))
    yield from _section("Settings", _settings(report))
    yield from _section("Machine", _machine(report))


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"## {title}", "", *lines)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Gives the lines of a table, its first column to the left; none without rows."""
    if not rows:
        return []
    line = "|".join(["---", *["--:"] * (len(head) - 1)])
    return [f"| {' | '.join(cells)} |" if cells else f"|{line}|" for cells in (head, (), *rows)]


def _accuracy(report: Report) -> list[str]:
    names = columns(report)
    measured = [row for row in report["rows"] if "metrics" in row]
    best = {
        name: max(
            (row["metrics"][name]["mean"] or 0.0 for row in measured if name in row["metrics"]),
            default=0,
        )
        for name in names
    }
    rows = []
    for row in report["rows"]:
        cells = [row["model"], str(len(row["seeds"]))]
        for name in names:
            value = row.get("metrics", {}).get(name)
            cell = "failed" if value is None else plus_minus(value, "{:.4f}")
            top = value is not None and value["mean"] is not None and value["mean"] >= best[name]
            cells.append(f"**{cell}**" if top else cell)
        rows.append(cells)
    return table(["model", "seeds", *names], rows)


def _cost(report: Report) -> list[str]:
    measured = [row for row in report["rows"] if "metrics" in row]
    timed = any("to_ease" in row["seconds"] for row in measured)
    head = ["model", "seconds to train", *(["seconds to EASE's valid NDCG@20"] if timed else [])]
    rows = []
    for row in measured:
        seconds = row["seconds"]
        rows.append(
            [
                row["model"],
                plus_minus(seconds.get("train"), "{:,.1f}"),
                *([_reached(seconds.get("to_ease"))] if timed else []),
                plus_minus(row.get("peak_memory_mb"), "{:,.0f}"),
                plus_minus(seconds["score"], "{:,.2f}"),
                f"{row['parameters']:,}",
            ]
        )
    return table([*head, "peak memory, MB", "seconds to score all users", "parameters"], rows)


def _reached(value: Report | None) -> str:
    if value is None or not value["values"]:
        return ""
    reached = [seconds for seconds in value["values"] if seconds is not None]
    if len(reached) == len(value["values"]):
        return plus_minus(value, "{:,.1f}")
    return (
        f"reached by {len(reached)} of {len(value['values'])} seeds" if reached else "not reached"
    )


def _difference(report: Report) -> list[str]:
    k = longest(report)
    names = [f"{name}@{k}" for name in ("recall", "ndcg", "mrr", "tail_recall")]
    rows = []
    for row in report["rows"]:
        intervals = row.get("difference")
        if intervals:
            cells = (interval(intervals[name]) if name in intervals else "" for name in names)
            seeds = row.get("difference_seeds", row["seeds"])
            of_seeds = "" if seeds == row["seeds"] else f" (seeds {', '.join(map(str, seeds))})"
            rows.append([f"{row['model']}{of_seeds}", *cells])
    return table(["model minus kgrec", *names], rows)


def _cohorts(report: Report, kind: str) -> list[str]:
    metric = f"ndcg@{longest(report)}"
    rows = [row for row in report["rows"] if "cohorts" in row]
    names = list(dict.fromkeys(c for row in rows for c in row["cohorts"] if c.startswith(kind)))
    sizes = [
        next(row["cohorts"][name]["num_users"]["mean"] for row in rows if name in row["cohorts"])
        for name in names
    ]
    head = [
        f"{name.removeprefix(kind)} ({size:,.0f} users)"
        for name, size in zip(names, sizes, strict=True)
    ]
    body = [
        [
            row["model"],
            *(plus_minus(row["cohorts"].get(name, {}).get(metric), "{:.4f}") for name in names),
        ]
        for row in rows
    ]
    return table(["model", *head], body) if names else []


def audit_section(audit: Report) -> list[str]:
    """Gives the verdict, what the graph adds by cohort of users, and what each relation adds."""
    return list(_audit(audit))


def _audit(audit: Report) -> Iterator[str]:
    yield from (f"- {sentence}" for sentence in audit["verdict"]["sentences"])
    model = "the whole model" if audit["whole"] else "the closed form"
    parts = " and parts of train" if audit["folds"] > 1 else ""
    origin = f"; {audit['date'][:10]}, commit {audit['commit']}" if "date" in audit else ""
    yield (
        f"- {audit['fits']} fits of {model}, judged on {audit['split']}{parts} "
        f"({audit['folds']} in all), {audit['permutations']} shuffles each, "
        f"{audit['seconds']:,.0f} s{origin}."
    )
    if not audit["differences"]:
        return
    sides = [(variant, m) for variant in ("no graph", "permuted") for m in ("ndcg@20", "recall@20")]
    head = ["users", "number", *(f"{metric} - {variant}'s" for variant, metric in sides)]
    rows = [
        [
            cohort.removeprefix("users/"),
            f"{number:,}",
            *(interval(audit["differences"][variant][metric][cohort]) for variant, metric in sides),
        ]
        for cohort, number in audit["users"].items()
    ]
    yield from ("", *table(head, rows), "")
    yield from _relations(audit)


def _relations(audit: Report) -> list[str]:
    """What was left out in turn, the best first, then the others."""
    all_of = {
        name: audit["differences"][f"without {name}"]["ndcg@20"][ALL_USERS]
        for name in audit["edges"]
        if f"without {name}" in audit["differences"]
    }
    rows = []
    for name in best_first(audit["edges"], {n: worth["difference"] for n, worth in all_of.items()}):
        untried = "not tried" if name in audit["skipped"] else "no weight"
        worth = interval(all_of[name]) if name in all_of else untried
        likeness = audit["likeness"].get(name)
        alike = Likeness(*(likeness[field] for field in _LIKENESS)).words if likeness else "too few"
        rows.append([name, f"{audit['edges'][name]:,}", worth, alike])
    return table(["relation", "edges", "worth in ndcg@20", "items alike, to shuffled"], rows)


def _settings(report: Report) -> list[str]:
    lines = [
        f"- {row['model']}: {row['settings']}{_origin(row)}."
        for row in report["rows"]
        if "/" not in row["model"]
    ]
    changes = report["settings"]
    in_words = f"`{changes}`" if changes else "none"
    return [*lines, f"- kgrec's settings that are not its defaults: {in_words}."]


def _origin(row: Report) -> str:
    """Of which seeds, days and commits a row is."""
    if "origin" not in row:
        return ""
    seeds, origin = ", ".join(map(str, row["seeds"])), row["origin"]
    return f" (seeds {seeds}; {', '.join(origin['date'])}; commit {', '.join(origin['commit'])})"


def _machine(report: Report) -> list[str]:
    machines = [
        f"- {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"{machine['threads']} threads; {machine['system']}; CUDA: {machine['cuda'] or 'none'}."
        for machine in report["machines"]
    ]
    packages = [
        ", ".join(f"{name} {number}" for name, number in versions.items())
        for versions in report["versions"]
    ]
    return [*machines, *(f"- {line}." for line in packages)]


def plus_minus(value: Report | None, form: str) -> str:
    """Writes `mean ± sd`, the mean alone of one seed, nothing if it was not measured."""
    if value is None or value["mean"] is None:
        return ""
    mean = form.format(value["mean"])
    return mean if value["sd"] is None else f"{mean} ± {form.format(value['sd'])}"


def interval(value: Report) -> str:
    """Writes `+0.0123 [+0.0101, +0.0145]`."""
    return f"{value['difference']:+.4f} [{value['low']:+.4f}, {value['high']:+.4f}]"
