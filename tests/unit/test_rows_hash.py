"""The hash of a query's rows: the rows count, not their order or their batches."""

import datetime

import numpy as np
import pyarrow as pa

from kgrec.data.reading.columnar import rows_hash

TABLE = pa.table(
    {
        "user": ["a", "b", "c", "c"],
        "stars": [1, None, 3, 3],
        "weight": [0.5, 2.0, None, None],
        "at": [datetime.date(2024, 1, day) for day in (1, 2, 3, 3)],
        "tags": [["x"], None, [], []],
        "nothing": pa.nulls(4),
    }
)


def test_order_and_batches_do_not_count() -> None:
    known = rows_hash([TABLE])
    shuffled = TABLE.take(np.array([2, 0, 3, 1]))
    assert rows_hash([shuffled]) == known
    assert rows_hash([shuffled.slice(0, 1), shuffled.slice(1)]) == known


def test_every_cell_and_every_row_counts() -> None:
    hashes = [rows_hash([TABLE]), rows_hash([TABLE.slice(0, 3)]), rows_hash([])]
    changes = (("user", "d"), ("stars", 2), ("weight", 0.6), ("tags", ["x", "y"]),
               ("at", datetime.date(2025, 1, 1)))  # fmt: skip
    for name, value in changes:
        column = [value, *TABLE[name].to_pylist()[1:]]
        place = TABLE.column_names.index(name)
        typed = pa.array(column, TABLE.schema.field(name).type)
        hashes.append(rows_hash([TABLE.set_column(place, name, typed)]))
    swapped = TABLE.set_column(1, "stars", pa.array([None, 1, 3, 3]))
    hashes += [rows_hash([swapped]), rows_hash([TABLE.rename_columns([*"abcdef"])])]
    assert len(set(hashes)) == len(hashes)


def test_a_missing_cell_is_no_text() -> None:
    texts = [pa.table({"a": pa.array([cell], pa.string())}) for cell in (None, "", "None", "nan")]
    assert len({rows_hash([table]) for table in texts}) == 4
