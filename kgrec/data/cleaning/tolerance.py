"""How many bad rows of a source are too many, and what is said then."""

from collections.abc import Sequence

from kgrec.config import CleaningConfig
from kgrec.errors import DataError

# A share says little about fewer rows than that, so only the end of the source judges them.
_ENOUGH_ROWS = 100_000
_NUM_EXAMPLES = 3


class Tolerance:
    """Counts the bad rows of one source and gives up when they are too many.

    A number is a limit that must never be passed. A share is judged at the end, and on the way as
    soon as there are enough rows to know it, so that garbage stops early.

    Args:
        source: The source's name.
        cleaning: The settings, of which `max_bad_rows`.
    """

    def __init__(self, source: str, cleaning: CleaningConfig) -> None:
        self._source = source
        self._cleaning = cleaning
        self._share = cleaning.max_bad_rows.endswith("%")
        self._none = float(cleaning.max_bad_rows.rstrip("%")) == 0
        self._first: list[str] = []
        self.rows = 0
        self.bad = 0

    def add(self, rows: int, bad: int, first: Sequence[str]) -> None:
        """Counts the rows of a chunk.

        Args:
            rows: How many there are, bad ones included.
            bad: How many are bad.
            first: The first of these as `file:line:column: expected …, got …`, at least one if
                there is any.

        Raises:
            DataError: If there are too many bad rows.
        """
        self.rows += rows
        self.bad += bad
        self._first += first[: _NUM_EXAMPLES - len(self._first)]
        if bad and self._none:
            rest = f" (and {bad - 1:,} more)" if bad > 1 else ""
            raise DataError(f"{first[0]}{rest}; correct it, or tolerate it with --max-bad-rows")
        if not self._share or self.rows >= _ENOUGH_ROWS:
            self.judge()

    def judge(self) -> None:
        """Judges all rows so far; the last word at the end of the source.

        Raises:
            DataError: If there are too many bad rows.
        """
        allowed = self._cleaning.bad_rows_allowed(self.rows)
        if self.bad <= allowed:
            return
        raise DataError(
            f"source {self._source!r}: {self.bad:,} of {self.rows:,} rows read are bad; "
            f"max_bad_rows = {self._cleaning.max_bad_rows!r} tolerates {allowed:,}; the first are "
            f"{' | '.join(self._first)}; correct them, or tolerate more with --max-bad-rows"
        )
