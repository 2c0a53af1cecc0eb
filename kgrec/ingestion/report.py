"""What writing a dataset did, and its bar."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

OnRows = Callable[[int], None]


@dataclass(frozen=True)
class WriteReport:
    """What writing a dataset did.

    Attributes:
        version: The graph version it led to.
        num_written: Nodes and edges that were made or changed.
        num_removed: Nodes and edges that were removed, not counting the edges of removed nodes.
        seconds: How long it took.
        changed: Whether anything was written, be it only where rows came from.
    """

    version: str
    num_written: int
    num_removed: int
    seconds: float
    changed: bool


@contextmanager
def row_bar(*, enabled: bool) -> Iterator[tuple[OnRows, OnRows]]:
    """A bar over rows on stderr, if that is a terminal.

    Yields:
        A function that says how many rows there will be, and one that advances the bar.
    """
    columns = (TextColumn("ingest"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    disable = not enabled or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=disable) as bar:
        task = bar.add_task("ingest", total=None)
        yield (
            lambda total: bar.update(task, total=total),
            lambda count: bar.advance(task, count),
        )
