import csv
import gzip
import io
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.config import Source
from kgrec.data.reading.delimited import dialect, read_delimited
from kgrec.data.reading.files import BadRow, Chunk
from kgrec.data.reading.records import Block, read_blocks
from kgrec.errors import ConfigError, DataError


def source_of(path: Path, **settings: object) -> Source:
    return Source.model_validate(
        {"name": "events", "kind": "interactions", "path": path, **settings}
    )


def write(path: Path, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def chunks_of(path: Path, text: str | bytes, **settings: object) -> list[Chunk]:
    return list(read_delimited(write(path, text), source_of(path, **settings)))


def rows_of(chunks: Sequence[Chunk]) -> list[tuple[str, ...]]:
    return [tuple(row.values()) for chunk in chunks for row in chunk.table.to_pylist()]


def numbers_of(chunks: Sequence[Chunk]) -> list[int]:
    return [int(row) for chunk in chunks for row in chunk.rows]


def bad_of(chunks: Sequence[Chunk]) -> list[BadRow]:
    return [bad for chunk in chunks for bad in chunk.bad]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", "user\titem\trating\ttime\n007\t1.0\t4\t10\nÜ\tx y\t2.5\t20.9\n"),
        ("a.tsv.gz", "user\titem\trating\ttime\n007\t1.0\t4\t10\nÜ\tx y\t2.5\t20.9\n"),
        ("a.csv", "user,item,rating,time\n007,1.0,4,10\nÜ,x y,2.5,20.9"),
        ("quoted.csv", '"user","item","rating","time"\n"007","1.0","4","10"\nÜ,"x y",2.5,20.9\n'),
        ("semicolons.csv", "user;item;rating;time\n007;1.0;4;10\nÜ;x y;2.5;20.9\n"),
        ("pipes.txt", "user|item|rating|time\n007|1.0|4|10\nÜ|x y|2.5|20.9\n"),
        ("crlf.txt", "User\tItem\tRating\t Time \r\n007\t1.0\t4\t10\r\nÜ\tx y\t2.5\t20.9\r\n"),
        ("cr.csv", "user,item,rating,time\r007,1.0,4,10\rÜ,x y,2.5,20.9\r"),
        ("mixed.csv", "user,item,rating,time\r\n007,1.0,4,10\rÜ,x y,2.5,20.9\n"),
        (
            "a.inter",
            "user:token\titem:token\trating:float\ttime:float\n007\t1.0\t4\t10\nÜ\tx y\t2.5\t20.9",
        ),
        ("bom.csv", "\ufeffuser,item,rating,time\n007,1.0,4,10\nÜ,x y,2.5,20.9\n"),
    ],
)
def test_every_format_gives_the_same_cells(tmp_path: Path, name: str, text: str) -> None:
    chunks = chunks_of(tmp_path / name, text)
    assert chunks[0].table.column_names == ["user", "item", "rating", "time"]
    assert set(chunks[0].table.schema.types) == {pa.string()}
    assert rows_of(chunks) == [("007", "1.0", "4", "10"), ("Ü", "x y", "2.5", "20.9")]
    assert numbers_of(chunks) == [2, 3]
    assert bad_of(chunks) == []
    assert chunks[0].origin == str(tmp_path / name)


def test_words_that_look_like_missing_values_stay(tmp_path: Path) -> None:
    chunks = chunks_of(tmp_path / "a.tsv", 'user\titem\nNA\tnull\nnan\t"open\n \t\n1\t\n')
    # The row of blanks is none; an empty cell is a cell.
    assert rows_of(chunks) == [("NA", "null"), ("nan", '"open'), ("1", "")]
    assert numbers_of(chunks) == [2, 3, 5]


def test_lines_are_right_below_blank_lines_and_cells_over_several(tmp_path: Path) -> None:
    text = (
        "\n"  # line 1
        "user,item,note\r\n"  # line 2
        "\r\n"
        '1,2,"two\r\nlines"\r\n'  # lines 4 and 5
        "   \n"
        ",,\n"
        "1,3\n"  # line 8: too short
        '2,4,"a ""quoted""\n\nword"\n'  # lines 9 to 11
        "3,5,x\n"  # line 12
    )
    (chunk,) = chunks_of(tmp_path / "a.csv", text)
    assert rows_of([chunk]) == [
        ("1", "2", "two\r\nlines"),
        ("2", "4", 'a "quoted"\n\nword'),
        ("3", "5", "x"),
    ]
    # Records: the header is the second, after a blank one.
    assert chunk.rows.tolist() == [4, 8, 9]
    assert [chunk.where(int(row)) for row in chunk.rows] == [
        f"{chunk.origin}:{line}" for line in (4, 9, 12)
    ]
    assert chunk.where(9, "note") == f"{chunk.origin}:12:note"
    (bad,) = chunk.bad
    assert bad == BadRow(7, "", "expected 3 columns, got 2; quote cells that hold ','", "1,3")
    assert chunk.where(bad.row) == f"{chunk.origin}:8"


