"""`kgrec bench`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgrec.cli.bench_modes import bench_attacks, bench_augment, silent, tell
from kgrec.cli.options import AsJson, Overrides
from kgrec.cli.output import Reporter, to_json
from kgrec.config.bench import read_bench

if TYPE_CHECKING:
    from kgrec.bench.sets import SplitStore


_Config = Annotated[
    Path,
    typer.Option("--config", "-c", metavar="C.toml", help="Settings with a section [bench]."),
]
_Data = Annotated[Path | None, typer.Option(metavar="DIR", help="The set's folder.")]
_Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Default: results/<name> beside the settings."),
]
_Work = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Keeps stores and finished fits, which are not made twice. Default: the cache.",
    ),
]
_Only = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Fit only this model; repeatable."),
]
_Seeds = Annotated[
    list[int] | None, typer.Option(help="Instead of the settings' seeds; repeatable.")
]
_Audit = Annotated[
    bool,
    typer.Option("--audit", help="Also measure what the graph is worth, on the first split."),
]
_Augment = Annotated[
    bool,
    typer.Option(
        "--augment",
        help="Instead of models, compare the sources of synthetic edges, on the first split.",
    ),
]
_Attacks = Annotated[
    bool,
    typer.Option(
        "--attacks",
        help="Instead of models, measure what made-up interactions do, on the first split.",
    ),
]


def bench(
    config: _Config,
    data: _Data = None,
    out: _Out = None,
    work: _Work = None,
    only: _Only = None,
    seeds: _Seeds = None,
    audit: _Audit = False,
    augment: _Augment = False,
    attacks: _Attacks = False,
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
        from kgrec.bench.report import build_bench_report
        from kgrec.bench.run import run_fits
        from kgrec.cli.bench_tables import bench_tables
        from kgrec.data.cache import user_cache

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
    report["audit"] = found.to_dict()
    return ["", audit_view(found)]


def _write(report: dict[str, Any], out: Path) -> None:
    from kgrec.bench.markdown import to_markdown
    from kgrec.bench.picture import draw_bench

    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(to_json(report) + "\n", encoding="utf-8")
    (out / "README.md").write_text(to_markdown(report), encoding="utf-8")
    draw_bench(out / "accuracy.png", report)
