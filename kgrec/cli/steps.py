"""What several commands do: fill a store, train, evaluate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgrec.cli.output import Reporter
from kgrec.config import Config
from kgrec.errors import StoreUnavailable
from kgrec.schema import Split

if TYPE_CHECKING:  # these import torch and the engines, for which `kgrec --help` need not wait
    from kgrec.auditing.audit import Audit
    from kgrec.data.load import Intake
    from kgrec.graph.data import GraphData
    from kgrec.ingestion import IngestReport, Marks
    from kgrec.store.base import GraphStore
    from kgrec.training.directory import Run


@contextmanager
def completed_by(command: str) -> Iterator[None]:
    """Adds to an error of a store that does not answer that the command may be run again.

    Args:
        command: A command whose second run completes what the first one began.
    """
    try:
        yield
    except StoreUnavailable as exc:
        raise StoreUnavailable(
            f"{exc}; then run kgrec {command} again, which completes what was begun"
        ) from exc


@contextmanager
def row_progress(reporter: Reporter) -> Iterator[Callable[[str, int], None]]:
    """Shows on a terminal which source is read and how many rows came; as `Intake.on_rows`."""
    from kgrec.progress import progress_bar

    rows: Counter[str] = Counter()
    with progress_bar("read", None, enabled=not reporter.as_json) as advance:

        def on_rows(source: str, count: int) -> None:
            rows[source] += count
            advance(f"{source}: {rows[source]:,} rows")

        yield on_rows


def bring_up_to_date(
    config: Config,
    reporter: Reporter,
    intake: Intake | None = None,
    marks: Marks | None = None,
    offline: Path | None = None,
) -> IngestReport:
    """Brings the store to the state of the sources."""
    from kgrec.data.load import Intake
    from kgrec.ingestion import foreign_query, ingest

    with reporter.step("ingest") as notes, row_progress(reporter) as on_rows:
        intake = replace(intake or Intake(query=foreign_query), on_rows=on_rows)
        with completed_by("ingest"):
            report = ingest(config, intake, marks, offline=offline, progress=not reporter.as_json)
        notes.append(f"{config.store.uri if offline is None else offline}")
        notes += [f"{load.source}: {load.rows:,} rows" for load in report.loads]
        if offline is None:
            notes.append("written" if report.changed else "already up to date")
        notes.append(f"version {report.version}")
    return report


def fetch(config: Config, reporter: Reporter) -> GraphData:
    """Reads the graph of the settings' store."""
    from kgrec.graph.fetch import fetch_graph
    from kgrec.store.connect import open_store

    with reporter.step("graph") as notes, open_store(config.store, read_only=True) as store:
        graph = fetch_graph(store)
        notes.append(f"{len(graph.train):,} interactions to learn from")
        notes.append(f"{sum(map(len, graph.relations)):,} relation edges")
    return graph


def write_vectors(config: Config, graph: GraphData, reporter: Reporter) -> None:
    """Writes the text vectors to the nodes, where queries by vector find them."""
    from kgrec.graph.texts import write_text_vectors
    from kgrec.store.connect import open_store

    with reporter.step("vectors") as notes, open_store(config.store) as store:
        for label, count in write_text_vectors(graph, config.text, store).items():
            notes.append(f"{count:,} {label.lower()}s")


def train_run(config: Config, graph: GraphData, run_dir: Path, reporter: Reporter) -> Run:
    """Trains into a run directory."""
    from kgrec.training.fit import train

    with reporter.step("train") as notes:
        run = train(config, graph, run_dir, progress=not reporter.as_json)
        weights = run.record.fusion.weights
        notes.append(" + ".join(f"{weight:.2f} {name}" for name, weight in weights.items()))
    return run


def audit_run(
    config: Config,
    graph: GraphData,
    run: Run | None,
    reporter: Reporter,
    split: Split = Split.VALID,
) -> Audit:
    """Measures what the graph is worth to a model like the run's, which keeps what was found."""
    from kgrec.auditing.audit import audit
    from kgrec.training.checkpoint import write_json

    with reporter.step("audit") as notes:
        progress = not reporter.as_json
        scorer = None if run is None else run.scorer
        graph_audit = audit(config, graph, split=split, scorer=scorer, progress=progress)
        if run is not None:
            write_json(run.directory / "audit.json", graph_audit.to_dict())
        notes.append("ALARM" if graph_audit.verdict.alarm else "no alarm")
    if graph_audit.verdict.alarm:
        reporter.warn(graph_audit.verdict.sentences[0])
    return graph_audit


def evaluate_run(
    run: Run,
    graph: GraphData,
    split: Split,
    k: tuple[int, ...],
    *,
    floors: bool,
    reporter: Reporter,
) -> dict[str, Any]:
    """Evaluates a run, its parts alone and the floors; gives the report with `parts`."""
    from kgrec.evaluation.evaluate import evaluate
    from kgrec.evaluation.floors import fit_floors
    from kgrec.evaluation.report import build_report

    options: dict[str, Any] = {
        "k": k,
        "block_size": run.config.evaluation.block_size,
        "seed": run.config.seed,
    }
    with reporter.step("evaluate") as notes:
        evaluation = evaluate(run.scorer, graph, split, **options)
        notes.append(f"{evaluation.num_users:,} users of {split}")
        parts = run.scorer.parts
        part_evaluations = {
            name: evaluate(part, graph, split, **options) for name, part in parts.items()
        }
    floor_evaluations = {}
    if floors:
        with reporter.step("floors") as notes:
            floor_scorers = fit_floors(graph, refit_splits=run.config.training.refit_splits)
            floor_evaluations = {
                name: evaluate(floor, graph, split, **options)
                for name, floor in floor_scorers.items()
            }
            notes.append(", ".join(floor_evaluations))
    report = build_report(
        str(run.directory),
        evaluation,
        floor_evaluations,
        train_seconds=run.record.seconds["train"],
    )
    return {
        **report,
        "parts": {name: dict(part.metrics) for name, part in part_evaluations.items()},
    }


def open_reader(config: Config) -> GraphStore:
    """Opens the settings' store for reading."""
    from kgrec.store.connect import open_store

    return open_store(config.store, read_only=True)
