import bz2
import gzip
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgrec.config import NODE_KINDS, Source
from kgrec.data.reading.columns import ALIASES, REQUIRED, needed_columns, resolve_columns
from kgrec.data.reading.files import Chunk, content_hash, find_files
from kgrec.data.reading.open import SourceFile, open_source
from kgrec.errors import ConfigError, DataError


def source_of(kind: str = "interactions", **settings: object) -> Source:
    return Source.model_validate({"name": "events", "kind": kind, **settings})


def write(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(
    path: Path, data: str | bytes | None = None, kind: str = "interactions", **settings: object
) -> list[Chunk]:
    if data is not None:
        write(path, data)
    (file,) = open_source(source_of(kind, path=path, **settings))
    return list(file.chunks())


def cells_of(chunks: list[Chunk]) -> dict[str, list[object]]:
    return pa.concat_tables(
        [chunk.table for chunk in chunks], promote_options="default"
    ).to_pydict()


def numbers_of(chunks: list[Chunk]) -> list[int]:
    return [int(row) for chunk in chunks for row in chunk.rows]


ROWS = "user\titem\n1\t2\n3\t4\n"


# Files


def test_globs_and_folders_are_sorted_by_name(tmp_path: Path) -> None:
    for name in ("b.tsv", "a.tsv", "a10.tsv", ".hidden.tsv", "_SUCCESS", "note.md"):
        write(tmp_path / name, ROWS)
    (tmp_path / "sub.tsv").mkdir()
    write(tmp_path / "sub.tsv" / "c.tsv", ROWS)

    def names(path: Path) -> list[str]:
        return [found.name for found in find_files(source_of(path=path))]

    assert names(tmp_path / "*.tsv") == ["a.tsv", "a10.tsv", "b.tsv"]
    assert names(tmp_path / "**" / "*.tsv") == ["a.tsv", "a10.tsv", "b.tsv", "c.tsv"]
    assert names(tmp_path) == ["a.tsv", "a10.tsv", "b.tsv", "note.md"]
    assert names(tmp_path / "b.tsv") == ["b.tsv"]
    write(tmp_path / "day[1].tsv", ROWS)
    assert names(tmp_path / "day[1].tsv") == ["day[1].tsv"]


def test_no_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    for path, told in (
        (tmp_path / "none.tsv", "no file at"),
        (tmp_path / "*.tsv", "no file matches"),
        (tmp_path / "none", "a folder without files"),
    ):
        with pytest.raises(DataError, match=told) as caught:
            find_files(source_of(path=path))
        assert "check the path" in str(caught.value)
        assert str(path) in str(caught.value)


def test_a_hash_is_of_the_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", ROWS)
    expected = hashlib.sha256(ROWS.encode()).hexdigest()[:16]
    assert content_hash(path) == expected
    (file,) = open_source(source_of(path=path))
    assert file.content == expected
    with pytest.raises(DataError, match="no file at"):
        content_hash(tmp_path / "none")


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "")
    (file,) = open_source(source_of(path=path))
    assert file.content == hashlib.sha256(b"").hexdigest()[:16]
    with pytest.raises(DataError, match="is empty"):
        list(file.chunks())


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, "zstd", asbytes=True))


