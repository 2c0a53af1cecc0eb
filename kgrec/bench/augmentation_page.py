"""The table of synthetic edges as Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

from kgrec.bench.markdown import interval, table

Report = Mapping[str, Any]


def augmentation_page(report: Report) -> str:
    """Gives the page: what the gate says, accuracy, differences, cohorts, what sources learned."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    plan, split = report["plan"], report["split"]
    yield f"# {report['name']}: synthetic edges"
    yield ""
    yield f"Made by `{report['command']}` on {report['date'][:10]}, commit `{report['commit']}`."
    yield ""
    yield from (f"- {sentence}" for sentence in report["protocol"])
    yield (
        f"- {report['networks']} networks of {report['epochs']} epochs; {plan['users']:,} users "
        f"with 1 to {plan['at_most']} interactions get {plan['per_user']} edges each, of weight "
        f"{plan['weight']:g}; {plan['epochs']} epochs with them."
    )
    if report["thin"]:
        thin = report["thin"]
        yield (
            f"- {thin['share']:.0%} of the users keep {thin['keep']} train interactions, drawn "
            f"with seed {split['seed']}."
        )
    yield (
        f"- Split {split['seed']}: {split['train']:,} train, {split['valid']:,} valid, "
        f"{split['test']:,} test; graph version `{split['graph_version']}`."
    )
    words = report["gate"]["words"].splitlines()
    yield from ("", "## The gate", "", *(f"- {line}" for line in words))
    for name in ("test", "valid"):
        yield from ("", f"## NDCG@20 on {name}", "", *table(*accuracy_rows(report, name)))
    yield from ("", "## Cohorts on test: difference to none", "", *_cohorts(report))
    yield from ("", "## Sources against each other: sparse users of test", "", *_versus(report))


def accuracy_rows(report: Report, split: str) -> tuple[list[str], list[list[str]]]:
    """Gives the head, and a row a source: all users, sparse users and tail, what it is worth."""
    head = ["edges of", "all users", "sparse users", "sparse - none's [95 %]", "relative"]
    head += ["tail recall@20", "tail - none's [95 %]", "precision"]
    return head, [_accuracy_row(report, row, split) for row in report["rows"]]


def _accuracy_row(report: Report, row: Report, split: str) -> list[str]:
    values = row[split]
    difference = values.get("difference", {})
    is_best = row["source"] == report["gate"]["picked"]
    tail = difference.get("tail")
    return [
        f"**{row['source']}**" if is_best else row["source"],
        f"{values['ndcg']['all']:.4f}",
        f"{values['ndcg']['sparse']:.4f}" if "sparse" in values["ndcg"] else "",
        interval(difference["sparse"]) if "sparse" in difference else "",
        f"{values['relative']:+.1%}" if difference else "",
        "" if values["tail"] is None else f"{values['tail']:.4f}",
        "" if tail is None else interval(tail),
        "" if row["precision"] is None else f"{row['precision']:.3f}",
    ]


def _cohorts(report: Report) -> list[str]:
    compared = [row for row in report["rows"] if "difference" in row["test"]]
    if not compared:
        return []
    names = [name for name in compared[0]["test"]["difference"] if name not in ("tail", "sparse")]
    rows = [
        [row["source"], *(interval(row["test"]["difference"][name]) for name in names)]
        for row in compared
    ]
    return table(["edges of", *names], rows)


def _versus(report: Report) -> list[str]:
    pairs = report["versus"]["test"]
    rows = [[pair, interval(difference)] for pair, difference in pairs.items()]
    return table(["the first - the second", "NDCG@20 [95 %]"], rows)
