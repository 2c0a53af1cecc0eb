"""`kgrec bench --augment`."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kgrec.cli.output import Reporter, print_line, to_json
from kgrec.config.bench import BenchConfig


def bench_augment(
    bench: BenchConfig,
    settings: Mapping[str, Any],
    *,
    data: Path | None,
    work: Path | None,
    out: Path,
    as_json: bool,
) -> None:
    """Compares the sources of synthetic edges; writes `augmentation.json` and `augmentation.md`."""
    with Reporter(as_json) as reporter:
        from rich.table import Table

        from kgrec.bench.augmentation import run_augmentation
        from kgrec.bench.augmentation_page import accuracy_rows, augmentation_page
        from kgrec.data.cache import user_cache

        report = run_augmentation(
            bench,
            settings,
            data=data,
            work=work or user_cache() / "bench" / bench.name,
            command=shlex.join(["kgrec", *sys.argv[1:]]),
            tell=silent if as_json else tell,
            progress=not as_json,
        )
        out.mkdir(parents=True, exist_ok=True)
        (out / "augmentation.json").write_text(to_json(report) + "\n", encoding="utf-8")
        (out / "augmentation.md").write_text(augmentation_page(report), encoding="utf-8")
        head, rows = accuracy_rows(report, "test")
        shown = Table(title=f"{bench.name}: NDCG@20 on test, {report['networks']} networks")
        for number, name in enumerate(head):
            shown.add_column(name.replace("[", r"\["), justify="right" if number else "left")
        for row in rows:
            shown.add_row(*(cell.replace("[", r"\[") for cell in row))
        reporter.answer(report, shown, report["gate"]["words"], f"written to {out}")


def tell(text: str) -> None:
    """Says on stderr what was done."""
    print_line(sys.stderr, "bench", text, "bold")


def silent(text: str) -> None:
    """Says nothing: JSON is the whole answer."""
