"""Peers of hopwise: what they are given, what is read back, and what happens when they fail."""

import ast
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from kgrec.bench.hopwise import driver, fit
from kgrec.bench.hopwise.atomic import write_atomic
from kgrec.bench.hopwise.fit import PEERS, Peer, fit_hopwise
from kgrec.bench.hopwise.scores import MatrixScorer, read_scores
from kgrec.errors import ConfigError, DataError, KgrecError, RunError
from kgrec.evaluation.evaluate import evaluate
from kgrec.graph.data import GraphData, Interactions, RelationEdges
from kgrec.model.graph_scorer import EmbeddingScorer
from kgrec.schema import EdgeKey, NodeLabel, Role, Split
from kgrec.vocabulary import Vocabulary

USER, ITEM, ENTITY = NodeLabel


def pairs(*rows: tuple[int, int]) -> Interactions:
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return Interactions(table[:, 0].copy(), table[:, 1].copy())


def edges(
    name: str, head: NodeLabel, tail: NodeLabel, rows: list[tuple[int, int]], role: Role
) -> RelationEdges:
    table = np.array(rows, dtype=np.int64)
    return RelationEdges(name, EdgeKey(name, head, tail), table[:, 0], table[:, 1], role)


@pytest.fixture
def graph() -> GraphData:
    """Users 0 and 1 train; 2 is only in valid, 3 only in test. Item 4 has met nobody."""
    return GraphData(
        version="v",
        vocabularies={
            USER: Vocabulary(["a\tb", "u1", "u2", "u3"], "User"),
            ITEM: Vocabulary(["x", "y", "z", "w", "new"], "Item"),
            ENTITY: Vocabulary(["e", "f"], "Entity"),
        },
        properties={label: pd.DataFrame() for label in NodeLabel},
        train=pairs((0, 0), (0, 1), (1, 1), (1, 2)),
        held_out={
            Split.VALID: pairs((0, 2), (1, 0), (2, 0)),
            Split.TEST: pairs((0, 3), (1, 3), (3, 3)),
        },
        relations=(
            edges("GENRE", ITEM, ENTITY, [(0, 1), (4, 0), (0, 1)], Role.RELATION),
            edges("PART_OF", ENTITY, ENTITY, [(1, 0)], Role.RELATION),
            edges("SEQUEL", ITEM, ITEM, [(1, 0)], Role.RELATION),
            edges("WROTE", USER, ENTITY, [(0, 0)], Role.RELATION),
            edges("VIEW", USER, ITEM, [(1, 3)], Role.EVIDENCE),
            edges("DISLIKED", USER, ITEM, [(0, 4)], Role.NEGATIVE),
        ),
    )


FILES = {
    "train.inter": "user_id:token\titem_id:token\n0\t0\n0\t1\n1\t1\n1\t2\n",
    "valid.inter": "user_id:token\titem_id:token\n0\t2\n1\t0\n",
    "user": "user_id:token\n0\n1\n2\n3\n",
    "item": "item_id:token\n0\n1\n2\n3\n4\n",
    "kg": "head_id:token\trelation_id:token\ttail_id:token\n"
    "i0\tGENRE\te1\ni4\tGENRE\te0\ne1\tPART_OF\te0\ni1\tSEQUEL\ti0\n",
    "link": "item_id:token\tentity_id:token\n0\ti0\n1\ti1\n4\ti4\n",  # 2, 3: no triple
}


