"""What was cleaned away: the report, and bad rows, kept to be mended and loaded again.

A file of rejects is CSV (UTF-8, RFC 4180) under the source's own column names, with what was wrong
in columns of their own. Cells stand in it as they were: also those that begin with `=`, `+`, `-` or
`@`, which a spreadsheet may take for formulas, since a quote before them would become part of the
data. Open such a file as text if you do not trust where it came from.
"""

import csv
import json
import logging
import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, Self

from kgrec.config import Source
from kgrec.data.cleaning.cells import Effect
from kgrec.errors import DataError
from kgrec.files import atomic_file

logger = logging.getLogger(__name__)


#: Examples kept of each finding.
EXAMPLES = 3


@dataclass
class Finding:
    """One rule that applied to one source.

    Attributes:
        source: The source's name, or "graph" for rules over everything.
        rule: Short name, e.g. `duplicate`, `missing id`, `k-core`.
        effect: `mended` (the row stays, changed), `dropped` (left out by a rule), `rejected` (a
            bad row), `noted` (nothing changed).
        count: How many rows, edges or nodes.
        text: One sentence for people, without the count.
        examples: Places or values, the first few.
    """

    source: str
    rule: str
    effect: Effect
    count: int
    text: str
    examples: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        examples = f" ({', '.join(self.examples)})" if self.examples else ""
        return f"{self.source}: {self.count:,} {self.text}{examples}"


class Report:
    """Collects findings; the same source and rule add up.

    As a context manager it is what `current_report` gives within the block, so that whatever is
    called there tells it what it finds.

    Attributes:
        rows: Rows read, by source.
    """

    def __init__(self) -> None:
        self._findings: dict[tuple[str, str, str], Finding] = {}
        self.rows: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._outer = _collecting.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _collecting.reset(self._outer)

    def add(
        self,
        source: str,
        rule: str,
        effect: Effect,
        count: int,
        text: str,
        examples: Iterable[str] = (),
    ) -> None:
        """Counts a finding; a count of 0 is nothing. `text` follows the count in a sentence."""
        if count <= 0:
            return
        key = (source, rule, effect)
        finding = self._findings.setdefault(key, Finding(source, rule, effect, 0, text))
        finding.count += int(count)
        finding.examples += islice(examples, EXAMPLES - len(finding.examples))

    def read(self, source: str, rows: int) -> None:
        """Counts rows read of a source."""
        self.rows[source] = self.rows.get(source, 0) + int(rows)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, by source in the order they were first met."""
        return tuple(self._findings.values())

    def rejected(self, source: str) -> int:
        """How many rows of a source were refused."""
        return sum(f.count for f in self.findings if f.source == source and f.effect == "rejected")

    def notes(self) -> tuple[str, ...]:
        """The findings as sentences."""
        return tuple(str(finding) for finding in self.findings)

    def to_json(self) -> Mapping[str, Any]:
        """`rows` by source and `findings` as plain values."""
        return {"rows": self.rows, "findings": [vars(finding) for finding in self.findings]}


class _Unread(Report):
    """What findings go to that nobody collects: they are logged, so that none is silent."""

    def add(self, *parts: Any, **named_parts: Any) -> None:
        """Logs a finding."""
        super().add(*parts, **named_parts)
        for finding in self.findings:
            logger.warning("%s", finding)


_collecting: ContextVar[Report | None] = ContextVar("report", default=None)


def current_report() -> Report:
    """Gives the report of the innermost `with Report()`; outside of any, one that logs."""
    return _collecting.get() or _Unread()


#: Where the row stood, `file:line:column`.
AT = "rejected_at"
#: What was wrong with it.
BECAUSE = "rejected_because"
#: What could not be read as a row at all, as it stood; its cells are to be filled in.
RAW = "rejected_row"
#: Columns that say why a row was refused; cleaning never takes them for data.
REJECT_COLUMNS = (AT, BECAUSE, RAW)

# Bad rows of a source beyond so many bytes go to a temporary file.
_IN_MEMORY = 4 << 20


class Rejects:
    """Collects bad rows by source, in bounded memory; a context, whose end forgets them.

    Args:
        unwanted: Says of a row's cells whether it must not be kept; None keeps all.
    """

    def __init__(self, unwanted: Callable[[Iterable[str | None]], bool] | None = None) -> None:
        self._unwanted = unwanted
        self._files: dict[str, IO[str]] = {}
        weakref.finalize(self, _close, self._files)
        self._columns: dict[str, dict[str, None]] = {}
        self._counts: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forgets all rows."""
        _close(self._files)
        self._columns, self._counts = {}, {}

    def count(self, source: str) -> int:
        """How many bad rows of a source are kept."""
        return self._counts.get(source, 0)

    def add(
        self,
        source: str,
        cells: Mapping[str, Sequence[str | None]],
        places: Sequence[str],
        reasons: Sequence[str],
    ) -> None:
        """Keeps raw rows.

        Args:
            source: Name of their source.
            cells: By the source's name of a column the cells as text (n); RAW holds what was no
                row.
            places: Where each stood, as `file:line:column` (n).
            reasons: What was wrong with each, as `expected …, got …` (n).
        """
        names = [name for name in cells if name not in (AT, BECAUSE)]
        self._columns.setdefault(source, {}).update(dict.fromkeys(names))
        self._counts[source] = self.count(source) + len(places)
        if source not in self._files:
            self._files[source] = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by close
                max_size=_IN_MEMORY, mode="w+", encoding="utf-8", newline="\n"
            )
        for position, (place, reason) in enumerate(zip(places, reasons, strict=True)):
            row = {name: cells[name][position] for name in names if cells[name][position]}
            if self._unwanted is not None and self._unwanted([*row.values(), reason]):
                continue
            self._files[source].write(json.dumps([place, reason, row]) + "\n")

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Writes `<source>.csv` for each source with bad rows, each whole or not at all.

        Returns:
            The files, by source in the order they were met.

        Raises:
            DataError: If they cannot be written.
        """
        paths = []
        for source, spool in self._files.items():
            path = folder / f"{source}.csv"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with atomic_file(path) as temporary:
                    self._write_one(source, spool, temporary)
            except OSError as exc:
                raise DataError(
                    f"cannot write the rejects to {path}: {exc.strerror or exc}; make room, or "
                    f"name another folder"
                ) from exc
            paths.append(path)
        return tuple(paths)

    def _write_one(self, source: str, spool: IO[str], path: Path) -> None:
        names = sorted(self._columns[source], key=lambda name: name == RAW)
        spool.seek(0)
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow([*names, AT, BECAUSE])
            for line in spool:
                place, reason, cells = json.loads(line)
                rows.writerow([*(cells.get(name, "") for name in names), place, reason])
        spool.seek(0, os.SEEK_END)


def _close(files: dict[str, IO[str]]) -> None:
    for file in files.values():
        file.close()
    files.clear()


def rejects_source(source: Source, path: Path) -> Source:
    """Gives the source that reads a mended file of rejects as the source's own rows."""
    where = {"path": path, "table": None, "cypher": None, "uri": None}
    return source.model_copy(update={**where, "format": "csv", "separator": ","})
