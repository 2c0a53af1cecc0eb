"""`kgrec bench`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgrec.cli.options import AsJson, Overrides
from kgrec.cli.output import Reporter, print_line, to_json, write_whole
from kgrec.config.bench import BenchConfig, read_bench
from kgrec.errors import DataError

if TYPE_CHECKING:
    from rich.table import Table

    from kgrec.bench.sets import SplitStore


BenchFile = Annotated[
    Path,
    typer.Option("--config", "-c", metavar="C.toml", help="Settings with a section \\[bench]."),
]
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="The set's folder.")]
Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Default: results/<name> beside the settings.")
]
Work = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Keeps stores and finished fits, which are not made twice. Default: the cache.",
    ),
]
Only = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Fit only this model; repeatable.")
]
Seeds = Annotated[
    list[int] | None, typer.Option(help="Instead of the settings' seeds; repeatable.")
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Remove what other runs left in the folder of results.")
]
Report = Annotated[
    bool,
    typer.Option("--report", help="Fit nothing: make the page and picture of the results anew."),
]
Audit = Annotated[
    bool,
    typer.Option("--audit", help="Also measure what the graph is worth, on the first split."),
]
Augment = Annotated[
    bool,
    typer.Option(
        "--augment",
        help="Instead of models, compare the sources of synthetic edges, on the first split.",
    ),
]
Attacks = Annotated[
    bool,
    typer.Option(
        "--attacks",
        help="Instead of models, measure what made-up interactions do, on the first split.",
    ),
]


def bench(
    config: BenchFile,
    data: Data = None,
    out: Out = None,
    work: Work = None,
    only: Only = None,
    seeds: Seeds = None,
    fresh: Fresh = False,
    report: Report = False,
    audit: Audit = False,
    augment: Augment = False,
    attacks: Attacks = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Compare kgrec with floors and peers on one split under one protocol."""
    changes = list(overrides or ())
    if seeds:
        changes.append(f"bench.seeds={seeds}")
    bench_settings, fit_settings = read_bench(config, tuple(changes))
    out = out or config.parent / "results" / bench_settings.name
    bench_mode = _bench_augment if augment else _bench_attacks if attacks else None
    if bench_mode is not None:
        bench_mode(bench_settings, fit_settings, data=data, work=work, out=out, as_json=as_json)
        return
    with Reporter(as_json) as reporter:
        from kgrec.bench import child
        from kgrec.bench.run import run_fits
        from kgrec.data.cache import user_cache

        audit_parts: list[Any] = []
        if not report:
            splits = run_fits(
                bench_settings,
                fit_settings,
                data=data,
                work=work or user_cache() / "bench" / bench_settings.name,
                out=out,
                only=only or (),
                fresh=fresh,
                command=_command(),
                launch=child.launch_process,
                tell=_silent if as_json else _tell,
            )
            audit_parts = _audit(out, splits[0], reporter) if audit else []
        _report(bench_settings, out, audit_parts, reporter)


def _audit(out: Path, split: SplitStore, reporter: Reporter) -> list[Any]:
    """Writes the audit into the results; gives what to show of it."""
    from kgrec.bench.machine import commit, now
    from kgrec.bench.results import write_audit
    from kgrec.cli.steps import audit_run
    from kgrec.cli.tables import audit_view
    from kgrec.graph.fetch import fetch_graph
    from kgrec.schema import Split
    from kgrec.store.connect import open_store

    with open_store(split.config.store, read_only=True) as store:
        graph = fetch_graph(store)
    audit = audit_run(split.config, graph, None, reporter, split=Split.TEST)
    write_audit(out, {**audit.to_dict(), "date": now(), "commit": commit()})
    return ["", audit_view(audit)]


def _report(bench: BenchConfig, out: Path, audit_parts: list[Any], reporter: Reporter) -> None:
    """Makes page and picture of the results, and answers with the table."""
    from kgrec.bench.pages import to_markdown
    from kgrec.bench.picture import draw_bench
    from kgrec.bench.report import build_report
    from kgrec.bench.results import read_results

    results = read_results(out)
    if not results.fits:
        raise DataError(
            f"{out} holds no fits; expected what `kgrec bench` wrote; run it without --report, or "
            f"give the folder with --out"
        )
    report = build_report(bench.name, results, bench.models)
    write_whole(out / "README.md", to_markdown(report))
    draw_bench(out / "accuracy.png", report)
    reporter.answer(report, _models_table(report), *audit_parts, f"written to {out}")


def _models_table(report: Mapping[str, Any]) -> Table:
    """Gives a table at the longest list: accuracy, cost, and the difference to kgrec."""
    from rich.table import Table

    from kgrec.bench.pages import interval, longest, plus_minus

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
        difference = row.get("difference", {}).get(f"ndcg@{k}")
        table.add_row(
            row["model"],
            *(plus_minus(row["metrics"].get(name), "{:.4f}") for name in names),
            plus_minus(row["seconds"].get("train"), "{:.1f}"),
            plus_minus(row.get("peak_memory_mb"), "{:.0f}"),
            "" if difference is None else interval(difference),
        )
    return table


def _bench_augment(
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
        from kgrec.bench.pages import accuracy_rows, augmentation_page
        from kgrec.data.cache import user_cache

        report = run_augmentation(
            bench,
            settings,
            data=data,
            work=work or user_cache() / "bench" / bench.name,
            command=_command(),
            tell=_silent if as_json else _tell,
            progress=not as_json,
        )
        _write_pages(out, "augmentation", report, augmentation_page(report))
        title = f"{bench.name}: NDCG@20 on test, {report['networks']} networks"
        table = _rows_table(title, *accuracy_rows(report, "test"))
        reporter.answer(report, table, report["gate"]["words"], f"written to {out}")


def _bench_attacks(
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
        from kgrec.bench.pages import robustness_page, robustness_rows
        from kgrec.bench.robustness import run_robustness
        from kgrec.data.cache import user_cache

        report = run_robustness(
            bench,
            settings,
            data=data,
            work=work or user_cache() / "bench" / bench.name,
            command=_command(),
            tell=_silent if as_json else _tell,
        )
        _write_pages(out, "robustness", report, robustness_page(report))
        table = _rows_table(f"{bench.name}: NDCG@20 on test", *robustness_rows(report))
        reporter.answer(report, table, f"written to {out}")


def _tell(text: str) -> None:
    """Says on stderr what was done."""
    print_line(sys.stderr, "bench", text, "bold")


def _silent(text: str) -> None:
    """Says nothing: JSON is the whole answer."""


def _command() -> str:
    return shlex.join(["kgrec", *sys.argv[1:]])


def _write_pages(out: Path, name: str, report: Mapping[str, Any], page: str) -> None:
    write_whole(out / f"{name}.json", to_json(report) + "\n")
    write_whole(out / f"{name}.md", page)


def _rows_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table

    table = Table(title=title)
    for number, name in enumerate(head):
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table
