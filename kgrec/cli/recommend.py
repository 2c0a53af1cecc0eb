"""`kgrec recommend`, `kgrec similar` and `kgrec explain`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from kgrec.cli.options import AsJson, NumItems, RunDirectory, StoreUri, positive, with_store
from kgrec.cli.output import Reporter
from kgrec.errors import ConfigError, StoreError
from kgrec.schema import NodeLabel

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kgrec.explanation.pair import PairExplanation
    from kgrec.explanation.quality import Quality
    from kgrec.recommender import Recommender
    from kgrec.training.directory import Run


def recommend(
    run: RunDirectory,
    user: Annotated[str, typer.Option("--user", metavar="ID", help="The user's id.")],
    k: NumItems = 10,
    store: StoreUri = None,
    allow_disliked: Annotated[
        bool,
        typer.Option("--allow-disliked", help="Also what the user disliked or dismissed."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Recommend items to a user, with reasons."""
    positive(k)
    with Reporter(as_json) as reporter:
        from kgrec.cli.tables import recommendations_table
        from kgrec.training.directory import load_run

        recommender = open_recommender(load_run(run), store, reporter)
        recommendations = recommender.recommend(user, k, allow_disliked=allow_disliked)
        cold = any(recommendation.cold for recommendation in recommendations)
        if cold:
            reporter.warn(why_popular(recommender.run, user))
        reporter.answer(
            {
                "run": str(run),
                "user": user,
                "cold": cold,
                "recommendations": [recommendation.to_dict() for recommendation in recommendations],
            },
            recommendations_table(f"For user {user}", recommendations),
        )