def test_rows_that_are_no_rows_are_kept_apart(tmp_path: Path) -> None:
    text = b"user\titem\n1\t2\n1\t2\t3\n\xff\t4\n5\n6\t\x00\n7\t8\n"
    chunks = chunks_of(tmp_path / "a.tsv", text)
    assert rows_of(chunks) == [("1", "2"), ("7", "8")]
    assert numbers_of(chunks) == [2, 7]
    bad = bad_of(chunks)
    assert [(row.row, row.text) for row in bad] == [
        (3, "1\t2\t3"), (4, "\ufffd\t4"), (5, "5"), (6, "6\t\x00"),
    ]  # fmt: skip
    assert bad[0].reason == "expected 2 columns, got 3"
    assert "iconv -f latin1 -t utf-8" in bad[1].reason
    assert bad[2].reason == "expected 2 columns, got 1"
    assert "NUL" in bad[3].reason


def test_a_bad_row_keeps_its_first_ten_thousand_characters(tmp_path: Path) -> None:
    (bad,) = bad_of(chunks_of(tmp_path / "a.csv", f"user,item\n1,2,{'é' * 20_000}\n3,4\n"))
    assert bad.text == f"1,2,{'é' * 9_996}"


@pytest.mark.parametrize(
    ("broken", "kept"),
    [
        # Nothing closes it: its line alone is bad.
        ('1,"2,x\n', ""),
        # The next row's quote would close it, with text behind: again its line alone.
        ('1,"2,x\n', '5,"6",x\n'),
        ('"1,2,x\n', '"5","6","x, y"\n'),
    ],
)
def test_a_stray_quote_costs_its_line_only(tmp_path: Path, broken: str, kept: str) -> None:
    text = f'user,item,note\n8,"9","a\nb"\n{broken}3,4,x\n{kept}7,8,x\n'
    chunks = chunks_of(tmp_path / "a.csv", text)
    (bad,) = bad_of(chunks)
    assert bad.row == 3
    assert bad.text == broken.rstrip("\n")
    assert "closing quote" in bad.reason
    assert chunks[0].where(bad.row).endswith("a.csv:4")
    assert rows_of(chunks)[:2] == [("8", "9", "a\nb"), ("3", "4", "x")]
    assert rows_of(chunks)[-1] == ("7", "8", "x")
    assert len(rows_of(chunks)) == 3 + bool(kept)


def test_quotes_within_a_cell_are_characters(tmp_path: Path) -> None:
    text = 'user,item\n1,15" screen\n2,"15"" screen"\n3,"a"b\n4,a"b,\n5,x\n'
    chunks = chunks_of(tmp_path / "a.csv", text)
    assert rows_of(chunks) == [("1", '15" screen'), ("2", '15" screen'), ("3", "ab"), ("5", "x")]
    assert [bad.row for bad in bad_of(chunks)] == [5]


def test_settings_override_the_separator_and_the_quotes(tmp_path: Path) -> None:
    text = "user item\n1 2\n"
    assert rows_of(chunks_of(tmp_path / "a.txt", text, separator=" ")) == [("1", "2")]
    quoted = 'user\titem\n1\t"2\t3"\n'
    assert rows_of(chunks_of(tmp_path / "a.tsv", quoted, format="csv")) == [("1", "2\t3")]
    assert len(bad_of(chunks_of(tmp_path / "a.tsv", quoted))) == 1
    plain = 'user,item\n1,"2\n'
    assert rows_of(chunks_of(tmp_path / "a.csv", plain, format="tsv", separator=",")) == [
        ("1", '"2')
    ]
    for separator in ('"', "\n", "§"):
        path = write(tmp_path / "b.csv", "user,item\n1,2\n")
        with pytest.raises(ConfigError, match="separator"):
            dialect(path, source_of(path, separator=separator))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a.csv is empty; expected a header"),
        ("\n \n\r\n", "a.csv is empty"),
        ("user,item\n", "has a header and no rows"),
        ("user,item", "has a header and no rows"),
        ("user,item\n\n,\n", "has only blank rows"),
        ("user,item,User\n1,2,3\n", "a.csv:1: column 3 repeats 'user'; found 'user', 'item'"),
        ("\nuser,item,\n1,2,3\n", "a.csv:2: column 3 has no name"),
        ('user,"item\n1,2\n', "a.csv:1: expected a closing quote"),
        (b"user,it\x00em\n1,2\n", "a.csv:1: a NUL byte in the header"),
        ("user,José\n1,2\n".encode("latin1"), "iconv -f latin1 -t utf-8"),
        ("user,item\n1,2\n".encode("utf-16"), "is UTF-16; convert it with iconv -f utf-16"),
        (b"PK\x03\x04rest", "spreadsheet"),
        (gzip.compress(b"user,item\n1,2\n", mtime=0), "give it the suffix .gz"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    tmp_path: Path, text: str | bytes, expected: str
) -> None:
    with pytest.raises(DataError) as caught:
        chunks_of(tmp_path / "a.csv", text)
    assert expected in str(caught.value)


