"""A run, a journal and a store that version 0.1 made load and answer.

They lie in tests/data/made-by-0.1, whose make.py made them with that version, with the lists that
it gave for every user: at once, and after a delivery of new interactions, users and items.
"""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kgrec.cli import main
from kgrec.config import Config
from kgrec.errors import ConfigError
from kgrec.graph.fetch import fetch_graph
from kgrec.model.cold import ColdCompletion
from kgrec.model.cold_users import ColdUsers
from kgrec.recommender import Recommender
from kgrec.schema import NodeLabel
from kgrec.store.connect import open_store
from kgrec.training.directory import load_run

MADE_BY_0_1 = Path(__file__).parents[1] / "data" / "made-by-0.1"
GONE = ("augment.use", "augment.gan.loss", "augment.weights", "augment.source = popularity")

Lists = dict[str, list[tuple[str, float]]]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to work on, before the delivery, with settings that no longer name what is gone."""
    monkeypatch.setenv("KGREC_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "shop"
    shutil.copytree(MADE_BY_0_1, folder)
    (folder / "events-2.csv").unlink()
    kept, _, data = (folder / "shop.toml").read_text().partition("[augment]")
    data = data[data.index("[data]") :]
    (folder / "shop.toml").write_text(kept + data)
    return folder


def lists(run_dir: Path, settings: Path) -> Lists:
    run = load_run(run_dir)
    with open_store(Config.load(settings).store, read_only=True) as store:
        served = Recommender(run, store)
        return {
            user: [(place.item_id, place.score) for place in served.recommend(user, 10)]
            for user in run.vocabularies[NodeLabel.USER].ids
        }


def expected(name: str) -> Any:
    return json.loads((MADE_BY_0_1 / "answers.json").read_text())[name]


def held_out(settings: Path) -> dict[str, set[str]]:
    with open_store(Config.load(settings).store, read_only=True) as store:
        graph = fetch_graph(store)
    items = {user: set[str]() for user in graph.vocabularies[NodeLabel.USER].ids}
    for part in graph.held_out.values():
        for user, item in zip(part.user_index.tolist(), part.item_index.tolist(), strict=True):
            ids = graph.vocabularies[NodeLabel.USER].ids[user]
            items[ids].add(graph.vocabularies[NodeLabel.ITEM].ids[item])
    assert any(items.values())
    return items


def assert_same(answers: Lists, wanted: dict[str, Any], met: dict[str, set[str]]) -> None:
    """Compares within what another processor rounds; items of one score may change places.

    Version 0.1 also gave what users have met in valid and test; others have moved up since.
    """
    assert set(answers) == set(wanted)
    for user, places in answers.items():
        assert met[user].isdisjoint(item for item, _ in places)
        scores = {item: score for item, score in wanted[user] if item not in met[user]}
        last = wanted[user][-1][1]
        assert len(places) >= len(scores)
        assert all(score <= last + 1e-5 for _, score in places[len(scores) :])
        for item, score in places[: len(scores)]:
            assert score == pytest.approx(scores.get(item, last), rel=1e-5, abs=1e-5), (user, item)


def test_the_run_gives_the_lists_that_it_gave(shop: Path) -> None:
    settings = shop / "shop.toml"
    assert_same(lists(shop / "run", settings), expected("before"), held_out(settings))


def test_without_its_store_the_run_is_served_with_a_warning(
    shop: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = load_run(shop / "run")
    assert run.behaviours.held_out is None
    with caplog.at_level(logging.WARNING, "kgrec.recommender"):
        Recommender(run)
    (note,) = [entry.getMessage() for entry in caplog.records if entry.name == "kgrec.recommender"]
    assert "version 0.1" in note
    assert "kgrec refresh" in note


def test_the_run_loads_with_one_note_on_the_settings_that_are_gone(
    shop: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run = load_run(shop / "run")
    (note,) = [entry.getMessage() for entry in caplog.records]
    assert all(name in note for name in GONE), note
    assert str(shop / "run") in note
    assert run.config.augment.source == "none"
    assert run.config.model.channels == 8  # what stays is read as it was
    record = run.record
    assert record.kgrec_version == "0.1.0"
    assert set(record.settings) == {
        "closed_form", "user_side", "factors", "directed", "temperature"
    }  # fmt: skip
    assert set(record.fusion.weights) == set(run.scorer.parts)
    assert record.network is not None
    assert record.network.history[0]["epoch"] == 1
    assert record.augment is not None
    assert record.augment.source == "popularity"
    assert record.cold is not None
    assert record.cold.is_used
    assert record.cold.settings["views"] == ["genre", "edges"]
    assert record.cold_users is not None
    assert record.cold_users.views == ["in_team", "view"]
    # It has every kind of scorer that version 0.1 had.
    assert isinstance(run.scorer, ColdUsers)
    assert isinstance(run.scorer.scorer, ColdCompletion)
    assert set(run.scorer.parts) == {
        "closed_form", "user_side", "factors", "directed", "network", "popularity"
    }  # fmt: skip


def test_settings_of_a_person_are_refused_with_what_replaces_them() -> None:
    with pytest.raises(ConfigError) as refusal:
        Config.load(MADE_BY_0_1 / "shop.toml")
    for name in GONE:
        assert f"{name} is gone since 0.2" in str(refusal.value)


def test_the_store_answers_queries(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"embedded:{shop / 'graph.kgl'}"
    assert main(["query", "popular", "--store", uri, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    events = pd.read_csv(shop / "events-1.csv")
    bought = events[events["behaviour"] == "buy"]["item"].value_counts()
    assert len(rows) == 20
    assert all(0 < row["users"] <= bought[row["id"]] for row in rows)  # those of train
    graph_version = load_run(shop / "run").record.graph_version
    with open_store(Config.load(shop / "shop.toml").store, read_only=True) as store:
        graph = fetch_graph(store)
    assert graph.version == graph_version


def test_a_delivery_is_ingested_and_the_run_refreshed(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(MADE_BY_0_1 / "events-2.csv", shop)
    assert main(["ingest", "--config", str(shop / "shop.toml"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    # What lies there unchanged is not read again.
    assert [(load["source"], load["rows"]) for load in report["loads"]] == [("events", 7)]
    assert report["version"] == expected("version after")
    store = ["--store", f"embedded:{shop / 'graph.kgl'}"]
    assert main(["refresh", "--run", str(shop / "run"), *store, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["nodes"]["User"] == {"new": 1, "gone": 0}
    assert answer["nodes"]["Item"] == {"new": 1, "gone": 0}
    settings = shop / "shop.toml"
    assert_same(lists(shop / "run", settings), expected("after"), held_out(settings))
    # The run is of this version now: nothing is gone from its settings, its record is typed anew.
    tree = json.loads((shop / "run" / "record.json").read_text())
    assert tree["layout"] == 5
    assert "closed_form" in tree["settings"]
    assert "use" not in json.loads((shop / "run" / "config.json").read_text())["augment"]