def similar(
    run: RunDirectory,
    item: Annotated[str, typer.Option("--item", metavar="ID", help="The item's id.")],
    k: NumItems = 10,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> None:
    """Give the items that are most like one."""
    positive(k)
    with Reporter(as_json) as reporter:
        from kgrec.cli.tables import recommendations_table
        from kgrec.training.directory import load_run

        recommender = open_recommender(load_run(run), store, reporter)
        recommendations = recommender.similar(item, k)
        reporter.answer(
            {
                "run": str(run),
                "item": item,
                "similar": [recommendation.to_dict() for recommendation in recommendations],
            },
            recommendations_table(f"Like {_title(recommender.run, item)}", recommendations),
        )


def _title(run: Run, item: str) -> str:
    """What to call an item that a run knows, and its id."""
    name = run.names[NodeLabel.ITEM][run.vocabularies[NodeLabel.ITEM].index(item)]
    return item if name == item else f"{name} ({item})"


def why_popular(run: Run, user: str) -> str:
    """Says what the run knows of a user who gets the most popular items."""
    popular = "these are the most popular items"
    if user not in run.vocabularies[NodeLabel.USER]:
        return f"run {run.directory} knows no user {user!r}: {popular}"
    index = run.vocabularies[NodeLabel.USER].index(user)
    num_disliked = len(run.behaviours.disliked.row(index))
    if num_disliked:
        items = "item" if num_disliked == 1 else "items"
        popular += " that they have not turned down"
        return f"user {user!r} has only dislikes so far, {num_disliked:,} {items}: {popular}"
    return f"run {run.directory} has no liked item of user {user!r} to learn from: {popular}"


def open_recommender(run: Run, uri: str | None, reporter: Reporter) -> Recommender:
    """Serves a run with its store, or with a warning without it if the store cannot be read.

    A store that the user named must be there.

    Raises:
        RunError: If the store holds another version of the graph.
        StoreError: If the store of `--store` cannot be read.
    """
    from kgrec.cli.steps import open_reader
    from kgrec.recommender import Recommender

    try:
        store = reporter.enter_context(open_reader(with_store(run.config, uri)))
        return Recommender(run, store)
    except StoreError as error:
        if uri is not None:
            raise
        reporter.warn(f"reasons come without the paths of the graph: {error}")
        return Recommender(run)


#: Rows of a table in full, and of a kind in ten lines.
_MOST_SHOWN, _FEW_SHOWN = 8, 3


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
    store: StoreUri = None,
    full: Annotated[
        bool, typer.Option("--full", help="All models, relations, items, paths and what-ifs.")
    ] = False,
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
        from kgrec.explanation.reasons import graph_share
        from kgrec.training.directory import load_run

        trained_run = load_run(run)
        if store is not None:  # its graph must be the run's
            trained_run = open_recommender(trained_run, store, reporter).run
        explainer = Explainer(trained_run, language=language)
        if metrics:
            pairs = sample_pairs(trained_run.scorer, metrics, seed=trained_run.config.seed)
            quality = judge_explanations(explainer, pairs, num_paths=max(paths, 1))
            reporter.answer({"run": str(run), **quality.to_dict()}, _quality_table(quality))
            return
        assert user is not None
        assert item is not None
        explanation = explainer.pair(user, item, paths, renormalise=True)
        carried = graph_share(explanation.relations, trained_run.config.data)
        blocks = _explanation_blocks(explanation) if full else _ten_lines(explanation, carried)
        reporter.answer({"run": str(run), **explanation.to_dict(), "graph": carried}, *blocks)


def _ten_lines(explanation: PairExplanation, carried: float) -> list[RenderableType]:
    """Gives the largest of each kind; a line is cut where the terminal is too narrow."""
    models = sorted(explanation.parts, key=lambda part: -abs(part.share))[:_FEW_SHOWN]
    relations = sorted(explanation.relations.items(), key=lambda relation: -abs(relation[1]))
    others = explanation.own_items[_FEW_SHOWN:]
    more = sum(own.share for own in others) + explanation.rest
    rows = [
        *(("you took", own.name, own.share) for own in explanation.own_items[:_FEW_SHOWN]),
        ("besides", f"{len(others)} other items, and what no item accounts for", more),
        *(("path", path.text, path.share) for path in explanation.paths[:2]),
    ]
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    table.add_column(style="dim")
    table.add_column(no_wrap=True, overflow="ellipsis")
    for kind, words, share in rows:
        table.add_row(f"{share:+.3f}", kind, Text(words))
    by_model = ", ".join(f"{part.name} {part.share:+.2f}" for part in models)
    through = ", ".join(f"{kind} {share:+.2f}" for kind, share in relations[:_FEW_SHOWN])
    summary = f"the graph carries {carried:+.2f}; through {through}; by {by_model}"
    return [
        _head(explanation),
        Text(summary, no_wrap=True, overflow="ellipsis"),
        table,
        *(Text(x.text, no_wrap=True, overflow="ellipsis") for x in explanation.counterfactuals[:1]),
        Text("all of it: --full", "dim"),
    ]


def _head(explanation: PairExplanation) -> Text:
    rest = f" for user {explanation.user_id}: score {explanation.score:.4f}"
    return Text.assemble((explanation.item_name, "bold"), rest)


def _explanation_blocks(explanation: PairExplanation) -> list[RenderableType]:
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
        _head(explanation),
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
        f"{counterfactual.text} (now {counterfactual.rank_before})"
        for counterfactual in explanation.counterfactuals
    ]


def _shares(title: str, shares: list[tuple[str, float]], how: str) -> Table:
    title = f"{title} ({how})" if how else title
    return _table(title, ["part", "share"], [(name, f"{share:+.4f}") for name, share in shares])


def _paths_table(explanation: PairExplanation) -> Table:
    bound = "" if explanation.paths_complete else f", others up to {explanation.path_bound:.4f}"
    linked, apart = f"{explanation.linked:+.4f}", f"{explanation.apart:+.4f}"
    rows = []
    for path in explanation.paths:
        drop = "" if path.drop_renormalised is None else f"{path.drop_renormalised:+.4f}"
        rows.append((path.text, f"{path.share:+.4f}", f"{path.carried:+.4f}", drop))
    return _table(
        f"The heaviest paths (all together {linked}, no path {apart}{bound})",
        ["path", "share", "carried", "drop, renormalised"],
        rows,
    )


def _quality_table(quality: Quality) -> Table:
    rows = [(name.replace("_", " "), f"{value:.4f}") for name, value in quality.values.items()]
    return _table(f"{quality.pairs} pairs, {quality.paths} paths", ["metric", "value"], rows)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Gives a table with rules, of what a text names and of numbers."""
    name, *numbers = columns
    right = (Column(number, justify="right") for number in numbers)
    table = Table(name, *right, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    return table
