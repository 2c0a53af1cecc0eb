"""Where a publication is written, and when an embedded store is written to its file."""

import time
from dataclasses import dataclass

from kgrec.adopt import Naming
from kgrec.progress import Advance
from kgrec.publication.versions import Publication
from kgrec.store.base import GraphStore

#: A process that is killed loses no more than what it wrote in so many seconds.
CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class Target:
    """Where a publication is written.

    Attributes:
        store: A store that is open for writing.
        naming: How its graph calls users, items and what is written.
        publication: The publication.
        advance: Tells a progress bar of a batch.
    """

    store: GraphStore
    naming: Naming
    publication: Publication
    advance: Advance


class Saver:
    """Checkpoints a store now and then.

    Readers of the file see the current publication whatever else is in it, so it may be written
    at any time; but it is written as a whole, which takes seconds if the graph is large.

    Args:
        store: The store.
    """

    def __init__(self, store: GraphStore) -> None:
        self._store = store
        self._last = time.monotonic()

    def sometimes(self) -> None:
        """Checkpoints if the last time was long ago."""
        if time.monotonic() - self._last >= CHECKPOINT_SECONDS:
            self._store.checkpoint()
            self._last = time.monotonic()
