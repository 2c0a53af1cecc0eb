"""Taking nodes out of the journal: out of every load, whether it counts or not, and its ids."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from kgrec.config import Kind
from kgrec.data.journal.forgotten import IsGone, among, without
from kgrec.data.journal.journal import Journal
from kgrec.data.journal.manifest import LoadRecord, Manifest
from kgrec.data.journal.staging import GROUP_ROWS, writing
from kgrec.files import digest_of_file, sync
from kgrec.schema import NodeLabel

#: No id can look so: ids with control characters are refused when they are read.
_PLACEHOLDER = "\x1fforgotten"


def erased(
    journal: Journal, erased_ids: Mapping[NodeLabel, frozenset[str]]
) -> tuple[Manifest, int]:
    """Writes the loads that name some nodes anew without them, beside the old files.

    The codes of all other ids stay: a code of an id that is gone stands for nothing. The store's
    state is forgotten, so that the next ingest compares all of it.

    Args:
        journal: The journal, inside `Journal.staging`; its manifest stays as it is.
        erased_ids: By label the ids.

    Returns:
        The manifest that names the new files, and how many rows are gone. It counts once it is in
        force, and the old files are swept then.

    Raises:
        DataError: If the journal cannot be read or written.
    """
    manifest = journal.manifest
    codes = {
        label: np.array(
            [journal.codes(label).get(key) for key in erased_ids.get(label, ())], np.int32
        )
        for label in (NodeLabel.USER, NodeLabel.ITEM)
    }
    loads, num_removed = [], 0
    with writing(journal.folder):
        for record in manifest.loads:
            remaining = _without_rows(journal, record, erased_ids, codes)
            num_removed += record.load.rows - remaining.load.rows
            loads.append(remaining)
        ids = {
            label: tuple(
                _without_ids(journal, name, erased_ids.get(label, frozenset())) for name in names
            )
            for label, names in manifest.ids.items()
        }
        rest = replace(manifest, loads=tuple(loads), ids=ids, graphs={})
        new_names = rest.files - manifest.files
        digests = {name: digest_of_file(journal.folder / name) for name in new_names}
    return replace(rest, digests={**manifest.digests, **digests}), num_removed


def is_placeholder(key: str) -> bool:
    """Whether an id stands where one was that is gone."""
    return key.startswith(_PLACEHOLDER)


def _without_rows(
    journal: Journal,
    record: LoadRecord,
    erased_ids: Mapping[NodeLabel, frozenset[str]],
    codes: Mapping[NodeLabel, npt.NDArray[np.int32]],
) -> LoadRecord:
    kind = record.load.kind
    coded = kind == "interactions"
    values: Mapping[NodeLabel, Any] = (
        codes if coded else {k: sorted(v) for k, v in erased_ids.items()}
    )
    if not record.rows_in or not any(len(part) for part in values.values()):
        return record
    name = f"load-{record.load.number:05d}-{uuid.uuid4().hex[:12]}.parquet"
    rows, has_changed = _rewrite(journal, record, name, among(values))
    if not has_changed:
        (journal.folder / name).unlink()
        return record
    load = replace(record.load, rows=rows)
    return replace(record, load=load, rows_in=name if rows else "")


def _rewrite(journal: Journal, record: LoadRecord, name: str, is_gone: IsGone) -> tuple[int, bool]:
    """Copies a load's rows but for some; gives how many there are, and whether any changed."""
    kind = cast(Kind, record.load.kind)
    events = kind == "interactions"
    rows, has_changed = 0, False
    path = journal.folder / name
    with pq.ParquetFile(journal.path(record.rows_in)) as old:
        options = {"compression": "lz4" if events else "zstd", "use_dictionary": not events}
        with pq.ParquetWriter(path, old.schema_arrow, **options) as new:
            for group in range(old.num_row_groups):
                table = old.read_row_group(group)
                rest = without(table, kind, is_gone)
                has_changed |= rest is not table
                rows += len(rest)
                new.write_table(rest, row_group_size=GROUP_ROWS)
    sync(path)
    return rows, has_changed


def _without_ids(journal: Journal, name: str, erased_ids: frozenset[str]) -> str:
    ids = pq.read_table(journal.path(name))["id"].to_pylist()
    if erased_ids.isdisjoint(ids):
        return name
    # Each placeholder is another one, as codes are told apart by their ids.
    ids = [f"{_PLACEHOLDER} {uuid.uuid4().hex}" if key in erased_ids else key for key in ids]
    new = f"{name.removesuffix('.parquet')[:40]}-{uuid.uuid4().hex[:12]}.parquet"
    pq.write_table(
        pa.table({"id": pa.array(ids, pa.string())}), journal.folder / new, compression="zstd"
    )
    sync(journal.folder / new)
    return new
