from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kgrec.config import Behaviour, DataConfig, Source
from kgrec.data.cleaning.report import Finding, Rejects, Report
from kgrec.data.cleaning.rows import SCHEMAS
from kgrec.data.cleaning.source import clean_source
from kgrec.data.reading.files import BadRow, Chunk
from kgrec.errors import ConfigError, DataError

COMPOSED, APART = "caf\u00e9", "cafe\u0301"


class Cleaning:
    """A source of some kind, cleaned; bad rows are tolerated unless said otherwise."""

    def __init__(
        self,
        kind: str,
        *columns: dict[str, Any],
        bad: tuple[BadRow, ...] = (),
        cleaning: dict[str, Any] | None = None,
        behaviours: dict[str, Behaviour] | None = None,
        origins: tuple[str, ...] = (),
        **settings: Any,
    ) -> None:
        self.source = Source(name="s", kind=kind, path=Path("s.csv"), **settings)
        sources = [self.source]
        if kind != "interactions":
            sources.append(Source(name="i", kind="interactions", path=Path("i.csv")))
        self.config = DataConfig(
            sources=tuple(sources),
            cleaning={"max_bad_rows": "100%"} | (cleaning or {}),
            behaviours=behaviours or {},
        )
        self.report, self.rejects = Report(), Rejects()
        chunks = [
            chunk(cells, origin, bad if place == 0 else ())
            for place, (cells, origin) in enumerate(
                zip(columns, origins or ["s.csv"] * len(columns), strict=True)
            )
        ]
        with self.report:
            self.tables = list(clean_source(self.source, self.config, chunks, self.rejects))

    @property
    def table(self) -> pa.Table:
        if not self.tables:
            return SCHEMAS[self.source.kind].empty_table()
        return pa.concat_tables(self.tables, promote_options="default")

    def __getitem__(self, column: str) -> list[Any]:
        return self.table[column].to_pylist()

    @property
    def found(self) -> dict[str, tuple[str, int]]:
        """Effect and count by rule."""
        return {f.rule: (f.effect, f.count) for f in self.report.findings}

    def finding(self, rule: str) -> Finding:
        (found,) = [f for f in self.report.findings if f.rule == rule]
        return found


def chunk(cells: dict[str, Any], origin: str = "s.csv", bad: tuple[BadRow, ...] = ()) -> Chunk:
    """Rows that stand from line 2 on."""
    table = pa.table({name: column(values) for name, values in cells.items()})
    return Chunk(origin, table, np.arange(2, 2 + len(table)), bad)


def column(values: Any) -> pa.Array:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    return pa.array(values, pa.string())


def events(user: Any, item: Any = None, **more: Any) -> Cleaning:
    item = ["i"] * len(user) if item is None else item
    settings = {k: more.pop(k) for k in [*more] if k in ("cleaning", "behaviours", "behaviour")}
    return Cleaning("interactions", {"user": user, "item": item, **more}, **settings)


# ids


def test_plain_ids_pass_untouched() -> None:
    odd = ["../../x", "=1+1", "'; DROP TABLE users", "a b", "007", "1.0", "NA", "null", "U1"]
    done = events(odd)
    assert done["user"] == odd
    # One that looks like a float among them stays, and is said.
    assert [(f.rule, f.effect, f.count) for f in done.report.findings] == [
        ("id with a point", "noted", 1)
    ]
    assert done.report.rows == {"s": 9}


def test_whitespace_of_every_kind_is_taken_off_ids() -> None:
    raw = [" a", "a\t", "\u00a0a\u2003", "\ufeffa", "a\u200b", "\u3000 a\n", "a"]
    done = events(raw)
    assert done["user"] == ["a"] * 7
    assert done.found == {"id whitespace": ("mended", 6)}
    assert done.finding("id whitespace").examples == [
        "s.csv:2:user ' a'", r"s.csv:3:user 'a\t'", r"s.csv:4:user '\xa0a\u2003'",
    ]  # fmt: skip


def test_space_inside_an_id_stays() -> None:
    assert events(["New  York", "a\u200bb", "a\u00a0b"])["user"] == [
        "New  York", "a\u200bb", "a\u00a0b",
    ]  # fmt: skip


def test_two_forms_of_one_letter_are_one_id() -> None:
    done = events([COMPOSED, APART, APART])
    assert done["user"] == [COMPOSED] * 3
    assert done.found == {"id Unicode form": ("mended", 2)}


