"""Refreshing runs: new data folded in without training, on both stores."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from forgetting import ITEM, USER, add_derived, build_shop, deliver, found_in_files
from resealed import reseal

from kgrec.config import Config
from kgrec.errors import RunError
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import ingest
from kgrec.publication import current_publication, publish
from kgrec.recommender import Recommender
from kgrec.schema import NodeLabel
from kgrec.store.connect import open_store
from kgrec.training.directory import Run, load_run, write_record
from kgrec.training.fit import train
from kgrec.training.record import DefenceRecord
from kgrec.upkeep.fold import recovered_run
from kgrec.upkeep.forget import forget
from kgrec.upkeep.refresh import refresh

#: The directory of a run by what it is of.
_RUNS: dict[str, Path] = {}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGREC_CACHE", str(tmp_path / "cache"))


def trained(
    tmp_path: Path, uri: str, *, only: tuple[str, ...] = (), **sections: dict[str, object]
) -> tuple[Config, Run]:
    """A run on the shop; `only` names the kinds of source that it has, none is all.

    It is trained once a process and copied: the graph of a store is that of every other.
    """
    if uri.startswith("embedded"):
        uri = f"embedded:{tmp_path / 'kept' / 'graph.kgl'}"
    config = build_shop(tmp_path / "sources", uri)
    tree = config.model_dump()
    for section, values in sections.items():
        tree[section] |= values
    if only:
        tree["data"]["sources"] = [x for x in tree["data"]["sources"] if x["kind"] in only]
    config = Config.build(tree)
    ingest(config)
    key = f"{only} {sections}"
    if key not in _RUNS:
        directory = tmp_path.parent / "shop-runs" / str(len(_RUNS))
        with open_store(config.store, read_only=True) as store:
            train(config, fetch_graph(store), directory, progress=False)
        _RUNS[key] = directory
    own = tmp_path / "runs" / "first"
    shutil.copytree(_RUNS[key], own)
    (own / "config.json").write_text(config.to_json() + "\n", encoding="utf-8")  # its own sources
    reseal(own, folder=str(own.parent))
    return config, load_run(own)


def refreshed(config: Config, run: Run, out: Path | None = None):
    with open_store(config.store, read_only=True) as store:
        return refresh(run, store, out)


def test_new_interactions_users_and_items_are_folded_in(tmp_path: Path, engine_uri: str) -> None:
    config, run = trained(tmp_path, engine_uri)
    deliver(config, "2", "u1,i1,buy,9000", "novel-user,i1,buy,9001", "novel-user,i2,buy,9002",
            "novel-user,i3,buy,9003", "u2,novel-item,buy,9004")  # fmt: skip
    report = refreshed(config, run)
    assert report.changed
    assert report.nodes["User"] == {"new": 1, "gone": 0}
    assert report.nodes["Item"] == {"new": 1, "gone": 0}
    assert 2 <= report.users <= 3  # what was held out changes nothing
    again = load_run(run.directory)
    with open_store(config.store, read_only=True) as store:
        served = Recommender(again, store)
        found = served.recommend("novel-user", 5)
        graph = fetch_graph(store)
    assert len(found) == 5
    assert not any(place.cold for place in found)
    assert {place.item_id for place in found}.isdisjoint(
        graph.vocabularies[NodeLabel.ITEM].ids[i]
        for i in again.scorer.history.row(again.vocabularies[NodeLabel.USER].index("novel-user"))
    )
    step = again.record.refreshed[0]
    assert (step.before, step.after) == (run.record.graph_version, graph.version)
    assert again.record.trained_on == run.record.graph_version
    assert torch.equal(
        again.scorer.score(torch.arange(again.scorer.num_users)),
        report.run.scorer.score(torch.arange(again.scorer.num_users)),
    )
    assert again.names == report.run.names
    assert again.record == report.run.record
    assert refreshed(config, again).changed is False


def assert_nobody_gets_what_they_have(config: Config, run: Run) -> int:
    """Looks at the recommender and at what is published; gives how many have held-out items."""
    with open_store(config.store, read_only=True) as store:
        graph = fetch_graph(store)
        recommender = Recommender(run, store)
        published = current_publication(store)
        users, items = (graph.vocabularies[x].ids for x in (NodeLabel.USER, NodeLabel.ITEM))
        met = {user: set[str]() for user in users}
        for part in (graph.train, *graph.held_out.values()):
            for user, item in zip(part.user_index.tolist(), part.item_index.tolist(), strict=True):
                met[users[user]].add(items[item])
        for user in users:
            places = recommender.recommend(user, len(items), num_reasons=0)
            assert met[user].isdisjoint(place.item_id for place in places), user
            if published is not None:
                edges = store.read("published_recommendations", user=user, limit=1000)
                # The query leaves out what is known, too: the list itself must lack it.
                assert len(edges) == min(published.top, len(places)), user
                assert met[user].isdisjoint(row["id"] for row in edges), user
            candidates = store.read("candidates", user=user, undisliked=False, limit=1000)
            assert {row["id"] for row in candidates} == set(items) - met[user], user
    return len({int(user) for part in graph.held_out.values() for user in part.user_index})


def test_nobody_is_served_what_they_have(tmp_path: Path, engine_uri: str) -> None:
    """Items that a user has met stay out, whatever split they are in, also after a refresh."""
    config, run = trained(tmp_path, engine_uri)
    with open_store(config.store) as store:
        publish(run, store, top=5, similar=0, progress=False)
    assert assert_nobody_gets_what_they_have(config, run) > 5
    rows = [f"nova,i{n},buy,{9000 + n}" for n in range(1, 9)]
    deliver(config, "2", "u1,i1,buy,9100", "u2,i9,buy,9101", *rows)
    with open_store(config.store) as store:
        new_run = refresh(run, store, publish=True).run
    assert assert_nobody_gets_what_they_have(config, new_run) > 5
    assert new_run.behaviours.held_out is not None
    nova = new_run.vocabularies[NodeLabel.USER].index("nova")
    assert len(new_run.known_items(nova)) == 7  # i8 is another's name
    assert 0 < len(new_run.behaviours.held_out.row(nova)) < 7


def test_a_deployed_run_learns_from_every_row_that_comes(tmp_path: Path) -> None:
    config, run = trained(tmp_path, "embedded:", training={"deploy": True})
    deliver(config, "2", *(f"nova,i{n},buy,{9000 + n}" for n in range(1, 9)))
    new_run = refreshed(config, run).run
    nova = new_run.vocabularies[NodeLabel.USER].index("nova")
    assert len(new_run.scorer.history.row(nova)) == 7  # i8 is another's name
    assert new_run.record.chosen_by == run.record.chosen_by != {}
    assert_nobody_gets_what_they_have(config, load_run(new_run.directory))


def test_a_linked_run_is_refreshed_and_forgotten_in(tmp_path: Path) -> None:
    config, run = trained(tmp_path, "embedded:")
    link = tmp_path / "current"
    link.symlink_to(run.directory)
    deliver(config, "2", "u1,i1,buy,9000", "nova,i1,buy,9001", "nova,i2,buy,9002")
    assert refreshed(config, load_run(link)).changed
    assert link.is_symlink()
    assert "nova" in load_run(link).vocabularies[NodeLabel.USER]
    forget(config, user="nova", runs=[link])
    assert link.is_symlink()
    assert "nova" not in load_run(link).vocabularies[NodeLabel.USER]
    assert "nova" not in load_run(run.directory).vocabularies[NodeLabel.USER]


def test_twice_is_as_once(tmp_path: Path) -> None:
    """Folding two deliveries one by one is folding both: nothing is lost on the way."""
    config, run = trained(tmp_path, "embedded:", user_side={"enabled": False})
    deliver(config, "2", "u1,i1,buy,9000", "nova,i1,buy,9001", "nova,i2,buy,9002")
    first = refreshed(config, run, tmp_path / "runs" / "step").run
    deliver(config, "3", "u2,i9,buy,9100", "nova,i4,buy,9101")
    both = refreshed(config, first, tmp_path / "runs" / "both").run
    once = refreshed(config, run, tmp_path / "runs" / "once").run
    everyone = torch.arange(once.scorer.num_users)
    torch.testing.assert_close(both.scorer.score(everyone), once.scorer.score(everyone))
    assert load_run(run.directory).record.graph_version == run.record.graph_version
    assert len(both.record.refreshed) == 2


def test_the_same_graph_gives_the_same_run(tmp_path: Path) -> None:
    config, run = trained(tmp_path, "embedded:")
    copy = refreshed(config, run, tmp_path / "runs" / "copy").run
    mine, theirs = run.scorer.state()[0], load_run(copy.directory).scorer.state()[0]
    assert set(mine) == set(theirs)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert {path.name for path in copy.directory.iterdir()} == {
        path.name for path in run.directory.iterdir()
    }
    assert pd.read_parquet(copy.directory / "nodes.parquet").equals(
        pd.read_parquet(run.directory / "nodes.parquet")
    )


@pytest.mark.parametrize("left", [".first.refreshing", ".first.replaced"])
def test_killed_between_the_renames_the_run_is_there_again(tmp_path: Path, left: str) -> None:
    _, run = trained(tmp_path, "embedded:")
    run.directory.rename(run.directory.with_name(left))
    assert recovered_run(run.directory).record == run.record
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["first"]


def test_what_is_in_the_way_is_refused(tmp_path: Path) -> None:
    config, run = trained(tmp_path, "embedded:")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="is not a run"):
        refreshed(config, run, tmp_path / "other")


def test_attention_keeps_its_embeddings(tmp_path: Path) -> None:
    model = {"encoder": "attention", "num_layers": 1}
    config, run = trained(tmp_path, "embedded:", model=model)
    deliver(config, "2", "nova,i1,buy,9001", "nova,i2,buy,9002")
    fresh = refreshed(config, run).run
    assert fresh.scorer.score(torch.arange(fresh.scorer.num_users)).isfinite().all()


def test_a_refit_run_has_valid_in_its_histories(tmp_path: Path) -> None:
    config, run = trained(tmp_path, "embedded:", training={"refit": True})
    copy = refreshed(config, run, tmp_path / "runs" / "copy").run
    mine, theirs = run.scorer.history, copy.scorer.history
    assert torch.equal(mine.columns, theirs.columns)
    assert copy.record.graph_version == run.record.graph_version


def test_a_forgotten_user_leaves_the_run(tmp_path: Path, engine_uri: str) -> None:
    config, run = trained(tmp_path, engine_uri)
    with open_store(config.store) as opened:
        add_derived(opened)
    (tmp_path / "runs" / "first.partial").mkdir()
    words = (USER, "zora-old-1q")
    assert found_in_files([tmp_path / "runs"], *words)
    receipt = forget(config, user=USER, runs=[run.directory])
    assert receipt.verified
    place = next(place for place in receipt.places if place.name == "run")
    assert (place.removed, place.left) == (2, 0)  # under both names
    assert found_in_files([tmp_path / "runs"], *words) == []
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["first"]
    after = load_run(run.directory)
    assert after.scorer.num_users == run.scorer.num_users - 2
    with open_store(config.store, read_only=True) as opened:
        assert len(Recommender(after, opened).recommend(after.vocabularies[NodeLabel.USER].ids[0]))
    # The rows of all others are theirs: nobody's items changed.
    kept = [
        run.vocabularies[NodeLabel.USER].index(x) for x in after.vocabularies[NodeLabel.USER].ids
    ]
    for new, old in enumerate(kept):
        mine = {run.vocabularies[NodeLabel.ITEM].ids[i] for i in run.scorer.history.row(old)}
        theirs = {after.vocabularies[NodeLabel.ITEM].ids[i] for i in after.scorer.history.row(new)}
        assert mine == theirs


def test_settings_and_record_of_a_run_name_nobody_who_was_forgotten(tmp_path: Path) -> None:
    config, run = trained(tmp_path, "embedded:", defence={"filter": True, "trusted": [USER, "u1"]})
    defence = DefenceRecord(users=["u2", USER], suspicion=[2.0, 3.0], targets={ITEM: 4.0, "i1": 5})
    write_record(run.directory, run.record.model_copy(update={"defence": defence}))
    pages = tmp_path / "runs" / "first" / "explore.html"
    pages.write_text(f"<p>{USER} and {ITEM}</p>")
    for target, word in (({"user": USER}, USER), ({"item": ITEM}, ITEM)):
        assert found_in_files([tmp_path / "runs"], word)
        receipt = forget(config, **target, runs=[run.directory])
        assert receipt.verified
        assert "pages" in str(receipt.to_json()["not_covered"])
        assert found_in_files([tmp_path / "runs"], word) == []
    after = load_run(run.directory)
    assert after.config.defence.trusted == ("u1",)
    assert after.record.defence is not None
    assert (after.record.defence.users, after.record.defence.suspicion) == (["u2"], [2.0])
    assert after.record.defence.targets == {"i1": 5}


def test_a_run_of_another_version_is_told_to_refresh(tmp_path: Path) -> None:
    config, run = trained(tmp_path, "embedded:")
    deliver(config, "2", "u1,i1,buy,9000", "u1,i2,buy,9000", "u1,i3,buy,9000")
    with (
        open_store(config.store, read_only=True) as store,
        pytest.raises(RunError, match="kgrec refresh"),
    ):
        Recommender(run, store)
