"""A training run from a graph to a directory that serves it."""

from pathlib import Path

import numpy as np

from kgrec import __version__
from kgrec.config import Config
from kgrec.graph.data import GraphData
from kgrec.schema import NodeLabel
from kgrec.training.directory import (
    LAYOUT,
    Run,
    load_run,
    open_partial,
    publish,
    refuse_foreign,
    write_run,
)
from kgrec.training.fit import choose_device, fit


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
    record = {
        "layout": LAYOUT,
        "kgrec_version": __version__,
        "graph_version": graph.version,
        "fan_out": items_per_entity(graph),
        **fitted.record,
    }
    write_run(partial, config, graph, fitted.scorer, record, fitted.space)
    publish(partial, run_dir)
    return load_run(run_dir)


def items_per_entity(graph: GraphData) -> dict[str, float]:
    """Gives by relationship type how many items an entity has on average; few tell more.

    Reviews and queries are left out: they are no knowledge to give reasons with, and may be
    somebody else's words.
    """
    told = ~graph.text_entities()
    edges: dict[str, list[tuple[int, int]]] = {}
    for relation in graph.relations:
        ends = {relation.key.head: relation.head_index, relation.key.tail: relation.tail_index}
        if NodeLabel.ENTITY in ends and NodeLabel.ITEM in ends:
            entity = ends[NodeLabel.ENTITY]
            entity = entity[told[entity]]
            if len(entity):
                count = (len(entity), len(np.unique(entity)))
                edges.setdefault(relation.key.type, []).append(count)
    return {
        kind: sum(count for count, _ in pairs) / sum(entities for _, entities in pairs)
        for kind, pairs in edges.items()
    }
