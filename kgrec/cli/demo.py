"""`kgrec demo`: everything, on MovieLens-100k."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from kgrec.cli.options import AsJson, StoreUri, with_store
from kgrec.cli.output import Reporter
from kgrec.schema import NodeLabel, Split

if TYPE_CHECKING:
    from kgrec.graph.data import GraphData

_NUM_SHOWN = 5


def demo(
    store: StoreUri = None,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="DIR", help="Default: in the user's cache.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show everything on MovieLens-100k: data, ingest, text, train, evaluate, recommend."""
    with Reporter(as_json) as reporter:
        from kgrec.cli.recommend import open_recommender
        from kgrec.cli.steps import bring_up_to_date, evaluate_run, fetch, train_run
        from kgrec.cli.tables import evaluation_tables, recommendations_table
        from kgrec.data.cache import user_cache
        from kgrec.data.movielens import demo_config

        demo_folder = user_cache() / "demo"
        with reporter.step("fetch") as notes:
            settings = with_store(demo_config(), store or f"embedded:{demo_folder / 'graph.kgl'}")
            notes.append("MovieLens-100k with its Freebase graph")
        run_dir = run or demo_folder / "run"
        bring_up_to_date(settings, reporter)
        graph = fetch(settings, reporter)
        trained_run = train_run(settings, graph, run_dir, reporter)
        k = settings.evaluation.k
        report = evaluate_run(trained_run, graph, Split.TEST, k, floors=True, reporter=reporter)
        user, history = typical_user(graph, trained_run.names[NodeLabel.ITEM])
        with reporter.step("recommend") as notes:
            recommender = open_recommender(trained_run, settings.store.uri, reporter)
            recommendations = recommender.recommend(user, max(k))
            notes.append(f"for user {user}, who has {len(history)} films")
        picture = run_dir / "training.png"
        reporter.answer(
            {
                "run": str(run_dir),
                "store": settings.store.uri,
                "evaluation": report,
                "user": user,
                "recommendations": [recommendation.to_dict() for recommendation in recommendations],
                "picture": str(picture),
                "seconds": reporter.seconds,
            },
            "",
            *evaluation_tables(report),
            "",
            recommendations_table(f"For user {user}", recommendations[:_NUM_SHOWN]),
            Text(f"latest of the user's {len(history)}: {', '.join(history[:6])}", "dim"),
            "",
            f"picture: {picture}",
            f"more:    kgrec recommend --run {run_dir} --user {user}",
        )


def typical_user(graph: GraphData, names: Sequence[str]) -> tuple[str, list[str]]:
    """Gives a user with the median number of training items, and their titles, latest first."""
    import numpy as np

    counts = np.bincount(graph.train.user_index, minlength=graph.num_users)
    user = int(np.argmin(np.abs(counts - np.median(counts))))
    user_rows = np.flatnonzero(graph.train.user_index == user)
    if graph.train.time is not None:
        user_rows = user_rows[np.argsort(-graph.train.time[user_rows], kind="stable")]
    titles = [names[index] for index in graph.train.item_index[user_rows]]
    return graph.vocabularies[NodeLabel.USER].ids[user], titles
