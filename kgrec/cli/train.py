"""`kgrec train` and `kgrec evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgrec.cli.options import (
    AsJson,
    ConfigFile,
    Overrides,
    RunDirectory,
    StoreUri,
    list_lengths,
    load_config,
    with_store,
)
from kgrec.cli.output import Reporter
from kgrec.config import Config
from kgrec.schema import Split

if TYPE_CHECKING:
    from kgrec.training.record import RunRecord

Augment = Annotated[
    str | None,
    typer.Option(
        "--augment",
        metavar="SOURCE",
        help="Synthetic edges for users with few: auto, teacher, knn, gan.",
    ),
]

Deploy = Annotated[
    bool,
    typer.Option("--deploy", help="Choose everything on the split, then fit on all interactions."),
]


class Preset(StrEnum):
    """Settings under one name, which `--set` still overrides."""

    QUICK = "quick"


#: What `quick` sets: the closed form over the graph alone, searched on few items.
_QUICK = (
    *(f"{part}.enabled=false" for part in ("user_side", "factors", "directed", "cold", "text")),
    "fusion.network=false", "closed_form.kernels=false", "closed_form.search_items=400",
    "closed_form.search_steps=5", "closed_form.search_pairs=800",
)  # fmt: skip
_QUICK_WORDS = (
    "--preset quick left out: networks, texts, factors, the user side, directed pairs, items and "
    "users without interactions; its search looked at 400 items. Expect a few hundredths less "
    "NDCG; train without it for all of this"
)

PresetName = Annotated[
    Preset | None,
    typer.Option("--preset", help="quick: the closed form alone, in under a minute."),
]
Audit = Annotated[
    bool, typer.Option("--audit", help="Measure what the graph and each relation are worth.")
]


def train(
    config: ConfigFile,
    store: StoreUri = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="Default: runs/<settings>-seed<seed>[-deploy]."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Overrides the settings' seed.")] = None,
    search_minutes: Annotated[
        float | None,
        typer.Option("--search-minutes", help="Overrides the settings' search.minutes."),
    ] = None,
    audit: Audit = False,
    augment: Augment = None,
    deploy: Deploy = False,
    preset: PresetName = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Bring store and text up to date, then train a run."""
    options = {"seed": seed, "search.minutes": search_minutes, "augment.source": augment}
    options["training.deploy"] = "true" if deploy else None
    changes = [f"{key}={value}" for key, value in options.items() if value is not None]
    changes = [*(_QUICK if preset else ()), *(overrides or []), *changes]
    settings = load_config(config, store, changes)
    suffix = "-deploy" if settings.training.deploy else ""
    run_dir = run or Path("runs") / f"{config.stem}-seed{settings.seed}{suffix}"
    with Reporter(as_json) as reporter:
        from kgrec.cli.steps import audit_run, bring_up_to_date, fetch, train_run, write_vectors
        from kgrec.cli.tables import audit_view

        _refuse_early(settings, run_dir)
        bring_up_to_date(settings, reporter)
        graph = fetch(settings, reporter)
        if settings.text.enabled and settings.text.write_to_store:
            write_vectors(settings, graph, reporter)
        trained_run = train_run(settings, graph, run_dir, reporter)
        record = trained_run.record
        findings = _findings(record, preset)
        blocks = [block for finding in findings.values() for block in ("", finding["words"])]
        if audit:
            graph_audit = audit_run(settings, graph, trained_run, reporter)
            findings["audit"] = graph_audit.to_dict()
            blocks += ["", audit_view(graph_audit)]
        reporter.answer(
            {
                "run": str(run_dir),
                "store": settings.store.uri,
                "graph_version": record.graph_version,
                "seed": record.seed,
                "fusion": record.fusion.tree(),
                "seconds": {**reporter.seconds, **record.seconds},
                "peak_memory_mb": record.peak_memory_mb,
                "picture": str(run_dir / "training.png"),
                **findings,
            },
            *blocks,
            *_chosen_by(record.chosen_by),
            f"run {run_dir}, picture {run_dir / 'training.png'}",
            f"next: kgrec {'publish' if settings.training.deploy else 'evaluate'} --run {run_dir}",
        )


def _findings(record: RunRecord, preset: Preset | None) -> dict[str, Any]:
    """What is said in words of a training."""
    sections = {"defence": record.defence, "augment": record.augment}
    findings: dict[str, Any] = {name: part.tree() for name, part in sections.items() if part}
    if preset:
        findings["preset"] = {"settings": _QUICK, "words": _QUICK_WORDS}
    return findings


def _chosen_by(figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Says how good what was chosen is, as the run that learned from everything can't be judged."""
    return [
        f"chosen by ({split}, fitted on train alone): "
        + ", ".join(f"{name} {value:.4f}" for name, value in values.items())
        for split, values in figures.items()
    ]


def _refuse_early(settings: Config, run_dir: Path) -> None:
    """Raises what can be raised before the store is touched."""
    from kgrec.training.directory import refuse_foreign
    from kgrec.training.fit import choose_device
    from kgrec.training.partial import refuse_busy

    refuse_foreign(run_dir)
    refuse_busy(run_dir)
    choose_device(settings.training.device)
    text = settings.text
    if text.enabled and text.model is not None:
        from kgrec.text.encoder import load_encoder

        load_encoder(text, "cpu")


def evaluate(
    run: RunDirectory,
    split: Annotated[Split, typer.Option(help="valid or test.")] = Split.TEST,
    k: Annotated[
        str | None, typer.Option("--k", metavar="10,20", help="List lengths; default: the run's.")
    ] = None,
    store: StoreUri = None,
    floors: Annotated[
        bool | None,
        typer.Option("--floors/--no-floors", help="Popularity, ItemKNN and EASE in the table."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge a run on held-out interactions, beside its parts and the floors."""
    lengths = None if k is None else list_lengths(k)
    with Reporter(as_json) as reporter:
        from kgrec.cli.steps import evaluate_run, fetch, open_reader
        from kgrec.cli.tables import evaluation_tables
        from kgrec.store.state import graph_version
        from kgrec.training.directory import load_run

        trained_run = load_run(run)
        settings = with_store(trained_run.config, store)
        with open_reader(settings) as graph_store:
            trained_run.check_version(graph_version(graph_store))
        report = evaluate_run(
            trained_run,
            fetch(settings, reporter),
            split,
            lengths or settings.evaluation.k,
            floors=settings.evaluation.floors if floors is None else floors,
            reporter=reporter,
        )
        reporter.answer(report, *evaluation_tables(report))
