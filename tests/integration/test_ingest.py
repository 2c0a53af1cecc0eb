"""Deliveries in any order, repeated, taken back, mended: the graph is what the rows amount to."""

import os
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from graph_oracle import assert_holds
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

import kgrec.ingestion.work
from kgrec.config import Config
from kgrec.data.journal.manifest import journal_folder
from kgrec.data.load import Intake, load_dataset
from kgrec.data.unchanged import nothing_new
from kgrec.errors import ConfigError, DataError, StoreError
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import Marks, ingest
from kgrec.schema import NodeLabel, Split, interaction_key
from kgrec.store.connect import open_store

CONFIG = """\
[store]
uri = "{store}"
[data]
split = {{ kind = "temporal_user" }}
[[data.sources]]
name = "events"
kind = "interactions"
path = "day*.csv"
[[data.sources]]
name = "catalogue"
kind = "items"
path = "items*.csv"
properties = {{ brand = {{ as = "attribute", relation = "made_by" }} }}
[data.behaviours.buy]
[data.behaviours.view]
role = "evidence"
[data.behaviours.rate]
min_rating = 3
[data.behaviours.dismiss]
role = "negative"
"""

Row = tuple[str, str, str, int, str]


def shop(folder: Path, store: str = "embedded:graph.kgl", more: str = "") -> Config:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kgrec.toml").write_text(CONFIG.format(store=store) + more, encoding="utf-8")
    items = [f"i{n},The Item {n},brand{n % 3}" for n in range(6)]
    write(folder / "items.csv", "id,title,brand", items)
    return Config.load(folder / "kgrec.toml")


def write(path: Path, header: str, rows: Sequence[str]) -> None:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def day(folder: Path, number: int, rows: Sequence[Row], name: str = "day") -> None:
    """Writes user, item, behaviour, time, rating."""
    lines = [",".join(map(str, row)) for row in rows]
    write(folder / f"{name}{number}.csv", "user,item,behaviour,time,rating", lines)


def some_rows(seed: int, count: int = 40, users: int = 6, items: int = 9) -> list[Row]:
    rng = random.Random(seed)
    rows: list[Row] = [("u0", "i0", "rate", 999, "5")]  # somebody must like something
    for _ in range(count):
        behaviour = rng.choice(["buy", "view", "rate", "dismiss"])
        rating = str(rng.randint(1, 5)) if behaviour == "rate" else ""
        user, item = f"u{rng.randrange(users)}", f"i{rng.randrange(items)}"
        rows.append((user, item, behaviour, rng.randrange(1_000, 2_000), rating))
    return rows