PACKED = {".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstd}
LINES = b"user\titem\n" + b"".join(b"%d\t%d\n" % (n, n * 7919 % 10007) for n in range(50_000))


@pytest.mark.parametrize("suffix", PACKED)
def test_packed_files_are_unpacked_and_cut_ones_refused(tmp_path: Path, suffix: str) -> None:
    packed = PACKED[suffix](LINES)
    path = tmp_path / f"a.tsv{suffix}"
    assert sum(len(chunk.table) for chunk in read(path, packed)) == 50_000
    # Several members one behind the other are one file.
    assert sum(len(chunk.table) for chunk in read(path, packed + PACKED[suffix](b"1\t2\n"))) == (
        50_001
    )
    for size in (1, 5, 40, len(packed) // 2, len(packed) - 4, len(packed) - 1):
        with pytest.raises(DataError, match=r"is cut short or no .* file.*fetch or pack it again"):
            read(path, packed[:size])
    with pytest.raises(DataError, match="is cut short or no"):
        read(path, ROWS)
    with pytest.raises(DataError, match="is empty"):
        read(path, b"")


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", ROWS)
    (file,) = open_source(source_of(path=path))
    chunks = file.chunks()
    next(chunks)
    write(path, ROWS + "5\t6\n")
    with pytest.raises(DataError, match="changed while it was read"):
        next(chunks)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_rights_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", ROWS)
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read(path)


# Formats


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


@pytest.mark.parametrize(
    ("name", "data", "settings"),
    [
        ("a.csv", "user,item\n1,2\n3,4\n", {}),
        ("a.CSV", "user,item\n1,2\n3,4\n", {}),
        ("a", "user;item\n1;2\n3;4\n", {}),
        ("a.csv", ROWS, {}),
        ("a.dat", "user_id:token\titem_id:token\n1\t2\n3\t4\n", {}),
        ("a.csv", '{"user": 1, "item": 2}\n{"user": 3, "item": 4}\n', {"format": "jsonl"}),
        ("a.json", '{"user": 1, "item": 2}\n{"user": 3, "item": 4}\n', {}),
        ("a.log", '\n{"user": 1, "item": 2}\n{"user": 3, "item": 4}\n', {}),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"user": 1, "item": 2}\n{"user": 3, "item": 4}\n', mtime=0),
            {},
        ),
        ("a.parquet", parquet(pa.table({"user": ["1", "3"], "item": ["2", "4"]})), {}),
        ("a.bin", parquet(pa.table({"user": ["1", "3"], "item": ["2", "4"]})), {}),
    ],
)
def test_formats_are_told_by_settings_then_suffix_then_contents(
    tmp_path: Path, name: str, data: str | bytes, settings: dict[str, str]
) -> None:
    cells = cells_of(read(tmp_path / name, data, **settings))
    assert list(cells.values()) == [["1", "3"], ["2", "4"]]


def test_a_parquet_file_called_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"suffix \.parquet"):
        read(tmp_path / "a.csv", parquet(pa.table({"user": ["1"], "item": ["2"]})))


# JSON Lines


def test_json_values_become_text(tmp_path: Path) -> None:
    lines = [
        {"id": 1, "Title": "Ü", "n": 1.5, "ok": True, "tags": ["a", 1], "no": None},
        {"id": 12345678901234567890, "title": "\U0001f600", "more": {"deep": {"er": [1]}}},
        {"id": "007", "n": float("nan"), "ok": False, "more": {}},
    ]
    text = "\r\n".join(json.dumps(line) for line in lines)
    (chunk,) = read(tmp_path / "a.jsonl", text, "items", columns={"time": "more.deep.er"})
    assert chunk.table.to_pydict() == {
        "id": ["1", "12345678901234567890", "007"],
        "title": ["Ü", "\U0001f600", None],
        "n": ["1.5", None, "NaN"],
        "ok": ["true", None, "false"],
        "tags": ['["a", 1]', None, None],
        "no": [None, None, None],
        "more": [None, '{"deep": {"er": [1]}}', "{}"],
        "more.deep.er": [None, "[1]", None],
    }
    assert set(chunk.table.schema.types) == {pa.string()}
    assert chunk.rows.tolist() == [1, 2, 3]


