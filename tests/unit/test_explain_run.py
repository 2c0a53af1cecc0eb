"""Explanations of a trained run: sums on every test pair, the command line, edges nobody stated."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from tiny import build_tiny

from kgrec.cli import main
from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.explanation.explainer import Explainer, explain
from kgrec.graph.data import GraphData
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import write_dataset
from kgrec.recommender import Recommender
from kgrec.schema import EdgeKey, NodeLabel, Split
from kgrec.store.connect import open_store
from kgrec.training.directory import Run
from kgrec.training.fit import train


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, GraphData]:
    """A run over a store that holds edges which somebody made up."""
    folder = tmp_path_factory.mktemp("explained")
    config = Config.load(build_tiny(folder))
    training = config.training.model_copy(update={"ensemble": 2})
    config = config.model_copy(update={"training": training})
    with open_store(config.store) as store:
        write_dataset(load_dataset(config.data, seed=0), store)
        store.write_rows(
            "upsert_edges",
            [[f"u{user}", f"i{(user + 1) % 40}", {}] for user in range(60)],
            key=EdgeKey("SYNTHETIC", NodeLabel.USER, NodeLabel.ITEM),
        )
        count = store.read("count_edges", key=EdgeKey("SYNTHETIC", NodeLabel.USER, NodeLabel.ITEM))
        assert count[0]["count"] == 60
        graph = fetch_graph(store)
    return train(config, graph, folder / "run", progress=False), graph


def test_all_sums_on_every_test_pair(site: tuple[Run, GraphData]) -> None:
    run, graph = site
    explainer = Explainer(run)
    users, items = (run.vocabularies[label].ids for label in (NodeLabel.USER, NodeLabel.ITEM))
    test = graph.held_out[Split.TEST]
    assert len(test) > 50
    for user, item in zip(test.user_index.tolist(), test.item_index.tolist(), strict=True):
        score = float(run.scorer.score(torch.tensor([user]))[0, item])
        found = explainer.pair(users[user], items[item], 3, num_counterfactuals=0)
        near = pytest.approx(score, abs=1e-5, rel=1e-5)
        assert found.score == near
        assert sum(part.share for part in found.parts) == near
        assert sum(own.share for own in found.own_items) + found.rest == near
        assert sum(found.relations.values()) == near
        assert sum(layer.share for layer in found.layers) + found.beside_layers == near
        assert found.linked + found.apart + found.beside_layers == near


def test_made_up_edges_are_in_no_path_and_no_share(site: tuple[Run, GraphData]) -> None:
    run, graph = site
    told = set()
    for relation in graph.relations:
        told |= {
            (relation.key.type, f"{relation.key.head}:{head}", f"{relation.key.tail}:{tail}")
            for head, tail in zip(
                relation.head_index.tolist(), relation.tail_index.tolist(), strict=True
            )
        }
    for head, tail in zip(
        graph.train.user_index.tolist(), graph.train.item_index.tolist(), strict=True
    ):
        told.add(("INTERACTED", f"User:{head}", f"Item:{tail}"))
    explainer = Explainer(run)
    for user in range(0, 60, 7):
        for item in (user + 1, user + 3):
            found = explainer.pair(f"u{user}", f"i{item % 40}", 50, num_counterfactuals=0)
            assert "SYNTHETIC" not in found.relations
            for path in found.paths:
                ends = [
                    f"{node.label}:{run.vocabularies[NodeLabel(node.label)].index(node.id)}"
                    for node in path.nodes
                ]
                for (a, b), step in zip(pairwise(ends), path.relations, strict=True):
                    fact = (step.type, a, b) if step.forward else (step.type, b, a)
                    assert fact in told


def test_a_recommender_and_its_run_are_explained_alike(site: tuple[Run, GraphData]) -> None:
    run, _ = site
    one = explain(Recommender(run), "u4", "i6", renormalise=True)
    assert one == explain(run, "u4", "i6", renormalise=True)
    assert len(one.paths) == 5
    assert one.paths_complete
    (own, *_) = Recommender(run).contributions("u4", ["i6"])[0].own_items
    assert one.own_items[0].item_id == own.item_id
    assert one.own_items[0].share == pytest.approx(own.share, abs=1e-5)
    assert all(path.text.startswith("you took The sea") for path in one.paths)


def test_without_networks_there_are_own_items_but_no_paths(site: tuple[Run, GraphData]) -> None:
    run, _ = site
    parts = run.scorer.parts
    assert "closed_form" in parts
    bare = replace(run, scorer=parts["closed_form"])  # type: ignore[arg-type]
    found = explain(bare, "u4", "i6")
    assert (found.paths, found.layers, found.linked) == ((), (), 0.0)
    assert sum(own.share for own in found.own_items) == pytest.approx(found.score, abs=1e-5)
    assert found.counterfactuals


def test_the_command_tells_a_pair(
    site: tuple[Run, GraphData], capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(site[0].directory)
    capsys.readouterr()
    asked = ["explain", "--run", run, "--user", "u4", "--item", "i6", "--paths", "3"]
    assert main([*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    found = explain(site[0], "u4", "i6", 3, renormalise=True)
    assert told["score"] == found.score
    assert [path["text"] for path in told["paths"]] == [path.text for path in found.paths]
    assert told["paths"][0]["nodes"][0] == {"label": "User", "id": "u4", "name": "u4"}
    assert main([*asked, "--language", "zh"]) == 0
    out = capsys.readouterr().out
    assert "你选择过《The sea" in out
    assert f"score {found.score:.4f}" in out


def test_the_command_judges_explanations(
    site: tuple[Run, GraphData], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["explain", "--run", str(site[0].directory), "--metrics", "5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pairs"], told["paths"]) == (5, 25)
    assert 0 < told["values"]["fidelity_deletion"] <= 1.5


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "nothing to explain; give --user ID and --item ID, or --metrics N"),
        (["--user", "u1", "--item", "i1", "--paths", "-1"], 2, "must not be negative"),
        (["--user", "u1", "--item", "i1", "--language", "xx"], 2, "not told in 'xx'"),
        (["--user", "u1", "--item", "nothing"], 1, "no Item has the id 'nothing'"),
    ],
)
def test_wrong_questions_are_refused(
    site: tuple[Run, GraphData],
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    capsys.readouterr()
    assert main(["explain", "--run", str(site[0].directory), *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_a_run_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--run", str(tmp_path), "--user", "a", "--item", "b"]) == 1
    assert "no run in" in capsys.readouterr().err
