"""Whatever is in a file: rows, bad rows, or an error that says what to do; never anything else."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgrec.config import Source
from kgrec.data.reading.files import Chunk
from kgrec.data.reading.open import open_source
from kgrec.errors import KgrecError

ROWS = [(f"u{k}", f"i{k * 7 % 11}", str(k % 5)) for k in range(12)]
NAMES = ("user", "item", "rating")

#: Bytes that mean something to one format or another.
SPECIAL = [
    b'"',
    b'""',
    b",",
    b"\t",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xc3",
    b"{",
    b"}",
    b"[",
    b"\\u",
]
NOISE = st.lists(st.one_of(st.binary(max_size=8), st.sampled_from(SPECIAL)), max_size=8).map(
    b"".join
)
SETTINGS = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def lines_of(form: str) -> list[bytes]:
    if form == "jsonl":
        return [json.dumps(dict(zip(NAMES, row, strict=True))).encode() for row in ROWS]
    separator = "\t" if form == "tsv" else ","
    mark = '"' if form == "quoted" else ""
    lines = [separator.join(f"{mark}{cell}{mark}" for cell in row) for row in (NAMES, *ROWS)]
    return [line.encode() for line in lines]


def parquet_bytes() -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table(dict(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True)))
    pq.write_table(table, sink, row_group_size=5, write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


WHOLE = {
    "csv": b"\n".join(lines_of("csv")),
    "quoted": b"\r\n".join(lines_of("quoted")),
    "tsv": b"\n".join(lines_of("tsv")),
    "jsonl": b"\n".join(lines_of("jsonl")),
    "parquet": parquet_bytes(),
    "gz": gzip.compress(b"\n".join(lines_of("csv")), mtime=0),
}
SUFFIX = {"quoted": "csv", "gz": "csv.gz"}


def read(path: Path, data: bytes) -> list[Chunk]:
    path.write_bytes(data)
    source = Source(name="events", kind="interactions", path=path)
    return [chunk for file in open_source(source) for chunk in file.chunks()]


def checked(path: Path, data: bytes) -> None:
    """Reads a file; whatever comes of it is in order."""
    try:
        chunks = read(path, data)
    except KgrecError as exc:
        chunks, told = [], str(exc)
    else:
        told = ""
    assert bool(chunks) == (told == "")
    assert told == "" or str(path) in told
    assert len(told) < 5_000
    last = 0
    for chunk in chunks:
        assert len(chunk.rows) == len(chunk.table)
        assert not {bad.row for bad in chunk.bad} & set(chunk.rows.tolist())
        for row in sorted([*chunk.rows.tolist(), *(bad.row for bad in chunk.bad)]):
            assert row > last
            last = row
            place, _, line = chunk.where(row).rpartition(":")
            assert place == str(path)
            assert int(line) >= row
        for cells in chunk.table.to_pylist():  # raises if text is not UTF-8
            assert all(cell is None or "\0" not in str(cell) for cell in cells.values())


@pytest.mark.parametrize("suffix", ["csv", "tsv", "inter", "jsonl", "parquet", "csv.gz", "bin"])
@SETTINGS
@given(data=NOISE)
def test_random_bytes(tmp_path: Path, suffix: str, data: bytes) -> None:
    checked(tmp_path / f"a.{suffix}", data)


@pytest.mark.parametrize("form", WHOLE)
@SETTINGS
@given(noise=NOISE, begin=st.floats(0, 1), cut=st.integers(0, 20))
def test_files_with_damage_anywhere(
    tmp_path: Path, form: str, noise: bytes, begin: float, cut: int
) -> None:
    whole = WHOLE[form]
    at = int(begin * len(whole))
    data = whole[:at] + noise + whole[at + cut :]
    checked(tmp_path / f"a.{SUFFIX.get(form, form)}", data)


@pytest.mark.parametrize("form", ["csv", "quoted", "tsv", "jsonl"])
@SETTINGS
@given(
    noise=NOISE.map(lambda data: data.translate(None, b"\r\n")),
    broken=st.integers(1, len(ROWS) - 1),
    end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_a_bad_line_costs_no_other_row(
    tmp_path: Path, form: str, noise: bytes, broken: int, end: bytes
) -> None:
    lines = lines_of(form)
    header = len(lines) - len(ROWS)
    lines[header + broken] = noise
    chunks = read(tmp_path / f"a.{SUFFIX.get(form, form)}", end.join(lines) + end)
    found = {
        int(row): tuple(cells[name] for name in NAMES)
        for chunk in chunks
        for row, cells in zip(chunk.rows, chunk.table.to_pylist(), strict=True)
    }
    first = header + 1
    for position, row in enumerate(ROWS):
        if position != broken:
            assert found[first + position] == row
    assert set(found) <= set(range(first, first + len(ROWS)))
    assert {bad.row for chunk in chunks for bad in chunk.bad} <= {first + broken}
