"""`kgrec recommend` and `kgrec similar`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kgrec.cli.options import AsJson, NumItems, RunDirectory, StoreUri, positive, with_store
from kgrec.cli.output import Reporter
from kgrec.errors import StoreError

if TYPE_CHECKING:
    from kgrec.recommend import Recommender


def recommend(
    run: RunDirectory,
    user: Annotated[str, typer.Option("--user", metavar="ID", help="The user's id.")],
    k: NumItems = 10,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> None:
    """Recommend items to a user, with reasons."""
    positive(k)
    with Reporter(as_json) as reporter, ExitStack() as stack:
        from kgrec.cli.tables import recommendations_table

        recommender = open_recommender(run, store, reporter, stack)
        found = recommender.recommend(user, k)
        cold = any(each.cold for each in found)
        title = f"For user {user}"
        if cold:
            title += f": the most popular, as no {user!r} is in the run"
        reporter.answer(
            {
                "run": str(run),
                "user": user,
                "cold": cold,
                "recommendations": [each.to_dict() for each in found],
            },
            recommendations_table(title, found),
        )


def similar(
    run: RunDirectory,
    item: Annotated[str, typer.Option("--item", metavar="ID", help="The item's id.")],
    k: NumItems = 10,
    as_json: AsJson = False,
) -> None:
    """Give the items that are most like one."""
    positive(k)
    with Reporter(as_json) as reporter:
        from kgrec.cli.tables import recommendations_table
        from kgrec.recommend import Recommender

        found = Recommender.load(run).similar_items(item, k)
        reporter.answer(
            {"run": str(run), "item": item, "similar": [each.to_dict() for each in found]},
            recommendations_table(f"Like item {item}", found),
        )


def open_recommender(
    run_dir: Path, uri: str | None, reporter: Reporter, stack: ExitStack
) -> Recommender:
    """Loads a run with its store; without paths, and saying so, if the store cannot be opened."""
    from kgrec.cli.steps import open_reader
    from kgrec.recommend import Recommender
    from kgrec.training.directory import load_run

    settings = with_store(load_run(run_dir).config, uri)
    try:
        store = stack.enter_context(open_reader(settings))
    except StoreError as error:
        reporter.warn(f"reasons come without paths: {error}")
        return Recommender.load(run_dir)
    return Recommender.load(run_dir, store)
