"""The journal: every load's rows on disk, and the ids they name.

It is the source of truth. A graph is derived from its rows, so a load can be taken back, settings
can change and a store can be made anew without the original files.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import filelock
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from kgrec.config import Kind
from kgrec.data.journal.events import COLUMNS, Codes, Events
from kgrec.data.journal.forgotten import read_forgotten
from kgrec.data.journal.manifest import LoadRecord, Manifest, read_manifest, write_manifest
from kgrec.data.journal.staging import Staging
from kgrec.errors import ConfigError, DataError, StoreBusy
from kgrec.files import NOT_AS_WRITTEN, digest_of_file
from kgrec.schema import NodeLabel

_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """The users whose code divided by `of` leaves `number`."""

    number: int
    of: int


class Journal:
    """A folder of loads; one process may use it at a time.

    Args:
        folder: Made if absent.
        sources: Names of the sources whose loads count; None is all.

    Raises:
        DataError: If it is damaged, or cannot be written.
        StoreBusy: If another process uses it.
    """

    def __init__(self, folder: Path, sources: frozenset[str] | None = None) -> None:
        self.folder = folder
        self._sources = sources
        self._codes: dict[NodeLabel, Codes] = {}
        self._checked: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = filelock.FileLock(folder / "journal.lock", timeout=0)
            self._lock.acquire()
        except filelock.Timeout as exc:
            raise StoreBusy(
                f"the journal {folder} is in use by another process; wait for it to end"
            ) from exc
        except OSError as exc:
            raise DataError(
                f"cannot write the journal {folder}: {exc.strerror or exc}; give it a folder that "
                f"takes files with data.journal"
            ) from exc
        try:
            self.manifest = read_manifest(folder)
            self.forgotten = read_forgotten(folder)
        except DataError:
            self._lock.release()
            raise
        self._sweep()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets other processes use it; safe to call twice."""
        self._lock.release()

    def update(self, manifest: Manifest) -> None:
        """Puts another manifest in force; raises DataError if it cannot be written."""
        try:
            write_manifest(self.folder, manifest)
        except OSError as exc:
            raise DataError(
                f"cannot write the journal {self.folder}: {exc.strerror or exc}; make room"
            ) from exc
        self.manifest = manifest

    @contextmanager
    def staging(self) -> Iterator[Staging]:
        """Gives a place for new loads.

        After `Staging.place` they can be read like any other; they are kept if `update` has put
        their manifest in force by the end of the block, else they are forgotten.
        """
        staging = Staging(self.folder, self.manifest, self.codes)
        try:
            yield staging
        except BaseException:
            # Files may have been placed and codes given that no manifest knows.
            self.manifest = read_manifest(self.folder)
            self._codes.clear()
            raise
        finally:
            staging.discard()
            self._sweep()

    def codes(self, label: NodeLabel) -> Codes:
        """Gives the codes of users or items."""
        if label not in self._codes:
            ids: list[str] = []
            for name in self.manifest.ids.get(label, ()):
                ids += self._table(name)["id"].to_pylist()
            self._codes[label] = Codes(ids)
        return self._codes[label]

    def forget_codes(self) -> None:
        """Reads the codes anew when they are next asked for, as the manifest then names them."""
        self._codes.clear()

    def first_loads(self, label: NodeLabel) -> npt.NDArray[np.int32]:
        """Gives by code the number of the first load that counts and names the id, int32 (n,).

        An id that no such load names has the load that brought it.
        """
        counts = [record.new_ids.get(label, 0) for record in self.manifest.loads]
        numbers = [record.load.number for record in self.manifest.loads]
        first = np.repeat(np.asarray(numbers, dtype=np.int32), counts)
        active = self.active("interactions")
        waiting = ~np.isin(first, [record.load.number for record in active])
        if waiting.any():  # their load was taken back or replaced
            for record in active:
                mask = self.is_named(label, [record]) & waiting
                first[mask] = record.load.number
                waiting &= ~mask
        return first

    def active(self, *kinds: Kind) -> list[LoadRecord]:
        """Gives the loads that count, by number; only those of these kinds, if any are given."""
        return [
            record
            for record in self.manifest.active(self._sources)
            if not kinds or record.load.kind in kinds
        ]

    def num_events(self) -> int:
        """How many events the active loads hold."""
        return sum(record.load.rows for record in self.active("interactions"))

    def events(
        self,
        behaviours: Sequence[str],
        *,
        loads: Iterable[LoadRecord] | None = None,
        users: _Mask | None = None,
        part: Part | None = None,
    ) -> Events:
        """Gives events, as arrays.

        Args:
            behaviours: Names of the settings, in their order.
            loads: Which loads; None is all that count.
            users: Which users, bool by code; or
            part: which part of them; else all.

        Raises:
            ConfigError: If an event is of a behaviour that the settings do not know.
        """
        records = self.active("interactions") if loads is None else list(loads)
        blocks = [
            block
            for record in records
            if record.rows_in
            for block in self._blocks(record, behaviours, users, part)
        ]
        return _joined(blocks, tuple(behaviours))

    def rows(self, record: LoadRecord) -> pd.DataFrame:
        """Gives the rows of a load that are no events, with its number as `load`."""
        frame: pd.DataFrame = self._table(record.rows_in).to_pandas()
        return frame.assign(load=record.load.number)

    def is_named(self, label: NodeLabel, loads: Iterable[LoadRecord]) -> _Mask:
        """Tells by code which users or items the events of some loads name, tombstones aside."""
        mask = np.zeros(len(self.codes(label)), dtype=bool)
        column = label.lower()
        for record in loads:
            if record.rows_in and record.load.kind == "interactions":
                columns = [column, *({"deleted"} & set(record.carries))]
                table = pq.read_table(self.path(record.rows_in), columns=columns)
                codes = table[column].to_numpy()
                if "deleted" in columns:
                    codes = codes[~table["deleted"].to_numpy()]
                mask[codes] = True
        return mask

    def mentioned(self) -> set[str]:
        """Gives every id that rows other than events name."""
        columns = ("id", "head", "tail", "item", "user", "left", "right")
        ids: set[str] = set()
        for record in self.active():
            if record.rows_in and record.load.kind != "interactions":
                table = self._table(record.rows_in)
                for name in set(columns) & set(table.column_names):
                    ids.update(table[name].unique().to_pylist())
        return ids

    def _blocks(
        self,
        record: LoadRecord,
        behaviours: Sequence[str],
        users: _Mask | None,
        part: Part | None,
    ) -> Iterator[dict[str, Any]]:
        unknown = [name for name in record.behaviours if name not in behaviours]
        if unknown:
            raise ConfigError(
                f"load {record.load.number} of {record.load.source} holds events of the behaviour "
                f"{unknown[0]!r}, which the settings do not know; expected one of "
                f"{', '.join(behaviours)}; add [data.behaviours.{unknown[0]}], or take the load "
                f"back with kgrec ingest --undo {record.load.number}"
            )
        places = np.array([behaviours.index(name) for name in record.behaviours], np.int16)
        columns = ["user", "item", "behaviour", *record.carries]
        with pq.ParquetFile(self.path(record.rows_in)) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=columns)
                block = {name: table[name].to_numpy() for name in columns}
                keep = _row_mask(block["user"], users, part)
                if keep is not None:
                    block = {name: values[keep] for name, values in block.items()}
                block["behaviour"] = places[block["behaviour"]]
                block["load"] = record.load.number
                yield block

    def path(self, name: str) -> Path:
        """Gives the path of a Parquet file of the journal, whose contents are those written.

        Raises:
            DataError: If it is missing or damaged.
        """
        path, digest = self.folder / name, self.manifest.digests.get(name)
        if digest is not None and name not in self._checked:
            try:
                if digest_of_file(path) != digest:
                    raise ValueError(NOT_AS_WRITTEN)
            except (OSError, ValueError) as exc:
                raise DataError(
                    f"the journal {self.folder} lacks a whole {name}: {exc}; bring it back from a "
                    f"copy, or move the folder away and ingest again"
                ) from exc
            self._checked.add(name)
        return path

    def _table(self, name: str) -> pa.Table:
        try:
            return pq.read_table(self.path(name))
        except (OSError, pa.ArrowException) as exc:
            raise DataError(
                f"the journal {self.folder} lacks a whole {name}: {exc}; move the folder away and "
                f"ingest again"
            ) from exc

    def _sweep(self) -> None:
        """Removes what a killed process left: files that the manifest does not name."""
        referenced = self.manifest.files
        for path in self.folder.iterdir():
            if path.name.startswith(".staging-"):
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix == ".tmp" or (
                path.suffix == ".parquet" and path.name not in referenced
            ):
                path.unlink(missing_ok=True)


