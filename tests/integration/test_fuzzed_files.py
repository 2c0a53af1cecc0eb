"""Broken files: an error that says so, or rows that keep their promises."""

import bz2
import gzip
import io
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgrec.config import Config, Source
from kgrec.data.cleaning.report import Rejects
from kgrec.data.cleaning.rows import SCHEMAS
from kgrec.data.cleaning.source import clean_source
from kgrec.data.reading.open import open_source
from kgrec.errors import KgrecError
from kgrec.ingestion import ingest
from kgrec.store.connect import open_store
from kgrec.store.state import read_state

#: Of every format and kind, which are eight: some always, and ten thousand in all to prove it.
FEW, MANY = 125, 1_250
#: And of two deliveries of which one is broken.
FEW_LOADS, MANY_LOADS = 20, 120

ROWS = [
    {"user": f"u{n % 3}", "item": f"i{n % 4}", "rating": 1.5 + n % 3, "time": 1_000_000 + n}
    for n in range(6)
]
#: What turns up in real files, and what people put into them on purpose.
NASTY = [
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n\n", b'"', b'""', b",", b"\t",
    b"\\", b"=1+1", b"@SUM(A1)", b"../../etc/passwd", b"'; DROP", b"nan", b"inf", b"-0", b"1e999",
    b"1e-999", b"9" * 400, b"-1", b"1,5", b"true", b"null", b"{}", b"[]", b"{", b"e\xcc\x81",
    b"\xe2\x80\x8b", b"\xed\xa0\x80", b"x" * 5_000, b"2024-13-45", b"9999-12-31T23:59:59+99:99",
    b"0x10", b" ",
]  # fmt: skip


def delimited(separator: str, header: str = "user,item,rating,time") -> bytes:
    lines = [header.replace(",", separator)]
    lines += [separator.join(map(str, row.values())) for row in ROWS]
    return ("\n".join(lines) + "\n").encode()


def parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), out)
    return out.getvalue()


ATOMIC = "user_id:token,item_id:token,rating:float,timestamp:float"
NODES = b"id,title,year,tags\ni0,Heat,1995,a|b\ni1,Ran,1985,\n"
TRIPLES = b"head\trelation\ttail\ni0\tby\tp1\ni1\tby\tp2\n"
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
#: File name, kind, contents, and what is done to them after they were broken.
FILES: dict[str, tuple[str, str, bytes, Callable[[bytes], bytes]]] = {
    "csv": ("f.csv", "interactions", delimited(","), bytes),
    "csv in gz": ("f.csv.gz", "interactions", delimited(","), gzip.compress),
    "broken gz": ("f.csv.gz", "interactions", gzip.compress(delimited(","), mtime=0), bytes),
    "atomic": ("f.inter", "interactions", delimited("\t", ATOMIC), bytes),
    "json lines in bz2": ("f.jsonl.bz2", "interactions", LINES, bz2.compress),
    "parquet": ("f.parquet", "interactions", parquet(), bytes),
    "items": ("f.csv", "items", NODES, bytes),
    "triples": ("f.tsv", "triples", TRIPLES, bytes),
}


@st.composite
def broken(draw: st.DrawFn, whole: bytes) -> bytes:
    """Contents with a few cuts, insertions, repeats and strange bytes; perhaps nothing left."""
    data = whole
    for _ in range(draw(st.integers(0, 4))):
        at, end = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
        what = draw(st.integers(0, 5))
        if what == 0:
            data = data[:at]
        elif what == 1:
            data = data[:at] + draw(st.sampled_from(NASTY)) + data[at:]
        elif what == 2:
            data = data[:at] + draw(st.sampled_from(NASTY)) + data[end:]
        elif what == 3:
            data = data[:at] + data[at:end][:500] * 2 + data[end:]
        elif what == 4:
            data = data[:at] + draw(st.binary(max_size=20)) + data[at:]
        else:
            data = data.replace(b"\n", draw(st.sampled_from([b"\r\n", b"\r", b"\n\n", b""])), 3)
    return data


