"""Whatever the cells are: an error that says so, or rows that keep the schema's promises."""

import math
import unicodedata
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cleaning import Cleaning

from kgrec.config import Behaviour
from kgrec.data.cleaning.ids import MAX_ID
from kgrec.data.cleaning.rows import SCHEMAS, wanted_columns
from kgrec.data.reading.columns import REQUIRED
from kgrec.errors import KgrecError

KINDS = list(SCHEMAS)
IDS = ("user", "item", "id", "head", "relation", "tail", "entity", "left", "right")

LIKELY = st.sampled_from(
    ["", " ", "a", " a ", "\ufeff", "1", "0", "-1", "1.5", "1e400", "nan", "true", "x", "view",
     "Item", "cafe\u0301", "2024-03-31 02:30", "2024-10-27T02:30:00", "2024-01-01T00:00:00Z",
     "2024-02-30", "9999999999999", "é" * 600, "a\x00b", "\x00", "\u0345\u0130", "\u2126",
     "0001-01-01", "9999-12-31T23:59:59-18:00"]
)  # fmt: skip
INTEGERS = st.integers(-(2**63), 2**63 - 1)


@cache
def arrays(length: int) -> st.SearchStrategy[pa.Array]:
    """Columns of one type, with gaps."""

    def of(cells: st.SearchStrategy[Any], kind: pa.DataType) -> st.SearchStrategy[pa.Array]:
        values = st.lists(cells | st.none(), min_size=length, max_size=length)
        return values.map(lambda found: pa.array(found, kind))

    text = LIKELY | st.text(max_size=8)
    raw = st.binary(max_size=6) | LIKELY.map(str.encode)
    return st.one_of(
        of(text, pa.string()),
        of(text, pa.large_string()),
        of(text, pa.string()).map(lambda array: array.dictionary_encode()),
        of(raw, pa.binary()),
        # Parquet may hold text that is no UTF-8, and Arrow takes its word.
        of(raw, pa.binary()).map(lambda x: pa.Array.from_buffers(pa.string(), len(x), x.buffers())),
        of(INTEGERS, pa.int64()),
        of(st.integers(0, 2**64 - 1), pa.uint64()),
        of(st.floats(), pa.float64()),
        of(st.floats(width=16), pa.float16()),
        of(st.booleans(), pa.bool_()),
        of(st.decimals(-1000, 1000, places=2), pa.decimal128(10, 2)),
        of(INTEGERS, pa.timestamp("s")),
        of(INTEGERS, pa.timestamp("ns", "Europe/Berlin")),
        of(st.integers(-(2**31), 2**31 - 1), pa.int32()).map(lambda x: x.cast(pa.date32())),
        of(st.integers(0, 86_399), pa.time32("s")),
        of(INTEGERS, pa.duration("us")),
        of(st.lists(text, max_size=2), pa.list_(pa.string())),
        of(st.fixed_dictionaries({"a": INTEGERS}), pa.struct({"a": pa.int64()})),
        st.just(pa.nulls(length)),
    )


@cache
def fair(name: str, length: int) -> st.SearchStrategy[pa.Array]:
    """Columns that are mostly fine, so that rows with one odd cell are met as well."""
    usual = {
        "label": ["Item", "user", ""],
        "behaviour": ["view", "buy"],
        "deleted": ["1", "", "no"],
    }
    cells = st.sampled_from(usual.get(name, ["1", " 2 ", "3"]))
    return st.lists(cells, min_size=length, max_size=length).map(lambda x: pa.array(x, pa.string()))