@contextmanager
def temporary_journal() -> Iterator[Journal]:
    """Gives a journal that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="kgrec-") as folder, Journal(Path(folder)) as journal:
        yield journal


def _row_mask(user: npt.NDArray[np.int32], users: _Mask | None, part: Part | None) -> _Mask | None:
    if users is not None:
        return np.asarray(users[user])
    if part is not None and part.of > 1:
        return np.asarray(user % part.of == part.number)
    return None


def _joined(blocks: list[dict[str, Any]], behaviours: tuple[str, ...]) -> Events:
    """Joins blocks column by column, giving up each block's column as it goes."""
    counts = [len(block["user"]) for block in blocks]
    arrays: dict[str, Any] = {}
    for name, (dtype, empty) in COLUMNS.items():
        values = [block.pop(name, empty) for block in blocks] or [empty]
        if all(np.ndim(value) == 0 for value in values) and len({*map(str, values)}) == 1:
            # One value for all rows takes no memory.
            arrays[name] = np.broadcast_to(np.asarray(values[0], dtype=dtype), sum(counts))
            continue
        out = np.empty(sum(counts), dtype=dtype)
        ends = np.cumsum([0, *counts])
        for value, start, stop in zip(values, ends[:-1], ends[1:], strict=False):
            out[start:stop] = value
        arrays[name] = out
    return Events(**arrays, behaviours=behaviours)
