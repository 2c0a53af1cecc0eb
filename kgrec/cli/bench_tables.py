"""A benchmark on the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from kgrec.bench.markdown import interval, longest, plus_minus


def bench_tables(report: Mapping[str, Any]) -> list[Table]:
    """Gives one table at the longest list: accuracy, cost, and the difference to kgrec."""
    k = longest(report)
    names = [f"{name}@{k}" for name in ("recall", "ndcg", "mrr", "tail_recall", "coverage")]
    seeds = len(report["seeds"])
    table = Table(title=f"{report['name']}: test, {seeds} seed{'s' if seeds > 1 else ''}")
    table.add_column("")
    for name in (*names, "train s", "MB", f"ndcg@{k} - kgrec's [95 %]"):
        table.add_column(name, justify="right")
    for row in report["rows"]:
        if "metrics" not in row:
            table.add_row(row["model"], "failed: " + next(iter(row["errors"].values())))
            continue
        found = row.get("difference", {}).get(f"ndcg@{k}")
        table.add_row(
            row["model"],
            *(plus_minus(row["metrics"].get(name), "{:.4f}") for name in names),
            plus_minus(row["seconds"].get("train"), "{:.1f}"),
            plus_minus(row.get("peak_memory_mb"), "{:.0f}"),
            "" if found is None else interval(found),
        )
    return [table]
