"""The journal: codes that never change, loads that count or do not, and nothing half-written."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kgrec.config import Source
from kgrec.data.cleaning.rows import EVENTS, FACTS
from kgrec.data.journal.events import NO_SPLIT, NO_TIME, Codes
from kgrec.data.journal.journal import Journal, Part
from kgrec.data.journal.manifest import NAME, FileRecord, GraphRecord, LoadRecord
from kgrec.errors import ConfigError, DataError, StoreBusy
from kgrec.schema import EdgeKey, NodeLabel, Role

CLICKS = Source(name="clicks", kind="interactions", path=Path("clicks.csv"))
FACT_SOURCE = Source(name="facts", kind="triples", path=Path("kg.tsv"))


def events(*rows: tuple[str, str, int | None], behaviour: str = "view") -> pa.Table:
    users, items, times = zip(*rows, strict=True)
    size = len(rows)
    return pa.table(
        {
            "user": pa.array(users, pa.string()),
            "item": pa.array(items, pa.string()),
            "behaviour": pa.array([behaviour] * size).dictionary_encode(),
            "time": pa.array(times, pa.int64()),
            "rating": pa.nulls(size, pa.float64()),
            "weight": pa.nulls(size, pa.float64()),
            "split": pa.nulls(size, pa.string()),
            "deleted": pa.array([False] * size),
        }
    ).cast(pa.schema([f if f.name != "behaviour" else pa.field("behaviour", pa.dictionary(
        pa.int16(), pa.string())) for f in EVENTS]))  # fmt: skip


def add(
    journal: Journal, table: pa.Table, source: Source = CLICKS, *, replaces: bool = False
) -> LoadRecord:
    with journal.staging() as staging:
        files = [FileRecord(f"{source.name}.csv", f"{len(table):016x}")]
        record = staging.add(source, files, [table], "settings", replaces=replaces)
        journal.update(staging.place(journal.manifest))
    return record


def pairs(journal: Journal, **options: object) -> list[tuple[str, str]]:
    found = journal.events(("view", "buy"), **options)  # type: ignore[arg-type]
    users, items = (journal.codes(x).ids() for x in (NodeLabel.USER, NodeLabel.ITEM))
    return [(users[u], items[i]) for u, i in zip(found.user, found.item, strict=True)]


def test_codes_grow_and_never_change() -> None:
    codes = Codes(["b", "a"])
    assert codes.encode(pa.array(["a", "c", "b", "c"])).tolist() == [1, 2, 0, 2]
    assert codes.encode(pa.chunked_array([["d"], ["a"]])).tolist() == [3, 1]
    assert codes.ids() == ["b", "a", "c", "d"]
    assert (codes.get("d"), codes.get("e")) == (3, -1)


def test_what_is_written_is_read_by_the_next_process(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        add(journal, events(("u1", "i1", 5), ("u2", "i1", None)))
        add(journal, events(("u1", "i2", 7), behaviour="buy"))
    with Journal(tmp_path) as journal:
        found = journal.events(("buy", "view"))
        assert pairs(journal) == [("u1", "i1"), ("u2", "i1"), ("u1", "i2")]
        assert found.behaviour.tolist() == [1, 1, 0]
        assert found.time.tolist() == [5, NO_TIME, 7]
        assert found.load.tolist() == [1, 1, 2]
        assert np.isnan(found.rating).all()
        assert set(found.split.tolist()) == {NO_SPLIT}
        assert not found.deleted.any()
        assert journal.first_loads(NodeLabel.ITEM).tolist() == [1, 2]
        assert journal.num_events() == 3


def test_some_users_only(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        add(journal, events(("u0", "a", 1), ("u1", "a", 1), ("u2", "b", 1), ("u1", "b", 2)))
        only = np.array([False, True, False])
        assert pairs(journal, users=only) == [("u1", "a"), ("u1", "b")]
        halves = [pairs(journal, part=Part(number, 2)) for number in range(2)]
        assert halves == [[("u0", "a"), ("u2", "b")], [("u1", "a"), ("u1", "b")]]
        assert journal.is_named(NodeLabel.ITEM, journal.active()).tolist() == [True, True]


def test_a_load_taken_back_does_not_count_until_it_does_again(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        add(journal, events(("u1", "i1", 1)))
        add(journal, events(("u1", "i2", 2), ("u2", "i2", 2)))
        journal.update(journal.manifest.marked(1, undone=True))
        assert pairs(journal) == [("u1", "i2"), ("u2", "i2")]
        journal.update(journal.manifest.marked(1, undone=False))
        assert len(pairs(journal)) == 3


def test_a_replacing_load_hides_the_earlier_ones_and_gives_them_back(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        add(journal, events(("u1", "i1", 1)))
        add(journal, events(("u9", "i9", 1)), Source(**{**CLICKS.model_dump(), "name": "other"}))
        add(journal, events(("u1", "i2", 2)), replaces=True)
        assert pairs(journal) == [("u9", "i9"), ("u1", "i2")]
        journal.update(journal.manifest.marked(3, undone=True))
        assert pairs(journal) == [("u1", "i1"), ("u9", "i9")]
    with Journal(tmp_path, frozenset({"other"})) as journal:  # the settings name one source
        assert pairs(journal) == [("u9", "i9")]


def test_rows_that_are_no_events(tmp_path: Path) -> None:
    row = {"head": "i1", "relation": "by", "tail": "p1", "weight": None, "time": None}
    table = pa.Table.from_pylist([{**row, "deleted": False, "file": 0, "row": 2}], schema=FACTS)
    with Journal(tmp_path) as journal:
        record = add(journal, table, FACT_SOURCE)
        frame = journal.rows(record)
        assert frame[["head", "relation", "tail", "row", "load"]].to_numpy().tolist() == [
            ["i1", "by", "p1", 2, 1]
        ]
        assert journal.mentioned() == {"i1", "p1"}
        assert journal.num_events() == 0


def test_staged_rows_are_readable_and_forgotten_unless_put_in_force(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        add(journal, events(("u1", "i1", 1)))

        def stage_and_fail() -> None:
            with journal.staging() as staging:
                files = [FileRecord("clicks2.csv", "x")]
                staging.add(CLICKS, files, [events(("u2", "i2", 2))], "settings", replaces=False)
                journal.manifest = staging.place(journal.manifest)
                assert pairs(journal) == [("u1", "i1"), ("u2", "i2")]
                raise RuntimeError("no")

        with pytest.raises(RuntimeError, match="no"):
            stage_and_fail()
        assert pairs(journal) == [("u1", "i1")]
        assert journal.codes(NodeLabel.USER).ids() == ["u1"]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {NAME, "journal.lock", "load-00001.parquet", "ids-User-00001.parquet",
                    "ids-Item-00001.parquet"}  # fmt: skip


def test_a_load_without_rows_is_remembered(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        record = add(journal, events(("u", "i", 1))[:0])
        assert record.load.rows == 0
        assert journal.events(("view",)).user.tolist() == []
        assert [r.files[0].origin for r in journal.active()] == ["clicks.csv"]


def test_leftovers_of_a_killed_process_are_swept(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        add(journal, events(("u1", "i1", 1)))
    (tmp_path / ".staging-77").mkdir()
    (tmp_path / ".staging-77" / "load-00002.parquet").write_bytes(b"half")
    (tmp_path / "load-00002.parquet").write_bytes(b"placed, never in force")
    (tmp_path / "journal.77.tmp").write_text("{")
    with Journal(tmp_path) as journal:
        assert pairs(journal) == [("u1", "i1")]
        add(journal, events(("u2", "i2", 1)))
        assert len(pairs(journal)) == 2


def test_the_manifest_survives_a_round_trip(tmp_path: Path) -> None:
    key = EdgeKey("VIEW", NodeLabel.USER, NodeLabel.ITEM)
    graph = GraphRecord("ab", "s", (1,), (("view", key, Role.EVIDENCE),), 3, 4, (1, 2, 3, 4))
    with Journal(tmp_path) as journal:
        add(journal, events(("u1", "i1", 1)))
        journal.update(journal.manifest.with_graph("embedded:x", graph))
        kept = journal.manifest
    with Journal(tmp_path) as journal:
        assert journal.manifest == kept


def test_a_behaviour_the_settings_no_longer_know_is_an_error(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        add(journal, events(("u1", "i1", 1)))
        with pytest.raises(ConfigError, match=r"'view'.*\[data.behaviours.view\].*--undo 1"):
            journal.events(("buy",))


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(StoreBusy, match="in use by another process"):
        Journal(tmp_path)
    Journal(tmp_path).close()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", json.dumps({"layout": 99}), json.dumps({"layout": 1, "loads": [3]})]
)
def test_a_damaged_manifest_is_said_to_be_so(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(DataError, match=r"journal\.json .*move the folder away"):
        Journal(tmp_path)


def test_a_damaged_load_is_said_to_be_so(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        add(journal, events(("u1", "i1", 1)))
        record = add(journal, pa.Table.from_pylist([], schema=FACTS), FACT_SOURCE)
        assert record.rows_in == ""
        (tmp_path / "ids-User-00001.parquet").write_bytes(b"no")
        journal._codes.clear()
        with pytest.raises(DataError, match="lacks a whole ids-User"):
            journal.codes(NodeLabel.USER)


def test_a_folder_that_takes_no_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write the journal .*data\.journal"):
        Journal(tmp_path / "file" / "journal")
