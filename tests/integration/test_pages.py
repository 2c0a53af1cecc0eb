"""The report and the explorer's pages, in a real browser and as texts."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import browser
import numpy as np
import pytest
from tiny import build_tiny

from kgrec.auditing.trials import ALL_USERS
from kgrec.cli import main
from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.errors import ConfigError, DataError, RunError, VocabularyError
from kgrec.evaluation.evaluate import evaluate
from kgrec.evaluation.floors import fit_floors
from kgrec.exploration import recommendation_subgraph, write_subgraph
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import write_dataset
from kgrec.reporting import ReportData, report, report_html, write_report
from kgrec.reporting.gather import dataset_of, typical_users
from kgrec.reporting.page import data_name
from kgrec.schema import NodeLabel, Split
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.training.directory import Run
from kgrec.training.fit import train
from kgrec.training.record import AugmentRecord

HOSTILE = '</title><script>alert(1)</script><img src=x onerror=alert(2)> & "<b>" 名前'
Site = tuple[GraphStore, Run, ReportData]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A run on items with hostile titles, and what a report tells of it."""
    folder = tmp_path_factory.mktemp("pages")
    settings = build_tiny(folder)
    items = folder / "items.tsv"
    text = items.read_text(encoding="utf-8")
    items.write_text(text.replace("The sea", f"{HOSTILE} sea"), encoding="utf-8")
    config = Config.load(settings)
    with open_store(config.store) as store:
        write_dataset(load_dataset(config.data, seed=0), store)
        run = train(config, fetch_graph(store), folder / "run", progress=False)
        yield store, run, report(run, store, progress=False)


