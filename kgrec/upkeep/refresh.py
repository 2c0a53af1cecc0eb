"""A trained run brought to the graph as it is now, without training: what `kgrec refresh` does.

    run of version v1, graph of version v2 -> every part folded -> affected lists and vectors of
    the current publication replaced -> run directory of v2, in place or beside

Published first, as readers wait for that; a process killed in between does the same again.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kgrec.graph.data import GraphData
from kgrec.graph.fetch import fetch_graph
from kgrec.store.base import GraphStore
from kgrec.store.state import graph_version
from kgrec.training.directory import Run, refuse_foreign
from kgrec.upkeep.fold import fold_run, folded_names, write_folded
from kgrec.upkeep.republish import Readers, RepublishReport, is_half_done, republish


@dataclass(frozen=True)
class RefreshReport:
    """What a refresh did.

    Attributes:
        run: The run at the graph's version.
        before: The graph version it was at.
        changed: Whether anything was folded; False if it was at the graph's version already.
        nodes: Per label how many nodes are `new` and `gone`.
        users: How many users have other items than before.
        items: How many items have other users than before.
        published: What was replaced in the current publication; None if it was not asked for.
        seconds: How long each step took.
    """

    run: Run
    before: str
    changed: bool
    nodes: dict[str, dict[str, int]] = field(default_factory=dict)
    users: int = 0
    items: int = 0
    published: RepublishReport | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "run": str(self.run.directory),
            "from": self.before,
            "graph_version": self.run.record.graph_version,
            "changed": self.changed,
            "nodes": self.nodes,
            "changed_users": self.users,
            "changed_items": self.items,
            "published": None if self.published is None else asdict(self.published),
            "seconds": self.seconds,
        }


def refresh(
    run: Run,
    store: GraphStore,
    out: Path | None = None,
    *,
    publish: bool = False,
    readers: Readers | None = None,
    graphs: Callable[[GraphStore], GraphData] = fetch_graph,
) -> RefreshReport:
    """Folds a run into the graph that a store holds now.

    Args:
        run: The run.
        store: Its graph, of any later version; open for writing if `publish`.
        out: Where the new run goes; None replaces the run.
        publish: Whether the current publication is brought up to date, where it is affected.
        readers: Where it is; None is in `store`.
        graphs: Gives the graph that a store holds; one that keeps it need not read it.

    Raises:
        StoreError: If the store has no whole graph, or nothing of the run is published in it.
        RunError: If a part of the run cannot be folded, or something else is in the way.
    """
    target = run.directory if out is None else out
    refuse_foreign(target)
    version_before, seconds = run.record.graph_version, dict[str, float]()
    target_readers = Readers(store) if readers is None else readers
    up_to_date = (
        graph_version(store) == version_before and target.resolve() == run.directory.resolve()
    )
    if up_to_date and not (publish and is_half_done(target_readers.store, version_before)):
        return RefreshReport(run, version_before, False)
    with _timed(seconds, "graph"):
        graph = graphs(store)
    with _timed(seconds, "fold"):
        folding = fold_run(run, graph)
        new_run = folding.as_run(target, folded_names(folding))
    republish_report = None
    if publish:
        with _timed(seconds, "publish"):
            republish_report = republish(target_readers, folding, new_run)
    with _timed(seconds, "write"):
        write_folded(new_run, folding)
    return RefreshReport(
        new_run,
        version_before,
        True,
        folding.counts,
        int(folding.changed_users.sum()),
        int(folding.changed_items.sum()),
        republish_report,
        seconds,
    )


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - start