def test_lines_that_are_no_objects_are_bad_rows(tmp_path: Path) -> None:
    deep = '{"user": ' + "[" * 150 + "]" * 150 + "}"
    bottomless = "[" * 100_000
    lines = [
        '{"user": "a", "item": "b"}',
        "",
        "[1, 2]",
        '{"user": "a", ',
        '"text"',
        '{"user": "\\u0000"}',
        '{"user": "\\ud800"}',
        '{"user": "a", "User": "b"}',
        '{" ": 1}',
        f'{{"user": {"9" * 5_000}}}',
        deep,
        bottomless,
        '{"user": "\\ud83d\\ude00", "item": "\\\\u0000"}',
    ]
    data = "\n".join(lines).encode() + b'\n{"user": "\xff"}\n{"user": "c", "item": "d"}'
    (chunk,) = read(tmp_path / "a.jsonl", data)
    assert chunk.table.to_pydict() == {
        "user": ["a", "\U0001f600", "c"],
        "item": ["b", "\\u0000", "d"],
    }
    assert chunk.rows.tolist() == [1, 13, 15]
    assert [bad.row for bad in chunk.bad] == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14]
    told = {bad.row: bad.reason for bad in chunk.bad}
    assert told[3] == "expected a JSON object, got an array"
    assert told[4].startswith("expected a JSON object, got no JSON: ")
    assert told[4].endswith("at character 14")
    assert told[5] == "expected a JSON object, got text"
    assert "NUL" in told[6]
    assert "surrogate" in told[7]
    assert "'user', 'User'" in told[8]
    assert "digits" in told[10]
    assert "in each other" in told[11]
    assert "in each other" in told[12]
    assert "UTF-8" in told[14]
    assert chunk.bad[1].text == '{"user": "a", '
    assert all(len(bad.text) <= 10_000 for bad in chunk.bad)


def test_json_columns_stay_once_they_were_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("kgrec.data.reading.jsonl._BLOCK_BYTES", 64)
    lines = [{"user": k, "item": k, **({"rating": 5} if k == 3 else {})} for k in range(8)]
    text = "\n".join(json.dumps(line) for line in lines)
    with caplog.at_level(logging.WARNING):
        chunks = read(tmp_path / "a.jsonl", text, columns={"time": "at.Moment"})
    assert [chunk.table.column_names for chunk in chunks] == [
        ["user", "item", "at.moment"],
        ["user", "item", "rating", "at.moment"],
        ["user", "item", "rating", "at.moment"],
        ["user", "item", "rating", "at.moment"],
    ]
    assert cells_of(chunks)["rating"] == [None] * 3 + ["5"] + [None] * 4
    assert numbers_of(chunks) == list(range(1, 9))
    assert "no value of 'at.moment'" in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[\n{}\n]", "is one JSON array; expected one object a line"),
        ('[{"user": 1}]', "jq -c '.[]'"),
        ("", "is empty"),
        (
            "\n".join(json.dumps({f"u{k}": 1}) for k in range(1_001)),
            "more than 1,000 different keys",
        ),
    ],
)
def test_json_of_another_shape_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.jsonl", text, "items")
    assert expected in str(caught.value)


# Parquet and tables


def test_parquet_keeps_types_and_reads_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgrec.data.reading.columnar.CHUNK_ROWS", 1_000)
    n = 2_500
    table = pa.table(
        {
            "User_ID": pa.array(np.arange(n) % 7).cast(pa.string()).dictionary_encode(),
            "junk": ["x" * 50] * n,
            "item": np.arange(n),
            "Timestamp": pa.array(np.arange(n), pa.timestamp("ms", tz="UTC")),
            "meta": [{"Score": k / 2, "other": k} for k in range(n)],
        }
    )
    path = write(tmp_path / "a.parquet", parquet(table))
    chunks = read(path, columns={"rating": "meta.score"})
    assert [len(chunk.table) for chunk in chunks] == [1_000, 1_000, 500]
    assert chunks[0].table.column_names == ["user_id", "item", "timestamp", "meta.score"]
    assert chunks[0].table.schema.types[1:] == [
        pa.int64(), pa.timestamp("ms", tz="UTC"), pa.float64(),
    ]  # fmt: skip
    cells = cells_of(chunks)
    assert cells["item"] == list(range(n))
    assert cells["meta.score"] == [k / 2 for k in range(n)]
    assert numbers_of(chunks) == list(range(1, n + 1))
    # Whoever misses a column is to see what is there.
    assert read(path, kind="link")[0].table.column_names == [
        "user_id", "junk", "item", "timestamp", "meta",
    ]  # fmt: skip
    dropped = read(path, kind="items", properties={"Junk": {"as": "drop"}})
    assert dropped[0].table.column_names == ["user_id", "item", "timestamp", "meta"]


