"""`kgrec train`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgrec.cli.options import AsJson, ConfigFile, Overrides, StoreUri, load_config
from kgrec.cli.output import Reporter
from kgrec.config import Config

if TYPE_CHECKING:
    from kgrec.auditing.audit import Audit

Augment = Annotated[
    str | None,
    typer.Option(
        "--augment",
        metavar="SOURCE",
        help="Synthetic edges for users with few: auto, teacher, knn, generator, gan, "
        "popularity, random.",
    ),
]


def train(
    config: ConfigFile,
    store: StoreUri = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="Default: runs/<settings>-seed<seed>."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Overrides the settings' seed.")] = None,
    search_minutes: Annotated[
        float | None,
        typer.Option("--search-minutes", help="Overrides the settings' search.minutes."),
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Measure what the graph and each relation are worth.")
    ] = False,
    augment: Augment = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Bring store and text up to date, then train a run."""
    given = {"seed": seed, "search.minutes": search_minutes, "augment.source": augment}
    changes = [f"{key}={value}" for key, value in given.items() if value is not None]
    changes = [*(overrides or []), *changes]
    settings = load_config(config, store, changes)
    run_dir = run or Path("runs") / f"{config.stem}-seed{settings.seed}"
    with Reporter(as_json) as reporter:
        from kgrec.cli.steps import audit_graph, bring_up_to_date, fetch, train_run, write_vectors

        _refuse_early(settings, run_dir)
        bring_up_to_date(settings, reporter)
        graph = fetch(settings, reporter)
        if settings.text.enabled and settings.text.write_to_store:
            write_vectors(settings, graph, reporter)
        trained = train_run(settings, graph, run_dir, reporter)
        record = trained.record
        found = audit_graph(settings, graph, trained, reporter) if audit else None
        told, shown = _judged(record, found)
        reporter.answer(
            {
                "run": str(run_dir),
                "store": settings.store.uri,
                "graph_version": record["graph_version"],
                "seed": record["seed"],
                "fusion": record["fusion"],
                "seconds": {**reporter.seconds, **record["seconds"]},
                "peak_memory_mb": record["peak_memory_mb"],
                "picture": str(run_dir / "training.png"),
                **told,
            },
            *shown,
            f"run {run_dir}, picture {run_dir / 'training.png'}",
            f"next: kgrec evaluate --run {run_dir}",
        )


def _judged(record: Mapping[str, Any], audit: "Audit | None") -> tuple[dict[str, Any], list[Any]]:
    """What defence, gate of synthetic edges and graph audit found, for JSON and to be shown."""
    told: dict[str, Any] = {}
    shown: list[Any] = []
    for name in ("defence", "augment"):
        if name in record:
            told[name] = record[name]
            shown += ["", record[name]["words"]]
    if audit is not None:
        from kgrec.cli.audit_view import audit_view

        told["audit"] = audit.to_dict()
        shown += ["", audit_view(audit)]
    return told, shown


def _refuse_early(settings: Config, run_dir: Path) -> None:
    """Raises what can be raised before the store is touched."""
    from kgrec.training.directory import refuse_foreign
    from kgrec.training.fit import choose_device

    refuse_foreign(run_dir)
    choose_device(settings.training.device)
    text = settings.text
    if text.enabled and text.model is not None:
        from kgrec.text.encoder import Encoder

        Encoder(text.model, text.max_tokens, text.batch_size, "cpu")
