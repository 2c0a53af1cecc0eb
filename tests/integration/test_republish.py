"""Refreshing what is published, watching for new data, and the commands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from forgetting import ITEM, USER, deliver
from test_refresh import trained

from kgrec.cli import main
from kgrec.config import Config
from kgrec.data.journal.journal import Journal
from kgrec.data.journal.manifest import journal_folder
from kgrec.errors import StoreError
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import Marks, ingest
from kgrec.publication import current_publication, publish
from kgrec.publication.lists import user_lists
from kgrec.recommender import Recommender
from kgrec.schema import EdgeKey, NodeLabel
from kgrec.store import embedded
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.store.state import graph_version
from kgrec.training.directory import Run, load_run
from kgrec.upkeep import watching
from kgrec.upkeep.forget import forget
from kgrec.upkeep.influence import compare
from kgrec.upkeep.refresh import refresh
from kgrec.upkeep.watching import KeptGraph, source_stamps, watch

RECOMMENDED = EdgeKey("RECOMMENDED", NodeLabel.USER, NodeLabel.ITEM)
TOP = 5
#: Kinds of source without those that make every delivery concern the whole graph.
PLAIN = ("interactions", "users", "items", "triples")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGREC_CACHE", str(tmp_path / "cache"))


def published(tmp_path: Path, uri: str, only: tuple[str, ...] = ()) -> tuple[Config, Run]:
    config, run = trained(tmp_path, uri, only=only)
    with open_store(config.store) as store:
        publish(run, store, top=TOP, similar=3, progress=False)
    return config, run


def lists(store: GraphStore) -> dict[str, set[str]]:
    """The published items of each user."""
    users, items = (
        dict(zip(frame["index"], frame["id"], strict=True))
        for frame in (store.export_nodes(label) for label in (NodeLabel.USER, NodeLabel.ITEM))
    )
    found: dict[str, set[str]] = {}
    for block in store.export_edges(RECOMMENDED):
        pairs = zip(block.head_index.tolist(), block.tail_index.tolist(), strict=True)
        for head, tail in pairs:
            found.setdefault(users[head], set()).add(items[tail])
    return found


def wanted(run: Run) -> dict[str, set[str]]:
    """What a full publication of a run would give each user."""
    found: dict[str, set[str]] = {}
    made = user_lists(Recommender(run), torch.arange(run.scorer.num_users), TOP)
    for head, item in zip(made.head.tolist(), made.item.tolist(), strict=True):
        user = run.vocabularies[NodeLabel.USER].ids[head]
        found.setdefault(user, set()).add(run.vocabularies[NodeLabel.ITEM].ids[item])
    return found


def test_affected_lists_are_those_of_the_folded_run(tmp_path: Path, engine_uri: str) -> None:
    config, run = published(tmp_path, engine_uri)
    with open_store(config.store, read_only=True) as store:
        before, old = lists(store), current_publication(store)
    deliver(config, "2", *(f"u1,i{n},buy,9000" for n in range(9, 20)),
            *(f"nova,i{n},buy,9001" for n in range(12)))  # fmt: skip
    with open_store(config.store) as store:
        report = refresh(run, store, publish=True)
    fresh = load_run(run.directory)
    with open_store(config.store, read_only=True) as store:
        after, now = lists(store), current_publication(store)
    assert report.published is not None
    assert old is not None
    assert now is not None
    assert (now.id, now.graph_version) == (old.id, fresh.record.graph_version)
    expected = wanted(fresh)
    assert after["nova"] == expected["nova"]
    assert after["u1"] == expected["u1"] != before["u1"]
    assert report.published.users == report.users
    assert after["u7"] == before["u7"]  # was not affected
    assert now.counts["recommended"] == sum(map(len, after.values()))
    assert report.published.vectors == report.users + report.items


def test_a_new_item_reaches_the_lists_it_belongs_in(tmp_path: Path) -> None:
    config, run = published(tmp_path, "embedded:")
    deliver(config, "2", *(f"u{n},i-new,buy,9000" for n in range(12)))
    with open_store(config.store) as store:
        report = refresh(run, store, publish=True)
        after = lists(store)
    expected = wanted(load_run(run.directory))
    assert report.published is not None
    assert report.published.looked_for_new_items
    having = {user for user, items in expected.items() if "i-new" in items}
    assert {user for user, items in after.items() if "i-new" in items} == having


def test_who_lost_a_place_gets_another(tmp_path: Path) -> None:
    config, run = published(tmp_path, "embedded:")
    with open_store(config.store, read_only=True) as store:
        having = {user for user, items in lists(store).items() if ITEM in items}
    forget(config, item=ITEM)
    with open_store(config.store) as store:
        refresh(run, store, publish=True)
        after = lists(store)
    expected = wanted(load_run(run.directory))
    assert having
    for user in having:
        assert after[user] == expected[user]


def test_forgetting_mends_the_lists_of_the_run_it_is_taken_out_of(tmp_path: Path) -> None:
    config, run = published(tmp_path, "embedded:")
    forget(config, item=ITEM, runs=[run.directory])
    fresh = load_run(run.directory)
    with open_store(config.store, read_only=True) as store:
        after, now = lists(store), current_publication(store)
    assert now is not None
    assert now.graph_version == fresh.record.graph_version
    assert {len(items) for items in after.values()} == {TOP}
    assert not any(ITEM in items for items in after.values())


def test_killed_after_publishing_the_next_refresh_completes_it(
    tmp_path: Path, engine_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = published(tmp_path, engine_uri)
    deliver(config, "2", *(f"nova,i{n},buy,9001" for n in range(12)))
    for step in ("replace_vectors", "write_folded"):
        with monkeypatch.context() as patch, open_store(config.store) as store:

            def killed(*_: object, **__: object) -> None:
                raise KeyboardInterrupt

            room = "republish" if step == "replace_vectors" else "refresh"
            patch.setattr(f"kgrec.upkeep.{room}.{step}", killed)
            with pytest.raises(KeyboardInterrupt):
                refresh(load_run(run.directory), store, publish=True)
            assert load_run(run.directory).record == run.record
    with open_store(config.store) as store:
        refresh(load_run(run.directory), store, publish=True)
        after, now = lists(store), current_publication(store)
    fresh = load_run(run.directory)
    assert now is not None
    assert now.graph_version == fresh.record.graph_version
    assert after["nova"] == wanted(fresh)["nova"]


@pytest.mark.first_on_servers
@pytest.mark.parametrize("back", [False, True], ids=["other-data", "as-it-was"])
@pytest.mark.parametrize("step", ["republish.replace_vectors", "refresh.write_folded"])
def test_killed_and_then_other_data_comes(
    tmp_path: Path, engine_uri: str, monkeypatch: pytest.MonkeyPatch, step: str, back: bool
) -> None:
    """What the killed call published is of a graph that is no more: all lists are made anew."""
    config, run = published(tmp_path, engine_uri)
    with open_store(config.store, read_only=True) as store:
        before = lists(store)
    rows = [f"u{user},i-new,buy,{9000 + user}" for user in range(12)]
    deliver(config, "2", *rows, *(f"u1,i{n},buy,9001" for n in range(9, 20)))
    with monkeypatch.context() as patch, open_store(config.store) as store:

        def killed(*_: object, **__: object) -> None:
            store.checkpoint()
            raise KeyboardInterrupt

        patch.setattr(f"kgrec.upkeep.{step}", killed)
        with pytest.raises(KeyboardInterrupt):
            refresh(load_run(run.directory), store, publish=True)
        assert lists(store)["u1"] != before["u1"]
    with Journal(journal_folder(config)) as journal:
        last = journal.manifest.loads[-1].load.number
    ingest(config, marks=Marks(undo=(last,)), progress=False)
    if not back:
        deliver(config, "3", *(f"nova,i{n},buy,9001" for n in range(12)))
    with open_store(config.store) as store:
        refresh(load_run(run.directory), store, publish=True)
        after, now = lists(store), current_publication(store)
    fresh = load_run(run.directory)
    assert now is not None
    assert now.graph_version == fresh.record.graph_version
    assert after == wanted(fresh)
    if back:
        assert after == before
    with open_store(config.store) as store:
        assert not refresh(fresh, store, publish=True).changed


def test_nothing_published_and_other_versions_are_told(tmp_path: Path) -> None:
    config, run = trained(tmp_path, "embedded:")
    deliver(config, "2", "u1,i1,buy,9000", "u1,i2,buy,9000", "u1,i3,buy,9000")
    with (
        open_store(config.store) as store,
        pytest.raises(StoreError, match="nothing is published"),
    ):
        refresh(run, store, publish=True)
    assert load_run(run.directory).record == run.record  # the run waits for it


def steps(*actions: Callable[[], object]) -> Callable[[float], bool]:
    """Does something at each wait, instead of waiting; then ends the watching."""
    left = list(actions)

    def wait(seconds: float) -> bool:
        assert seconds == 7.0
        if not left:
            return False
        left.pop(0)()
        return True

    return wait


def test_watching_takes_in_what_comes_and_folds_it_in(tmp_path: Path, engine_uri: str) -> None:
    config, run = published(tmp_path, engine_uri)
    folder = tmp_path / "sources"
    head = "user,item,behaviour,time\n"

    def arrives(name: str, text: str) -> Callable[[], object]:
        return lambda: (folder / name).write_text(text)

    rows = "".join(f"nova,i{n},buy,900{n}\n" for n in range(9))
    wait = steps(
        arrives("day-2.csv", head + rows),
        lambda: None,  # nothing new: no report
        arrives("day-3.csv", "user,item\n\x00broken"),  # cannot be read: told, and gone on
        arrives("day-3.csv", head + "u3,i3,buy,9100\nu3,i4,buy,9100\nu3,i5,buy,9100\n"),
    )
    reports = list(watch(run, config, every=7.0, publish=True, wait=wait))
    assert reports[0].nodes["User"]["new"] == 1
    assert reports[0].run.record.graph_version == reports[1].before
    assert len(reports) == 2
    with open_store(config.store, read_only=True) as store:
        assert lists(store)["nova"] == wanted(reports[0].run)["nova"]
    assert load_run(run.directory).record == reports[-1].run.record


def test_a_watching_process_reads_the_graph_once(
    tmp_path: Path, engine_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = published(
        tmp_path, engine_uri, only=("interactions", "users", "items", "triples")
    )
    read: list[str] = []

    def opened(kind: str, really: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*values: Any, **options: Any) -> Any:
            read.append(kind)
            return really(*values, **options)

        return counted

    monkeypatch.setattr(watching, "open_store", opened("store", open_store))
    monkeypatch.setattr(watching, "fetch_graph", opened("graph", fetch_graph))
    monkeypatch.setattr("kgrec.store.embedded._open", opened("file", embedded._open))

    def another_process() -> None:
        deliver(config, "4", "u5,i2,buy,9200", "u5,i3,buy,9200", "u5,i4,buy,9200")
        read.append("other")

    head = "user,item,behaviour,time\n"
    rows = [f"u{n},i{m},buy,9{n}0{m}\n" for n in (1, 2) for m in range(9)]
    wait = steps(
        lambda: (tmp_path / "sources" / "day-2.csv").write_text(head + "".join(rows[:9])),
        lambda: (tmp_path / "sources" / "day-3.csv").write_text(head + "".join(rows[9:])),
        lambda: read.append("quiet"),
        another_process,
    )
    reports = list(watch(run, config, every=7.0, publish=True, wait=wait))
    assert len(reports) == 3
    assert all({"ingest", "graph", "fold", "publish", "write"} == set(r.seconds) for r in reports)
    file = ["file"] if engine_uri.startswith("embedded") else []
    # The other process opens the file as well, and then it is opened again; what that process took
    # in is told by the journal.
    assert read == ["store", *file, "graph", "quiet", *file, "other", *file]
    with open_store(config.store, read_only=True) as store:
        found = lists(store)
        for report, user in zip(reports, ("u1", "u2", "u5"), strict=True):
            assert found[user] == wanted(report.run)[user]


def test_what_was_taken_in_stays_if_nothing_is_published(tmp_path: Path) -> None:
    config, run = trained(tmp_path, "embedded:")
    path = tmp_path / "sources" / "day-2.csv"
    path.write_text("user,item,behaviour,time\nnova,i1,buy,9000\nnova,i2,buy,9001\n")
    graphs = KeptGraph(config)
    with pytest.raises(StoreError, match="nothing is published"):
        taken_in_and_folded(config, run, graphs)
    with open_store(config.store, read_only=True) as store:
        version = graph_version(store)
    assert version != run.record.graph_version
    report = ingest(config)
    assert (report.version, report.changed) == (version, False)


def test_killed_before_the_file_is_written_the_next_update_completes_it(tmp_path: Path) -> None:
    config, run = published(tmp_path, "embedded:", only=PLAIN)
    path = tmp_path / "sources" / "day-2.csv"
    path.write_text("user,item,behaviour,time\nnova,i1,buy,9000\nnova,i2,buy,9001\n")
    with pytest.raises(KeyboardInterrupt), open_store(config.store) as store:
        interrupted(store, KeptGraph(config))
    with open_store(config.store, read_only=True) as store:
        assert graph_version(store) == run.record.graph_version  # the file is the old one
    report = ingest(config)
    assert report.changed
    with open_store(config.store) as store:
        assert graph_version(store) == report.version != run.record.graph_version
        refresh(run, store, publish=True)
        assert lists(store)["nova"] == wanted(load_run(run.directory))["nova"]


def taken_in_and_folded(config: Config, run: Run, graphs: KeptGraph) -> None:
    with open_store(config.store) as store:
        graphs.take_in(store)
        graphs.fold_in(run, store, publish=True)


def interrupted(store: GraphStore, graphs: KeptGraph) -> None:
    graphs.take_in(store)
    raise KeyboardInterrupt


def test_what_is_looked_at_are_the_sources_files(tmp_path: Path) -> None:
    config, _ = trained(tmp_path, "embedded:")
    before = source_stamps(config)
    assert len(before) == 10
    (tmp_path / "sources" / "day9.csv").write_text("user,item,behaviour,time\n")
    assert len(source_stamps(config) - before) == 1


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main([*arguments, "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else {"error": said.err}


def test_the_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = trained(tmp_path, "embedded:")
    toml = str(tmp_path / "sources" / "kgrec.toml")
    place = ("--run", str(run.directory))
    deliver(config, "2", "nova,i1,buy,9000", "nova,i2,buy,9000", "nova,i3,buy,9000")
    code, said = answer(capsys, "refresh", *place, "--out", str(tmp_path / "beside"))
    assert (code, said["changed"], said["nodes"]["User"]["new"]) == (0, True, 1)
    code, said = answer(capsys, "refresh", *place)
    assert (code, said["published"]) == (0, None)
    rows = "user,item,behaviour,time\nstella,i1,buy,9000\nstella,i2,buy,9001\nstella,i3,buy,9002\n"
    (tmp_path / "sources" / "day-8.csv").write_text(rows)
    code, said = answer(capsys, "refresh", *place, "--ingest")
    assert (code, said["nodes"]["User"]["new"]) == (0, 1)
    assert answer(capsys, "refresh", *place, "--ingest")[1]["changed"] is False
    assert answer(capsys, "refresh", *place, "--every", "0")[0] == 2
    assert answer(capsys, "refresh", *place, "--watch", "--out", "x")[0] == 2

    def interrupted(_: float) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("kgrec.upkeep.watching.time.sleep", interrupted)
    assert main(["refresh", *place, "--watch"]) == 0
    assert "stopped after 0" in capsys.readouterr().out
    code, said = answer(capsys, "forget", "--user", USER, "--config", toml, *place,
                        "--retrain-exact")  # fmt: skip
    assert (code, said["verified"], said["found"]) == (0, True, True)
    (measured,) = said["influence"].values()
    assert 0 < measured["top_20_overlap"] <= 1
    assert measured["rank_correlation"] > 0.3
    assert set(measured) == {
        prefix + name
        for prefix in ("", "again_")
        for name in ("score_difference", "rank_correlation", "top_20_overlap")
    }
    assert answer(capsys, "forget", "--user", USER, "--config", toml)[1]["found"] is False
    code, said = answer(capsys, "forget", "--user", "nobody", "--config", toml)
    assert code == 1
    assert "no user 'nobody'" in said["error"]
    assert answer(capsys, "forget", "--user", USER, "--item", "i1", "--config", toml)[0] == 2
    assert answer(capsys, "forget", "--config", toml)[0] == 1
    code, said = answer(capsys, "forget", "--readmit", "--user", USER, "--config", toml)
    assert (code, said["readmitted"]) == (0, True)
    assert main(["forget", "--item", ITEM, "--config", toml]) == 0
    assert "not covered" in capsys.readouterr().out


def test_compared_with_itself_nothing_differs(tmp_path: Path) -> None:
    _, run = trained(tmp_path, "embedded:")
    same = compare(run.scorer, run.scorer, 0)
    assert same["score_difference"] == 0
    assert same["rank_correlation"] == pytest.approx(1.0)
    assert same["top_20_overlap"] == 1.0
