"""`kgrec bench`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgrec.cli.bench_modes import bench_attacks, bench_augment, silent, tell
from kgrec.cli.options import AsJson, Overrides
from kgrec.cli.output import Reporter, to_json, write_whole
from kgrec.config.bench import read_bench

if TYPE_CHECKING:
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
    bool, typer.Option("--fresh", help="Take over no rows of an earlier report in the folder.")
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
    settings, rest = read_bench(config, tuple(changes))
    out = out or config.parent / "results" / settings.name
    for asked, other in ((augment, bench_augment), (attacks, bench_attacks)):
        if asked:
            other(settings, rest, data=data, work=work, out=out, as_json=as_json)
            return
    with Reporter(as_json) as reporter:
        from kgrec.bench import launch
        from kgrec.bench.earlier import read_earlier, with_earlier
        from kgrec.bench.report import build_bench_report
        from kgrec.bench.run import run_fits
        from kgrec.cli.bench_tables import bench_tables
        from kgrec.data.cache import user_cache

        earlier = None if fresh else read_earlier(out / "results.json")  # before hours of fits
        outcomes, splits = run_fits(
            settings,
            rest,
            data=data,
            work=work or user_cache() / "bench" / settings.name,
            only=only or (),
            launch=launch.launch_process,
            tell=silent if as_json else tell,
        )
        command = shlex.join(["kgrec", *sys.argv[1:]])
        report = build_bench_report(settings, outcomes, splits, command)
        if earlier is not None:
            report = with_earlier(report, earlier, settings.models)
        shown = _audited(report, splits[0], reporter) if audit else []
        _write(report, out)
        reporter.answer(report, *bench_tables(report), *shown, f"written to {out}")


def _audited(report: dict[str, Any], split: SplitStore, reporter: Reporter) -> list[Any]:
    """Adds the audit to the report; gives what to show of it."""
    from kgrec.cli.audit_view import audit_view
    from kgrec.cli.steps import audit_graph
    from kgrec.graph.fetch import fetch_graph
    from kgrec.schema import Split
    from kgrec.store.connect import open_store

    with open_store(split.config.store, read_only=True) as store:
        graph = fetch_graph(store)
    found = audit_graph(split.config, graph, None, reporter, split=Split.TEST)
    report["audit"] = {**found.to_dict(), "date": report["date"], "commit": report["commit"]}
    return ["", audit_view(found)]


def _write(report: dict[str, Any], out: Path) -> None:
    from kgrec.bench.markdown import to_markdown
    from kgrec.bench.picture import draw_bench

    write_whole(out / "results.json", to_json(report) + "\n")
    write_whole(out / "README.md", to_markdown(report))
    draw_bench(out / "accuracy.png", report)