def clean(path: Path, kind: str, tolerance: str) -> list[pa.Table]:
    source = Source(name="fuzzed", kind=kind, path=path)  # type: ignore[arg-type]
    sources = [source.model_dump()]
    if kind != "interactions":
        sources.append({"name": "other", "kind": "interactions", "path": "none.csv"})
    tree = {"data": {"sources": sources, "cleaning": {"max_bad_rows": tolerance}}}
    config = Config.build(tree).data
    with Rejects() as rejects:
        chunks = (chunk for file in open_source(source) for chunk in file.chunks())
        tables = list(clean_source(source, config, chunks, rejects))
        rejects.write(path.parent / "rejects")
    return tables


def keeps_its_promises(table: pa.Table, kind: str) -> None:
    schema = SCHEMAS[kind]  # type: ignore[index]
    assert table.schema.names[: len(schema)] == schema.names
    ids = {"interactions": ("user", "item"), "items": ("id",), "triples": ("head", "tail")}[kind]
    for name in ids:
        for key in table[name].to_pylist():
            assert key
            assert key == key.strip() == unicodedata.normalize("NFC", key)
            assert not any(unicodedata.category(letter) == "Cc" for letter in key)
    for name in {"rating", "weight"} & set(table.column_names):
        values = [value for value in table[name].to_pylist() if value is not None]
        assert np.isfinite(values).all()


def fuzzed(cases: int) -> settings:
    """The same cases every time."""
    return settings(
        max_examples=cases,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("what", FILES)
@fuzzed(FEW)
@given(data=st.data())
def test_broken_files(
    tmp_path_factory: pytest.TempPathFactory, what: str, data: st.DataObject
) -> None:
    assert_refused_or_clean(tmp_path_factory, what, data)


@pytest.mark.prove
@pytest.mark.parametrize("what", FILES)
@fuzzed(MANY)
@given(data=st.data())
def test_ten_thousand_broken_files(
    tmp_path_factory: pytest.TempPathFactory, what: str, data: st.DataObject
) -> None:
    assert_refused_or_clean(tmp_path_factory, what, data)


def assert_refused_or_clean(
    tmp_path_factory: pytest.TempPathFactory, what: str, data: st.DataObject
) -> None:
    name, kind, whole, packed = FILES[what]
    folder = Path(tmp_path_factory.getbasetemp()) / f"fuzz-{what.replace(' ', '-')}"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(packed(data.draw(broken(whole))))
    try:
        tables = clean(path, kind, data.draw(st.sampled_from(["0", "100%"])))
    except KgrecError:
        return  # said what is wrong; anything else fails the test
    for table in tables:
        keeps_its_promises(table, kind)


@fuzzed(FEW_LOADS)
@given(data=st.data())
def test_never_half_a_load(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    assert_whole(tmp_path_factory.mktemp("half"), data)


@pytest.mark.prove
@fuzzed(MANY_LOADS)
@given(data=st.data())
def test_never_half_of_many_loads(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    assert_whole(tmp_path_factory.mktemp("half"), data)


def assert_whole(folder: Path, data: st.DataObject) -> None:
    (folder / "day1.csv").write_bytes(delimited(","))
    source = {"name": "days", "kind": "interactions", "path": folder / "day*.csv"}
    items = {"name": "things", "kind": "items", "path": folder / "items*.csv"}
    (folder / "items1.csv").write_bytes(NODES)
    config = Config.build(
        {
            "store": {"uri": f"embedded:{folder / 'graph.kgl'}"},
            "data": {
                "sources": [source, items],
                "cleaning": {"max_bad_rows": data.draw(st.sampled_from(["0", "50%"]))},
            },
        }
    )
    first = ingest(config, progress=False)
    (folder / "day2.csv").write_bytes(data.draw(broken(delimited(","))))
    (folder / "items2.csv").write_bytes(data.draw(broken(NODES)))
    try:
        second = ingest(config, progress=False)
    except KgrecError:
        expected = first.version
    else:
        expected = second.version
    with open_store(config.store, read_only=True) as store:
        state = read_state(store)
    assert state is not None
    assert (state.version, state.state) == (expected, "ready")
