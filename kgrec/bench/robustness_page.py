"""What made-up interactions do, as Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

from kgrec.bench.markdown import table

Report = Mapping[str, Any]


def robustness_page(report: Report) -> str:
    """Gives the page: how it was measured, and a table."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    attacks, split = report["attacks"], report["split"]
    targets = attacks["targets"]
    items = "one item" if targets == 1 else f"each of {targets} items in turn; means are shown"
    yield f"# {report['name']}: made-up interactions"
    yield ""
    yield f"Made by `{report['command']}` on {report['date'][:10]}, commit `{report['commit']}`."
    yield ""
    yield (
        f"- Split {split['seed']}: {split['users']:,} users, {split['train']:,} train interactions"
        f"; graph version `{split['graph_version']}`. Settings were found on clean data."
    )
    yield (
        f"- Noise: pairs that nobody had, as a share of train's. Attacks: {attacks['share']:.0%} "
        f"fake users of {attacks['profile']} items (clones: those of whom they clone), on {items}."
    )
    yield (
        "- NDCG@20 is of real users on test, those included whom the defence set aside. Exposure "
        "is the share of real users who have not met the target and see it among their first 20; "
        "`before` is that without an attack."
    )
    yield ""
    yield from table(*robustness_rows(report))


def robustness_rows(report: Report) -> tuple[list[str], list[list[str]]]:
    """Gives the head, and a row a case and model: accuracy and exposure, without and with."""
    head = ["case", "model", "NDCG@20", "defended", "exposure before", "attacked", "defended"]
    head += ["fakes found", "real set aside"]
    pairs: dict[tuple[str, str], dict[bool, Report]] = {}
    for row in report["rows"]:
        pairs.setdefault((row["case"], row["model"]), {})[row["defence"]] = row
    rows = []
    for (case, model), pair in pairs.items():
        without, with_it = pair[False], pair[True]
        cells = [case, model, f"{without['ndcg']:.4f}", f"{with_it['ndcg']:.4f}"]
        if "exposure" in without:
            cells += [
                f"{value:.4f}"
                for value in (without["before"], without["exposure"], with_it["exposure"])
            ]
        else:
            cells += ["", "", ""]
        for name in ("fakes_found", "real_set_aside"):
            value = without[name]
            cells.append("" if value is None else f"{value:.1%}")
        rows.append(cells)
    return head, rows
