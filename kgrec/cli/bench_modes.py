"""`kgrec bench --augment` and `kgrec bench --attacks`."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgrec.cli.output import Reporter, print_line, to_json, write_whole
from kgrec.config.bench import BenchConfig

if TYPE_CHECKING:
    from rich.table import Table


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
        from kgrec.bench.augmentation import run_augmentation
        from kgrec.bench.augmentation_page import accuracy_rows, augmentation_page
        from kgrec.data.cache import user_cache

        report = run_augmentation(
            bench,
            settings,
            data=data,
            work=work or user_cache() / "bench" / bench.name,
            command=_command(),
            tell=silent if as_json else tell,
            progress=not as_json,
        )
        _write(out, "augmentation", report, augmentation_page(report))
        title = f"{bench.name}: NDCG@20 on test, {report['networks']} networks"
        shown = _shown(title, *accuracy_rows(report, "test"))
        reporter.answer(report, shown, report["gate"]["words"], f"written to {out}")


def bench_attacks(
    bench: BenchConfig,
    settings: Mapping[str, Any],
    *,
    data: Path | None,
    work: Path | None,
    out: Path,
    as_json: bool,
) -> None:
    """Measures what made-up interactions do; writes `robustness.json` and `robustness.md`."""
    with Reporter(as_json) as reporter:
        from kgrec.bench.robustness import run_robustness
        from kgrec.bench.robustness_page import robustness_page, robustness_rows
        from kgrec.data.cache import user_cache

        report = run_robustness(
            bench,
            settings,
            data=data,
            work=work or user_cache() / "bench" / bench.name,
            command=_command(),
            tell=silent if as_json else tell,
        )
        _write(out, "robustness", report, robustness_page(report))
        shown = _shown(f"{bench.name}: NDCG@20 on test", *robustness_rows(report))
        reporter.answer(report, shown, f"written to {out}")


def tell(text: str) -> None:
    """Says on stderr what was done."""
    print_line(sys.stderr, "bench", text, "bold")


def silent(text: str) -> None:
    """Says nothing: JSON is the whole answer."""


def _command() -> str:
    return shlex.join(["kgrec", *sys.argv[1:]])


def _write(out: Path, name: str, report: Mapping[str, Any], page: str) -> None:
    write_whole(out / f"{name}.json", to_json(report) + "\n")
    write_whole(out / f"{name}.md", page)


def _shown(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title)
    for number, name in enumerate(head):
        table.add_column(escape(name), justify="right" if number else "left")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
