import json

import pyarrow as pa
import pytest
from test_cleaning import APART, COMPOSED, Cleaning, events

from kgrec.data.cleaning.rows import SCHEMAS, cell_columns
from kgrec.data.reading.files import BadRow
from kgrec.errors import DataError

# nodes


def test_nodes_keep_every_other_column_as_text() -> None:
    done = Cleaning(
        "items",
        {
            "movie": ["a", " b"],
            "title": [" Heat ", "  "],
            "year": pa.array([1995.0, None]),
            "score": pa.array([1.5, 2.0]),
            "made": pa.array([0, 1], pa.date32()),
            "genres": pa.array([["Crime", "Drama"], []]),
            "adult": pa.array([True, False]),
        },
        columns={"id": "movie"},
    )
    assert done.table.drop_columns(["id", "time", "deleted", "file", "row"]).to_pylist() == [
        {
            "title": "Heat",
            "year": "1995",
            "score": "1.5",
            "made": "1970-01-01",
            "genres": '["Crime", "Drama"]',
            "adult": "true",
        },
        {
            "title": None,
            "year": None,
            "score": "2",
            "made": "1970-01-02",
            "genres": "[]",
            "adult": "false",
        },
    ]
    assert done["id"] == ["a", "b"]
    assert (done["time"], done["deleted"]) == ([None, None], [False, False])
    assert (done["file"], done["row"]) == ([0, 0], [2, 3])


def test_properties_that_share_a_name_with_places_are_kept_beside_them() -> None:
    done = Cleaning(
        "items",
        {"asin": ["a"], "id": ["x"], "file": ["a.jpg"], "row": ["9"]},
        columns={"id": "asin"},
    )
    assert (done["id"], done["source_id"], done["source_file"]) == (["a"], ["x"], ["a.jpg"])
    assert (done["file"], done["row"], done["source_row"]) == ([0], [2], ["9"])
    assert cell_columns(["file", "source_file", "x"]) == {
        "file": "source_source_file", "source_file": "source_file", "x": "x",
    }  # fmt: skip


def test_files_count_from_zero_and_may_have_unlike_columns() -> None:
    done = Cleaning(
        "users",
        {"id": ["a"], "age": ["1"]},
        {"id": ["b"], "town": ["x"]},
        {"id": ["c"], "age": ["3"]},
        origins=("a.csv", "b.csv", "a.csv"),
    )
    assert done["file"] == [0, 1, 0]
    assert (done["age"], done["town"]) == (["1", None, "3"], [None, "x", None])


# facts, links, texts, identities


def test_facts() -> None:
    cells = {"head": ["a", "b"], "tail": ["b", "c"], "weight": ["2", ""]}
    done = Cleaning("social", cells)
    assert (done["relation"], done["weight"]) == (["follows", "follows"], [2.0, None])
    assert Cleaning("item_edges", cells)["relation"] == ["related", "related"]
    assert Cleaning("item_edges", cells, relation="bought with")["relation"] == ["bought with"] * 2
    named = Cleaning("social", cells | {"relation": [" Likes ", ""]}, cleaning={"case": "lower"})
    assert named["relation"] == ["Likes", "follows"]
    assert done.table.schema == SCHEMAS["social"]


def test_triples_need_their_relation() -> None:
    done = Cleaning(
        "triples",
        {"head": ["a", "b", "a"], "relation": ["is", "", "is"], "tail": ["b", "c", "a"]},
    )
    assert done["head"] == ["a", "a"]
    assert done["tail"] == ["b", "a"]
    assert done.found == {"missing relation": ("rejected", 1)}


def test_links() -> None:
    done = Cleaning("link", {"item": ["i", "j"], "entity": ["e", " "]})
    assert done.table.to_pylist() == [
        {"item": "i", "entity": "e", "deleted": False, "file": 0, "row": 2}
    ]


