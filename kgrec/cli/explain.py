"""`kgrec explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kgrec.cli.options import AsJson, RunDirectory
from kgrec.cli.output import Reporter
from kgrec.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kgrec.explanation.pair import PairExplanation
    from kgrec.explanation.quality import Quality

_MOST_SHOWN = 8


def explain(
    run: RunDirectory,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="The user's id.")] = None,
    item: Annotated[str | None, typer.Option("--item", metavar="ID", help="The item's id.")] = None,
    paths: Annotated[int, typer.Option("--paths", metavar="N", help="How many paths.")] = 5,
    language: Annotated[
        str, typer.Option("--language", metavar="CODE", help="Of the sentences: en or zh.")
    ] = "en",
    metrics: Annotated[
        int,
        typer.Option(
            "--metrics", metavar="N", help="Judge the explanations of N users' first item instead."
        ),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Say why an item has its score: what adds up to it, by which paths, and what if not."""
    if paths < 0 or metrics < 0:
        raise ConfigError(f"--paths {paths} and --metrics {metrics} must not be negative")
    if not metrics and (user is None or item is None):
        raise ConfigError("nothing to explain; give --user ID and --item ID, or --metrics N")
    with Reporter(as_json) as reporter:
        from kgrec.explanation.explainer import Explainer
        from kgrec.explanation.quality import judge_explanations, sample_pairs
        from kgrec.training.directory import load_run

        served = load_run(run)
        explainer = Explainer(served, language=language)
        if metrics:
            pairs = sample_pairs(served.scorer, metrics, seed=served.config.seed)
            judged = judge_explanations(explainer, pairs, num_paths=max(paths, 1))
            reporter.answer({"run": str(run), **judged.to_dict()}, *_quality(judged))
            return
        assert user is not None
        assert item is not None
        found = explainer.pair(user, item, paths, renormalise=True)
        reporter.answer({"run": str(run), **found.to_dict()}, *_shown(found))


def _shown(found: PairExplanation) -> list[RenderableType]:
    from rich.markup import escape

    head = f"[bold]{escape(found.item_name)}[/bold] for user {escape(found.user_id)}: "
    shown: list[RenderableType] = [f"{head}score {found.score:.4f}", ""]
    shown.append(
        _shares(
            "The models",
            [(part.name, part.share) for part in found.parts if abs(part.share) > 5e-5],
            "exact",
        )
    )
    kinds = sorted(found.relations.items(), key=lambda one: -abs(one[1]))[:_MOST_SHOWN]
    shown.append(_shares("By relation", kinds, "exact" if found.relations_exact else "first order"))
    own = [(one.name, one.share) for one in found.own_items[:_MOST_SHOWN]]
    left = sum(one.share for one in found.own_items[_MOST_SHOWN:])
    if left:
        own.append((f"{len(found.own_items) - _MOST_SHOWN} other items of the user", left))
    own.append(("what no own item accounts for", found.rest))
    shown.append(_shares("By the user's items", own, "exact" if found.own_items_exact else ""))
    if found.layers:
        layers = [
            (f"user {one.user_steps}, item {one.item_steps} steps", one.share)
            for one in found.layers
        ]
        layers.append(("beside the networks", found.beside_layers))
        shown.append(_shares("By the way of features", layers, "exact"))
    if found.paths:
        shown += [_paths_table(found), ""]
    shown += [f"{escape(one.text)} (now {one.rank_before})" for one in found.counterfactuals]
    return shown


def _shares(title: str, rows: list[tuple[str, float]], how: str) -> RenderableType:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{title} ({how})" if how else title, title_justify="left")
    table.add_column("part")
    table.add_column("share", justify="right")
    for name, share in rows:
        table.add_row(escape(name), f"{share:+.4f}")
    return table


def _paths_table(found: PairExplanation) -> RenderableType:
    from rich.markup import escape
    from rich.table import Table

    told = "" if found.paths_complete else f", others up to {found.path_bound:.4f}"
    title = f"The heaviest paths (all together {found.linked:+.4f}, no path {found.apart:+.4f}"
    table = Table(title=f"{title}{told})", title_justify="left")
    table.add_column("path")
    table.add_column("share", justify="right")
    table.add_column("carried", justify="right")
    table.add_column("drop, renormalised", justify="right")
    for path in found.paths:
        drop = path.drop_renormalised
        table.add_row(
            escape(path.text),
            f"{path.share:+.4f}",
            f"{path.carried:+.4f}",
            "" if drop is None else f"{drop:+.4f}",
        )
    return table


def _quality(judged: Quality) -> list[RenderableType]:
    from rich.table import Table

    table = Table(title=f"{judged.pairs} pairs, {judged.paths} paths", title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in judged.values.items():
        table.add_row(name.replace("_", " "), f"{value:.4f}")
    return [table]
