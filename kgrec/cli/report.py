"""`kgrec report`."""

from pathlib import Path
from typing import Annotated

import typer

from kgrec.cli.options import AsJson, RunDirectory, StoreUri, with_store
from kgrec.cli.output import Reporter
from kgrec.errors import ConfigError
from kgrec.schema import Split


def report(
    run: RunDirectory,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The page, .html.")],
    split: Annotated[Split, typer.Option(help="valid or test.")] = Split.TEST,
    user: Annotated[
        list[str] | None,
        typer.Option("--user", metavar="ID", help="Show this user's items; repeatable."),
    ] = None,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> None:
    """Write all there is to tell of a run on one page that opens anywhere."""
    if out.suffix != ".html":
        raise ConfigError(f"-o {out} is no page; expected a file that ends in .html")
    with Reporter(as_json) as reporter:
        from kgrec.cli.steps import open_reader
        from kgrec.reporting import report, write_report
        from kgrec.training.directory import load_run

        trained_run = load_run(run)
        with (
            reporter.step("report") as notes,
            open_reader(with_store(trained_run.config, store)) as graph_store,
        ):
            run_report = report(
                trained_run, graph_store, split=split, users=user or (), progress=not as_json
            )
            notes.append(f"{run_report.measured['num_users']:,} users of {split} judged")
        write_report(run_report, out)
        reporter.answer(
            {
                "file": str(out),
                "bytes": out.stat().st_size,
                "measured": run_report.measured,
                "users": [example.user_id for example in run_report.examples],
                "audited": run_report.audit is not None,
            },
            f"page: {out}, {out.stat().st_size / 1e6:.1f} MB",
        )
