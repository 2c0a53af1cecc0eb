"""A training run from a graph to a directory that serves it."""

from pathlib import Path

from kgrec import __version__
from kgrec.config import Config
from kgrec.graph.data import GraphData
from kgrec.training.directory import (
    Run,
    load_run,
    open_partial,
    publish,
    refuse_foreign,
    write_run,
)
from kgrec.training.fit import choose_device, fit
from kgrec.training.record import RunRecord
from kgrec.training.relation_rows import items_per_entity


def train(config: Config, graph: GraphData, run_dir: Path | str, *, progress: bool = True) -> Run:
    """Trains everything the config asks for and puts it into a run directory.

    Work happens in `<run_dir>.partial`: a killed run is resumed from there when settings and graph
    are the same, and an earlier run in `run_dir` stays until the new one is complete.

    Args:
        config: The settings.
        graph: The graph; interactions held out for test are not looked at.
        run_dir: Where the run goes.
        progress: Whether bars are shown on a terminal.

    Raises:
        ConfigError: If the device is not there or nothing can be trained.
        TrainingDiverged: If the loss is no longer finite.
        RunError: If `run_dir` holds something that is not a run.
    """
    run_dir = Path(run_dir)
    refuse_foreign(run_dir)
    choose_device(config.training.device)  # before anything is written
    partial = open_partial(config, graph, run_dir)
    fitted = fit(config, graph, partial, progress=progress)
    record = RunRecord.of(
        fitted.record,
        kgrec_version=__version__,
        graph_version=graph.version,
        fan_out=items_per_entity(graph),
    )
    write_run(partial, config, graph, fitted.scorer, record, fitted.space)
    publish(partial, run_dir)
    return load_run(run_dir)
