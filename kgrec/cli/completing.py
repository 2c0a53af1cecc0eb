"""What a command says when its server goes away in the middle of the work."""

from collections.abc import Iterator
from contextlib import contextmanager

from kgrec.errors import StoreUnavailable


@contextmanager
def completed_by(command: str) -> Iterator[None]:
    """Adds to an error of a store that does not answer that the command may be run again.

    Args:
        command: A command whose second run completes what the first one began.
    """
    try:
        yield
    except StoreUnavailable as exc:
        raise StoreUnavailable(
            f"{exc}; then run kgrec {command} again, which completes what was begun"
        ) from exc
