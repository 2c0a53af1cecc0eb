"""`kgrec explore` and `kgrec report`: pages of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgrec.cli.options import AsJson, RunDirectory, StoreUri, positive, with_store
from kgrec.cli.output import Reporter
from kgrec.errors import ConfigError
from kgrec.schema import Split

_PAGE = ".html"


OutFile = Annotated[
    Path, typer.Option("-o", "--out", metavar="FILE", help="A page (.html) or .png, .svg, .pdf.")
]
UserId = Annotated[
    str | None, typer.Option("--user", metavar="ID", help="Explain this user's items.")
]
ItemIds = Annotated[
    list[str] | None,
    typer.Option("--item", metavar="ID", help="This item; repeatable. Default: the user's k best."),
]
EntityIds = Annotated[
    list[str] | None,
    typer.Option("--entity", metavar="ID", help="What lies around this entity; repeatable."),
]
MostEdges = Annotated[
    int, typer.Option("--most-edges", metavar="N", help="At most so many edges a hop.")
]
Around = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Edges around an explained item that explain nothing; default: 8 on a page, none in "
        "a picture.",
    ),
]


def explore(
    run: RunDirectory,
    out: OutFile,
    user: UserId = None,
    item: ItemIds = None,
    entity: EntityIds = None,
    k: Annotated[int, typer.Option("-k", metavar="K", help="The user's K best items.")] = 1,
    hops: Annotated[int, typer.Option(help="How far to go around items and entities.")] = 1,
    most_edges: MostEdges = 200,
    around: Around = None,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> None:
    """Draw why a user gets an item, or what lies around items and entities."""
    positive(k)
    _refuse_early(out, user, item, entity)
    with Reporter(as_json) as reporter:
        from kgrec.cli.steps import open_reader
        from kgrec.exploration import draw_subgraph, explore, write_subgraph
        from kgrec.training.directory import load_run

        trained_run = load_run(run)
        with open_reader(with_store(trained_run.config, store)) as graph_store:
            context_edges = (8 if out.suffix == _PAGE else 0) if around is None else around
            subgraph = explore(
                trained_run, graph_store, user=user, items=item or (), entities=entity or (),
                k=k, hops=hops, most_edges=most_edges, around=context_edges,
            )  # fmt: skip
        (write_subgraph if out.suffix == _PAGE else draw_subgraph)(subgraph, out)
        reporter.answer(
            {
                "file": str(out),
                "title": subgraph.title,
                "nodes": len(subgraph.graph),
                "edges": subgraph.graph.number_of_edges(),
                "complete": subgraph.complete,
                "trails": subgraph.trails_table().to_dict(orient="records"),
            },
            f"{subgraph.title}: {len(subgraph.graph):,} nodes, "
            f"{subgraph.graph.number_of_edges():,} edges"
            + ("" if subgraph.complete else "; more were left out, see --most-edges"),
            f"{'page' if out.suffix == _PAGE else 'picture'}: {out}",
        )


def _refuse_early(
    out: Path, user: str | None, items: list[str] | None, entities: list[str] | None
) -> None:
    from kgrec.exploration.picture import KINDS

    if out.suffix not in (_PAGE, *KINDS):
        raise ConfigError(
            f"-o {out} is neither a page nor a picture; expected a file that ends in "
            f"{', '.join((_PAGE, *KINDS))}"
        )
    if not (user or items or entities):
        raise ConfigError("nothing to look at: give --user, --item or --entity")
    if user and entities:
        raise ConfigError(
            "--user explains items, --entity shows what lies around: give one of the two"
        )


def report(
    run: RunDirectory,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The page, .html.")],
    split: Annotated[Split, typer.Option(help="valid or test.")] = Split.TEST,
    user: Annotated[
        list[str] | None,
        typer.Option("--user", metavar="ID", help="Show this user's items; repeatable."),
    ] = None,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> None:
    """Write all there is to tell of a run on one page that opens anywhere."""
    if out.suffix != ".html":
        raise ConfigError(f"-o {out} is no page; expected a file that ends in .html")
    with Reporter(as_json) as reporter:
        from kgrec.cli.steps import open_reader
        from kgrec.reporting import report, write_report
        from kgrec.training.directory import load_run

        trained_run = load_run(run)
        with (
            reporter.step("report") as notes,
            open_reader(with_store(trained_run.config, store)) as graph_store,
        ):
            run_report = report(
                trained_run, graph_store, split=split, users=user or (), progress=not as_json
            )
            notes.append(f"{run_report.measured['num_users']:,} users of {split} judged")
        write_report(run_report, out)
        reporter.answer(
            {
                "file": str(out),
                "bytes": out.stat().st_size,
                "measured": run_report.measured,
                "users": [example.user_id for example in run_report.examples],
                "audited": run_report.audit is not None,
            },
            f"page: {out}, {out.stat().st_size / 1e6:.1f} MB",
        )