def test_long_lists_of_names_are_cut_in_messages(tmp_path: Path) -> None:
    names = ",".join(f"c{k}" for k in range(1_000))
    with pytest.raises(DataError) as caught:
        chunks_of(tmp_path / "a.csv", f"{names},c0\n")
    assert "and 981 more" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_cell_of_a_megabyte_passes_and_of_seventeen_does_not(tmp_path: Path) -> None:
    cell = "x" * (1 << 20)
    assert rows_of(chunks_of(tmp_path / "a.csv", f"user,item\n1,{cell}\n2,y\n")) == [
        ("1", cell), ("2", "y"),
    ]  # fmt: skip
    for name, mark in (("a.tsv", ""), ("a.csv", '"')):
        text = f"user\titem\n1\t2\n3\t{mark}{cell * 17}{mark}\n"
        text = text.replace("\t", ",") if name == "a.csv" else text
        with pytest.raises(DataError, match=rf"{name}:3: a row of more than 16 MB"):
            chunks_of(tmp_path / name, text)


def test_a_bomb_is_refused_without_unpacking_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "zeros.csv.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(200):
            file.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"zeros\.csv\.gz:1: a row of more than 16 MB"):
            list(read_delimited(path, source_of(path)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 128 << 20


def test_a_file_of_many_blocks_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgrec.data.reading.delimited.CHUNK_ROWS", 1_000)
    rows = [(f"u{k}", f'i"{k}"\n{"x" * (k % 7)}') for k in range(5_000)]
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([("user", "item"), *rows])
    chunks = chunks_of(tmp_path / "a.csv", buffer.getvalue())
    assert [len(chunk.table) for chunk in chunks] == [1_000] * 5
    assert rows_of(chunks) == rows
    assert numbers_of(chunks) == list(range(2, 5_002))
    # Each row takes two lines.
    assert chunks[4].where(5_001).endswith(":10000")


class Drip:
    """A stream of bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._data.read(size)


def blocks_of(data: bytes, separator: str | None, size: int) -> list[Block]:
    return list(read_blocks(Drip(data), "x", separator, size))


TEXTS = st.text(alphabet='ab,"\n\r\té', max_size=60)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, size=st.integers(1, 20), quoted=st.booleans())
def test_where_the_stream_is_cut_does_not_matter(text: str, size: int, quoted: bool) -> None:
    data = text.encode()
    found = {}
    for step in (size, 1_000):
        blocks = blocks_of(data, "," if quoted else None, step)
        cut = [
            (
                block.first + k,
                block.data[block.bounds[k] : block.bounds[k + 1]],
                block.line(block.first + k),
                k in block.unclosed,
            )
            for block in blocks
            for k in range(len(block))
        ]
        assert b"".join(record for _, record, _, _ in cut) == data
        assert [number for number, *_ in cut] == list(range(1, len(cut) + 1))
        found[step] = cut
    assert found[size] == found[1_000]


@settings(max_examples=400, deadline=None)
@given(text=TEXTS)
def test_records_are_those_of_the_standard_reader(text: str) -> None:
    blocks = blocks_of(text.encode(), ",", 1_000)
    if any(len(block.unclosed) for block in blocks):
        return
    ours = [block.record(k).decode() for block in blocks for k in range(len(block))]
    theirs = list(csv.reader(io.StringIO(text, newline="")))
    assert [next(csv.reader(io.StringIO(record, newline="")), []) for record in ours] == theirs


CELLS = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8
)


def written(cell: str, quoted: bool) -> str:
    doubled = cell.replace('"', '""')
    return f'"{doubled}"' if quoted or set(cell) & set(',"\r\n') else cell


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS.map("u".__add__), CELLS), min_size=1, max_size=20),
    ends=st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=1, max_size=3),
    quoted=st.booleans(),
    bom=st.booleans(),
)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    ends: list[str],
    quoted: bool,
    bom: bool,
) -> None:
    lines = [",".join(written(cell, quoted) for cell in row) for row in [("user", "item"), *rows]]
    text = "".join(line + ends[k % len(ends)] for k, line in enumerate(lines))
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    chunks = chunks_of(path, ("\ufeff" if bom else "") + text)
    assert rows_of(chunks) == rows
    assert bad_of(chunks) == []
    assert numbers_of(chunks) == list(range(2, len(rows) + 2))