def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    data = parquet(pa.table({"user": [str(n) for n in range(5_000)], "item": range(5_000)}))
    path = tmp_path / "a.parquet"
    with pytest.raises(DataError, match="is empty"):
        read(path, b"")
    for size in (3, 100, len(data) // 2, len(data) - 1):
        with pytest.raises(DataError, match="is damaged or no Parquet file"):
            read(path, data[:size])
    with pytest.raises(DataError, match="is damaged or no Parquet file"):
        read(path, ROWS)
    with pytest.raises(DataError, match="has no rows"):
        read(path, parquet(pa.table({"user": pa.array([], pa.string()), "item": []})))
    with pytest.raises(DataError, match="column 2 repeats 'user'"):
        read(path, parquet(pa.table({"user": ["1"], "USER ": ["2"]})))
    with pytest.raises(DataError, match="unpack it"):
        read(tmp_path / "a.parquet.gz", gzip.compress(data))
    with pytest.raises(DataError, match="no file at"):
        read(tmp_path / "none.parquet")


def table_file(given: object, kind: str = "interactions") -> SourceFile:
    (file,) = open_source(source_of(kind, table="events"), {"events": given})
    return file


def test_tables_from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgrec.data.reading.columnar.CHUNK_ROWS", 2)
    frame = pd.DataFrame(
        {"User": ["a", "b", None], "item": [1, "x", None], "rating": [1.0, np.nan, 3.0], "x": 0}
    )
    chunks = list(table_file(frame).chunks())
    assert [len(chunk.table) for chunk in chunks] == [2, 1]
    assert numbers_of(chunks) == [1, 2, 3]
    assert cells_of(chunks) == {
        "user": ["a", "b", None],
        "item": ["1", "x", None],  # of several types, so as text
        "rating": [1.0, None, 3.0],
    }
    assert chunks[1].where(3, "item") == "events:3:item"
    arrow = pa.table({"user": ["a"], "item": [1]})
    assert cells_of(list(table_file(arrow).chunks())) == {"user": ["a"], "item": [1]}
    batch = arrow.to_batches()[0]
    assert cells_of(list(table_file(batch).chunks())) == {"user": ["a"], "item": [1]}
    indexed = frame.set_index("User")
    assert list(cells_of(list(table_file(indexed, "items").chunks()))) == [
        "user", "item", "rating", "x",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="is a list; expected a pandas DataFrame"):
        table_file([1])
    with pytest.raises(DataError, match="events has no rows"):
        list(table_file(frame.iloc[:0]).chunks())
    with pytest.raises(ConfigError, match="reads the table 'events', which was not given; got 'x'"):
        list(open_source(source_of(table="events"), {"x": frame}))


def test_the_hash_of_a_table_is_of_its_cells() -> None:
    frame = pd.DataFrame({"user": ["a", "b", "c"], "item": [1, 2, 3]})
    content = table_file(frame).content
    assert len(content) == 16
    assert table_file(frame.copy()).content == content
    table = pa.Table.from_pandas(frame)
    parts = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert table_file(parts).content == table_file(table).content
    assert table_file(frame.assign(item=[1, 2, 4])).content != content
    assert table_file(frame.iloc[::-1]).content != content
    assert table_file(frame.rename(columns={"item": "itemid"})).content != content
    words = pa.table({"user": pa.array(["a", "b"]).dictionary_encode()})
    others = pa.table({"user": pa.array(["a", "c"]).dictionary_encode()})
    assert table_file(words).content != table_file(others).content


def test_a_query_runs_once_and_its_rows_are_read_twice() -> None:
    runs: list[str] = []

    def query(source: Source) -> Iterator[pa.Table]:
        runs.append(source.name)
        yield pa.table({"user": ["a", "b"], "item": ["x", "y"], "rating": pa.nulls(2)})
        yield pa.table({"user": ["c"], "item": ["z"], "rating": [4]})

    source = source_of(cypher="MATCH (n) RETURN n.id AS user", uri="bolt://host")
    (file,) = open_source(source, query=query)
    assert runs == []
    assert len(file.content) == 16
    chunks = list(file.chunks())
    assert runs == ["events"]
    assert [chunk.table["user"].to_pylist() for chunk in chunks] == [["a", "b"], ["c"]]
    assert chunks[1].table["rating"].to_pylist() == [4]
    assert numbers_of(chunks) == [1, 2, 3]
    assert chunks[0].where(1) == "events:1"
    (again,) = open_source(source, query=query)
    assert again.content == file.content
    with pytest.raises(ConfigError, match="nothing here can run one"):
        list(open_source(source))


# Columns


def test_usual_names_are_found_and_the_settings_go_first() -> None:
    names = ["user_id", "item_id", "timestamp", "event_type", "rating", "date", "product_id"]
    wanted = list(ALIASES["interactions"])
    assert resolve_columns(source_of(path="x"), names, wanted) == {
        "user": "user_id",
        "item": "item_id",
        "rating": "rating",
        "time": "timestamp",
        "behaviour": "event_type",
    }
    source = source_of(path="x", columns={"time": " Date ", "user": "product_id"})
    found = resolve_columns(source, names, ["user", "item", "time"])
    assert found == {"user": "product_id", "item": "item_id", "time": "date"}
    # A column that the settings give to one is no other's.
    source = source_of(path="x", columns={"item": "user_id"})
    assert resolve_columns(source, ["user_id", "x"], ["user", "item"]) == {"item": "user_id"}


@pytest.mark.parametrize("kind", sorted(NODE_KINDS))
def test_the_id_of_nodes_has_its_usual_name_or_is_the_first_column(kind: str) -> None:
    names = ["sku", "id", "date", "updated_at"]
    source = source_of(kind, path="x")
    assert resolve_columns(source, names, ["id", "time", "deleted"]) == {
        "id": "id",
        "time": "updated_at",
    }
    source = source_of(kind, path="x", columns={"id": "sku"})
    assert resolve_columns(source, names, ["id"]) == {"id": "sku"}
    source = source_of(kind, path="x")
    assert resolve_columns(source, ["", "sku", "date"], ["id"]) == {"id": "sku"}
    source = source_of(kind, path="x", columns={"time": "sku"})
    assert resolve_columns(source, ["sku", "code"], ["id", "time"]) == {"id": "code", "time": "sku"}


def test_missing_columns_are_named_with_what_is_there() -> None:
    names = ["person", "movie"]
    with pytest.raises(DataError) as missing:
        resolve_columns(
            source_of(path="x"), names, ["user", "item"], required=["user"], origin="a.tsv"
        )
    assert str(missing.value).startswith("a.tsv has no column 'user' or 'user_id'")
    assert "found 'person', 'movie'; name the columns in the first line" in str(missing.value)
    with pytest.raises(ConfigError) as wrong:
        resolve_columns(source_of(path="x", columns={"user": "Persn"}), names, ["user"])
    assert "has no column 'persn', which columns.user" in str(wrong.value)
    assert "found 'person', 'movie'" in str(wrong.value)
    with pytest.raises(ConfigError, match="columns names 'usr', which interactions do not have"):
        list(open_source(source_of(path="x", columns={"usr": "person"})))


def test_columns_that_rows_cannot_use_are_not_needed() -> None:
    names = ["user", "item", "junk", "rating"]
    assert needed_columns(source_of(path="x"), names) == ["user", "item", "rating"]
    assert needed_columns(source_of("triples", path="x"), names) == names
    assert needed_columns(source_of("users", path="x"), names) == names


def test_required_columns_have_names_and_none_stands_for_two() -> None:
    assert set(ALIASES) == set(REQUIRED)
    for kind, aliases in ALIASES.items():
        assert set(REQUIRED[kind]) <= set(aliases)
        names = [name for known in aliases.values() for name in known]
        assert len(names) == len(set(names))
        assert all(column == known[0] for column, known in aliases.items())
