"""`kgrec refresh` and `kgrec forget`: what keeps runs and the graph right after training."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from kgrec.cli.options import AsJson, ConfigFile, RunDirectory, StoreUri, load_config, with_store
from kgrec.cli.output import Reporter, plain_table
from kgrec.cli.steps import completed_by
from kgrec.errors import ConfigError, DataError
from kgrec.schema import NodeLabel

if TYPE_CHECKING:
    from kgrec.config import Config
    from kgrec.training.directory import Run
    from kgrec.upkeep.places import Receipt
    from kgrec.upkeep.refresh import RefreshReport

_Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Write the new run there; default: replace it."),
]


def refresh(
    run: RunDirectory,
    store: StoreUri = None,
    out: _Out = None,
    publish: Annotated[
        bool,
        typer.Option("--publish", help="Bring the lists and vectors that it affects up to date."),
    ] = False,
    ingest: Annotated[
        bool,
        typer.Option("--ingest", help="Take in new data first, while the store is open."),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Go on: take in new data and fold it in, until Ctrl-C."),
    ] = False,
    interval: Annotated[
        float, typer.Option("--every", metavar="SECONDS", help="How often to look.")
    ] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Fold new data into a trained run without training."""
    if interval <= 0:
        raise ConfigError(f"--every must be positive, got {interval:g}; give seconds such as 10")
    if watch and out is not None:
        raise ConfigError("--watch keeps one run fresh; give --out in a call without --watch")
    with Reporter(as_json) as reporter:
        from kgrec.store.connect import open_store
        from kgrec.upkeep.fold import recovered_run
        from kgrec.upkeep.republish import open_readers
        from kgrec.upkeep.watching import KeptGraph

        with reporter.step("load") as notes:
            trained_run = recovered_run(run)
            notes.append(f"graph version {trained_run.record.graph_version}")
        settings = with_store(trained_run.config, store)
        if watch:
            _watch(trained_run, settings, reporter, interval, publish)
            return
        graphs = KeptGraph(settings)
        with completed_by("refresh"), ExitStack() as stack:
            writes = publish or ingest
            graph_store = stack.enter_context(open_store(settings.store, read_only=not writes))
            if ingest:
                with reporter.step("ingest") as notes:
                    update_report = graphs.take_in(graph_store)
                    notes.append(
                        f"{len(update_report.loads)} loads, graph version {update_report.version}"
                    )
            with reporter.step("refresh") as notes:
                readers = (
                    stack.enter_context(open_readers(settings, graph_store)) if publish else None
                )
                report = graphs.fold_in(
                    trained_run, graph_store, out, publish=publish, readers=readers
                )
                notes.append(_summary(report))
        graphs.write()
        reporter.answer(report.to_json(), f"run {report.run.directory}: {_summary(report)}")


def _watch(run: Run, settings: Config, reporter: Reporter, interval: float, publish: bool) -> None:
    """Tells each refresh in a line; Ctrl-C ends it, and that is no error."""
    from kgrec.upkeep.watching import watch

    count = 0
    try:
        for report in watch(run, settings, every=interval, publish=publish):
            count += 1
            reporter.answer(report.to_json(), _summary(report))
    except KeyboardInterrupt:
        # A refresh that is cut short leaves the run as it was; the next one does it again.
        if not reporter.as_json:
            reporter.answer({}, f"stopped after {count} refreshes")


def _summary(report: RefreshReport) -> str:
    if not report.changed:
        return f"at the graph's version already, {report.before}"
    node_changes = ", ".join(
        f"{count['new']:,} new and {count['gone']:,} gone {label.lower()} nodes"
        for label, count in report.nodes.items()
        if count["new"] or count["gone"]
    )
    parts = [
        f"{report.before} to {report.run.record.graph_version}",
        f"{report.users:,} users with other items",
        *([node_changes] if node_changes else []),
    ]
    if report.published is not None:
        parts.append(
            f"publication {report.published.publication}: {report.published.users:,} lists of "
            f"users, {report.published.items:,} of items, {report.published.vectors:,} vectors"
        )
        if not report.published.looked_for_new_items:
            parts.append("new items come into other lists with the next kgrec publish")
    return "; ".join(parts)


def forget(
    config: ConfigFile,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="Whom.")] = None,
    item: Annotated[str | None, typer.Option("--item", metavar="ID", help="What.")] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", metavar="DIR", help="Take it out of this run; repeatable."),
    ] = None,
    store: StoreUri = None,
    retrain_exact: Annotated[
        bool,
        typer.Option(
            "--retrain-exact",
            help="Train each run anew without it as well, and say what influence was left.",
        ),
    ] = False,
    readmit: Annotated[
        bool,
        typer.Option("--readmit", help="Let a forgotten id come again with later deliveries."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Forget a user or an item everywhere, and give a receipt. Without an id: finish what began."""
    settings = load_config(config, store, None)
    if user is not None and item is not None:
        raise ConfigError("give --user or --item, one at a time")
    if readmit and ((user is None and item is None) or run or retrain_exact):
        raise ConfigError("--readmit needs --user or --item, and goes with nothing else")
    if retrain_exact and not run:
        raise ConfigError("--retrain-exact compares runs; name them with --run")
    with Reporter(as_json) as reporter:
        from kgrec.upkeep import forget as upkeep

        if readmit:
            was_forgotten = upkeep.readmit(settings, user=user, item=item)
            outcome = "may come again" if was_forgotten else "was not forgotten here"
            label, node_id = (NodeLabel.ITEM, item) if user is None else (NodeLabel.USER, user)
            answer = {"label": str(label), "id": node_id, "readmitted": was_forgotten}
            reporter.answer(answer, f"{label.lower()} {node_id} {outcome}")
            return
        with reporter.step("forget") as notes, completed_by("forget"):
            receipt = upkeep.forget(
                settings, user=user, item=item, runs=run or (), progress=not as_json
            )
            notes.append(
                "gone" if receipt.was_present else "was forgotten before, and is not there"
            )
        if retrain_exact:
            from kgrec.upkeep.influence import with_influence

            with reporter.step("retrain") as notes:
                receipt = with_influence(receipt, settings, run or (), progress=not as_json)
                notes.append(f"{len(run or ())} runs")
        reporter.answer(receipt.to_json(), *_receipt_lines(receipt))
    if not receipt.verified:
        raise DataError(
            "something was found when the places were read again, see the receipt; run kgrec "
            "forget again"
        )


def _receipt_lines(receipt: Receipt) -> list[Table | str]:
    node_name = f"{receipt.target.label.lower()} {receipt.target.id}"
    if not receipt.was_present:
        return [f"{node_name} is not there; it was forgotten before"]
    title = f"forgotten: {node_name}"
    table = plain_table(
        "place", "removed", "left", "where",
        rows=[(place.name, place.removed, place.left, place.where) for place in receipt.places],
        right=["removed", "left"], title=title, title_style=None,
    )  # fmt: skip
    lines: list[Table | str] = [table, "", "not covered:"]
    lines += [f"  {line}" for line in receipt.to_json()["not_covered"]]
    for name, distances in (receipt.influence or {}).items():
        numbers = ", ".join(f"{key} {value:.4g}" for key, value in distances.items())
        lines += ["", f"influence left in {name}: {numbers}"]
    return lines