def test_ids_keep_their_case_unless_asked() -> None:
    assert events(["Ada", "ADA"])["user"] == ["Ada", "ADA"]
    done = events(["Ada", "ADA", "ada", "ÉA"], cleaning={"case": "lower"})
    assert done["user"] == ["ada", "ada", "ada", "éa"]
    assert done.found == {"id case": ("mended", 3)}


@pytest.mark.parametrize("empty", ["", "  ", "\u200b", None])
def test_a_missing_id_is_a_bad_row(empty: str | None) -> None:
    done = events(["a", empty, "b"])
    assert done["user"] == ["a", "b"]
    assert done.found == {"missing id": ("rejected", 1)}
    assert (
        str(done.finding("missing id")) == f"s: 1 rows without an id (s.csv:3:user {empty or ''!r})"
    )


@pytest.mark.parametrize("inside", ["\x00", "\n", "\r", "\t", "\x7f", "\x85", "\u2028"])
def test_control_characters_inside_an_id_are_bad(inside: str) -> None:
    done = events([f"a{inside}b", "ok"])
    assert done["user"] == ["ok"]
    assert done.found == {"id control character": ("rejected", 1)}


def test_ids_have_a_greatest_length_in_characters() -> None:
    done = events(["x" * 512, "é" * 512, "x" * 513, "é" * 513, " " * 600 + "a"])
    assert done["user"] == ["x" * 512, "é" * 512, "a"]
    assert done.found["id too long"] == ("rejected", 2)


def test_numbers_as_ids() -> None:
    assert events(pa.array([7, -1, 2**63], pa.decimal128(20)))["user"] == ["7", "-1", str(2**63)]
    whole = events(pa.array([7, 2**62, None]))
    assert whole["user"] == ["7", str(2**62)]
    assert whole.found == {"missing id": ("rejected", 1)}
    floats = events(pa.array([123.0, None, 1.5, float("nan"), float("inf"), 2.0**53, -4.0]))
    assert floats["user"] == ["123", "-4"]
    assert floats.found == {
        "id from a float": ("mended", 2),
        "id with a fraction": ("rejected", 3),
        "missing id": ("rejected", 2),
    }
    assert events(pa.array([1, 2], pa.decimal128(5, 2)))["user"] == ["1", "2"]


def test_ids_of_other_types() -> None:
    text = ["a", " b", None, "a"]
    for kind in (pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())):
        assert events(pa.array(text).cast(kind))["user"] == ["a", "b", "a"], kind
    raw = pa.array([b"a", b" b", b"\xff\xfe", None, "é".encode()])
    done = events(raw)
    assert done["user"] == ["a", "b", "é"]
    assert done.found["id not UTF-8"] == ("rejected", 1)
    lists = events(pa.array([["a"], None]))
    assert lists.found == {"id of parts": ("rejected", 1), "missing id": ("rejected", 1)}


def test_text_that_only_claims_to_be_utf8_is_bad() -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 2, pa.array([b"a\xff", b"ok"], pa.binary()).buffers()
    )
    for name in ("user", "rating", "time", "deleted", "behaviour"):
        cells = {"user": ["u", "u"], "item": ["i", "i"]} | {name: broken}
        done = Cleaning("interactions", cells)
        assert done.report.rejected("s") == (1 if name == "user" else 2), name
        assert done.rejects.count("s") == done.report.rejected("s")


def test_slices_and_chunked_columns_are_cleaned_alike() -> None:
    ids = pa.array(["zzz", " a", "b", None, "", "ü", "yyy"])
    sliced = events(ids.slice(1, 5))
    pieces = events(pa.chunked_array([ids.slice(1, 2), ids.slice(3, 3)]))
    assert sliced["user"] == pieces["user"] == ["a", "b", "ü"]


# numbers


def test_ratings_are_plain_decimals() -> None:
    raw = ["5", " 4.5 ", "1e1", "+3", ".5", "2.", "-0", "", None]
    done = events(["u"] * 9, rating=raw)
    assert done["rating"] == [5, 4.5, 10, 3, 0.5, 2, 0, None, None]
    assert done.report.findings == ()


