import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from kgrec.data.readers import read_ids, read_interactions, read_table
from kgrec.errors import DataError


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", "user\titem\trating\ttime\n007\t1.0\t4\t10\nÜ\tx y\t2.5\t20.9\n"),
        ("a.tsv.gz", "user\titem\trating\ttime\n007\t1.0\t4\t10\nÜ\tx y\t2.5\t20.9\n"),
        ("a.csv", "user_id,item_id,rating,timestamp\n007,1.0,4,10\nÜ,x y,2.5,20.9\n"),
        ("a.csv.gz", "time,rating,item,user\n10,4,1.0,007\n20.9,2.5,x y,Ü\n"),
        ("semicolons.csv", "user;item;rating;time\n007;1.0;4;10\nÜ;x y;2.5;20.9\n"),
        ("tabs.txt", "User\tItem\tRating\tTime\r\n007\t1.0\t4\t10\r\nÜ\tx y\t2.5\t20.9\r\n"),
        (
            "a.inter",
            "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
            "007\t1.0\t4\t10\nÜ\tx y\t2.5\t20.9\n",
        ),
        ("bom.csv", "\ufeffuser,item,rating,time\n 007 ,1.0,4,10\n\nÜ,x y,2.5,20.9\n"),
    ],
)
def test_every_format_gives_the_same_frame(tmp_path: Path, name: str, text: str) -> None:
    frame = read_interactions(write(tmp_path / name, text)).frame
    assert frame["user"].tolist() == ["007", "Ü"]
    assert frame["item"].tolist() == ["1.0", "x y"]
    assert frame["rating"].tolist() == [4.0, 2.5]
    assert frame["rating"].dtype == np.float64
    assert frame["time"].tolist() == [10, 20]
    assert frame["time"].dtype == np.int64


def test_words_that_look_like_missing_values_are_ids(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'user\titem\nNA\tnull\nnan\t"open\n')
    frame = read_interactions(path).frame
    assert frame["user"].tolist() == ["NA", "nan"]
    assert frame["item"].tolist() == ["null", '"open']


def test_rating_and_time_are_optional_and_triples_have_aliases(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "user\titem\textra\n1\t2\t3\n")
    assert list(read_interactions(path).frame.columns) == ["user", "item"]
    path = write(
        tmp_path / "a.kg", "tail_id:token\thead_id:token\trelation_id:token\nt\th\tfilm.r\n"
    )
    frame = read_ids(path, ("head", "relation", "tail")).frame
    assert frame.to_dict("records") == [{"head": "h", "relation": "film.r", "tail": "t"}]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.tsv", "", "is empty; expected a header"),
        ("a.tsv", "user\titem\n", "has a header and no rows"),
        ("a.tsv", "user\titem\n\n\n", "only blank rows"),
        ("a.tsv", "user\tmovie\n1\t2\n", "no column 'item' or 'item_id'; found 'user', 'movie'"),
        ("a.tsv", "user\titem\n1\t2\n\t3\n", "a.tsv:3:user: expected an id, got ''"),
        ("a.tsv", "user\titem\n1\t2\n\n1\n", "a.tsv:4:item: expected an id, got ''"),
        ("a.tsv", "user\titem\n1\t2\n1\t2\t3\n", "a.tsv:3: expected 2 columns, got 3"),
        ("a.tsv", "user\titem\n1\t2\t3\n", "a.tsv:2: expected as many columns"),
        ("a.tsv", "user\titem\trating\n1\t2\tNaN\n", "a.tsv:2:rating: expected a finite number"),
        ("a.tsv", "user\titem\trating\n1\t2\tinf\n", "got 'inf'"),
        (
            "a.tsv",
            "user\titem\trating\n1\t2\t\n1\t3\tgood\n",
            "a.tsv:2:rating: expected a finite number, got '' (and 1 more)",
        ),
        (
            "a.tsv",
            "user\titem\ttimestamp\n1\t2\tMay\n",
            "a.tsv:2:timestamp: expected a finite number",
        ),
        ("a.csv", "user,item,time\n1,2,1700000000000\n", "divide milliseconds by 1,000"),
        ("a.tsv", "user\titem\tuser\n1\t2\t3\n", "column 3 repeats 'user'"),
        ("a.tsv", "user\titem\t\n1\t2\t3\n", "column 3 has no name"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(
    tmp_path: Path, name: str, text: str, expected: str
) -> None:
    path = write(tmp_path / name, text)
    with pytest.raises(DataError) as caught:
        read_interactions(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_quoted_cell_over_two_lines_does_not_shift_the_place(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        rows = [["user", "item", "note", "rating"], ["1", "2", "two\nlines, one cell", "3"]]
        csv.writer(file).writerows([*rows, ["1", "3", "", "bad"]])
    assert path.read_text().splitlines()[3].endswith("bad")  # the fourth line
    with pytest.raises(DataError, match=r"a\.csv:4:rating"):
        read_interactions(path)


def test_missing_truncated_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file at .*none\.tsv"):
        read_table(tmp_path / "none.tsv")
    with pytest.raises(DataError, match="cannot read"):
        read_table(tmp_path)
    lines = "".join(f"{n}\t{n * 7919 % 10007}\n" for n in range(50_000))
    packed = gzip.compress(f"user\titem\n{lines}".encode())
    for size in (5, 40, len(packed) // 2, len(packed) - 4):
        (tmp_path / "cut.tsv.gz").write_bytes(packed[:size])
        with pytest.raises(DataError, match=r"cut\.tsv\.gz is (cut short|not a table)"):
            read_interactions(tmp_path / "cut.tsv.gz")
    (tmp_path / "plain.tsv.gz").write_text("user\titem\n1\t2\n")
    with pytest.raises(DataError, match="no gzip file"):
        read_table(tmp_path / "plain.tsv.gz")
    (tmp_path / "latin.tsv").write_bytes("user\titem\nJosé\t1\n".encode("latin1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_table(tmp_path / "latin.tsv")
