"""`kgrec recommend` and `kgrec similar`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from kgrec.cli.options import AsJson, NumItems, RunDirectory, StoreUri, positive, with_store
from kgrec.cli.output import Reporter
from kgrec.errors import StoreError

if TYPE_CHECKING:
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
    with Reporter(as_json) as reporter, ExitStack() as stack:
        from kgrec.cli.tables import recommendations_table
        from kgrec.training.directory import load_run

        recommender = open_recommender(load_run(run), store, reporter, stack)
        recommendations = recommender.recommend(user, k, allow_disliked=allow_disliked)
        cold = any(recommendation.cold for recommendation in recommendations)
        if cold:
            reporter.warn(f"run {run} knows no user {user!r}: these are the most popular items")
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
    with Reporter(as_json) as reporter, ExitStack() as stack:
        from kgrec.cli.tables import recommendations_table
        from kgrec.training.directory import load_run

        recommender = open_recommender(load_run(run), store, reporter, stack)
        recommendations = recommender.similar(item, k)
        reporter.answer(
            {
                "run": str(run),
                "item": item,
                "similar": [recommendation.to_dict() for recommendation in recommendations],
            },
            recommendations_table(f"Like item {item}", recommendations),
        )


def open_recommender(
    run: Run, uri: str | None, reporter: Reporter, stack: ExitStack
) -> Recommender:
    """Serves a run with its store, or with a warning without it if the store cannot be read.

    A store that the user named must be there.

    Raises:
        RunError: If the store holds another version of the graph.
        StoreError: If the store of `--store` cannot be read.
    """
    from kgrec.cli.steps import open_reader
    from kgrec.recommender import Recommender

    try:
        store = stack.enter_context(open_reader(with_store(run.config, uri)))
        return Recommender(run, store)
    except StoreError as error:
        if uri is not None:
            raise
        reporter.warn(f"reasons come without the paths of the graph: {error}")
        return Recommender(run)