class TestAtomicFiles:
    def test_are_what_one_writes_by_hand(self, graph: GraphData, tmp_path: Path) -> None:
        counts = write_atomic(graph, tmp_path)
        written = {
            path.name.removeprefix("kgrec."): path.read_bytes().decode()
            for path in (tmp_path / "kgrec").iterdir()
        }
        assert written == FILES
        assert counts == {
            "train": 4, "valid": 2, "user": 4, "item": 5, "kg": 4, "link": 3, "judged": 2,
            "nodes": 7,
        }  # fmt: skip

    def test_do_not_depend_on_test(self, graph: GraphData, tmp_path: Path) -> None:
        other = {Split.VALID: graph.held_out[Split.VALID], Split.TEST: pairs((2, 2), (0, 4))}
        write_atomic(graph, tmp_path / "one")
        write_atomic(replace(graph, held_out=other), tmp_path / "two")
        for path in (tmp_path / "one" / "kgrec").iterdir():
            assert path.read_bytes() == (tmp_path / "two" / "kgrec" / path.name).read_bytes()

    @pytest.mark.parametrize("held_out", [{}, {Split.VALID: pairs((2, 0))}])
    def test_without_valid_a_training_pair_stands_in(
        self, graph: GraphData, tmp_path: Path, held_out: dict[Split, Interactions]
    ) -> None:
        counts = write_atomic(replace(graph, held_out=held_out), tmp_path)
        assert (counts["valid"], counts["judged"]) == (1, 0)
        lines = (tmp_path / "kgrec" / "kgrec.valid.inter").read_text().splitlines()
        assert lines[1:] == ["0\t0"]

    def test_want_training_pairs(self, graph: GraphData, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="expected pairs, got none"):
            write_atomic(replace(graph, train=pairs()), tmp_path)


class TestScores:
    def test_of_embeddings_are_products_and_popularity_where_unknown(
        self, graph: GraphData, tmp_path: Path
    ) -> None:
        user = np.array([[1, 0], [1, 2], [9, 9], [9, 9]], dtype=np.float32)
        item = np.array([[1, 1], [0, 2], [3, 0], [1, 0], [0, 0]], dtype=np.float32)
        np.save(tmp_path / "user.npy", user)
        np.save(tmp_path / "item.npy", item)
        scorer = read_scores(tmp_path, graph)
        assert isinstance(scorer, EmbeddingScorer)
        popularity = np.log1p([1, 2, 1, 0, 0])
        expected = [[1, 0, 3, 1, 0], [3, 4, 3, 1, 0], popularity, popularity]
        assert scorer.score(torch.arange(4)).numpy() == pytest.approx(np.array(expected), abs=1e-6)

    def matrix(self, graph: GraphData, folder: Path) -> MatrixScorer:
        scores = np.arange(20, dtype=np.float32).reshape(4, 5) % 7
        np.save(folder / "scores.npy", scores)
        scorer = read_scores(folder, graph)
        assert isinstance(scorer, MatrixScorer)
        return scorer

    def test_of_a_matrix_are_its_rows(self, graph: GraphData, tmp_path: Path) -> None:
        scorer = self.matrix(graph, tmp_path)
        got = scorer.score(torch.tensor([1, 3, 0, 1]))
        assert got[[0, 2, 3]].tolist() == [[5, 6, 0, 1, 2], [0, 1, 2, 3, 4], [5, 6, 0, 1, 2]]
        assert got[1].numpy() == pytest.approx(np.log1p([1, 2, 1, 0, 0]))
        again = MatrixScorer.from_state(*scorer.state())
        assert torch.equal(again.score(torch.arange(4)), scorer.score(torch.arange(4)))
        assert (scorer.num_users, scorer.num_items) == (4, 5)

    def test_of_a_matrix_add_up(self, graph: GraphData, tmp_path: Path) -> None:
        scorer = self.matrix(graph, tmp_path)
        found = scorer.contributions(1, torch.tensor([1, 4]))
        assert found.score.tolist() == [6, 2]
        assert found.own_items.tolist() == [1, 2]
        assert torch.equal(found.by_item.sum(1) + found.rest, found.score)
        assert torch.equal(found.by_relation.sum(1), found.score)

    def test_of_another_graph_are_refused(self, graph: GraphData, tmp_path: Path) -> None:
        np.save(tmp_path / "scores.npy", np.zeros((4, 4), dtype=np.float32))
        with pytest.raises(RunError, match=r"\(4, 4\).*expected \(4, 5\)"):
            read_scores(tmp_path, graph)

    def test_that_are_missing_are_named(self, graph: GraphData, tmp_path: Path) -> None:
        with pytest.raises(RunError, match=r"user\.npy is missing"):
            read_scores(tmp_path, graph)


