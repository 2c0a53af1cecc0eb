"""A wall limit on all searches of one training, where somebody asks for one."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)


@dataclass
class Budget:
    """The limit; the clock runs while something is searched, not while it is fitted.

    Attributes:
        seconds: None is no limit: a search then ends by its own steps, and the same seed finds the
            same settings on any machine, busy or idle.
        cut_searches: Names of the searches that the limit ended.
    """

    seconds: float | None
    cut_searches: list[str] = field(default_factory=list)
    _spent: float = 0.0
    _since: float | None = None
    _search: str = ""

    @classmethod
    def of_minutes(cls, minutes: float | None) -> "Budget":
        """Gives the budget of the setting `search.minutes`."""
        return cls(None if minutes is None else 60 * minutes)

    @contextmanager
    def running(self, search: str) -> Iterator[None]:
        """Counts the time of a search."""
        self._since, self._search = time.perf_counter(), search
        try:
            yield
        finally:
            self._spent += time.perf_counter() - self._since
            self._since = None

    def is_spent(self) -> bool:
        """Whether the time is over; the search that asks is remembered as cut."""
        if self.seconds is None:
            return False
        now = 0.0 if self._since is None else time.perf_counter() - self._since
        if self._spent + now < self.seconds:
            return False
        if self._search not in self.cut_searches:
            self.cut_searches.append(self._search)
            logger.warning(
                "search.minutes ended the search for %s; the same seed may find other settings "
                "when the machine is less busy",
                self._search.replace("_", " "),
            )
        return True