@pytest.fixture(scope="module")
def page(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(with_everything(site[2]), path)
    return path


def with_everything(data: ReportData) -> ReportData:
    """The report of a run that was audited and had synthetic edges."""
    gain = {"difference": 0.02, "low": 0.01, "high": 0.03}
    audit = {
        "verdict": {"alarm": True, "sentences": [f"ALARM: {HOSTILE}"]},
        "edges": {"genre": 40},
        "differences": {
            name: {"ndcg@20": {ALL_USERS: gain}}
            for name in ("no graph", "permuted", "without genre")
        },
    }
    augment = {
        "picked": "teacher", "words": f"The gate says {HOSTILE}",
        "sources": {"teacher": {"cohorts": {"sparse": gain}}},
    }  # fmt: skip
    record = data.run.record.model_copy(update={"augment": AugmentRecord(**augment)})
    return replace(data, audit=audit, run=replace(data.run, record=record))


# --- in a browser --------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1100, False), (390, True)])
def test_the_report_in_a_browser(page: Path, width: int, dark: bool) -> None:
    with browser.opened(page, width, dark=dark) as chrome:
        assert browser.complaints(chrome) == []
        assert browser.requested(chrome) == {"file"}
        assert browser.spills(chrome) == []
        pictures = browser.sizes(chrome, "svg")
        assert len(pictures) > 8
        assert min(min(both) for both in pictures) > 25
        paper = chrome.execute_script("return getComputedStyle(document.body).backgroundColor")
        dark_paper = sum(map(int, re.findall(r"\d+", paper)[:3])) < 200
        assert dark_paper == dark
        assert chrome.execute_script("return document.querySelectorAll('script, img').length") == 0
        told = chrome.execute_script("return document.body.innerText")
        assert "onerror=alert(2)" in told  # as a name, for people to read


@pytest.mark.browser
def test_the_explorer_in_a_browser(site: Site, tmp_path: Path) -> None:
    store, run, _ = site
    path = tmp_path / "why.html"
    write_subgraph(recommendation_subgraph(run, store, "u4", ["i2"], around=4), path)
    with browser.opened(path, 1100, settle=2.0) as chrome:
        assert [c for c in browser.complaints(chrome) if "SEVERE" in c or "rror" in c] == []
        assert browser.requested(chrome) <= {"file", "data", "blob"}
        assert max(both[0] for both in browser.sizes(chrome, "canvas")) > 500
        assert chrome.execute_script("return document.querySelectorAll('img').length") == 0


# --- what it tells -------------------------------------------------------------------------------


def test_numbers_are_those_of_the_evaluation(site: Site) -> None:
    store, run, data = site
    graph = fetch_graph(store)
    mine = evaluate(run.scorer, graph, "test", seed=run.config.seed)
    assert data.measured["metrics"]["ndcg@20"] == pytest.approx(mine.metrics["ndcg@20"])
    for name, floor in fit_floors(graph).items():
        found = evaluate(floor, graph, "test", seed=run.config.seed)
        interval = data.intervals[name]["ndcg"]
        assert interval.difference == pytest.approx(found.metrics["ndcg@20"])
        assert interval.low < interval.difference < interval.high
    html = report_html(data)
    assert f"{mine.metrics['ndcg@20']:.4f}" in html
    for difference in data.measured["differences"].values():
        assert f"{difference['ndcg@20']['difference']:+.4f}" in html


def test_the_report_is_titled_by_its_data_and_day(site: Site, tmp_path: Path) -> None:
    (heading,) = re.findall(r"<h1>(.*?)</h1>", report_html(site[2]))
    assert re.fullmatch(r".+, \d{1,2} [A-Z][a-z]+ \d{4}", heading)
    assert "Run run: what" in report_html(site[2])
    for path, name in (("ml-100k.inter", "ml-100k"), ("shop/interactions.csv.gz", "shop")):
        tree = {"data": {"interactions": str(tmp_path / path)}}
        assert data_name(Config.build(tree)) == name


def test_cards_of_a_row_are_of_one_height(page: Path) -> None:
    (rule,) = re.findall(r"\.pair \{(.*?)\}", page.read_text(encoding="utf-8"), re.DOTALL)
    assert "align-items: stretch" in rule


def test_hostile_names_are_text(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert not re.search(r"(src|href)=\"(?!#)", html)
    assert page.stat().st_size < 8_000_000


def test_every_picture_says_what_it_shows(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    pictures = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    for picture in pictures:
        title = re.search(r"<title[^>]*>(.+?)</title><desc[^>]*>(.+?)</desc>", picture, re.DOTALL)
        assert title is not None
        assert 'role="img"' in picture
    for anchor in re.findall(r'href="#([^"]+)"', html):
        assert anchor in ids


def test_sections_come_with_what_there_is(site: Site) -> None:
    bare, full = report_html(site[2]), report_html(with_everything(site[2]))
    assert "Not measured: <code>kgrec train --audit" in bare
    assert "Synthetic edges" not in bare
    assert "The gate says" in full
    assert ">alarm<" in full


def test_the_data_card_is_of_the_graph_in_the_store(site: Site) -> None:
    store, _, data = site
    graph = fetch_graph(store)
    dataset = dataset_of(graph)
    assert {label: len(frame) for label, frame in dataset.nodes.items()} == {
        label: len(graph.vocabularies[label]) for label in NodeLabel
    }
    assert data.card.interactions == len(graph.train) + sum(map(len, graph.held_out.values()))
    assert data.card.relation_edges == sum(map(len, graph.relations))


def test_examples_are_of_users_with_few_and_many_items(site: Site) -> None:
    store, _, data = site
    graph = fetch_graph(store)
    counts = dict(
        zip(graph.vocabularies[NodeLabel.USER].ids,
            np.bincount(graph.train.user_index, minlength=graph.num_users).tolist(), strict=True)
    )  # fmt: skip
    users = typical_users(graph)
    assert [counts[user] for user in users] == sorted(counts[user] for user in users)
    assert [example.user_id for example in data.examples] == users
    for example in data.examples:
        assert example.num_history == counts[example.user_id]
        assert example.why is not None
        assert example.why.trails


def test_what_cannot_be_reported_is_refused(site: Site, tmp_path: Path) -> None:
    store, run, data = site
    with pytest.raises(VocabularyError, match="no user 'nobody'"):
        report(run, store, users=["nobody"], progress=False)
    with pytest.raises(DataError, match="folder that exists"):
        write_report(data, tmp_path / "none" / "report.html")
    other = replace(run, record=run.record.model_copy(update={"graph_version": "other"}))
    with pytest.raises(RunError, match="graph version"):
        report(other, store, progress=False)


# --- the command line ----------------------------------------------------------------------------


def answer(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_commands_write_files_and_say_so(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(site[1].directory)
    told = answer(["explore", "--run", run, "--user", "u4", "-o", str(tmp_path / "a.svg")], capsys)
    assert (tmp_path / "a.svg").is_file()
    assert told["trails"]
    told = answer(["explore", "--run", run, "--item", "i4", "-o", str(tmp_path / "b.png")], capsys)
    assert told["complete"] is True
    told = answer(["report", "--run", run, "-o", str(tmp_path / "r.html"), "--split", "valid"],
                  capsys)  # fmt: skip
    assert told["measured"]["split"] == str(Split.VALID)
    assert told["bytes"] == (tmp_path / "r.html").stat().st_size


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["explore", "-o", "x.gif", "--user", "u4"], 2, "neither a page nor a picture"),
        (["explore", "-o", "x.png"], 2, "nothing to look at"),
        (["explore", "-o", "x.png", "--user", "u4", "--entity", "e"], 2, "one of the two"),
        (["explore", "-o", "x.png", "--user", "nobody"], 1, "knows nothing of user 'nobody'"),
        (["explore", "-o", "x.png", "--item", "i999"], 1, "no Item has the id 'i999'"),
        (["report", "-o", "report.txt"], 2, "ends in .html"),
    ],
)
def test_bad_input_is_told_in_one_line(
    site: Site, arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    command, *rest = arguments
    assert main([command, "--run", str(site[1].directory), *rest]) == code
    err = capsys.readouterr().err
    assert told in " ".join(err.split())
    assert "Traceback" not in err


def test_a_page_needs_neo4j_viz(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    store, run, _ = site
    monkeypatch.setitem(sys.modules, "neo4j_viz", None)
    with pytest.raises(ConfigError, match=r"pip install 'kgrec\[viz\]'"):
        write_subgraph(recommendation_subgraph(run, store, "u4", ["i2"]), tmp_path / "why.html")