def holds_what_files_say(config: Config) -> str:
    """The store equals a fresh load of everything; gives the version."""
    dataset = load_dataset(config.data, config.seed)
    with open_store(config.store, read_only=config.store.uri.startswith("embedded")) as store:
        assert_holds(store, dataset)
    return dataset.fingerprint


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each change that was applied without a whole comparison had."""
    found: list[int] = []
    real = kgrec.ingestion.work.apply_changes

    def spy(changes: object, *args: object, **options: object) -> object:
        found.append(changes.rows)  # type: ignore[attr-defined]
        return real(changes, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(kgrec.ingestion.work, "apply_changes", spy)
    return found


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_two_deliveries_are_as_good_as_one(
    tmp_path: Path, engine_uri: str, applied: list[int]
) -> None:
    config = shop(tmp_path, engine_uri)
    day(tmp_path, 1, some_rows(1))
    first = ingest(config)
    assert [load.source for load in first.loads] == ["events", "catalogue"]
    assert first.version == holds_what_files_say(config)
    day(tmp_path, 2, some_rows(2, count=5))
    second = ingest(config)
    assert second.version == holds_what_files_say(config) != first.version
    assert len(applied) == 1  # the rest of the graph was not looked at
    assert [(load.source, load.rows) for load in second.loads] == [("events", 6)]


def test_new_users_and_items_come_with_an_increment(tmp_path: Path, applied: list[int]) -> None:
    config = shop(tmp_path)
    day(tmp_path, 1, some_rows(1))
    ingest(config)
    day(tmp_path, 2, [("new", "novel", "buy", 5_000, ""), ("new", "i1", "view", 5_001, "")])
    report = ingest(config)
    assert report.version == holds_what_files_say(config)
    assert applied == [4]  # two nodes, two edges
    assert (report.nodes, report.edges) == counts(config)


def test_the_order_of_deliveries_changes_nothing(tmp_path: Path, engine_uri: str) -> None:
    config = shop(tmp_path, engine_uri)
    day(tmp_path, 2, some_rows(2))
    ingest(config)
    day(tmp_path, 1, some_rows(1))
    late = ingest(config).version
    other = shop(tmp_path / "other")
    for number in (1, 2):
        day(tmp_path / "other", number, some_rows(number))
    assert ingest(other).version == late == holds_what_files_say(config)


def test_unchanged_files_write_nothing(tmp_path: Path) -> None:
    config = shop(tmp_path)
    day(tmp_path, 1, some_rows(1))
    ingest(config)
    before = files_of(tmp_path)
    report = ingest(config)
    assert not report.changed
    assert report.loads == ()
    assert files_of(tmp_path) == before


def test_what_has_surely_not_changed_is_told_from_times_alone(tmp_path: Path) -> None:
    config = shop(tmp_path)
    assert nothing_new(config) is None
    day(tmp_path, 1, some_rows(1))
    report = ingest(config)
    held = nothing_new(config)
    assert held is not None
    assert (held.version, held.nodes, held.edges) == (report.version, report.nodes, report.edges)
    assert nothing_new(config.model_copy(update={"seed": 1})) is None
    day(tmp_path, 2, some_rows(2))
    assert nothing_new(config) is None  # another file
    second = ingest(config)
    (tmp_path / "day1.csv").touch()
    assert nothing_new(config) is None  # it may hold something else
    ingest(config)
    (tmp_path / "day2.csv").unlink()
    held = nothing_new(config)  # what was loaded stays
    assert held is None or held.version == second.version
    ingest(config, marks=Marks(undo=(1,)))
    assert nothing_new(config) is None  # its file must be looked at to be told apart
    (tmp_path / "graph.kgl").unlink()
    assert nothing_new(config) is None


def test_yesterdays_rows_again_with_todays(tmp_path: Path, applied: list[int]) -> None:
    config = shop(tmp_path)
    day(tmp_path, 1, some_rows(1))
    first = ingest(config)
    day(tmp_path, 2, some_rows(1)[10:])  # another file, nothing new in it
    again = ingest(config)
    assert again.version == first.version
    assert (again.changed, applied) == (False, [0])


def test_the_same_file_under_another_name_is_not_read(tmp_path: Path) -> None:
    config = shop(tmp_path)
    day(tmp_path, 1, some_rows(1))
    ingest(config)
    (tmp_path / "day2.csv").write_bytes((tmp_path / "day1.csv").read_bytes())
    assert ingest(config).loads == ()


def test_an_update_of_the_catalogue(tmp_path: Path, engine_uri: str) -> None:
    config = shop(tmp_path, engine_uri)
    day(tmp_path, 1, some_rows(1))
    ingest(config)
    write(tmp_path / "items2.csv", "id,title,brand", ["i1,A Better Title,brand9"])
    ingest(config)
    with open_store(config.store) as store:
        rows = store.read("item_neighbourhood", item="i1")
    assert [row["id"] for row in rows if row["label"] == "Entity"] == ["made_by:brand9"]


def test_deletions(tmp_path: Path, engine_uri: str) -> None:
    config = shop(tmp_path, engine_uri)
    rows = ["u1,i1,buy,100,", "u1,i2,buy,200,", "u1,i3,buy,300,", "u2,i1,buy,100,"]
    write(tmp_path / "day1.csv", "user,item,behaviour,time,rating", rows)
    ingest(config)
    write(tmp_path / "day2.csv", "user,item,behaviour,time,deleted", ["u1,i2,buy,250,yes"])
    report = ingest(config)
    assert report.version == holds_what_files_say(config)
    assert edges(config) == {("u1", "i1"), ("u1", "i3"), ("u2", "i1")}


def test_a_replaced_source_is_all_there_is(tmp_path: Path, engine_uri: str) -> None:
    config = shop(tmp_path, engine_uri)
    day(tmp_path, 1, [("u1", "i1", "buy", 1, ""), ("u2", "i2", "buy", 1, "")])
    ingest(config)
    day(tmp_path, 1, [("u3", "i3", "buy", 1, "")])
    kept = ingest(config)
    assert edges(config) == {("u1", "i1"), ("u2", "i2"), ("u3", "i3")}
    assert kept.loads[0].rows == 1
    ingest(config, Intake(replace=frozenset({"events"})))
    assert edges(config) == {("u3", "i3")}
    assert not ingest(config, Intake(replace=frozenset({"events"}))).changed


def test_a_load_taken_back_and_counted_again(tmp_path: Path, engine_uri: str) -> None:
    config = shop(tmp_path, engine_uri)
    day(tmp_path, 1, some_rows(1))
    first = ingest(config)
    day(tmp_path, 2, some_rows(2))
    second = ingest(config)
    (load,) = second.loads
    back = ingest(config, marks=Marks(undo=(load.number,)))
    assert back.version == first.version
    again = ingest(config)
    assert not again.changed
    assert "taken back" in " ".join(again.findings.notes())
    assert ingest(config, marks=Marks(redo=(load.number,))).version == second.version
    assert holds_what_files_say(config) == second.version


def test_there_is_no_such_load(tmp_path: Path) -> None:
    config = shop(tmp_path)
    day(tmp_path, 1, some_rows(1))
    ingest(config)
    with pytest.raises(DataError, match=r"no load 9 .*1 \(events\), 2 \(catalogue\)"):
        ingest(config, marks=Marks(undo=(9,)))


def test_other_settings_derive_the_graph_anew_from_what_was_loaded(
    tmp_path: Path, engine_uri: str
) -> None:
    config = shop(tmp_path, engine_uri)
    day(tmp_path, 1, some_rows(1))
    ingest(config)
    data = config.data.model_dump() | {"split": {"kind": "random"}}
    changed = Config.build({"store": {"uri": engine_uri}, "data": data})
    (tmp_path / "day1.csv").rename(tmp_path / "gone.csv")  # rows come from the journal
    report = ingest(changed)
    (tmp_path / "gone.csv").rename(tmp_path / "day1.csv")
    assert report.version == holds_what_files_say(changed)
    assert report.changed


def test_a_source_read_in_another_way_is_read_again(tmp_path: Path) -> None:
    config = shop(tmp_path)
    day(tmp_path, 1, [("u1", "i1", "buy", 1_600_000_000, "")])
    day(tmp_path, 2, [("u1", "i2", "buy", 1_600_000_001, "")])
    ingest(config)
    tree = config.data.model_dump()
    tree["sources"][0]["time"] = {"unit": "ms"}
    changed = Config.build({"store": {"uri": config.store.uri}, "data": tree})
    assert [load.source for load in ingest(changed).loads] == ["events"]
    holds_what_files_say(changed)
    (tmp_path / "day2.csv").unlink()
    with pytest.raises(DataError, match=r"day2\.csv is gone.*--replace events"):
        ingest(config)
    ingest(config, Intake(replace=frozenset({"events"})))
    assert edges(config) == {("u1", "i1")}


BAD = ["u1,i1,buy,100,", ",i2,buy,200,", "u1,i3,buy,soon,", "u1,i4,buy,400,"]


def test_a_bad_row_leaves_everything_as_it_was(tmp_path: Path, engine_uri: str) -> None:
    config = shop(tmp_path, engine_uri)
    day(tmp_path, 1, some_rows(1))
    ingest(config)
    good = holds_what_files_say(config)
    write(tmp_path / "day2.csv", "user,item,behaviour,time,rating", BAD)
    before = files_of(journal_folder(config))
    with pytest.raises(DataError, match=r"day2\.csv:3:user: expected"):
        ingest(config)
    assert files_of(journal_folder(config)) == before
    (tmp_path / "day2.csv").unlink()
    assert holds_what_files_say(config) == good


def test_tolerated_rows_are_kept_to_be_mended(tmp_path: Path, engine_uri: str) -> None:
    config = shop(tmp_path, engine_uri)
    write(tmp_path / "day1.csv", "user,item,behaviour,time,rating", BAD)
    tolerant = Config.load(tmp_path / "kgrec.toml", ('data.cleaning.max_bad_rows="50%"',))
    report = ingest(tolerant)
    assert report.rejects is not None
    assert (report.loads[0].rows, report.loads[0].rejected) == (2, 2)
    assert edges(config) == {("u1", "i1"), ("u1", "i4")}
    rejected = report.rejects / "events.csv"
    text = rejected.read_text(encoding="utf-8")
    assert "day1.csv:3:user" in text
    mended = text.replace(",i2,", "u2,i2,", 1).replace("soon", "300")
    rejected.write_text(mended, encoding="utf-8")
    ingest(config, Intake(mended=rejected))
    assert edges(config) == {("u1", "i1"), ("u1", "i4"), ("u2", "i2"), ("u1", "i3")}


def test_mended_rows_stay_when_the_file_is_looked_at_again(tmp_path: Path) -> None:
    write(tmp_path / "all.csv", "user,item,time", ["u1,i1,100", "u1,i2,soon", "u2,i1,100"])
    tree = {"interactions": tmp_path / "all.csv", "cleaning": {"max_bad_rows": "1"}}
    store = {"uri": f"embedded:{tmp_path / 'graph.kgl'}"}
    config = Config.build({"store": store, "data": tree})  # a short name: the file is all there is
    rejects = ingest(config).rejects
    assert rejects is not None
    path = rejects / "interactions.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("soon", "200"), encoding="utf-8")
    ingest(config, Intake(mended=path))
    whole = {("u1", "i1"), ("u1", "i2"), ("u2", "i1")}
    assert edges(config) == whole
    held = nothing_new(config)
    assert held is not None
    assert ingest(config).loads == ()
    assert edges(config) == whole
    write(tmp_path / "all.csv", "user,item,time", ["u3,i3,100"])
    ingest(config)
    assert edges(config) == {("u3", "i3")}


def test_mended_rows_replace_nothing_when_the_settings_changed(tmp_path: Path) -> None:
    shop(tmp_path)
    write(tmp_path / "day1.csv", "user,item,behaviour,time,rating", BAD)
    tolerance = 'data.cleaning.max_bad_rows="50%"'
    rejects = ingest(Config.load(tmp_path / "kgrec.toml", (tolerance,))).rejects
    assert rejects is not None
    path = rejects / "events.csv"
    mended = path.read_text(encoding="utf-8").replace(",i2,", "u2,i2,", 1).replace("soon", "300")
    path.write_text(mended, encoding="utf-8")
    changed = Config.load(tmp_path / "kgrec.toml", ('data.cleaning.case="lower"',))
    ingest(changed, Intake(mended=path))
    assert edges(changed) == {("u1", "i1"), ("u1", "i4"), ("u2", "i2"), ("u1", "i3")}


@pytest.mark.parametrize("later", [["u1,i1", "u3,i2"], ["u2,i2", "u1,i1"]])  # others, the same
def test_nodes_and_edges_name_a_load_that_counts(tmp_path: Path, later: list[str]) -> None:
    write(tmp_path / "all.csv", "user,item", ["u1,i1", "u2,i2"])
    store = {"uri": f"embedded:{tmp_path / 'graph.kgl'}"}
    config = Config.build({"store": store, "data": {"interactions": tmp_path / "all.csv"}})
    ingest(config)
    write(tmp_path / "all.csv", "user,item", later)
    ingest(config)
    with open_store(config.store, read_only=True) as opened:
        assert [row["number"] for row in opened.read("loads")] == [2]
        for label in (NodeLabel.USER, NodeLabel.ITEM):
            nodes = opened.export_nodes(label, provenance=True)
            assert nodes["load"].tolist() == [2, 2]
        blocks = list(opened.export_edges(interaction_key(Split.TRAIN), ["load"]))
    assert np.concatenate([block.properties["load"] for block in blocks]).tolist() == [2, 2]


def test_mended_rows_of_no_source(tmp_path: Path) -> None:
    config = shop(tmp_path)
    with pytest.raises(ConfigError, match=r"no source 'what'.*events, catalogue"):
        ingest(config, Intake(mended=tmp_path / "what.csv"))


def test_a_graph_whose_journal_is_lost_is_not_overwritten(tmp_path: Path) -> None:
    config = shop(tmp_path)
    day(tmp_path, 1, some_rows(1))
    ingest(config)
    journal_folder(config).rename(tmp_path / "elsewhere")
    day(tmp_path, 1, some_rows(2))
    with pytest.raises(StoreError, match=r"holds load 1 of 'events'.*does not know"):
        ingest(config)
    found = config.model_copy(
        update={"data": config.data.model_copy(update={"journal": tmp_path / "elsewhere"})}
    )
    assert len(ingest(found).loads) == 1


def test_a_lost_journal_does_not_matter_while_the_files_are_there(tmp_path: Path) -> None:
    config = shop(tmp_path)
    day(tmp_path, 1, some_rows(1))
    first = ingest(config)
    journal_folder(config).rename(tmp_path / "elsewhere")
    assert ingest(config).version == first.version


def test_a_lost_graph_is_made_from_the_journal(tmp_path: Path) -> None:
    config = shop(tmp_path)
    day(tmp_path, 1, some_rows(1))
    first = ingest(config)
    (tmp_path / "graph.kgl").unlink()
    (tmp_path / "day1.csv").unlink()
    day(tmp_path, 2, [("u1", "i1", "view", 1, "")])
    assert ingest(config, marks=Marks(redo=(1,))).version == first.version


def test_rows_of_another_neo4j(
    tmp_path: Path, neo4j_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(tmp_path / "there", neo4j_uri)
    day(tmp_path / "there", 1, some_rows(1))
    there = Config.load(tmp_path / "there" / "kgrec.toml")
    ingest(there)
    for name in ("USER", "PASSWORD"):
        monkeypatch.setenv(f"KGREC_SOURCE_{name}", os.environ[f"KGREC_NEO4J_{name}"])
    cypher = (
        "MATCH (u:User)-[x:INTERACTED]->(i:Item) "
        "RETURN u.id AS user, i.id AS item, x.time AS time ORDER BY user, item"
    )
    source = {"name": "shop", "kind": "interactions", "cypher": cypher, "uri": neo4j_uri}
    here = Config.build(
        {"store": {"uri": f"embedded:{tmp_path / 'here.kgl'}"}, "data": {"sources": [source]}}
    )
    first = ingest(here)
    assert edges(here) == pairs_in_train(there)
    assert ingest(here).loads == ()
    day(tmp_path / "there", 2, [("u77", "i1", "buy", 9, "")])
    ingest(there)
    assert ingest(here).loads[0].rows == first.loads[0].rows + 1


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.integers(0, 5), st.integers(1, 12)),
        st.tuples(st.just("undo"), st.integers(1, 6), st.just(0)),
        st.tuples(st.just("redo"), st.integers(1, 6), st.just(0)),
    ),
    min_size=2,
    max_size=6,
)


@pytest.mark.parametrize(
    "split", ["random", "temporal_user", "leave_last_out", "cold_item", "cold_user"]
)
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=_STEPS)
def test_whatever_happens_the_graph_is_what_the_active_rows_amount_to(
    tmp_path_factory: pytest.TempPathFactory, split: str, steps: list[tuple[str, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("steps")
    config = shop(folder)
    data = config.data.model_dump() | {"split": {"kind": split}}
    config = Config.build({"store": {"uri": config.store.uri}, "data": data})
    day(folder, 0, some_rows(99, count=12))
    report = ingest(config)
    taken_back: set[int] = set()
    delivered = {report.loads[0].number: folder / "day0.csv"}
    for position, (what, number, count) in enumerate(steps, start=1):
        if what == "deliver":
            day(folder, position, some_rows(number, count=count))
            for load in ingest(config).loads:
                delivered[load.number] = folder / f"day{position}.csv"
        elif number in delivered and len(delivered) - len(taken_back) > 1:
            marks = Marks(undo=(number,)) if what == "undo" else Marks(redo=(number,))
            try:
                ingest(config, marks=marks)
            except DataError as refused:  # rightly: nothing that is left is rated high enough
                if "min_rating" not in str(refused):
                    raise
                reject()
            (taken_back.add if what == "undo" else taken_back.discard)(number)
    undone = [delivered[number].read_bytes() for number in taken_back]
    for path in sorted(folder.glob("day*.csv")):
        if path.read_bytes() in undone:  # also under another name
            path.rename(path.with_suffix(".hidden"))
    holds_what_files_say(config)


def edges(config: Config) -> set[tuple[str, str]]:
    """All target pairs, whatever their split."""
    with open_store(config.store, read_only=config.store.uri.startswith("embedded")) as store:
        graph = fetch_graph(store)
    users, items = (graph.vocabularies[x].ids for x in (NodeLabel.USER, NodeLabel.ITEM))
    return {
        (users[u], items[i])
        for part in (graph.train, *graph.held_out.values())
        for u, i in zip(part.user_index, part.item_index, strict=True)
    }


def pairs_in_train(config: Config) -> set[tuple[str, str]]:
    pairs = load_dataset(config.data, config.seed).pairs(Split.TRAIN)
    return set(pairs[["head", "tail"]].itertuples(index=False, name=None))


def counts(config: Config) -> tuple[int, int]:
    dataset = load_dataset(config.data, config.seed)
    return sum(map(len, dataset.nodes.values())), sum(map(len, dataset.edges().values()))
