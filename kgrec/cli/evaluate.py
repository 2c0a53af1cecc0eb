"""`kgrec evaluate`."""

from typing import Annotated

import typer

from kgrec.cli.options import AsJson, RunDirectory, StoreUri, list_lengths, with_store
from kgrec.cli.output import Reporter
from kgrec.schema import Split


def evaluate(
    run: RunDirectory,
    split: Annotated[Split, typer.Option(help="valid or test.")] = Split.TEST,
    k: Annotated[
        str | None, typer.Option("--k", metavar="10,20", help="List lengths; default: the run's.")
    ] = None,
    store: StoreUri = None,
    floors: Annotated[
        bool | None,
        typer.Option("--floors/--no-floors", help="Popularity, ItemKNN and EASE in the table."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge a run on held-out interactions, beside its parts and the floors."""
    lengths = None if k is None else list_lengths(k)
    with Reporter(as_json) as reporter:
        from kgrec.cli.steps import evaluate_run, fetch, open_reader
        from kgrec.cli.tables import evaluation_tables
        from kgrec.store.state import graph_version
        from kgrec.training.directory import load_run

        trained_run = load_run(run)
        settings = with_store(trained_run.config, store)
        with open_reader(settings) as graph_store:
            trained_run.check_version(graph_version(graph_store))
        report = evaluate_run(
            trained_run,
            fetch(settings, reporter),
            split,
            lengths or settings.evaluation.k,
            floors=settings.evaluation.floors if floors is None else floors,
            reporter=reporter,
        )
        reporter.answer(report, *evaluation_tables(report))
