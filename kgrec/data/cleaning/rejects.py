"""Bad rows, kept so that they can be mended and loaded again.

A file of rejects is CSV (UTF-8, RFC 4180) under the source's own column names, with what was wrong
in columns of their own. Cells stand in it as they were: also those that begin with `=`, `+`, `-` or
`@`, which a spreadsheet may take for formulas, since a quote before them would become part of the
data. Open such a file as text if you do not trust where it came from.
"""

import csv
import json
import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from kgrec.config import Source
from kgrec.errors import DataError
from kgrec.files import atomic_file

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
