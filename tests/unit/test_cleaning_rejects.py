import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from test_cleaning import Cleaning, chunk

from kgrec.config import DataConfig, Source
from kgrec.data.cleaning.report import AT, BECAUSE, RAW, Rejects, rejects_source
from kgrec.data.cleaning.source import clean_source
from kgrec.data.reading.files import BadRow, Chunk
from kgrec.data.reading.open import open_source
from kgrec.errors import DataError

#: 1900-01-01, which `strptime` takes where a format names no year, in days since 1970.
FIRST_DAY = -25_567


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def columns(rows: list[dict[str, str]]) -> dict[str, list[str]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def limited(limit: str, *chunks: Chunk) -> tuple[list[pa.Table], Rejects]:
    """Events whose source tolerates so many bad rows."""
    source = Source(name="s", kind="interactions", path=Path("s.csv"))
    config = DataConfig(sources=(source,), cleaning={"max_bad_rows": limit})
    rejects = Rejects()
    return list(clean_source(source, config, chunks, rejects)), rejects


def part(bad: int, rows: int, origin: str = "s.csv") -> Chunk:
    """Rows of which the first so many are bad."""
    users = ["" if row < bad else "u" for row in range(rows)]
    return chunk({"user": users, "item": ["i"] * rows}, origin)


def test_rejects_stand_under_their_own_names_with_place_and_reason(tmp_path: Path) -> None:
    odd = 'a "quoted", =1+1\r\nline'
    done = Cleaning(
        "interactions",
        {
            "who": ["u", "", "=cmd"],
            "item": [odd, "i", "-1"],
            "stars": pa.array([5.0, 4.0, float("inf")]),
            "extra": pa.array([[1, 2], None, None]),
        },
        bad=(BadRow(9, "item", "expected 4 columns, got 5", 'u,i,"x'),),
        columns={"user": "who", "rating": "stars"},
    )
    assert done.tables == []
    (path,) = done.rejects.write(tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "s.csv"
    assert [p.name for p in path.parent.iterdir()] == ["s.csv"]
    empty = {"who": "", "item": "", "stars": "", "extra": ""}
    assert read_csv(path) == [
        {
            "who": "u", "item": odd, "stars": "5", "extra": "[1, 2]", RAW: "", AT: "s.csv:2:item",
            BECAUSE: f"expected an id without control characters, got {odd!r}",
        },
        {
            "who": "", "item": "i", "stars": "4", "extra": "", RAW: "", AT: "s.csv:3:who",
            BECAUSE: "expected an id, got ''",
        },
        {
            "who": "=cmd", "item": "-1", "stars": "inf", "extra": "", RAW: "", AT: "s.csv:4:stars",
            BECAUSE: "expected a finite number, got inf",
        },
        empty | {RAW: 'u,i,"x', AT: "s.csv:9:item", BECAUSE: "expected 4 columns, got 5"},
    ]  # fmt: skip


def test_mended_rejects_are_clean_rows(tmp_path: Path) -> None:
    cells = {"asin": ["a", "", "=c"], "title": ["A", "B", "=1+1"], "deleted": ["", "", "perhaps"]}
    first = Cleaning("items", cells, columns={"id": "asin"})
    (path,) = first.rejects.write(tmp_path)
    rows = read_csv(path)
    rows[0]["asin"], rows[1]["deleted"] = "b", "no"
    again = Cleaning("items", columns(rows), columns={"id": "asin"})
    assert again.report.findings == ()
    assert again.rejects.count("s") == 0
    whole = first.tables[0].schema.names
    assert (
        whole == again.tables[0].schema.names == ["id", "time", "deleted", "file", "row", "title"]
    )
    assert sorted(zip(first["id"] + again["id"], first["title"] + again["title"], strict=True)) == [
        ("=c", "=1+1"), ("a", "A"), ("b", "B"),
    ]  # fmt: skip


def test_rejects_are_read_by_the_source_they_came_from() -> None:
    source = Source(
        name="s", kind="items", table="frame", columns={"id": "asin"}, separator=";", format="tsv"
    )
    mended = rejects_source(source, Path("rejects/s.csv"))
    assert (mended.path, mended.table, mended.format) == (Path("rejects/s.csv"), None, "csv")
    assert (mended.name, mended.kind, mended.columns) == ("s", "items", {"id": "asin"})
    assert mended.separator == ","
    assert Source.model_validate(mended.model_dump()) == mended


def test_bad_rows_of_a_file_go_round_until_they_are_clean(tmp_path: Path) -> None:
    """From a file with bad rows of all kinds, through its rejects, to a table of all its rows."""
    path = tmp_path / "shop.csv"
    path.write_text(
        'Customer;Product;Note\nu1;"two\nlines";x\nu2;p2;=SUM(A1)\nu3;p3;x;extra\n;p4;-5\n',
        encoding="utf-8",
    )
    named = {"id": "Customer", "time": "Product"}
    source = Source(name="s", kind="users", path=path, columns=named, time={"format": "p%d"})
    other = Source(name="i", kind="interactions", path=path)
    config = DataConfig(sources=(source, other), cleaning={"max_bad_rows": "4"})

    def cleaned(source: Source) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
        with Rejects() as rejects:
            chunks = (chunk for file in open_source(source) for chunk in file.chunks())
            tables = list(clean_source(source, config, chunks, rejects))
            written = rejects.write(tmp_path / "rejects")
            rows = [row for table in tables for row in table.to_pylist()]
            return rows, [row for file in written for row in read_csv(file)]

    rows, bad = cleaned(source)
    assert [(row["id"], row["note"]) for row in rows] == [("u2", "=SUM(A1)")]
    assert [row[AT].removeprefix(str(path)) for row in bad] == [":2:product", ":6:customer", ":5"]
    assert [row[RAW] for row in bad] == ["", "", "u3;p3;x;extra"]
    bad[0]["product"] = "p1"
    bad[1]["customer"] = "u4"
    bad[2] |= {"customer": "u3", "product": "p3", "note": "x"}
    mended = tmp_path / "rejects" / "s.csv"
    write_csv(mended, bad)
    rows, bad = cleaned(rejects_source(source, mended))
    assert bad == []
    assert [(row["id"], row["time"] // 86_400, row["note"]) for row in rows] == [
        ("u1", FIRST_DAY, "x"), ("u4", FIRST_DAY + 3, "-5"), ("u3", FIRST_DAY + 2, "x"),
    ]  # fmt: skip
    assert set(rows[0]) == {"id", "time", "deleted", "file", "row", "note"}


def test_rejects_of_unlike_files_have_all_columns(tmp_path: Path) -> None:
    done = Cleaning("users", {"id": [""], "age": ["1"]}, {"id": [""], "town": ["x"]})
    (path,) = done.rejects.write(tmp_path)
    assert [(row["age"], row["town"]) for row in read_csv(path)] == [("1", ""), ("", "x")]


def test_many_rejects_are_kept_on_disk_and_can_be_written_twice(tmp_path: Path) -> None:
    with Rejects() as rejects:
        cells = {"id": ["x" * 1000] * 10_000}
        rejects.add("s", cells, [f"f:{n}" for n in range(10_000)], ["bad"] * 10_000)
        (kept,) = rejects._files.values()
        assert kept._rolled  # type: ignore[attr-defined]
        for folder in (tmp_path / "a", tmp_path / "b"):
            (path,) = rejects.write(folder)
            assert len(read_csv(path)) == 10_000
        rejects.add("s", {"id": ["y"]}, ["f:10000"], ["bad"])
        (path,) = rejects.write(tmp_path / "a")
        assert [row["id"] for row in read_csv(path)[-2:]] == ["x" * 1000, "y"]
        assert rejects.count("s") == 10_001
    assert rejects.count("s") == 0


def test_rejects_that_cannot_be_written_leave_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Cleaning("users", {"id": [""]})
    (path,) = done.rejects.write(tmp_path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match=r"cannot write the rejects to .*No space left on device"):
        done.rejects.write(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["s.csv"]
    assert path.read_bytes() == before


# tolerance


def test_the_first_bad_row_is_named() -> None:
    with pytest.raises(DataError) as refused:
        limited("0", part(0, 3), chunk({"user": ["u", "", ""], "item": ["i"] * 3}, "b.csv"))
    assert str(refused.value) == (
        "b.csv:3:user: expected an id, got '' (and 1 more); correct it, or tolerate it with "
        "--max-bad-rows"
    )


def test_unreadable_rows_before_it_come_first() -> None:
    bad = (BadRow(7, "", "expected 2 columns, got 3", "a,b,c"),)
    cells = {"user": ["u", "", "u"], "item": ["i", "i", ""]}
    with pytest.raises(DataError, match=r"^s\.csv:3:user: expected an id, got '' \(and 2 more\)"):
        limited("0", chunk(cells, bad=bad))
    with pytest.raises(DataError, match=r"^s\.csv:7: expected 2 columns, got 3; correct it"):
        limited("0%", chunk({"user": ["u"], "item": ["i"]}, bad=bad))


def test_the_line_is_that_of_the_file_where_cells_span_lines() -> None:
    spanning = chunk({"user": ["u", ""], "item": ["i", "i"]})
    spanning = Chunk("s.csv", spanning.table, spanning.rows, line=lambda row: row + 40)
    with pytest.raises(DataError, match=r"^s\.csv:43:user"):
        limited("0", spanning)


def test_a_number_of_bad_rows_is_a_limit() -> None:
    tables, rejects = limited("3", part(2, 5), part(1, 5))
    assert sum(map(len, tables)) == 7
    assert rejects.count("s") == 3
    with pytest.raises(DataError) as refused:
        limited("3", part(2, 5), part(2, 5), part(0, 10**6))
    assert str(refused.value) == (
        "source 's': 4 of 10 rows read are bad; max_bad_rows = '3' tolerates 3; the first are "
        "s.csv:2:user: expected an id, got '' | s.csv:3:user: expected an id, got '' | "
        "s.csv:2:user: expected an id, got ''; correct them, or tolerate more with --max-bad-rows"
    )


def test_a_share_is_judged_at_the_end() -> None:
    tables, rejects = limited("10%", part(5, 10), part(0, 40))
    assert (sum(map(len, tables)), rejects.count("s")) == (45, 5)
    with pytest.raises(DataError, match=r"5 of 49 rows read are bad.*'10%' tolerates 4"):
        limited("10%", part(5, 10), part(0, 39))


def test_garbage_stops_early() -> None:
    taken = []

    def chunks() -> Any:
        for number in range(10):
            taken.append(number)
            yield part(60, 20_000)

    source = Source(name="s", kind="interactions", path=Path("s.csv"))
    config = DataConfig(sources=(source,), cleaning={"max_bad_rows": "0.25%"})
    with pytest.raises(DataError, match="300 of 100,000 rows"):
        list(clean_source(source, config, chunks(), Rejects()))
    assert taken == [0, 1, 2, 3, 4]


def test_settings_are_refused_before_anything_is_read() -> None:
    source = Source(name="s", kind="interactions", path=Path("s.csv"), behaviour="cart")
    config = DataConfig(sources=(source,))
    with pytest.raises(ValueError, match="no behaviour 'cart'"):
        clean_source(source, config, iter([]), Rejects())
