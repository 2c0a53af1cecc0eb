"""Runs `kgrec` again and again, each time in a fork of this process, which is cheap to start.

Reads one JSON object a line: `arguments` of the command line, `kill_after` seconds (a timer whose
signal ends the process wherever it is, compiled code included), `file_bytes` (no file may grow
larger, as on a full disk). Writes one a line: `code` (negative: the signal) and `stderr`.
"""

import json
import os
import resource
import signal
import sys
import time
from typing import Any

import kgrec.cli
import kgrec.cli.steps
import kgrec.data.load
import kgrec.ingestion
import kgrec.store.embedded
import kgrec.store.neo4j


def child(order: dict[str, Any], stderr: int) -> int:
    """Runs the command line in the fork; gives its exit code."""
    os.dup2(stderr, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if order.get("file_bytes") is not None:
        limit = order["file_bytes"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if order.get("kill_after") is not None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, order["kill_after"])
    return kgrec.cli.main(order["arguments"])


def main() -> None:
    """Answers orders until there are none."""
    for line in sys.stdin:
        started = time.perf_counter()
        reading, writing = os.pipe()  # not a file, whose size may be limited
        process = os.fork()
        if process == 0:
            code = child(json.loads(line), writing)
            sys.stderr.flush()
            os._exit(code)
        os.close(writing)
        with os.fdopen(reading, "rb") as said:
            stderr = said.read().decode(errors="replace")
        _, status = os.waitpid(process, 0)
        answer = {
            "code": os.waitstatus_to_exitcode(status),
            "stderr": stderr,
            "seconds": time.perf_counter() - started,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
