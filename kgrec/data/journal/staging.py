"""Writing loads: into a folder beside, then into the journal in one step.

Nothing counts before the manifest names it. Whatever a killed process left behind is swept by the
next one.
"""

import datetime
import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kgrec.config import Source
from kgrec.data.journal.events import COLUMNS, Codes
from kgrec.data.journal.manifest import FileRecord, Load, LoadRecord, Manifest
from kgrec.errors import DataError
from kgrec.files import digest_of_file, sync
from kgrec.schema import NodeLabel, Split

#: Rows of a row group; a reader holds one at a time.
GROUP_ROWS = 1_000_000

_CODED = pa.schema(
    [(name, pa.from_numpy_dtype(kind)) for name, (kind, _) in COLUMNS.items() if name != "load"]
)
_SPLITS = pa.array([str(split) for split in Split])


#: The number of rows, the names of behaviours, and the columns that hold anything.
_Summary = tuple[int, Collection[str], Collection[str]]


class Staging:
    """Loads that are being written.

    Args:
        folder: The journal.
        manifest: What the journal holds.
        codes: Gives the codes of users or items, which grow here; asked where there are events.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, codes: Callable[[NodeLabel], Codes]
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._find_codes = codes
        self._codes: dict[NodeLabel, Codes] = {}
        self._num_stored: dict[NodeLabel, int] = {}
        self._beside = folder / f".staging-{os.getpid()}"
        self.loads: list[LoadRecord] = []

    def add(
        self,
        source: Source,
        files: Sequence[FileRecord],
        tables: Iterable[pa.Table],
        settings: str,
        *,
        replaces: bool,
        rejected: Callable[[], int] = lambda: 0,
    ) -> LoadRecord:
        """Writes the rows of one load.

        Args:
            source: Where they are from.
            files: What is read; contents may be filled in while `tables` is consumed.
            tables: The cleaned rows, in the schema of the source's kind.
            settings: Hash of what they were read and cleaned with.
            replaces: Whether the load replaces the source's earlier ones.
            rejected: Says how many rows were refused, once all tables came.

        Raises:
            DataError: If they cannot be read or written.
        """
        numbers = [record.load.number for record in (*self._manifest.loads, *self.loads)]
        number = max(numbers, default=0) + 1
        if source.kind == "interactions":
            self._open_codes()
        before = {label: len(codes) for label, codes in self._codes.items()}
        if not self.loads:
            with writing(self._folder):
                shutil.rmtree(self._beside, ignore_errors=True)
                self._beside.mkdir()
        path = self._beside / f"load-{number:05d}.parquet"
        write = self._write_events if source.kind == "interactions" else _write_rows
        num_rows, behaviours, carries = write(path, tables)
        content = hashlib.sha256("\n".join(sorted(f.content for f in files)).encode())
        record = LoadRecord(
            Load(
                number=number,
                source=source.name,
                kind=source.kind,
                files=tuple(file.origin for file in files),
                content=content.hexdigest()[:16],
                rows=num_rows,
                rejected=rejected(),
                loaded_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            ),
            tuple(files),
            path.name if num_rows else "",
            settings,
            replaces,
            tuple(behaviours),
            tuple(sorted(carries)),
            {label: len(codes) - before[label] for label, codes in self._codes.items()},
        )
        self.loads.append(record)
        return record

    def place(self, manifest: Manifest) -> Manifest:
        """Puts the files where the journal reads them; they count once the manifest is written.

        Args:
            manifest: What the journal holds; nothing but marks may have changed since.

        Returns:
            The manifest that holds these loads, too.

        Raises:
            DataError: If the journal cannot be written.
        """
        if not self.loads:
            return manifest
        ids = dict(manifest.ids)
        with writing(self._folder):
            for label, codes in self._codes.items():
                if len(codes) > self._num_stored[label]:
                    name = f"ids-{label}-{len(ids.get(label, ())) + 1:05d}.parquet"
                    table = pa.table(
                        {"id": pa.array(codes.ids(self._num_stored[label]), pa.string())}
                    )
                    pq.write_table(table, self._beside / name, compression="zstd")
                    ids[label] = (*ids.get(label, ()), name)
            digests = dict(manifest.digests)
            for path in sorted(self._beside.iterdir()):
                sync(path)
                digests[path.name] = digest_of_file(path)
                path.replace(self._folder / path.name)
        loads = (*manifest.loads, *self.loads)
        return replace(manifest, loads=loads, ids=ids, digests=digests)

    def _open_codes(self) -> None:
        for label in (NodeLabel.USER, NodeLabel.ITEM):
            if label not in self._codes:
                self._codes[label] = self._find_codes(label)
                self._num_stored[label] = len(self._codes[label])

    def discard(self) -> None:
        """Forgets what is not committed."""
        shutil.rmtree(self._beside, ignore_errors=True)

    def _write_events(self, path: Path, tables: Iterable[pa.Table]) -> _Summary:
        behaviours: list[str] = []
        carries: set[str] = set()
        rows = 0
        options = {"compression": "lz4", "use_dictionary": False}
        with writing(self._folder), pq.ParquetWriter(path, _CODED, **options) as writer:
            for group in _groups(self._coded(table, behaviours) for table in tables):
                carries |= _carried(group)
                rows += len(group)
                writer.write_table(group, row_group_size=GROUP_ROWS)
        return rows, behaviours, carries

    def _coded(self, table: pa.Table, behaviours: list[str]) -> pa.Table:
        behaviour = table["behaviour"].combine_chunks()
        if not pa.types.is_dictionary(behaviour.type):
            behaviour = behaviour.dictionary_encode()
        for name in behaviour.dictionary.to_pylist():
            if name not in behaviours:
                behaviours.append(name)
        places = np.array(
            [behaviours.index(name) for name in behaviour.dictionary.to_pylist()], np.int16
        )
        columns = {
            "user": pa.array(self._codes[NodeLabel.USER].encode(table["user"])),
            "item": pa.array(self._codes[NodeLabel.ITEM].encode(table["item"])),
            "behaviour": pa.array(places[behaviour.indices.to_numpy(zero_copy_only=False)]),
            "split": pc.index_in(table["split"], value_set=_SPLITS).cast(pa.int8()),
        }
        cells = [
            pc.fill_null(columns.get(name, table[name]), COLUMNS[name][1]) for name in _CODED.names
        ]
        return pa.table(cells, schema=_CODED)


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Joins tables to row groups of one size or somewhat more."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= GROUP_ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns a full disk and the like into a DataError."""
    try:
        yield
    except OSError as exc:
        raise DataError(
            f"cannot write the journal {folder}: {exc.strerror or exc}; nothing was loaded; make "
            f"room, or set data.journal to another folder"
        ) from exc


def _write_rows(path: Path, tables: Iterable[pa.Table]) -> _Summary:
    """Writes rows that are no events; several files of one source may have unlike columns."""
    parts = [table for table in tables if len(table)]
    if not parts:
        return 0, (), ()
    with writing(path.parents[1]):
        whole = pa.concat_tables(parts, promote_options="default")
        pq.write_table(whole, path, compression="zstd", row_group_size=GROUP_ROWS)
    return len(whole), (), ()


def _carried(table: pa.Table) -> set[str]:
    """Which columns that may be empty are not."""
    filled = {
        name: pc.invert(pc.is_nan(table[name]))
        if empty != empty
        else pc.not_equal(table[name], empty)
        for name, (_, empty) in COLUMNS.items()
        if name in ("time", "rating", "weight", "split", "deleted")
    }
    return {name for name, rows in filled.items() if pc.any(rows).as_py()}
