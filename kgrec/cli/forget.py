"""`kgrec forget`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from kgrec.cli.completing import completed_by
from kgrec.cli.options import AsJson, ConfigFile, StoreUri, load_config
from kgrec.cli.output import Reporter
from kgrec.errors import ConfigError, DataError
from kgrec.schema import NodeLabel

if TYPE_CHECKING:
    from kgrec.upkeep.intent import Target
    from kgrec.upkeep.receipt import Receipt


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
    target = _target(user, item)
    if readmit and (target is None or run or retrain_exact):
        raise ConfigError("--readmit needs --user or --item, and goes with nothing else")
    if retrain_exact and not run:
        raise ConfigError("--retrain-exact compares runs; name them with --run")
    with Reporter(as_json) as reporter:
        from kgrec.upkeep import forget as upkeep

        if readmit:
            assert target is not None
            known = upkeep.readmit(settings, target)
            told = "may come again" if known else "was not forgotten here"
            answer = {"label": str(target.label), "id": target.id, "readmitted": known}
            reporter.answer(answer, f"{target.label.lower()} {target.id} {told}")
            return
        with reporter.step("forget") as said, completed_by("forget"):
            receipt = upkeep.forget(settings, target, run or (), progress=not as_json)
            said.append("gone" if receipt.found else "was forgotten before, and is not there")
        if retrain_exact:
            from kgrec.upkeep.influence import with_influence

            with reporter.step("retrain") as said:
                receipt = with_influence(receipt, settings, run or (), progress=not as_json)
                said.append(f"{len(run or ())} runs")
        reporter.answer(receipt.to_json(), *_shown(receipt))
    if not receipt.verified:
        raise DataError(
            "something was found when the places were read again, see the receipt; run kgrec "
            "forget again"
        )


def _target(user: str | None, item: str | None) -> Target | None:
    from kgrec.upkeep.intent import Target

    if user is not None and item is not None:
        raise ConfigError("give --user or --item, one at a time")
    if user is not None:
        return Target(NodeLabel.USER, user)
    return None if item is None else Target(NodeLabel.ITEM, item)


def _shown(receipt: Receipt) -> list[Table | str]:
    named = f"{receipt.target.label.lower()} {escape(receipt.target.id)}"
    if not receipt.found:
        return [f"{named} is not there; it was forgotten before"]
    table = Table(box=None, pad_edge=False, title=f"forgotten: {named}", title_justify="left")
    for name in ("place", "removed", "left", "where"):
        table.add_column(name, justify="right" if name in ("removed", "left") else "left")
    for place in receipt.places:
        cells = (place.name, f"{place.removed:,}", f"{place.left:,}", escape(place.where))
        table.add_row(*cells)
    told: list[Table | str] = [table, "", "not covered:"]
    told += [f"  {line}" for line in receipt.to_json()["not_covered"]]
    for name, measured in (receipt.influence or {}).items():
        numbers = ", ".join(f"{key} {value:.4g}" for key, value in measured.items())
        told += ["", f"influence left in {escape(name)}: {numbers}"]
    return told
