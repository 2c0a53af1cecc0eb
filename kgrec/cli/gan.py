"""`kgrec gan`: a generator of synthetic edges by itself, and its edges in a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from kgrec.cli.options import (
    AsJson,
    ConfigFile,
    OptionalConfigFile,
    Overrides,
    StoreUri,
    load_config,
    store_config,
    with_store,
)
from kgrec.cli.output import Reporter, plain_table
from kgrec.errors import ConfigError
from kgrec.files import atomic_file

if TYPE_CHECKING:
    from kgrec.graph.data import GraphData, SyntheticEdges


gan = typer.Typer(
    name="gan",
    help="Synthetic edges: fit a generator, sample it, mark edges in a store, purge them.",
    no_args_is_help=True,
)

_From = Annotated[
    Path, typer.Option("--from", metavar="DIR", help="A generator that `kgrec gan fit` made.")
]
_Name = Annotated[
    str | None, typer.Option("--name", metavar="RUN", help="The run that edges are marked with.")
]


@gan.command()
def fit(
    config: ConfigFile,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the generator goes.")],
    store: StoreUri = None,
    seed: Annotated[int | None, typer.Option(help="Overrides the settings' seed.")] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Bring the store up to date and fit a generator; no recommender is trained."""
    changes = [*(overrides or []), *([] if seed is None else [f"seed={seed}"])]
    settings = load_config(config, store, changes)
    with Reporter(as_json) as reporter:
        from kgrec.cli.steps import bring_up_to_date, fetch
        from kgrec.training.augmenter import GanAugmenter

        bring_up_to_date(settings, reporter)
        graph = fetch(settings, reporter)
        with reporter.step("fit") as notes:
            augmenter = GanAugmenter.fit(graph, settings, out, progress=not as_json)
            notes.append(_sentence(augmenter.record.learned))
        reporter.answer(
            {
                "generator": str(out),
                "graph_version": graph.version,
                "seed": settings.seed,
                "learned": augmenter.record.learned,
                "seconds": reporter.seconds,
                "picture": str(out / "augment.png"),
            },
            _measured_table(augmenter.record.learned),
            f"generator {out}, picture {out / 'augment.png'}",
            f"next: kgrec gan sample --from {out}",
        )


