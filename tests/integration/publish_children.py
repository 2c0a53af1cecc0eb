"""Publishes a run again and again, each time in a fork of this process, which is cheap to start.

    python publish_children.py RUN

An order has `uri`, `top`, and `kill`: null, or `[statement, n, when]`; the fork ends itself by
SIGKILL `before` or `after` it runs the statement of that name the n-th time. Those that lived
answer with `report` and `ran` (how often each statement was run), or `error`.
"""

import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from forks import answer_orders

import kgrec.publication
from kgrec.errors import KgrecError
from kgrec.publication import lists, publish, versions
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.store.embedded import EmbeddedStore
from kgrec.store.neo4j import Neo4jStore  # noqa: F401 - imported before the forks
from kgrec.training.directory import Run, load_run

SIMILAR = 4


def kill_at(order: Any) -> Counter[str]:
    """Makes this process die at a statement; gives how often each was run."""
    ran: Counter[str] = Counter()
    execute = GraphStore._execute

    def counted(self: GraphStore, name: str, *args: Any, **options: Any) -> Any:
        ran[name] += 1
        here = order is not None and (order[0], order[1]) == (name, ran[name])
        if here and order[2] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = execute(self, name, *args, **options)
        if here:
            if order[2] == "saved" and isinstance(self, EmbeddedStore):
                self.checkpoint()  # the worst moment to have written the file
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    GraphStore._execute = counted  # type: ignore[method-assign]
    return ran


def child(order: dict[str, Any], run: Run) -> dict[str, Any]:
    """Publishes in the fork."""
    lists.EDGE_ROWS = 60
    kgrec.publication.PURGE_ROWS = kgrec.publication.EMBEDDED_ROWS = 100
    kgrec.publication.GRACE_SECONDS = versions.CHECKPOINT_SECONDS = 0.0
    ran = kill_at(order["kill"])
    try:
        with open_store(order["uri"]) as store:
            report = publish(run, store, top=order["top"], similar=SIMILAR, progress=False)
    except KgrecError as error:
        return {"error": str(error)}
    return {
        "report": {
            "id": report.publication.id,
            "changed": report.changed,
            "resumed": report.resumed,
            "purged": report.purged,
        },
        "ran": ran,
    }


def main() -> None:
    """Answers orders until there are none."""
    torch.set_num_threads(1)
    run = load_run(Path(sys.argv[1]))
    answer_orders(lambda order: child(order, run))


if __name__ == "__main__":
    main()
