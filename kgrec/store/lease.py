"""The embedded engine's lease on a file, held without its opening the file again.

The engine gives it with `open` alone, which reads the whole graph. It is a lock of the operating
system on `<file>.lock`, with a note of the holder beside it; whoever kept the graph in memory takes
the same lock here.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from kgrec.errors import StoreBusy

try:
    import fcntl
except ImportError:  # Windows: nothing is kept, and files are opened anew
    fcntl = None  # type: ignore[assignment]


class Lease:
    """The right to write a file, as the engine's own.

    Args:
        path: The graph's file.
    """

    #: Whether leases can be taken here.
    possible = fcntl is not None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Takes it.

        Raises:
            StoreBusy: If another process writes the file.
        """
        file = self._path.with_name(f"{self._path.name}.lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            file.close()
            raise StoreBusy(
                f"{self._path} is being written by another process; only one may write an "
                f"embedded graph; wait for it to end, or use Neo4j for several writers"
            ) from exc
        self._file = file
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        note = self._path.with_name(f"{self._path.name}.lock-owner")
        note.write_text(f"pid={os.getpid()}\nsince={now}\n", encoding="utf-8")

    def give_back(self) -> None:
        """Gives it back; safe to call twice."""
        if self._file is not None:
            self._file.close()  # which unlocks
            self._file = None
