"""A process that answers each order in a fork of itself, which is cheap to start and may be killed.

The parent starts a script and asks; the script calls `answer_orders`. An order is a JSON object a
line; the answer is what the fork makes of it, and `code`, how it ended (negative: the signal).
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Forks:
    """The parent's end."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, **order: Any) -> dict[str, Any]:
        """Gives an order, with what this process's environment says of stores, and waits."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        environment = {k: v for k, v in os.environ.items() if k.startswith("KGREC_")}
        self._process.stdin.write(json.dumps({**order, "environment": environment}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def started(script: Path, *arguments: str) -> Iterator[Forks]:
    """The script, which ends with the block."""
    with subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Forks(process)
        assert process.stdin is not None
        process.stdin.close()


def answer_orders(make_answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The script's end: answers until there are no more orders."""
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            os.environ.update(order["environment"])
            with os.fdopen(writing, "w") as out:
                out.write(json.dumps(make_answer(order)))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as lines:
            written = lines.read()
        _, status = os.waitpid(process, 0)
        answer = json.loads(written) if written else {}
        print(json.dumps({"code": os.waitstatus_to_exitcode(status), **answer}), flush=True)
