"""How long a search may take."""

import time
from dataclasses import dataclass, field


@dataclass
class Budget:
    """A time budget; the clock starts when it is made.

    Attributes:
        seconds: None is no limit.
    """

    seconds: float | None
    _start: float = field(default_factory=time.perf_counter)

    def is_spent(self) -> bool:
        """Whether the time is over."""
        return self.seconds is not None and time.perf_counter() - self._start >= self.seconds
