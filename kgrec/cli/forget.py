"""`kgrec forget`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from kgrec.cli.options import AsJson, ConfigFile, StoreUri, load_config
from kgrec.cli.output import Reporter, plain_table
from kgrec.cli.steps import completed_by
from kgrec.errors import ConfigError, DataError
from kgrec.schema import NodeLabel

if TYPE_CHECKING:
    from kgrec.upkeep.places import Receipt


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
    node_name = f"{receipt.target.label.lower()} {escape(receipt.target.id)}"
    if not receipt.was_present:
        return [f"{node_name} is not there; it was forgotten before"]
    title = f"forgotten: {node_name}"
    names = ("place", "removed", "left", "where")
    table = plain_table(*names, right=["removed", "left"], title=title, title_style=None)
    for place in receipt.places:
        cells = (place.name, f"{place.removed:,}", f"{place.left:,}", escape(place.where))
        table.add_row(*cells)
    lines: list[Table | str] = [table, "", "not covered:"]
    lines += [f"  {line}" for line in receipt.to_json()["not_covered"]]
    for name, distances in (receipt.influence or {}).items():
        numbers = ", ".join(f"{key} {value:.4g}" for key, value in distances.items())
        lines += ["", f"influence left in {escape(name)}: {numbers}"]
    return lines