@gan.command()
def sample(
    directory: _From,
    source: Annotated[
        str,
        typer.Option(help="gan, teacher or knn."),
    ] = "gan",
    per_user: Annotated[int | None, typer.Option(help="Edges for each sparse user.")] = None,
    per_item: Annotated[int | None, typer.Option(help="Edges for each sparse item.")] = None,
    seed: Annotated[int | None, typer.Option(help="Default: the generator's.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write .parquet or .csv.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Mark the edges in the store.")] = False,
    name: _Name = None,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> None:
    """Propose edges on the graph as the store holds it now; write them only where told to."""
    if out is not None and out.suffix not in (".parquet", ".csv"):
        raise ConfigError(f"--out {out} is neither .parquet nor .csv; name it like edges.parquet")
    with Reporter(as_json) as reporter:
        from kgrec.cli.steps import fetch
        from kgrec.training.augmenter import GanAugmenter, read_augmenter_record
        from kgrec.training.directory import read_config

        record = read_augmenter_record(directory)
        settings = with_store(read_config(directory, record), store)
        graph = fetch(settings, reporter)
        with reporter.step("load"):
            augmenter = GanAugmenter.load(directory, graph, progress=not as_json)
        with reporter.step("sample") as notes:
            edges = augmenter.sample(source, per_user=per_user, per_item=per_item, seed=seed)
            notes.append(f"{len(edges):,} edges of {source}")
        pairs = _id_pairs(edges, graph)
        summary: dict[str, Any] = {
            **augmenter.describe(edges),
            "source": source,
            "seed": edges.seed,
        }
        blocks: list[Any] = [_proposals_table({source: summary})]
        if out is not None:
            _write_file(out, pairs, edges)
            summary["file"] = str(out)
            blocks.append(f"edges {out}")
        if write:
            run = name or directory.resolve().name
            summary["run"] = run
            summary["written"] = _mark(settings, pairs, run, edges, reporter)
            blocks.append(f"marked as {run}; take them back: kgrec gan purge --name {run}")
        if out is None and not write:
            summary["pairs"] = [list(pair) for pair in pairs]
        reporter.answer(summary, *blocks)


def _id_pairs(edges: SyntheticEdges, graph: GraphData) -> list[tuple[str, str, float]]:
    from kgrec.schema import NodeLabel

    users, items = (graph.vocabularies[label].ids for label in (NodeLabel.USER, NodeLabel.ITEM))
    columns = edges.user_index.tolist(), edges.item_index.tolist(), edges.weight.tolist()
    return [(users[u], items[i], weight) for u, i, weight in zip(*columns, strict=True)]


def _write_file(path: Path, pairs: list[tuple[str, str, float]], edges: SyntheticEdges) -> None:
    """Writes edges with their marks; the file appears whole or not at all."""
    import pandas as pd

    frame = pd.DataFrame(pairs, columns=["user_id", "item_id", "weight"]).assign(
        source=edges.source, seed=edges.seed, synthetic=True
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as temporary:
            if path.suffix == ".csv":
                frame.to_csv(temporary, index=False)
            else:
                frame.to_parquet(temporary, index=False)
    except OSError as exc:
        raise ConfigError(f"cannot write {path}: {exc}; give another --out") from exc


def _mark(
    settings: Any,
    pairs: list[tuple[str, str, float]],
    run: str,
    edges: SyntheticEdges,
    reporter: Reporter,
) -> int:
    from kgrec.store.connect import open_store
    from kgrec.store.synthetic import write_synthetic

    with reporter.step("write") as notes, open_store(settings.store) as graph_store:
        num_written = write_synthetic(
            graph_store, pairs, run=run, source=edges.source, seed=edges.seed
        )
        notes.append(f"{num_written:,} edges marked in {settings.store.uri}")
    return num_written


@gan.command()
def report(
    directory: Annotated[
        Path, typer.Option("--from", metavar="DIR", help="A generator, or a run with --augment.")
    ],
    as_json: AsJson = False,
) -> None:
    """Say what was measured of a generator, and what the gate found if it was asked."""
    with Reporter(as_json) as reporter:
        from kgrec.errors import RunError
        from kgrec.training.augmenter import read_augmenter_record
        from kgrec.training.directory import RECORD, read_record

        summary: dict[str, Any]
        if (directory / RECORD).is_file():
            augment = read_record(directory).augment
            if augment is None:
                raise RunError(
                    f"run {directory} was trained without synthetic edges; train it with "
                    f"--augment auto, or fit a generator with kgrec gan fit"
                )
            summary = augment.tree()
        else:
            summary = {"learned": read_augmenter_record(directory).learned}
        blocks: list[Any] = []
        if summary["learned"]:
            blocks += [_measured_table(summary["learned"]), _sentence(summary["learned"])]
        if summary.get("proposals"):
            blocks += ["", _proposals_table(summary["proposals"])]
        if summary.get("words"):
            blocks += ["", summary["words"]]
        reporter.answer(summary, *blocks, f"picture {directory / 'augment.png'}")


@gan.command("list")
def list_edges(
    store: StoreUri = None,
    config: OptionalConfigFile = None,
    name: _Name = None,
    as_json: AsJson = False,
) -> None:
    """List the runs whose edges are marked in a store, or the edges of one."""
    settings = store_config(config, store)
    with Reporter(as_json) as reporter:
        from dataclasses import asdict

        from kgrec.store.connect import open_store
        from kgrec.store.synthetic import synthetic_pairs, synthetic_runs

        with open_store(settings, read_only=True) as graph_store:
            runs = synthetic_runs(graph_store)
            pairs = synthetic_pairs(graph_store, name) if name is not None else []
        run_summaries = [asdict(run) for run in runs if name in (None, run.run)]
        summary: dict[str, Any] = {"store": settings.uri, "runs": run_summaries}
        if name is not None:
            summary["pairs"] = [list(pair) for pair in pairs]
            reporter.answer(summary, _pairs_table(name, pairs))
        else:
            reporter.answer(summary, _runs_table(run_summaries))


@gan.command()
def purge(
    store: StoreUri = None,
    config: OptionalConfigFile = None,
    name: _Name = None,
    all_runs: Annotated[bool, typer.Option("--all", help="Those of all runs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete the marked edges of a run, or all of them; nothing else in the store is touched."""
    if (name is None) != all_runs:
        raise ConfigError("say what to purge: either --name RUN, or --all for every run")
    settings = store_config(config, store)
    with Reporter(as_json) as reporter:
        from kgrec.store.connect import open_store
        from kgrec.store.synthetic import purge_synthetic

        with open_store(settings, read_only=True):
            pass  # a store that is not there is not made
        with open_store(settings) as graph_store:
            num_deleted = purge_synthetic(graph_store, name)
        reporter.answer(
            {"store": settings.uri, "run": name, "deleted": num_deleted},
            f"{num_deleted:,} synthetic edges deleted from {settings.uri}",
        )


#: Pairs of a run that are shown.
_MAX_PAIRS = 20
_MEASURED = ("precision", "auc", "popularity_distance", "degree_distance")


def _sentence(summary: Mapping[str, Any]) -> str:
    """Says in a line how often the generators are right, and whether they collapsed."""
    parts = []
    for name in ("generator", "gan"):
        report = summary.get(name)
        if report is not None:
            precision_text = f"{name} right {report['precision']['generator']:.1%}"
            parts.append(precision_text + (", COLLAPSED" if report["collapsed"] else ""))
    report = summary.get("gan") or summary.get("generator")
    if report is None:
        return "no generator learned"
    scorer_precisions = {
        name: value for name, value in report["precision"].items() if name != "generator"
    }
    best = max(scorer_precisions, key=lambda name: scorer_precisions[name])
    parts.append(f"best scorer alone {best} {scorer_precisions[best]:.1%}")
    parts.append(f"candidates hold {report['candidate_recall']:.0%}")
    return "; ".join(parts)


def _measured_table(summary: Mapping[str, Any]) -> Table:
    """Gives how each source did on hidden edges of users nobody learned from."""
    numbers = ("precision", "AUC", "popularity", "degree", "items")
    sources = dict(summary.get("generator", {}).get("sources", {}))
    if "sources" in summary.get("gan", {}):
        sources["gan"] = summary["gan"]["sources"]["generator"]
    rows = [
        (
            name,
            *(_number(measured[key], ".3f") for key in _MEASURED),
            f"{measured['effective']:,.0f} of {measured['distinct']:,}",
        )
        for name, measured in sorted(sources.items(), key=lambda item: -item[1]["precision"])
    ]
    return plain_table("source", *numbers, rows=rows, right=numbers, title="on hidden edges")


def _proposals_table(proposals: Mapping[str, Mapping[str, Any]]) -> Table:
    """Gives what each source proposed for the whole graph."""
    numbers = ("edges", "users", "items", "tail", "bits", "in valid")
    rows = [
        (
            name, row["edges"], row["users"], row["distinct"], _number(row["tail"], ".1%"),
            _number(row["novelty"], ".1f"), _number(row["proven"], ".1%"),
        )
        for name, row in proposals.items()
    ]  # fmt: skip
    return plain_table("source", *numbers, rows=rows, right=numbers, title="proposed")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _runs_table(runs: Sequence[Mapping[str, Any]]) -> Table:
    """Gives the runs whose edges are in a store."""
    numbers = ("edges", "users", "items", "proven", "seed")
    columns = ("run", *numbers, "source")
    rows = [[run[name] for name in columns[:5]] + [str(run["seed"]), run["source"]] for run in runs]
    return plain_table(*columns, rows=rows, right=numbers, title="synthetic edges")


def _pairs_table(name: str, pairs: Sequence[tuple[str, str, float]]) -> Table:
    """Gives the first edges of a run."""
    title = f"{len(pairs):,} synthetic edges of {name}"
    if len(pairs) > _MAX_PAIRS:
        title += f", the first {_MAX_PAIRS}; all with --json"
    rows = [(user, item, f"{weight:.3g}") for user, item, weight in pairs[:_MAX_PAIRS]]
    return plain_table(
        "user", "item", "weight", rows=rows, right=["weight"], title=title, title_style=None
    )
