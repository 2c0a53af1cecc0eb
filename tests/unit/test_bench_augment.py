"""The table of synthetic edges: thinning, what it measures, what it keeps, and what it says."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from graphs import history_of, make_graph
from typer.testing import CliRunner

from kgrec.augment.world import World
from kgrec.bench import augment_trials
from kgrec.bench.augmentation import run_augmentation
from kgrec.bench.controls import drawn_precision
from kgrec.bench.pages import augmentation_page
from kgrec.bench.sets import fill
from kgrec.bench.thinning import thinned
from kgrec.cli.bench import bench as command
from kgrec.config.bench import ThinConfig, read_bench
from kgrec.data.tables import Dataset, RelationTable
from kgrec.errors import ConfigError, DataError
from kgrec.graph.fetch import fetch_graph
from kgrec.model.incidence import Incidence
from kgrec.schema import EdgeKey, NodeLabel, Role, Split
from kgrec.store.connect import open_store
from kgrec.training.networks import Learner

NUM_USERS, NUM_ITEMS = 150, 60

SETTINGS = """\
[bench]
name = "sparse"
seeds = [3]
thin = { share = 0.5, keep = 4 }
augment = { networks = 2 }

[data]
interactions = "interactions.tsv"
split = { kind = "random", valid = 0.1, test = 0.1 }
triples = "triples.tsv"

[text]
enabled = false

[model]
channels = 8
temperature = 0.2

[training]
epochs = 3

[closed_form]
ridge = 20.0
relation_weights = { genre = 2.0 }

[factors]
iterations = 2
dimensions = 4

[augment]
per_user = 4