def test_texts_are_cleaned_and_named_by_what_they_say() -> None:
    cells = {
        "user": ["u", "u", "", None, "u"],
        "item": ["i", "i", "", "i", "i"],
        "text": [" gr\x00eat\nfilm ", "great\nfilm", "lost", APART, "\x00 "],
        "time": ["7", "7", "1", "", "7"],
    }
    done = Cleaning("reviews", cells)
    assert done["text"] == ["great\nfilm", "great\nfilm", COMPOSED]
    assert done["user"] == ["u", "u", None]
    # From a shell: printf 'u\0i\0007\0great\nfilm' | sha256sum, printf '\0i\0\0café' | sha256sum.
    assert done["id"] == ["42ee1b5b6e9963ca", "42ee1b5b6e9963ca", "c4e5eea583b78e32"]
    assert done.found == {
        "missing user and item": ("rejected", 1),
        "missing text": ("rejected", 1),
        "time before 1990": ("noted", 2),
        "text control characters": ("mended", 1),
        "text Unicode form": ("mended", 1),
    }


def test_texts_keep_an_id_of_their_own() -> None:
    cells = {"id": ["r1", ""], "user": ["u", "u"], "query": ["crime", "crime"]}
    own, made = Cleaning("queries", cells)["id"]
    assert own == "r1"
    assert len(made) == 16
    assert Cleaning("queries", cells | {"query": ["crime", "drama"]})["id"][1] != made


def test_a_text_is_taken_back_by_its_id_alone() -> None:
    cells = {"id": ["r1", ""], "user": ["", ""], "text": ["", ""], "deleted": ["1", "1"]}
    done = Cleaning("reviews", cells)
    assert done["id"] == ["r1"]
    assert (done["text"], done["user"], done["deleted"]) == ([""], [None], [True])
    assert done.report.rejected("s") == 1


def test_texts_of_nobody_and_nothing_are_refused_at_once() -> None:
    with pytest.raises(DataError, match="a column of neither users nor items; found 'text'"):
        Cleaning("reviews", {"text": ["x"]})


def test_identities() -> None:
    cells = {
        "left": ["a", "b", "c", "d"],
        "right": ["x", "y", "z", "w"],
        "label": ["", "entity", "item/entity", "Film"],
        "score": ["", "0.5", "1", "1"],
    }
    done = Cleaning("same_as", cells)
    assert done["label"] == ["Item", "Entity", "Item/Entity"]
    assert done["score"] == [None, 0.5, 1.0]
    assert done["accepted"] == [True, True, True]
    assert done.found == {"unknown label": ("rejected", 1)}
    cells |= {"label": [""] * 4, "accepted": ["yes", "no", "", "?"]}
    assert Cleaning("same_as", cells)["accepted"] == [True, False, False]


# rows


def test_a_row_is_bad_once_for_the_first_thing_wrong_with_it() -> None:
    done = events(["", "u"], ["", "i"], rating=["x", "y"])
    assert done.found == {
        "missing id": ("rejected", 1),
        "rating that is no number": ("rejected", 1),
    }
    assert done.report.rejected("s") == done.rejects.count("s") == 2


def test_bad_rows_count_no_mending() -> None:
    assert events([" a", " b"], rating=["1", "x"]).found["id whitespace"] == ("mended", 1)


def test_rows_that_could_not_be_read_count_as_bad() -> None:
    bad = (BadRow(9, "", "expected 2 columns, got 3", "u,i,x"),)
    done = Cleaning("interactions", {"user": ["u"], "item": ["i"]}, bad=bad)
    assert done["user"] == ["u"]
    assert done.report.rows == {"s": 2}
    assert done.finding("unreadable row").examples == ["s.csv:9 'u,i,x'"]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match=r"s\.csv has no column 'item'"):
        Cleaning("interactions", {"user": ["u"]})


def test_chunks_without_rows_give_nothing() -> None:
    done = Cleaning("interactions", {"user": [], "item": [], "time": [], "rating": []}, {})
    assert done.tables == []
    assert done.report.findings == ()


def test_the_report_is_plain_values() -> None:
    done = events([" a"])
    assert json.loads(json.dumps(done.report.to_json())) == {
        "rows": {"s": 1},
        "findings": [
            {
                "source": "s",
                "rule": "id whitespace",
                "effect": "mended",
                "count": 1,
                "text": "ids with whitespace around them, which was taken off",
                "examples": ["s.csv:2:user ' a'"],
            }
        ],
    }
