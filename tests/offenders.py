"""One test of a check on many files, which lists every one that fails it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest


def on_every(
    paths: Sequence[Path], root: Path
) -> Callable[[Callable[[Path], None]], Callable[[], None]]:
    """Makes a test of a check that asserts something of one file; names are relative to `root`."""

    def as_test(check: Callable[[Path], None]) -> Callable[[], None]:
        def test() -> None:
            offenders = []
            for path in paths:
                try:
                    check(path)
                except AssertionError as error:
                    offenders.append(f"{path.relative_to(root).as_posix()}: {error}")
            if offenders:
                pytest.fail("\n".join(offenders), pytrace=False)

        return test

    return as_test
