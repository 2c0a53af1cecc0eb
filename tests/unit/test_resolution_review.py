"""The file of proposals: people's decisions are read back and never lost."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kgrec.errors import DataError
from kgrec.resolution.review import COLUMNS, no_decisions, read_decisions, write_proposals

HEADER = ",".join(COLUMNS)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return path


def test_only_what_people_wrote_is_a_decision(tmp_path: Path) -> None:
    path = write(
        tmp_path / "same_as.csv",
        "a1,b1,Item,0.9900,name,yes,threshold,Heat,Heat,year 1995",  # kgrec's own
        "a2,b2,Item,0.8000,similar_name,,,Alien,Allien,",  # waits
        "a3,b3,Item,0.7000,similar_name,yes,,Fargo,Frago,",  # a person's yes
        "a4,b4,Item,0.9900,name,no,threshold,Sabrina,Sabrina,",  # a person undid kgrec's yes
        "a5,b5,Item,0.9900,name,yes,person,Casino,Casino,",  # as kgrec wrote it back
        "a6,b6,item/entity,,,TRUE,me,,,",  # a line that a person added
    )
    found = read_decisions(path)
    assert found[["left", "right", "label", "accepted"]].to_numpy().tolist() == [
        ["a3", "b3", "Item", "yes"],
        ["a4", "b4", "Item", "no"],
        ["a5", "b5", "Item", "yes"],
        ["a6", "b6", "Item/Entity", "yes"],
    ]
    assert found["decided_by"].tolist() == ["person", "person", "person", "me"]
    np.testing.assert_array_equal(found["score"], [0.7, 0.99, 0.99, np.nan])


def test_files_that_went_through_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "same_as.csv"
    text = 'left;right;score;accepted;left_name\r\n007;b;0,81;Yes;"Heat; or not"\r\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    row = read_decisions(path).iloc[0]
    assert (row["left"], row["right"], row["score"], row["accepted"]) == ("007", "b", 0.81, "yes")
    assert row["left_name"] == "Heat; or not"


def test_no_file_and_an_empty_one_hold_no_decisions(tmp_path: Path) -> None:
    assert read_decisions(tmp_path / "none.csv").empty
    (tmp_path / "empty.csv").write_text("")
    assert read_decisions(tmp_path / "empty.csv").empty


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,b,Item,0.9,name,maybe,,,,", r":2: accepted is 'maybe'; expected yes, no or nothing"),
        ("a,,Item,0.9,name,yes,,,,", r":2: a decision needs both left and right"),
        ("a,b,Film,0.9,name,yes,,,,", r":2: label is 'Film'; expected one of .*Item/Entity"),
        ("a,b,Item,high,name,yes,,,,", r":2: score is 'high'; expected a number"),
        ("a,b,Item,1,name,yes,,,,\nb,a,Item,1,name,no,,,,", r":3: .* accepted in one line and ref"),
        ('a,b,Item,1,name,yes,,"x,,', r"same_as.csv:\d: .*; mend the quotes"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_decisions(write(tmp_path / "same_as.csv", line))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("id,title\n1,Heat\n")
    with pytest.raises(DataError, match=r"items.csv:1: no column 'left' among id, title"):
        read_decisions(path)
    path.write_bytes(b"left,right,accepted\n\xff,b,yes\n")
    with pytest.raises(DataError, match="is not UTF-8"):
        read_decisions(path)


def proposals(*scores: float) -> pd.DataFrame:
    rows = [
        dict(zip(COLUMNS, (f'a"{at}', "b,1", "Item", s, "name", "", "", "é\nx", "", ""),
                 strict=True))
        for at, s in enumerate(scores)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "same_as.csv"
    rows = proposals(0.98765, float("nan")).assign(accepted="no")
    write_proposals(path, rows)
    assert path.read_text(encoding="utf-8").splitlines()[0] == HEADER
    found = read_decisions(path)
    assert found["left"].tolist() == ['a"0', 'a"1']
    assert found["left_name"].tolist() == ["é\nx", "é\nx"]
    np.testing.assert_array_equal(found["score"], [0.9877, np.nan])


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "same_as.csv", "a,b,Item,1,name,yes,me,,,")
    before = path.read_bytes()

    def fails(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(DataError, match=r"cannot write .*No space left.*--out"):
        write_proposals(path, proposals(0.5))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["same_as.csv"]


def test_no_decisions_has_all_columns() -> None:
    assert tuple(no_decisions().columns) == COLUMNS