@pytest.mark.parametrize(
    "raw", ["4,5", "1,000", "nan", "inf", "-Infinity", "1e999", "0x10", "1_0", "five", "٣", "1 2"]
)
def test_anything_else_is_no_rating(raw: str) -> None:
    done = events(["u", "v"], rating=[raw, "1"])
    assert done["user"] == ["v"]
    assert done.found == {"rating that is no number": ("rejected", 1)}


def test_native_numbers() -> None:
    done = events(["u"] * 4, rating=pa.array([1.5, None, float("nan"), float("inf")]))
    assert done["rating"] == [1.5, None]
    assert done.found == {"rating that is no number": ("rejected", 2)}
    assert events(["u"] * 2, rating=pa.array([1, None]))["rating"] == [1.0, None]
    assert events(["u"], rating=pa.array([True])).report.rejected("s") == 1


def test_ratings_out_of_range_and_weights_of_nothing_are_bad() -> None:
    done = events(
        ["a", "b", "c", "d"], rating=["1", "5", "5.1", "0"], cleaning={"rating_range": (1, 5)}
    )
    assert done["user"] == ["a", "b"]
    assert done.found == {"rating out of range": ("rejected", 2)}
    done = events(["a", "b", "c"], weight=["0", "-1", "0.1"])
    assert done["weight"] == [0.1]
    assert done.found == {"weight out of range": ("rejected", 2)}


# behaviours, deletions


SHOP = {
    "buy": Behaviour(values=("Purchase", "sale")),
    "view": Behaviour(role="evidence"),
}


def test_behaviours_by_their_values() -> None:
    done = events(["u"] * 4, event=["purchase", " SALE ", "View", "buy"], behaviours=SHOP)
    assert done["behaviour"] == ["buy", "buy", "view"]
    assert done.found == {"unknown behaviour": ("rejected", 1)}


def test_an_unknown_behaviour_names_the_known_and_the_next_step() -> None:
    with pytest.raises(DataError) as refused:
        events(["u"], event=["cart"], behaviours=SHOP, cleaning={"max_bad_rows": "0"})
    assert str(refused.value) == (
        "s.csv:2:event: expected one of 'purchase', 'sale', 'view', got 'cart'; others are added "
        "as [data.behaviours.<name>]; correct it, or tolerate it with --max-bad-rows"
    )


def test_the_behaviour_of_rows_that_name_none() -> None:
    assert events(["u"])["behaviour"] == ["interaction"]
    assert events(["u"], behaviours=SHOP, behaviour="view")["behaviour"] == ["view"]
    both = events(["u"] * 2, event=["", "sale"], behaviours=SHOP, behaviour="view")
    assert both["behaviour"] == ["view", "buy"]
    lost = events(["u"] * 2, event=["", "sale"], behaviours=SHOP)
    assert lost["behaviour"] == ["buy"]
    assert lost.found == {"missing behaviour": ("rejected", 1)}


def test_behaviours_that_settings_leave_open_are_refused() -> None:
    with pytest.raises(ConfigError, match="no behaviour 'cart'; expected one of 'buy', 'view'"):
        events(["u"], behaviours=SHOP, behaviour="cart")
    with pytest.raises(ConfigError, match="no column of behaviours"):
        events(["u"], behaviours=SHOP)
    twice = {"a": Behaviour(values=("x",)), "b": Behaviour(values=("X",))}
    with pytest.raises(ConfigError, match="the value 'X' is of two behaviours, 'a' and 'b'"):
        events(["u"], behaviours=twice)


def test_deletions() -> None:
    raw = ["true", "1", "YES", "t", " x ", "", None, "False", "0", "no", "maybe"]
    done = events([f"u{n}" for n in range(11)], deleted=raw)
    assert done["deleted"] == [True] * 5 + [False] * 5
    assert done.found == {"deleted is no yes or no": ("rejected", 1)}
    assert events(["u"] * 2, deleted=pa.array([True, None]))["deleted"] == [True, False]
    assert events(["u"] * 3, deleted=pa.array([1.0, 0.0, 2.0]))["deleted"] == [True, False]
    assert events(["u"])["deleted"] == [False]


def test_events_have_the_schema_and_the_split_of_their_source() -> None:
    done = Cleaning("interactions", {"user": ["u"], "item": ["i"]}, split="valid")
    assert done.table.schema == SCHEMAS["interactions"]
    assert done["split"] == ["valid"]
    assert events(["u"])["split"] == [None]