#: A driver that trains nothing: user u scores item i by (u + 1) · i.
DRIVER = """
import json, sys
from pathlib import Path
import numpy as np

job = json.loads(Path(sys.argv[1]).read_text())
out = Path(job["out"])
print("a warning of some library")
for epoch, value in enumerate((0.25, 0.5)):
    print("@kgrec " + json.dumps({"epoch": epoch + 1, "ndcg@20": value}))
np.save(out / "user.npy", np.arange(1, job["num_users"] + 1, dtype=np.float32)[:, None])
np.save(out / "item.npy", np.arange(job["num_items"], dtype=np.float32)[:, None])
history = [
    {"epoch": n, "seconds": 2.0 * n, "training_seconds": n, "cpu_seconds": n, "ndcg@20": n / 4}
    for n in (1, 2)
]
(out / "result.json").write_text(json.dumps({
    "seconds": 4.5, "cpu_seconds": 3.0, "evaluation_seconds": 2.0,
    "peak_memory_mb": 123.0, "parameters": 9,
    "settings": {"learning_rate": 0.001}, "epochs": 2, "best_epoch": 2, "stopped": "early",
    "versions": {"hopwise": "x"}, "threads": job["threads"], "valid_history": history,
}))
"""


class TestFit:
    @pytest.fixture(autouse=True)
    def _this_python(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """kgrec's own environment serves, with drivers that do not need hopwise."""
        monkeypatch.setattr(fit, "hopwise_python", lambda: Path(sys.executable))
        self.use(monkeypatch, tmp_path, DRIVER)

    def use(self, monkeypatch: pytest.MonkeyPatch, folder: Path, source: str) -> None:
        (folder / "fake.py").write_text(source)
        monkeypatch.setattr(fit, "DRIVER", folder / "fake.py")

    def test_reads_back_what_the_driver_wrote(self, graph: GraphData, tmp_path: Path) -> None:
        result = fit_hopwise("LightGCN", graph, 7, tmp_path / "work", threads=1)
        assert result.scorer.score(torch.tensor([1]))[0].tolist() == [0, 2, 4, 6, 8]
        assert (result.seconds, result.peak_memory_mb) == (4.5, 123.0)
        assert result.parameters == {"": 9}
        choices = dict(result.choices)
        assert (choices["cpu_seconds"], choices["evaluation_seconds"]) == (3.0, 2.0)
        assert (choices["epochs"], choices["best_epoch"], choices["valid_ndcg@20"]) == (2, 2, 0.5)
        assert choices["stopped_by"] == "patience"
        assert choices["history"] == [
            {"epoch": n, "seconds": 2.0 * n, "training_seconds": n, "cpu_seconds": n,
             "valid_ndcg@20": n / 4}
            for n in (1, 2)
        ]  # fmt: skip
        assert choices["settings"]["learning_rate"] == 0.001
        assert choices["settings"]["threads"] == 1
        # User 0 has items 0 and 1, dislikes 4 and sees 3, 2: the truth is second. User 1 has 1 and
        # 2 and sees 4, 3, 0: third. User 2 is unknown: after item 1, 0 is tied with 2, so third.
        found = evaluate(result.scorer, graph, Split.VALID, k=(3,))
        gains = 1 / np.log2([3, 4, 4])
        assert found.per_user["ndcg@3"].tolist() == pytest.approx(gains.tolist())

    def test_without_looks_there_is_no_value_on_valid(
        self, graph: GraphData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        silent = DRIVER.replace('"valid_history": history', '"valid_history": []')
        self.use(monkeypatch, tmp_path, silent)
        choices = dict(fit_hopwise("LightGCN", graph, 7, tmp_path / "work").choices)
        assert (choices["history"], choices["valid_ndcg@20"]) == ([], None)

    def test_tells_the_driver_all_it_needs(self, graph: GraphData, tmp_path: Path) -> None:
        work = tmp_path / "work"
        fit_hopwise("KGIN", graph, 7, work, epochs=3, settings={"learning_rate": 0.5})
        job = json.loads((work / "job.json").read_text())
        assert job["sizes"] == [4, 2]
        assert job["scored_users"] == [0, 1]
        assert job["evaluate"] is True
        config = job["config"]
        assert config["benchmark_filename"] == ["train", "valid", "valid"]
        assert (config["seed"], config["epochs"], config["learning_rate"]) == (7, 3, 0.5)
        assert (config["kg_reverse_r"], config["stopping_step"]) == (True, 50)
        assert set(config["load_col"]) == {"inter", "user", "item", "kg", "link"}
        assert "library" in (work / "driver.log").read_text()

    def test_shows_no_graph_to_a_peer_without(self, graph: GraphData, tmp_path: Path) -> None:
        bare = replace(graph, relations=())
        fit_hopwise("LightGCN", bare, 0, tmp_path / "work")
        job = json.loads((tmp_path / "work" / "job.json").read_text())
        assert set(job["config"]["load_col"]) == {"inter", "user", "item"}
        with pytest.raises(ConfigError, match="expected relations"):
            fit_hopwise("CFKG", bare, 0, tmp_path / "work")

    def test_results_of_an_earlier_run_do_not_count(
        self, graph: GraphData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fit_hopwise("LightGCN", graph, 0, tmp_path / "work")
        self.use(monkeypatch, tmp_path, "")
        with pytest.raises(RunError, match=r"result\.json is missing"):
            fit_hopwise("LightGCN", graph, 0, tmp_path / "work")

    def test_a_failing_driver_gives_its_last_lines(
        self, graph: GraphData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines = "for n in range(40): print('line', n)\nraise ValueError('Training loss is nan')"
        self.use(monkeypatch, tmp_path, lines)
        with pytest.raises(KgrecError, match="ended with 1; expected 0") as caught:
            fit_hopwise("LightGCN", graph, 0, tmp_path / "work")
        said = str(caught.value).splitlines()
        assert said[-1] == "ValueError: Training loss is nan"
        assert "line 39" in said
        assert "line 20" not in said

    def test_the_environment_of_the_caller_stays_outside(
        self, graph: GraphData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No PYTHONPATH, no module of the driver's folder; the threads asked for."""
        (tmp_path / "json.py").write_text("raise SystemExit(3)")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        source = "import os\nassert os.environ['OMP_NUM_THREADS'] == '2'\n" + DRIVER
        self.use(monkeypatch, tmp_path, source)
        fit_hopwise("LightGCN", graph, 0, tmp_path / "work", threads=2)

    @pytest.mark.parametrize(
        ("said", "told"),
        [(None, "glibc.malloc.hugetlb=1"), ("glibc.malloc.check=1", "glibc.malloc.check=1")],
    )
    def test_asks_for_large_pages_unless_the_caller_says_otherwise(
        self,
        graph: GraphData,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        said: str | None,
        told: str,
    ) -> None:
        monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
        if said is not None:
            monkeypatch.setenv("GLIBC_TUNABLES", said)
        source = f"import os\nassert os.environ['GLIBC_TUNABLES'] == {told!r}\n" + DRIVER
        self.use(monkeypatch, tmp_path, source)
        fit_hopwise("LightGCN", graph, 0, tmp_path / "work", threads=1)

    def test_without_valid_wants_a_number_of_epochs(self, graph: GraphData, tmp_path: Path) -> None:
        alone = replace(graph, held_out={})
        with pytest.raises(ConfigError, match="no valid pairs to stop on"):
            fit_hopwise("LightGCN", alone, 0, tmp_path / "work")
        fit_hopwise("LightGCN", alone, 0, tmp_path / "work", epochs=5)
        assert json.loads((tmp_path / "work" / "job.json").read_text())["evaluate"] is False

    def test_unknown_and_missing_models_are_named(self, graph: GraphData, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="expected one of LightGCN, KGIN"):
            fit_hopwise("lightgcn", graph, 0, tmp_path)
        with pytest.raises(ConfigError, match="data sets of this name, no model"):
            fit_hopwise("KGRec", graph, 0, tmp_path)

    def test_what_cannot_fit_into_memory_is_refused(
        self, graph: GraphData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(PEERS, "MCCLK", Peer("MCCLK", "", True, bytes_per_pair=1e15))
        with pytest.raises(ConfigError, match="all 7 items and entities"):
            fit_hopwise("MCCLK", graph, 0, tmp_path)


def test_the_driver_imports_nothing_of_kgrec() -> None:
    """It runs where kgrec is not installed."""
    tree = ast.parse(fit.DRIVER.read_text(encoding="utf-8"))
    names = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert "hopwise.config" in names
    assert not {name for name in names if name.partition(".")[0] == "kgrec"}


def test_driver_and_reader_mean_the_same_lines() -> None:
    assert fit.EVENT == driver.EVENT
