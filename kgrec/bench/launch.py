"""Starting the process of a fit, and saying what became of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from kgrec.bench.fits import Order

#: Carries out an order; gives None, or why there is no result.
Launch = Callable[[Order], str | None]

#: A fit is ended after so many times the minutes that peers may train.
PATIENCE = 3.0


def launch_process(order: Order) -> str | None:
    """Carries out an order in a process of its own.

    What the process says goes to `log.txt` in the order's folder.

    Returns:
        None, or why it failed: its last line, the signal that ended it, or that it took too long.
    """
    path = order.write()
    log = order.folder / "log.txt"
    # -P: the folder this is run in must not stand in for the package that runs.
    command = [sys.executable, "-P", "-m", "kgrec.bench.child", str(path)]
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **quiet}
        )
        try:
            code = process.wait(timeout=60 * PATIENCE * order.minutes)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return f"ended after {PATIENCE * order.minutes:g} minutes"
        except BaseException:
            process.kill()
            process.wait()
            raise
    return None if code == 0 else _reason(code, log)


def _reason(code: int, log: Path) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", which often means that memory ran out" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    words = [line.strip() for line in lines if line.strip()]
    return words[-1] if words else f"exit code {code}, without a word"
