"""Text forms of ids: floats, quotes in files without them, quotes escaped by backslashes."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from kgrec.config import Source
from kgrec.data.cleaning.ids import clean_ids
from kgrec.data.reading.files import Chunk
from kgrec.data.reading.open import open_source


def _read(path: Path, text: str) -> Chunk:
    path.write_text(text, encoding="utf-8")
    source = Source.model_validate({"name": "r", "kind": "interactions", "path": path})
    (file,) = open_source(source)
    (chunk,) = file.chunks()
    return chunk


def test_whole_floats_are_whole_numbers_where_all_ids_are_numbers() -> None:
    cleaned = clean_ids(pa.array(["12.0", "13", " -4.00 ", None]), required=False)
    assert cleaned.values.to_pylist() == ["12", "13", "-4", None]
    assert [(m.effect, int(m.rows.sum())) for m in cleaned.mended if "float" in m.rule] == [
        ("mended", 2)
    ]


def test_whole_floats_among_other_ids_stay_and_are_said() -> None:
    cleaned = clean_ids(pa.array(["1.0", "1.1", "007"]))
    assert cleaned.values.to_pylist() == ["1.0", "1.1", "007"]
    assert [(m.effect, int(m.rows.sum())) for m in cleaned.mended] == [("noted", 1)]


def test_a_json_number_is_the_same_id_with_and_without_a_point(tmp_path: Path) -> None:
    rows = [{"user": 1.0, "item": 12345678901234567890}, {"user": 1, "item": 1.5}]
    chunk = _read(tmp_path / "r.jsonl", "\n".join(map(json.dumps, rows)))
    assert chunk.table.to_pydict() == {
        "user": ["1", "1"],
        "item": ["12345678901234567890", "1.5"],
    }


@pytest.mark.parametrize("header", ["user\titem\tnote", '"user"\t"item"\t"note"'])
def test_quotes_around_cells_of_a_tsv_are_taken_off(tmp_path: Path, header: str) -> None:
    chunk = _read(tmp_path / "r.tsv", f'{header}\n"u"\t"a"\t"say ""x"""\nv\tb\t"so" he\n')
    assert chunk.table.to_pydict() == {
        "user": ["u", "v"],
        "item": ["a", "b"],
        "note": ['say "x"', '"so" he'],
    }
    assert list(chunk.mended.values()) == [3]


@pytest.mark.parametrize(
    ("cell", "value", "count"),
    [
        (r'"\"0432\""', '"0432"', 1),
        (r'"a\"b"', 'a"b', 1),
        (r'"a\"b""c"', 'a"b"c', 1),
        ('"a;b"', "a;b", 0),
        ('"C:\\"', "C:\\", 0),  # as RFC 4180 has it: the cell ends there
        ('"a\\""b"', 'a\\"b', 0),  # a doubled quote
    ],
)
def test_quotes_escaped_by_backslashes(tmp_path: Path, cell: str, value: str, count: int) -> None:
    chunk = _read(tmp_path / "r.csv", f'"user";"item";"note"\n"u";{cell};"x"\n"v";"b";{cell}')
    assert chunk.bad == ()
    assert chunk.table["item"].to_pylist() == [value, "b"]
    assert chunk.table["note"].to_pylist() == ["x", value]
    assert sum(chunk.mended.values()) == 2 * count
