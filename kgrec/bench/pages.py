"""The reports of benchmarks as Markdown: the words stand in templates, the tables are made here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from kgrec.auditing.likeness import Likeness
from kgrec.auditing.trials import ALL_USERS
from kgrec.auditing.verdict import best_first
from kgrec.pages.render import render_markdown

#: What a likeness is made of; the rest of its JSON follows from it.
_LIKENESS = tuple(field.name for field in fields(Likeness))

Report = Mapping[str, Any]


def to_markdown(report: Report) -> str:
    """Gives the page of models: table, differences, cohorts, settings, machine, notes."""
    of_longest = f"NDCG@{longest(report)}"
    sections = {
        "Accuracy": _accuracy(report),
        "Cost": _cost(report),
        "Difference to kgrec": _difference(report),
        f"{of_longest}, users by train interactions": _cohorts(report, "users/"),
        f"{of_longest}, items by popularity": _cohorts(report, "items/"),
        "Graph audit": audit_section(report["audit"]) if "audit" in report else [],
    }
    return _page("benchmark", report, sections, counts=_counts)


def augmentation_page(report: Report) -> str:
    """Gives the page of synthetic edges: what the gate says, accuracy, differences, cohorts."""
    sections = {
        "NDCG@20 on test": table(*accuracy_rows(report, "test")),
        "NDCG@20 on valid": table(*accuracy_rows(report, "valid")),
        "Cohorts on test: difference to none": _augmented_cohorts(report),
        "Sources against each other: sparse users of test": table(
            ["the first - the second", "NDCG@20 [95 %]"],
            [[pair, interval(value)] for pair, value in report["versus"]["test"].items()],
        ),
    }
    return _page("augmentation", report, sections)


def robustness_page(report: Report) -> str:
    """Gives the page of made-up interactions: how it was measured, and a table."""
    return _page("robustness", report, {"": table(*robustness_rows(report))})


def _page(template: str, report: Report, sections: Mapping[str, list[str]], **more: Any) -> str:
    return render_markdown(f"{template}.md.j2", {**report, "sections": sections, **more})


def _counts(split: Report) -> str:
    counts = {k: v for k, v in split.items() if k not in ("seed", "graph_version")}
    return ", ".join(f"{v:,} {k.replace('_', ' ')}" for k, v in counts.items())


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
            cells = (interval(intervals.get(name)) for name in names)
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


def plus_minus(value: Report | None, form: str) -> str:
    """Writes `mean ± sd`, the mean alone of one seed, nothing if it was not measured."""
    if value is None or value["mean"] is None:
        return ""
    mean = form.format(value["mean"])
    return mean if value["sd"] is None else f"{mean} ± {form.format(value['sd'])}"


def interval(value: Report | None) -> str:
    """Writes `+0.0123 [+0.0101, +0.0145]`; nothing if it was not measured."""
    if value is None:
        return ""
    return f"{value['difference']:+.4f} [{value['low']:+.4f}, {value['high']:+.4f}]"


def accuracy_rows(report: Report, split: str) -> tuple[list[str], list[list[str]]]:
    """Gives the head, and a row a source: all users, sparse users and tail, what it is worth."""
    head = ["edges of", "all users", "sparse users", "sparse - none's [95 %]", "relative"]
    head += ["tail recall@20", "tail - none's [95 %]", "precision"]
    rows = []
    for row in report["rows"]:
        values, source = row[split], row["source"]
        difference = values.get("difference", {})
        rows.append(
            [
                f"**{source}**" if source == report["gate"]["picked"] else source,
                _cell("{:.4f}", values["ndcg"]["all"]),
                _cell("{:.4f}", values["ndcg"].get("sparse")),
                interval(difference.get("sparse")),
                _cell("{:+.1%}", values["relative"] if difference else None),
                _cell("{:.4f}", values["tail"]),
                interval(difference.get("tail")),
                _cell("{:.3f}", row["precision"]),
            ]
        )
    return head, rows


def _augmented_cohorts(report: Report) -> list[str]:
    differences = {
        row["source"]: row["test"]["difference"]
        for row in report["rows"]
        if "difference" in row["test"]
    }
    names = [
        name for name in next(iter(differences.values()), ()) if name not in ("tail", "sparse")
    ]
    rows = [[source, *(interval(of[name]) for name in names)] for source, of in differences.items()]
    return table(["edges of", *names], rows)


def robustness_rows(report: Report) -> tuple[list[str], list[list[str]]]:
    """Gives the head, and a row a case and model: accuracy and exposure, without and with."""
    head = ["case", "model", "NDCG@20", "defended", "exposure before", "attacked", "defended"]
    head += ["fakes found", "real set aside"]
    pairs: dict[tuple[str, str], dict[bool, Report]] = {}
    for row in report["rows"]:
        pairs.setdefault((row["case"], row["model"]), {})[row["defence"]] = row
    rows = []
    for names, pair in pairs.items():
        without, defended = pair[False], pair[True]
        accuracy = without["ndcg"], defended["ndcg"]
        exposure = without.get("before"), without.get("exposure"), defended.get("exposure")
        shares = without["fakes_found"], without["real_set_aside"]
        decimals = (_cell("{:.4f}", value) for value in (*accuracy, *exposure))
        rows.append([*names, *decimals, *(_cell("{:.1%}", share) for share in shares)])
    return head, rows


def _cell(form: str, value: float | None) -> str:
    return "" if value is None else form.format(value)