[augment.gan]
candidates = 20
pretrain_epochs = 2
rounds = 1
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 users in three groups of taste with 20 of 60 items each."""
    folder = tmp_path_factory.mktemp("sparse")
    rng = np.random.default_rng(0)
    rows = ["user\titem"]
    for user in range(NUM_USERS):
        items = np.arange(NUM_ITEMS)
        weight = 1 / (5 + items) * np.where(items % 3 == user % 3, 1.0, 0.1)
        chosen = rng.choice(NUM_ITEMS, 20, replace=False, p=weight / weight.sum())
        rows += [f"u{user}\ti{item}" for item in chosen]
    (folder / "interactions.tsv").write_text("\n".join(rows) + "\n")
    triples = [f"i{item}\tgenre\tg{item % 3}" for item in range(NUM_ITEMS)]
    (folder / "triples.tsv").write_text("\n".join(["head\trelation\ttail", *triples]) + "\n")
    (folder / "sparse.toml").write_text(SETTINGS)
    return folder


def run(sample: Path, work: Path, *overrides: str, tell: Any = lambda _: None) -> dict[str, Any]:
    bench, settings = read_bench(sample / "sparse.toml", overrides)
    return run_augmentation(
        bench, settings, data=sample, work=work, command="kgrec bench", tell=tell, progress=False
    )


@pytest.fixture(scope="module")
def finished(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    work = tmp_path_factory.mktemp("work")
    return work, run(sample, work)


# --- thinning ------------------------------------------------------------------------------------


def dataset_of(users: list[str], items: list[str], pairs: list[tuple[str, str]]) -> Dataset:
    nodes = {
        NodeLabel.USER: pd.DataFrame({"id": users}),
        NodeLabel.ITEM: pd.DataFrame({"id": items}),
        NodeLabel.ENTITY: pd.DataFrame({"id": pd.Series([], dtype=str)}),
    }

    def frame(wanted: list[tuple[str, str]]) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "head": [users.index(user) for user, _ in wanted],
                "tail": [items.index(item) for _, item in wanted],
            },
            dtype=np.int64,
        )

    views = RelationTable(
        "view", EdgeKey("VIEW", NodeLabel.USER, NodeLabel.ITEM), frame(pairs), Role.EVIDENCE
    )
    valid = frame([(user, "valid") for user in users])
    return Dataset(nodes, {Split.TRAIN: frame(pairs), Split.VALID: valid}, (views,))


def named(dataset: Dataset, edges: pd.DataFrame) -> set[tuple[str, str]]:
    user = dataset.nodes[NodeLabel.USER]["id"].iloc[edges["head"]]
    item = dataset.nodes[NodeLabel.ITEM]["id"].iloc[edges["tail"]]
    return set(zip(user, item, strict=True))


def test_half_of_the_dense_users_keep_what_was_asked_for() -> None:
    users, items = [f"u{n}" for n in range(10)], [*(f"i{n}" for n in range(12)), "valid"]
    pairs = [(user, item) for user in users[:8] for item in items[:12]]
    pairs += [(user, item) for user in users[8:] for item in items[:3]]  # sparse already
    dataset = dataset_of(users, items, pairs)
    thin = thinned(dataset, ThinConfig(share=0.5, keep=5), seed=1)
    left = named(thin, thin.interactions[Split.TRAIN])
    counts = [sum(user == each for user, _ in left) for each in users]
    assert sorted(counts) == [3, 3, 5, 5, 5, 5, 12, 12, 12, 12]
    assert counts[8:] == [3, 3]
    # What they did else with a taken item is gone as well; valid stays as it was.
    assert named(thin, thin.relations[0].edges) == left
    assert len(thin.interactions[Split.VALID]) == 10
    kept = {user: {item for owner, item in left if owner == user} for user in users}
    assert len({frozenset(items) for items in kept.values() if len(items) == 5}) > 1

    # Neither the order of rows nor that of nodes changes who is drawn; the seed does.
    rng = np.random.default_rng(0)
    shuffled = dataset_of(
        [users[n] for n in rng.permutation(10)],
        [items[n] for n in rng.permutation(13)],
        [pairs[n] for n in rng.permutation(len(pairs))],
    )
    again = thinned(shuffled, ThinConfig(share=0.5, keep=5), seed=1)
    assert named(again, again.interactions[Split.TRAIN]) == left
    other = thinned(dataset, ThinConfig(share=0.5, keep=5), seed=2)
    assert named(other, other.interactions[Split.TRAIN]) != left


def test_a_thinned_split_is_another_store(sample: Path, tmp_path: Path) -> None:
    bench, settings = read_bench(sample / "sparse.toml")
    split = fill(bench, settings, sample, tmp_path, 3)
    with open_store(split.config.store, read_only=True) as store:
        graph = fetch_graph(store)
    counts = np.bincount(graph.train.user_index, minlength=NUM_USERS)
    assert (counts == 4).sum() == NUM_USERS // 2
    assert counts.min() == 4
    assert np.median(counts[counts > 4]) > 10
    whole = fill(bench.model_copy(update={"thin": None}), settings, sample, tmp_path, 3)
    assert whole.version != split.version
    assert whole.counts["train"] > split.counts["train"]
    assert whole.counts["test"] == split.counts["test"]


# --- precision of draws --------------------------------------------------------------------------


def test_the_chance_that_a_draw_is_right() -> None:
    def rows(pairs: list[tuple[int, int]]) -> Incidence:
        return history_of(make_graph((2, 5, 0), pairs))

    graph = make_graph((2, 5, 0), [(0, 0)])
    told, hidden = rows([(0, 0), (1, 1)]), rows([(0, 1), (0, 2), (1, 0)])
    world = World(graph, torch.tensor([0, 1]), told, hidden)
    # Two of four are hidden, then one of four.
    assert drawn_precision(world, torch.ones(5)) == pytest.approx((2 / 4 + 1 / 4) / 2)
    # By weights 4, 3, 2, 1, 0: of 6 that are left 5 are right, of 7 there are 4.
    weight = torch.tensor([4, 3, 2, 1, 0])
    assert drawn_precision(world, weight) == pytest.approx((5 / 6 + 4 / 7) / 2)


# --- the table -----------------------------------------------------------------------------------


def test_every_source_is_measured_on_the_same_networks(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    _, report = finished
    names = [row["source"] for row in report["rows"]]
    taught = ["teacher", "knn", "generator", "gan", "popularity", "random"]
    assert names == ["untouched", "none", *taught]
    rows = {row["source"]: row for row in report["rows"]}
    users = report["plan"]["users"]
    assert users == NUM_USERS // 2
    for name in ("untouched", "none"):
        assert rows[name]["edges"] == 0
        assert "difference" not in rows[name]["test"]
    for name in taught:
        row = rows[name]
        assert row["edges"] == 4 * users
        assert 0 <= row["precision"] <= 1
        for split in ("valid", "test"):
            assert len(row[split]["networks"]) == 2
            assert row[split]["ndcg"]["all"] == pytest.approx(np.mean(row[split]["networks"]))
            for cohort, found in row[split]["difference"].items():
                assert found["low"] <= found["difference"] <= found["high"]
                if cohort != "tail":
                    without = rows["none"][split]["ndcg"][cohort]
                    own = row[split]["ndcg"][cohort] - without
                    assert found["difference"] == pytest.approx(own)
            assert row[split]["ndcg"]["sparse"] == row[split]["ndcg"]["users/1-5"]
    # Those that know of taste are right more often than those that do not.
    assert min(rows[name]["precision"] for name in ("teacher", "knn")) > rows["random"]["precision"]
    assert rows["popularity"]["precision"] > rows["random"]["precision"]
    assert set(report["versus"]["test"]) == set(report["versus"]["valid"])
    assert len(report["versus"]["test"]) == 15
    assert report["gate"]["picked"] in {"none", *taught}
    assert report["gate"]["words"].startswith("The gate lets")


def test_what_is_there_is_not_made_again(
    sample: Path, finished: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    work, report = finished
    trained: list[str] = []
    fitted: list[str] = []
    go_on = Learner.go_on

    def counted(self: Learner, number: int, edges: Any, epochs: int, *, keep: bool) -> Any:
        trained.append(f"{'none' if edges is None else edges.source} {number}")
        return go_on(self, number, edges, epochs, keep=keep)

    monkeypatch.setattr(Learner, "go_on", counted)
    monkeypatch.setattr(augment_trials, "fit_part", lambda _, part: fitted.append(part.name))
    assert run(sample, work)["rows"] == report["rows"]
    assert (trained, fitted) == ([], [])
    # As after a kill: one measurement is missing, and comes out as it was.
    (folder,) = (work / "augment").iterdir()
    (folder / "measured-knn-1.safetensors").unlink()
    (folder / "edges-random.safetensors").unlink()
    assert run(sample, work)["rows"] == report["rows"]
    assert (trained, fitted) == (["knn 1"], [])
    # More networks join those that are there.
    more = run(sample, work, "bench.augment.networks=3", 'bench.augment.sources=["knn"]')
    assert trained[1:] == ["none 2", "knn 2"]
    (knn,) = (row for row in more["rows"] if row["source"] == "knn")
    (before,) = (row for row in report["rows"] if row["source"] == "knn")
    assert knn["test"]["networks"][:2] == before["test"]["networks"]


def test_nobody_is_told_of_test_before_the_end(sample: Path, tmp_path: Path) -> None:
    told: list[str] = []
    report = run(sample, tmp_path, 'bench.augment.sources=["knn"]', tell=told.append)
    valid = report["rows"][2]["valid"]["networks"][0]
    assert any(f"knn {valid:.4f}" in line for line in told)
    assert not any(f"{report['rows'][2]['test']['networks'][0]:.4f}" in line for line in told)


def test_the_page_says_what_was_found(finished: tuple[Path, dict[str, Any]]) -> None:
    _, report = finished
    page = augmentation_page(report)
    (knn,) = (row for row in report["rows"] if row["source"] == "knn")
    found = knn["test"]["difference"]["sparse"]
    assert f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]" in page
    assert f"| {knn['test']['ndcg']['sparse']:.4f} |" in page
    assert "50% of the users keep 4 train interactions, drawn with seed 3" in page
    assert "2 networks of 3 epochs" in page
    assert report["gate"]["words"].splitlines()[0] in page


def test_the_command_writes_both_files(sample: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(command)
    arguments = ["--config", str(sample / "sparse.toml"), "--data", str(sample), "--augment"]
    arguments += ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), "--json"]
    arguments += ["--set", 'bench.augment.sources=["random"]', "--set", "bench.augment.networks=1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["kgrec", "bench", *arguments])
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert [row["source"] for row in report["rows"]] == ["untouched", "none", "random"]
    assert json.loads((tmp_path / "out" / "augmentation.json").read_text()) == report
    assert (tmp_path / "out" / "augmentation.md").read_text() == augmentation_page(report)
    assert report["command"].startswith("kgrec bench --config")


def test_what_cannot_be_compared_is_refused(sample: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'ganster'"):
        run(sample, tmp_path, 'bench.augment.sources=["ganster"]')
    with pytest.raises(DataError, match="nobody whom edges could help"):
        run(sample, tmp_path, "augment.at_most=2")
