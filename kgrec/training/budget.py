"""How long the searches may take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Budget:
    """A time budget; the clock runs while something is searched, not while it is fitted.

    Attributes:
        seconds: None is no limit.
    """

    seconds: float | None
    _spent: float = 0.0
    _since: float | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts the time of a search."""
        self._since = time.perf_counter()
        try:
            yield
        finally:
            self._spent += time.perf_counter() - self._since
            self._since = None

    def is_spent(self) -> bool:
        """Whether the time is over."""
        now = 0.0 if self._since is None else time.perf_counter() - self._since
        return self.seconds is not None and self._spent + now >= self.seconds
