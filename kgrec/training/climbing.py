"""The one climber of all searches: one setting after the other, as long as that helps.

What is tried depends on what was found, never on a clock, so a seed finds the same settings on a
busy machine as on an idle one. A wall limit ends a search only where somebody asks for one.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

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


S = TypeVar("S")
D = TypeVar("D", bound="DataclassInstance")

#: An axis is given the best settings, yields others to be tried, and gets the best after each.
Axis = Callable[[S], Generator[S, S, None]]
#: Gives settings changed by an option or a factor; None where there are none.
Change = Callable[[S, float], S | None]

#: Steps along one line: a setting that grows a million times has no optimum.
_LONGEST_LINE = 12


@dataclass(frozen=True)
class Summit(Generic[S]):
    """The best settings and their value."""

    settings: S
    value: float


def climb(
    start: S,
    axes: Sequence[Axis[S]],
    judge: Callable[[S], float],
    budget: Budget | None = None,
    *,
    sweeps: int = 1,
    start_value: float | None = None,
) -> Summit[S]:
    """Goes along each axis in turn, keeping what is better than all before.

    Args:
        start: Judged first, unless its value is known.
        axes: See `ladder` and `line`.
        judge: Gives what is to be large; equal values change nothing.
        budget: A wall limit, where there is one.
        sweeps: How often all axes are gone along, unless one sweep changes nothing.
        start_value: Of the start, where it was judged before.
    """
    best = Summit(start, judge(start) if start_value is None else start_value)
    for _ in range(sweeps):
        before = best
        for axis in axes:
            trials = axis(best.settings)
            trial = next(trials, None)
            while trial is not None and not (budget is not None and budget.is_spent()):
                value = judge(trial)
                if value > best.value:
                    best = Summit(trial, value)
                try:
                    trial = trials.send(best.settings)
                except StopIteration:
                    break
        if best is before:
            break
    return best


def ladder(change: Change[S], options: Iterable[float]) -> Axis[S]:
    """Tries options one after the other, but for the one that is there already."""
    values = tuple(options)

    def axis(best: S) -> Generator[S, S, None]:
        for value in values:
            trial = change(best, value)
            if trial is not None and trial != best:
                best = yield trial

    return axis


def line(change: Change[S], factors: Sequence[float], longest: int = _LONGEST_LINE) -> Axis[S]:
    """Applies the first factor as long as that helps; where it never does, the second, and so on.

    Args:
        change: Applies a factor.
        factors: Such as 3 and 1/3.
        longest: At most so many steps.
    """

    def axis(best: S) -> Generator[S, S, None]:
        for factor in factors:
            start = best
            for _ in range(longest):
                trial = change(best, factor)
                if trial is None:
                    break
                after = yield trial
                if after is best:
                    break
                best = after
            if best is not start:
                return  # the other way lies where it came from

    return axis


def leave_out(
    summit: Summit[S],
    removals: Iterable[Callable[[S], S | None]],
    judge: Callable[[S], float],
    least_worth: float,
    budget: Budget | None = None,
) -> Summit[S]:
    """Makes each removal without which the value is no more than a share smaller.

    Args:
        summit: Where it starts.
        removals: Each gives settings without something, or None where that cannot be.
        judge: As for `climb`.
        least_worth: The share of the value; so little is noise.
        budget: A wall limit, where there is one.
    """
    for remove in removals:
        trial = remove(summit.settings)
        if trial is None:
            continue
        if budget is not None and budget.is_spent():
            break
        value = judge(trial)
        if value >= summit.value * (1 - least_worth):
            summit = Summit(trial, value)
    return summit


def setting(name: str) -> Change[D]:
    """Sets a field of a dataclass."""
    return lambda settings, value: replace(settings, **{name: value})


def scaled(name: str) -> Change[D]:
    """Multiplies a field of a dataclass."""
    return lambda settings, factor: replace(settings, **{name: getattr(settings, name) * factor})


def scaled_at(name: str, place: int) -> Change[D]:
    """Multiplies one number of a tuple in a field of a dataclass."""

    def change(settings: D, factor: float) -> D:
        values = list(getattr(settings, name))
        values[place] *= factor
        return replace(settings, **{name: tuple(values)})

    return change
