"""Forgetting: nothing of the id is left anywhere, on both stores, whenever it was killed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from forgetting import (
    ITEM,
    OTHER,
    SECRETS,
    USER,
    add_derived,
    build_shop,
    found_in_files,
    found_in_store,
)
from graph_oracle import assert_holds

from kgrec.config import Config
from kgrec.data.journal.manifest import journal_folder
from kgrec.data.load import load_dataset
from kgrec.errors import DataError
from kgrec.graph.fetch import fetch_graph
from kgrec.graph.texts import node_texts
from kgrec.ingestion import ingest
from kgrec.ingestion.tables import INTERACTION_KEYS
from kgrec.schema import NodeLabel
from kgrec.store.connect import open_store
from kgrec.store.state import read_relations
from kgrec.text.cache import VectorCache
from kgrec.upkeep.forget import forget, readmit
from kgrec.upkeep.places import DERIVED_KEYS

STEPS = ("derive", "intent", "journal", "rejects", "store", "texts", "done")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGREC_CACHE", str(tmp_path / "cache"))


class Killed(BaseException):
    """Stands for a kill between two steps."""


def kill_at(step: str):
    def on_step(name: str) -> None:
        if name == step:
            raise Killed(step)

    return on_step


def kept_by_kgrec(config: Config) -> list[Path]:
    """The folders that kgrec writes to; the sources lie elsewhere."""
    return [journal_folder(config), *_store_folder(config)]


def _store_folder(config: Config) -> list[Path]:
    scheme, _, path = config.store.uri.partition(":")
    return [Path(path).parent] if scheme == "embedded" else []


def shop(tmp_path: Path, uri: str) -> Config:
    if uri.startswith("embedded"):
        uri = f"embedded:{tmp_path / 'kept' / 'graph.kgl'}"
    config = build_shop(tmp_path / "sources", uri)
    ingest(config)
    with open_store(config.store) as store:
        add_derived(store)
    return config


def assert_gone(config: Config, *words: str) -> None:
    assert found_in_files(kept_by_kgrec(config), *words) == []
    with open_store(config.store, read_only=True) as store:
        keys = [entry.key for entry in read_relations(store)]
        assert found_in_store(store, [*keys, *INTERACTION_KEYS, *DERIVED_KEYS], *words) == []


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"user": USER}, (USER, "zora-old-1q", *SECRETS)),
        ({"item": ITEM}, (ITEM, "m.kettle99", "boils well")),
    ],
    ids=["user", "item"],
)
def test_nothing_is_left(
    tmp_path: Path, store_uri: str, target: dict[str, str], words: tuple[str, ...]
) -> None:
    config = shop(tmp_path, store_uri)
    with pytest.raises(AssertionError):
        assert_gone(config, words[0])  # the search finds what is there
    receipt = forget(config, **target)
    assert receipt.was_present
    assert receipt.verified
    assert not receipt.was_forgotten
    removed = {place.name: place for place in receipt.places}
    assert removed["nodes"].removed == len(
        [
            w
            for w in words
            if w in receipt.ids[NodeLabel.USER if "user" in target else NodeLabel.ITEM]
        ]
    )
    assert removed["vectors and their index"].removed == removed["nodes"].removed
    assert {"RECOMMENDED", "SYNTHETIC", "INTERACTED"} <= set(removed["edges"].detail or {})
    assert removed["journal"].removed > 10
    assert_gone(config, *words)


def test_the_graph_is_what_the_rest_amounts_to(tmp_path: Path, engine_uri: str) -> None:
    config = shop(tmp_path, engine_uri)
    receipt = forget(config, user=USER)
    rest = build_shop(tmp_path / "rest", "embedded:none.kgl")
    for path in (tmp_path / "rest").glob("*.[ct]sv"):
        lines = path.read_text().splitlines()
        kept = [line for line in lines if USER not in line and "zora-old-1q" not in line]
        path.write_text("\n".join(kept) + "\n")
    dataset = load_dataset(rest.data, rest.seed)
    assert receipt.version == dataset.fingerprint
    with open_store(config.store, read_only=True) as store:
        assert [row["count"] for row in [*store.read("count_nodes", label=NodeLabel.USER)]] == [
            len(dataset.nodes[NodeLabel.USER])
        ]
    again = ingest(config)  # the sources have not changed: nothing comes back
    assert again.version == receipt.version
    assert not again.changed


def test_a_second_time_it_is_not_there(tmp_path: Path, engine_uri: str) -> None:
    config = shop(tmp_path, engine_uri)
    forget(config, user=USER)
    again = forget(config, user=USER)
    assert (again.was_present, again.was_forgotten, again.places) == (False, True, ())
    with pytest.raises(DataError, match="no user 'nobody-here'"):
        forget(config, user="nobody-here")
    with pytest.raises(DataError, match="no forgetting was interrupted"):
        forget(config)


def test_later_deliveries_do_not_bring_it_back_until_it_is_readmitted(tmp_path: Path) -> None:
    config = shop(tmp_path, "embedded:")
    forget(config, user=USER)
    sources = tmp_path / "sources"
    late = f"user,item,behaviour,time\n{USER},i1,buy,3000\nu5,i1,buy,3000\n{USER},i2,buy,oops\n"
    (sources / "day2.csv").write_text(late)
    report = ingest(config)
    found = {f.rule: f.count for f in report.findings.findings if f.source == "events"}
    assert found["forgotten"] == 1
    assert_gone(config, USER)
    assert readmit(config, user=USER)
    assert not readmit(config, user=USER)
    (sources / "day3.csv").write_text(f"user,item,behaviour,time\n{USER},i1,buy,4000\n")
    ingest(config)
    with open_store(config.store, read_only=True) as store:
        assert USER in set(store.export_nodes(NodeLabel.USER)["id"])


@pytest.mark.parametrize("step", STEPS)
def test_killed_between_two_steps_the_next_call_completes_it(tmp_path: Path, step: str) -> None:
    """On the embedded engine; test_killed_upkeep kills processes on both."""
    config = shop(tmp_path, "embedded:")
    with pytest.raises(Killed):
        forget(config, user=USER, on_step=kill_at(step))
    begun = (journal_folder(config) / "forgetting.json").exists()
    assert begun == (step not in ("derive", "intent"))
    receipt = forget(config, user=None if begun else USER)
    assert receipt.verified
    assert receipt.completed == begun
    assert_gone(config, USER, "zora-old-1q", *SECRETS)
    assert forget(config, user=USER).was_present is False


def test_vectors_of_its_texts_leave_the_cache(tmp_path: Path, engine_uri: str) -> None:
    config = shop(tmp_path, engine_uri)
    with open_store(config.store, read_only=True) as store:
        before = node_texts(fetch_graph(store), config.text)
    every = sorted({text for texts in before.values() for text in texts if text} | {"of others"})
    caches = [VectorCache(tmp_path / "cache" / "text", [space]) for space in ("one", "two")]
    for cache in caches:
        for start in (0, 40):  # two shards, and what is after them
            some = every[start : start + 40]
            cache.save(some, np.ones((len(some), 3), dtype=np.float16))
    kept = set(every[:80])
    receipt = forget(config, user=USER)
    with open_store(config.store, read_only=True) as store:
        after = node_texts(fetch_graph(store), config.text)
    told = {text for texts in after.values() for text in texts if text} | {"of others"}
    stale = kept - told
    assert any(SECRETS[0] in text for text in stale)
    for cache in caches:
        assert set(cache.load(every)) == kept - stale
    place = next(place for place in receipt.places if place.name == "text cache")
    assert (place.removed, place.left) == (2 * len(stale), 0)


def test_what_killed_intakes_and_others_left_beside_the_journal(tmp_path: Path) -> None:
    config = shop(tmp_path, "embedded:")
    rejects = journal_folder(config) / "rejects"
    for name in (".00009.partial/events.csv", "00001/.events.csv.ab12cd34.tmp", "00001/deep/a.csv"):
        path = rejects / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"user,item\n{USER},i1\nu1,i2\n")
    (rejects / "00001" / "empty.csv").touch()
    notes = rejects.parent / "notes.txt"
    notes.write_text(f"ask {USER} about i1\n")
    receipt = forget(config, user=USER)
    assert not receipt.verified  # a file that is not kgrec's stays, and is named
    assert [place.where for place in receipt.places if place.left] == [str(notes)]
    notes.unlink()
    assert forget(config).verified
    assert_gone(config, USER)
    assert (rejects / "00001" / "deep" / "a.csv").read_text().split() == ["user,item", "u1,i2"]


def test_another_call_completes_it_first(tmp_path: Path) -> None:
    config = shop(tmp_path, "embedded:")
    with pytest.raises(Killed):
        forget(config, user=USER, on_step=kill_at("store"))
    assert "unfinished forgetting" in {f.rule for f in ingest(config).findings.findings}
    receipt = forget(config, user=OTHER)
    assert receipt.target.id == OTHER
    assert_gone(config, USER, OTHER)
    for key in (USER, OTHER):  # neither may come back
        assert forget(config, user=key).was_forgotten


def test_what_cannot_be_done_changes_nothing(tmp_path: Path) -> None:
    config = build_shop(tmp_path / "sources", f"embedded:{tmp_path / 'kept' / 'graph.kgl'}")
    day = tmp_path / "sources" / "day1.csv"
    day.write_text(f"user,item,behaviour,time\n{USER},{ITEM},buy,1\n")
    ingest(config)
    before = tmp_path / "before"
    shutil.copytree(journal_folder(config), before)
    with pytest.raises(DataError, match="no interaction is left"):
        forget(config, item=ITEM)
    names = {path.name for path in before.rglob("*") if path.suffix != ".lock"}
    assert names == {p.name for p in journal_folder(config).rglob("*") if p.suffix != ".lock"}
    with open_store(config.store, read_only=True) as store:
        assert_holds(store, load_dataset(config.data, config.seed))
