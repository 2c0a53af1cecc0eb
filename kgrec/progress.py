"""Progress for people: bars on a terminal, a line a stage of training anywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kgrec.terminal import console_on

Advance = Callable[[str], None]


def tell_stage(name: str, seconds: float) -> None:
    """Writes a line on stderr for a stage that is done, where no terminal shows bars."""
    if not sys.stderr.isatty():
        sys.stderr.write(f"  {name:<20}{seconds:7.1f} s\n")
        sys.stderr.flush()


@contextmanager
def progress_bar(
    description: str, total: int | None, *, enabled: bool = True, stage: bool = False
) -> Iterator[Advance]:
    """Shows a bar on stderr while the block runs, if stderr is a terminal.

    Args:
        description: What is being done.
        total: How many steps; None if nobody knows.
        enabled: Whether it may be shown at all.
        stage: Whether it gets a line in the end where there is no terminal.

    Yields:
        A function that advances the bar by one and sets the text behind it.
    """
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console_on(sys.stderr),
        transient=True,
        disable=not (enabled and sys.stderr.isatty()),
    )
    started = time.perf_counter()
    with bar:
        task = bar.add_task(description, total=total, note="")
        yield lambda note: bar.update(task, advance=1, note=note)
    if enabled and stage:
        tell_stage(description, time.perf_counter() - started)
