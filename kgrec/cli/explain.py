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

        trained_run = load_run(run)
        explainer = Explainer(trained_run, language=language)
        if metrics:
            pairs = sample_pairs(trained_run.scorer, metrics, seed=trained_run.config.seed)
            quality = judge_explanations(explainer, pairs, num_paths=max(paths, 1))
            reporter.answer({"run": str(run), **quality.to_dict()}, *_quality_tables(quality))
            return
        assert user is not None
        assert item is not None
        explanation = explainer.pair(user, item, paths, renormalise=True)
        reporter.answer(
            {"run": str(run), **explanation.to_dict()}, *_explanation_blocks(explanation)
        )


def _explanation_blocks(explanation: PairExplanation) -> list[RenderableType]:
    from rich.markup import escape

    head = f"[bold]{escape(explanation.item_name)}[/bold] for user {escape(explanation.user_id)}: "
    models = [(part.name, part.share) for part in explanation.parts if abs(part.share) > 5e-5]
    relations = sorted(explanation.relations.items(), key=lambda relation: -abs(relation[1]))
    by_relation = "exact" if explanation.relations_exact else "first order"
    own_items = [(item.name, item.share) for item in explanation.own_items[:_MOST_SHOWN]]
    remaining_share = sum(item.share for item in explanation.own_items[_MOST_SHOWN:])
    if remaining_share:
        num_remaining = len(explanation.own_items) - _MOST_SHOWN
        own_items.append((f"{num_remaining} other items of the user", remaining_share))
    own_items.append(("what no own item accounts for", explanation.rest))
    blocks: list[RenderableType] = [
        f"{head}score {explanation.score:.4f}",
        "",
        _shares("The models", models, "exact"),
        _shares("By relation", relations[:_MOST_SHOWN], by_relation),
        _shares("By the user's items", own_items, "exact" if explanation.own_items_exact else ""),
    ]
    if explanation.layers:
        layers = [
            (f"user {layer.user_steps}, item {layer.item_steps} steps", layer.share)
            for layer in explanation.layers
        ]
        layers.append(("beside the networks", explanation.beside_layers))
        blocks.append(_shares("By the way of features", layers, "exact"))
    if explanation.paths:
        blocks += [_paths_table(explanation), ""]
    return blocks + [
        f"{escape(counterfactual.text)} (now {counterfactual.rank_before})"
        for counterfactual in explanation.counterfactuals
    ]


def _shares(title: str, rows: list[tuple[str, float]], how: str) -> RenderableType:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{title} ({how})" if how else title, title_justify="left")
    table.add_column("part")
    table.add_column("share", justify="right")
    for name, share in rows:
        table.add_row(escape(name), f"{share:+.4f}")
    return table


def _paths_table(explanation: PairExplanation) -> RenderableType:
    from rich.markup import escape
    from rich.table import Table

    bound = "" if explanation.paths_complete else f", others up to {explanation.path_bound:.4f}"
    linked, apart = f"{explanation.linked:+.4f}", f"{explanation.apart:+.4f}"
    title = f"The heaviest paths (all together {linked}, no path {apart}{bound})"
    table = Table(title=title, title_justify="left")
    table.add_column("path")
    table.add_column("share", justify="right")
    table.add_column("carried", justify="right")
    table.add_column("drop, renormalised", justify="right")
    for path in explanation.paths:
        drop = path.drop_renormalised
        table.add_row(
            escape(path.text),
            f"{path.share:+.4f}",
            f"{path.carried:+.4f}",
            "" if drop is None else f"{drop:+.4f}",
        )
    return table


def _quality_tables(quality: Quality) -> list[RenderableType]:
    from rich.table import Table

    table = Table(title=f"{quality.pairs} pairs, {quality.paths} paths", title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in quality.values.items():
        table.add_row(name.replace("_", " "), f"{value:.4f}")
    return [table]