@st.composite
def sources(draw: st.DrawFn) -> tuple[str, dict[str, pa.Array], dict[str, Any]]:
    kind = draw(st.sampled_from(KINDS))
    length = draw(st.integers(0, 4))
    names = [n for n in wanted_columns(kind) if n in REQUIRED[kind] or draw(st.booleans())]
    if kind in ("items", "users", "entities"):
        names += draw(st.sampled_from([[], ["title"], ["row", "file"]]))
    cells = {
        name: draw(arrays(length) if draw(st.booleans()) else fair(name, length)) for name in names
    }
    form = draw(
        st.fixed_dictionaries(
            {
                "unit": st.sampled_from(["s", "ms", "ns"]),
                "zone": st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo"]),
                "format": st.sampled_from([None, None, "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"]),
            }
        )
    )
    return (
        kind,
        cells,
        {"columns": {n: n for n in names if n in wanted_columns(kind)}, "time": form},
    )


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    source=sources(),
    case=st.sampled_from(["keep", "lower"]),
    limit=st.sampled_from(["0", "1", "50%", "100%"]),
    several=st.booleans(),
)
def test_rows_keep_their_promises_or_an_error_says_why(
    source: tuple[str, dict[str, pa.Array], dict[str, Any]], case: str, limit: str, several: bool
) -> None:
    kind, cells, more = source
    behaviours = {"buy": Behaviour(), "view": Behaviour(role="evidence")} if several else {}
    cleaning = {"case": case, "max_bad_rows": limit, "rating_range": (-5, 5)}
    try:
        done = Cleaning(kind, cells, cleaning=cleaning, behaviours=behaviours, **more)
    except KgrecError as refused:
        message = str(refused)
    else:
        message = ""
    assert "\n" not in message
    assert len(message) < 2_000
    if message:
        return
    rows = len(next(iter(cells.values())))
    assert len(done.table) + done.report.rejected("s") == rows
    assert done.rejects.count("s") == done.report.rejected("s")
    for table in done.tables:
        assert table.schema.names[: len(SCHEMAS[kind])] == SCHEMAS[kind].names
        assert table.select(SCHEMAS[kind].names).schema == SCHEMAS[kind]
        table.validate(full=True)
        for row in table.to_pylist():
            assert_kept(kind, row, case)


def assert_kept(kind: str, row: dict[str, Any], case: str) -> None:
    for name in set(row) & set(IDS):
        if row[name] is None:
            assert name not in REQUIRED[kind]
            assert name not in ("id", "relation")
            continue
        assert 0 < len(row[name]) <= MAX_ID
        assert row[name].strip("\ufeff\u200b") == row[name] == row[name].strip()
        assert unicodedata.is_normalized("NFC", row[name])
        assert not any(unicodedata.category(c) == "Cc" for c in row[name])
        if case == "lower" and name != "relation" and kind not in ("reviews", "queries"):
            assert row[name] == unicodedata.normalize("NFC", row[name].lower())
    for name in set(row) & {"rating", "weight", "score"}:
        assert row[name] is None or math.isfinite(row[name])
    assert row.get("weight") is None or row["weight"] > 0
    assert row.get("rating") is None or -5 <= row["rating"] <= 5
    assert row.get("time") is None or math.isfinite(row["time"])
    assert row.get("deleted") in (True, False, None)
    if "deleted" in SCHEMAS[kind].names:
        assert row["deleted"] is not None
    if kind in ("reviews", "queries") and not row["deleted"]:
        assert row["text"]
        assert row["user"] or row["item"]
    if kind == "interactions":
        assert row["behaviour"] in ("interaction", "buy", "view")
    if kind == "same_as":
        assert row["label"] in ("User", "Item", "Entity", "Item/Entity")
        assert isinstance(row["accepted"], bool)


@settings(deadline=None, max_examples=200)
@given(ids=st.lists(LIKELY | st.text(), min_size=1, max_size=5), lower=st.booleans())
def test_cleaning_ids_twice_changes_nothing(ids: list[str], lower: bool) -> None:
    case = {"case": "lower" if lower else "keep"}
    once = Cleaning("items", {"id": pa.array(ids)}, cleaning=case)
    again = Cleaning("items", {"id": once["id"]}, cleaning=case)
    assert again["id"] == once["id"]
    assert again.report.findings == ()


@pytest.mark.parametrize("kind", KINDS)
def test_clean_rows_are_the_same_in_any_chunks(kind: str) -> None:
    rng = np.random.default_rng(0)
    pool = {"time": ["", "7", "2024-01-01"], "deleted": ["", "1"], "behaviour": ["interaction"]}
    pool |= {"rating": ["1", "2.5", ""], "weight": ["1", ""], "score": ["0.5"], "accepted": ["x"]}
    pool |= {"label": ["Item"], "method": ["m"], "text": ["good", " bad\x00 ", "cafe\u0301"]}
    ids = ["a", " b", "cafe\u0301", "d e"]
    cells = {name: rng.choice(pool.get(name, ids), 30) for name in wanted_columns(kind)}
    whole = Cleaning(kind, {name: pa.array(values) for name, values in cells.items()})
    parts = [
        {name: pa.array(values[start : start + 7]) for name, values in cells.items()}
        for start in range(0, 30, 7)
    ]
    pieces = Cleaning(kind, *parts)
    placed = [name for name in SCHEMAS[kind].names if name != "row"]
    assert pieces.table.select(placed).to_pylist() == whole.table.select(placed).to_pylist()
    assert pieces.found == whole.found
