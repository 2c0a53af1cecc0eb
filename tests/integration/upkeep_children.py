"""Runs `kgrec` again and again, each time in a fork of this process, which is cheap to start.

Reads one JSON object a line: `arguments` of the command line, `environment`, and `stop`: null, or
`[name, n, when, how]`. A name without a dot is a statement, one with dots a function; when it
comes to the n-th call of it, the fork stops `before` or `after` it, or `within` the statement's
transaction: it has run and is not committed. To stop is to `die`, by SIGKILL, to die when the
embedded store is `saved`, or to `wait`: the line `{"stopped": true}` is written, and it goes on
when a line is read. Writes in the end `code` (negative: the signal), `stdout`, `stderr` and `ran`,
the names of the statements in their order.
"""

import functools
import importlib
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from typing import Any, BinaryIO

import neo4j
import torch
from neo4j.exceptions import DriverError, Neo4jError

import kgrec.cli
import kgrec.cli.steps
import kgrec.publication
import kgrec.text.encoder
import kgrec.upkeep.forget
import kgrec.upkeep.refresh
from kgrec.ingestion import filling
from kgrec.publication import lists, vectors
from kgrec.store.base import GraphStore
from kgrec.store.embedded import EmbeddedStore
from kgrec.store.neo4j import Neo4jStore

#: Seconds for which the driver tries again.
PATIENCE = 1.0


class Stop:
    """Where a fork stops, and how."""

    def __init__(self, order: list[Any] | None, told: int, go_on: int) -> None:
        self.name, self.number, self.when, self._how = order or (None, 0, None, None)
        self._told, self._go_on = told, go_on
        self.ran: Counter[str] = Counter()
        self.names: list[str] = []

    def at(self, name: str) -> str | None:
        """Counts a call; gives when it stops there, if it does."""
        self.ran[name] += 1
        self.names.append(name)
        return self.when if (self.name, self.number) == (name, self.ran[name]) else None

    def now(self, store: object = None) -> None:
        """Stops."""
        if self._how == "saved" and isinstance(store, EmbeddedStore):
            store.checkpoint()  # the worst moment to have written the file
        if self._how != "wait":
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(self._told, b'{"stopped": true}\n')
        os.read(self._go_on, 1)

    def watch_statements(self) -> None:
        """Stops at the statement."""
        execute = GraphStore._execute

        def watched(store: GraphStore, name: str, params: Any = None, **options: Any) -> Any:
            here = self.at(name)
            if here == "before":
                self.now(store)
            if here == "within" and isinstance(store, Neo4jStore):
                self._within(store, name, params, options)
            answer = execute(store, name, params, **options)
            if here == "after" or (here == "within" and not isinstance(store, Neo4jStore)):
                self.now(store)
            return answer

        GraphStore._execute = watched  # type: ignore[method-assign]

    def _within(self, store: Neo4jStore, name: str, params: Any, options: Any) -> None:
        """Runs a statement and stops before its commit, which never comes."""
        statement = store._statement(name)
        text = statement.fill(*(options.get(x) for x in ("key", "label", "dimensions", "names")))
        with suppress(DriverError, Neo4jError), store._driver.session() as session:
            transaction = session.begin_transaction()
            transaction.run(neo4j.Query(text).text, statement.bind(params or {})).consume()
            self.now()

    def watch_function(self) -> None:
        """Stops at the function."""
        parts = self.name.split(".")
        length = next(n for n in range(len(parts), 0, -1) if _is_module(".".join(parts[:n])))
        owner: Any = importlib.import_module(".".join(parts[:length]))
        for part in parts[length:-1]:
            owner = getattr(owner, part)
        original = getattr(owner, parts[-1])

        @functools.wraps(original)
        def watched(*args: Any, **options: Any) -> Any:
            here = self.at(self.name)
            if here == "before":
                self.now()
            answer = original(*args, **options)
            if here == "after":
                self.now()
            return answer

        setattr(owner, parts[-1], watched)


def _is_module(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def child(order: dict[str, Any], told: int, go_on: int, out: BinaryIO, err: BinaryIO) -> int:
    """Runs the command line in the fork; gives its exit code."""
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    os.environ.update(order["environment"])
    driver = functools.partial(neo4j.GraphDatabase.driver, max_transaction_retry_time=PATIENCE)
    neo4j.GraphDatabase.driver = driver  # type: ignore[method-assign]
    # Many transactions to stop between.
    lists.EDGE_ROWS, vectors.VECTOR_ROWS, filling.DELETE_NODES = 15, 8, 1
    stop = Stop(order["stop"], told, go_on)
    stop.watch_statements()
    if stop.name is not None and "." in stop.name:
        stop.watch_function()
    code = kgrec.cli.main(order["arguments"])
    os.write(told, json.dumps({"ran": stop.names}).encode() + b"\n")
    return code


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Runs an order in a fork."""
    reading, told = os.pipe()
    waiting, go_on = os.pipe()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = os.fork()
        if process == 0:
            os.close(reading)
            code = child(order, told, waiting, out, err)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        os.close(told)
        found: dict[str, Any] = {}
        with os.fdopen(reading) as lines:
            for line in lines:
                said = json.loads(line)
                if "stopped" not in said:
                    found |= said
                    continue
                print(line, end="", flush=True)
                sys.stdin.readline()
                os.write(go_on, b".")
        _, status = os.waitpid(process, 0)
        for end in (waiting, go_on):
            os.close(end)
        for name, file in (("stdout", out), ("stderr", err)):
            file.seek(0)
            found[name] = file.read().decode(errors="replace")
    return {"code": os.waitstatus_to_exitcode(status), **found}


def main() -> None:
    """Answers orders until there are none."""
    torch.set_num_threads(1)
    for line in iter(sys.stdin.readline, ""):
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
