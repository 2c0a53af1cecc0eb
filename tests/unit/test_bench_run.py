"""A whole benchmark on a generated sample: what it writes, keeps, resumes and survives."""

import json
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from kgrec.bench import child, peers_kgrec
from kgrec.bench.child import _reason, carry_out, launch_process, main
from kgrec.bench.fits import Fit, Order, read_result
from kgrec.bench.pages import to_markdown
from kgrec.bench.peer import Job, Peer, PeerFit
from kgrec.bench.peers import PEERS
from kgrec.bench.report import build_report
from kgrec.bench.results import read_results
from kgrec.bench.run import run_fits
from kgrec.bench.sets import fill
from kgrec.cli.bench import bench as command
from kgrec.config.bench import BenchConfig, read_bench
from kgrec.errors import ConfigError, DataError, KgrecError, TrainingDiverged
from kgrec.evaluation.evaluate import evaluate
from kgrec.evaluation.floors import fit_floors, train_history
from kgrec.graph.data import GraphData
from kgrec.graph.fetch import fetch_graph
from kgrec.model.item_to_item import Ease
from kgrec.schema import NodeLabel, Split
from kgrec.store.connect import open_store

NUM_USERS, NUM_ITEMS = 200, 60
IN_PROCESS = [name for name in PEERS if not name.startswith("hopwise")]
NEEDED = {"als": "implicit", "bpr": "implicit"}
MODELS = [name for name in IN_PROCESS if find_spec(NEEDED.get(name, "torch")) is not None]

SETTINGS = """\
[bench]
name = "sample"
models = {models}
seeds = [0, 1]
split_seeds = true
minutes = 0.01

[data]
interactions = "interactions.tsv"
triples = "triples.tsv"

[text]
enabled = false

[model]
channels = 8

[training]
epochs = 2
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 users in three groups of taste, 60 items with a popularity that falls off."""
    folder = tmp_path_factory.mktemp("sample")
    rng = np.random.default_rng(0)
    rows = ["user\titem"]
    for user in range(NUM_USERS):
        items = np.arange(NUM_ITEMS)
        weight = 1 / (5 + items) * np.where(items % 3 == user % 3, 1.0, 0.1)
        chosen = rng.choice(NUM_ITEMS, 12, replace=False, p=weight / weight.sum())
        rows += [f"u{user}\ti{item}" for item in chosen]
    (folder / "interactions.tsv").write_text("\n".join(rows) + "\n")
    triples = [f"i{item}\tgenre\tg{item % 3}" for item in range(NUM_ITEMS)]
    (folder / "triples.tsv").write_text("\n".join(["head\trelation\ttail", *triples]) + "\n")
    (folder / "sample.toml").write_text(SETTINGS.format(models=json.dumps(MODELS)))
    return folder


def here(order: Order) -> str | None:
    """Carries out an order in this process, by its file."""
    try:
        carry_out(Order.read(order.write()))
    except KgrecError as error:
        return str(error)
    return None


@pytest.fixture(autouse=True)
def _texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts by hand; encoding them takes longer than all of this."""

    def features(graph: GraphData, config: object) -> tuple[dict[NodeLabel, Any], None]:
        items = [int(name[1:]) % 3 for name in graph.vocabularies[NodeLabel.ITEM].ids]
        return {NodeLabel.ITEM: np.eye(3, dtype=np.float32)[items]}, None

    monkeypatch.setattr(peers_kgrec, "text_features", features)


def answered(sample: Path, folder: Path, *options: str) -> dict[str, Any]:
    """What `kgrec bench --json` says, and where it wrote."""
    app = typer.Typer()
    app.command()(command)
    arguments = ["--config", str(sample / "sample.toml"), "--data", str(sample), "--json"]
    arguments += ["--work", str(folder / "work"), "--out", str(folder / "out"), *options]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(child, "launch_process", here)
        patch.setattr(sys, "argv", ["kgrec", "bench", *arguments])
        _texts.__wrapped__(patch)  # type: ignore[attr-defined]
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return {"report": json.loads(result.stdout), "folder": folder, "arguments": arguments}


@pytest.fixture(scope="module")
def finished(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What all models gave."""
    return answered(sample, tmp_path_factory.mktemp("finished"))


def row_of(report: dict[str, Any], model: str) -> dict[str, Any]:
    (row,) = (row for row in report["rows"] if row["model"] == model)
    return row


def graph_of(folder: Path, seed: int) -> GraphData:
    with open_store(f"embedded:{folder / 'work' / f'split-{seed}' / 'graph.kgl'}") as store:
        return fetch_graph(store)


# --- the report ----------------------------------------------------------------------------------


def test_every_model_and_part_has_a_row_with_everything(finished: dict[str, Any]) -> None:
    report = finished["report"]
    names = [row["model"] for row in report["rows"]]
    assert [name for name in names if "/" not in name] == MODELS
    assert {"kgrec/network", "kgrec/closed_form", "kgrec/popularity"} <= set(names)
    metrics = {f"{m}@{k}" for m in ("recall", "ndcg", "mrr") for k in (10, 20)}
    metrics |= {"tail_recall@20", "coverage@20"}
    for row in report["rows"]:
        assert (row["status"], row["errors"], row["seeds"]) == ("done", {}, [0, 1])
        assert set(row["metrics"]) == metrics
        for found in row["metrics"].values():
            assert len(found["values"]) == 2
            assert found["mean"] == pytest.approx(np.mean(found["values"]))
            assert found["sd"] == pytest.approx(np.std(found["values"], ddof=1))
            assert 0 <= found["mean"] <= 1
        assert set(row["valid"]) == {"recall@20", "ndcg@20"}
        assert row["cohorts"]["users/6-10"]["ndcg@20"]["mean"] > 0
        assert any(name.startswith("items/decile") for name in row["cohorts"])
        assert row["seconds"]["score"]["mean"] > 0
        assert row["parameters"] >= 0
        if row["model"] != "kgrec":
            found = row["difference"]["ndcg@20"]
            assert found["low"] <= found["difference"] <= found["high"]
            own = (
                row["metrics"]["ndcg@20"]["mean"]
                - row_of(report, "kgrec")["metrics"]["ndcg@20"]["mean"]
            )
            assert found["difference"] == pytest.approx(own)
        if "/" not in row["model"]:
            assert row["seconds"]["train"]["mean"] > 0
            assert row["peak_memory_mb"]["mean"] >= row["base_memory_mb"]["mean"] > 50
            assert set(row["choices"]) == {"0", "1"}
            assert len(row["seconds"]["to_ease"]["values"]) == 2


def test_the_report_says_how_it_was_made(finished: dict[str, Any]) -> None:
    report = finished["report"]
    assert report["command"].startswith("kgrec bench --config ")
    assert report["command"].endswith(str(finished["folder"] / "out"))
    (machine,), (versions,) = report["machines"], report["versions"]
    assert {"processor", "cores", "memory_gb", "system", "threads"} <= set(machine)
    assert {"python", "kgrec", "torch", "numpy"} <= set(versions)
    assert report["date"].endswith("+00:00")
    assert report["settings"] == {
        "text": {"enabled": False}, "model": {"channels": 8}, "training": {"epochs": 2}
    }  # fmt: skip
    for split, seed in zip(report["splits"], (0, 1), strict=True):
        assert (split["seed"], split["users"], split["items"]) == (seed, NUM_USERS, NUM_ITEMS)
        assert split["train"] + split["valid"] + split["test"] == 12 * NUM_USERS
        assert split["relation_edges"] == NUM_ITEMS
    assert report["splits"][0]["graph_version"] != report["splits"][1]["graph_version"]
    # The sample gives peers that train by epochs next to no time: most, if not all, are ended.
    ended = [
        f"{row['model']}, seed {seed}"
        for row in report["rows"]
        for seed, chosen in row.get("choices", {}).items()
        if chosen and chosen.get("stopped_by") == "minutes"
    ]
    assert [note.partition(", was ended by the limit")[0] for note in report["notes"]] == ended


def test_files_say_the_same(finished: dict[str, Any]) -> None:
    out = finished["folder"] / "out"
    results = read_results(out)
    assert json.loads(json.dumps(build_report("sample", results, MODELS))) == finished["report"]
    files = {path.name for path in (out / "fits").iterdir()}
    assert files == {f"{model}-{seed}.json" for model in MODELS for seed in (0, 1)}
    page = (out / "README.md").read_text()
    assert page == to_markdown(finished["report"])
    ease = row_of(finished["report"], "ease")["metrics"]["ndcg@20"]
    assert f"{ease['mean']:.4f} ± {ease['sd']:.4f}" in page
    for title in ("Accuracy", "Cost", "Difference to kgrec", "Settings", "Machine"):
        assert f"\n## {title}\n" in page
    assert (out / "accuracy.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["popularity", "itemknn", "ease"])
def test_floors_are_as_an_evaluation_of_their_own_finds_them(
    finished: dict[str, Any], name: str
) -> None:
    row = row_of(finished["report"], name)
    for place, seed in enumerate((0, 1)):
        graph = graph_of(finished["folder"], seed)
        metrics = evaluate(fit_floors(graph)[name], graph, Split.TEST).metrics
        for metric in ("recall@10", "ndcg@20", "mrr@20", "coverage@20"):
            assert row["metrics"][metric]["values"][place] == pytest.approx(metrics[metric])


def test_ease_takes_as_long_as_ease(finished: dict[str, Any]) -> None:
    seconds = row_of(finished["report"], "ease")["seconds"]
    assert seconds["to_ease"] == seconds["train"]
    assert row_of(finished["report"], "popularity")["seconds"]["to_ease"]["mean"] is None
    assert "| not reached |" in (finished["folder"] / "out" / "README.md").read_text()


def test_models_that_see_tastes_beat_popularity(finished: dict[str, Any]) -> None:
    def value(name: str) -> float:
        return float(row_of(finished["report"], name)["metrics"]["ndcg@20"]["mean"])

    for name in {"kgrec", "itemknn", "ease", "slim", "als"} & set(MODELS):
        assert value(name) > 1.1 * value("popularity")


def test_an_audit_is_in_the_answer_and_on_the_page(sample: Path, tmp_path: Path) -> None:
    one = ("--only", "popularity", "--seeds", "1")
    # Given, so that the audit's fits search nothing.
    given = ("--set", "closed_form.ridge=50.0")
    given += ("--set", "closed_form.relation_weights={genre = 5.0}")
    page = tmp_path / "out" / "README.md"
    assert "audit" not in answered(sample, tmp_path, *one, *given)["report"]
    assert "Graph audit" not in page.read_text()
    report = answered(sample, tmp_path, *one, *given, "--audit")["report"]
    audit = report["audit"]
    assert audit["split"] == "test"
    assert audit["edges"] == {"genre": NUM_ITEMS}
    assert audit["users"]["all users"] == NUM_USERS
    assert audit["fits"] == 5 * audit["folds"]  # with, without, twice shuffled, without genre
    means, worth = audit["means"], audit["differences"]["without genre"]
    assert means["graph"]["recall@20"] > means["no graph"]["recall@20"] + 0.01
    assert means["without genre"] == means["no graph"]
    assert worth["recall@20"]["all users"]["low"] > 0
    assert read_results(tmp_path / "out").audit == audit
    (sentence,) = audit["verdict"]["sentences"]
    assert f"\n## Graph audit\n\n- {sentence}\n" in page.read_text()
    assert (audit["date"] >= report["date"], audit["commit"]) == (True, report["commit"])
    gain = audit["differences"]["no graph"]["ndcg@20"]["all users"]
    told = f"{gain['difference']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]"
    assert f"| all users | {NUM_USERS} | {told} |" in page.read_text()


# --- kept results --------------------------------------------------------------------------------


def again(
    finished: dict[str, Any], out: Path, *overrides: str, **options: Any
) -> tuple[list[str], dict[tuple[str, int], Fit]]:
    """Runs on what was kept; gives which fits were carried out, and those in the results."""
    config = Path(finished["arguments"][1])
    bench, settings = read_bench(config, overrides)
    ran: list[str] = []

    def count(order: Order) -> str | None:
        ran.append(f"{order.model} {order.seed}")
        return "not now"

    work = finished["folder"] / "work"
    run_fits(
        bench, settings, data=config.parent, work=work, out=out, launch=count, tell=str, **options
    )
    return ran, {(fit.model, fit.seed): fit for fit in read_results(out).fits}


def test_what_is_finished_is_not_fitted_again(finished: dict[str, Any], tmp_path: Path) -> None:
    ran, _ = again(finished, tmp_path)
    assert ran == []
    rows = build_report("sample", read_results(tmp_path), MODELS)["rows"]
    assert json.loads(json.dumps(rows)) == finished["report"]["rows"]


def test_a_run_that_fits_nothing_leaves_the_results_as_they_are(finished: dict[str, Any]) -> None:
    out = finished["folder"] / "out"
    before = {path: path.stat().st_mtime_ns for path in (out / "fits").iterdir()}
    _, fits = again(finished, out, command="another one")
    assert {path: path.stat().st_mtime_ns for path in (out / "fits").iterdir()} == before
    assert {fit.command for fit in fits.values()} == {finished["report"]["command"]}


def test_a_report_is_made_of_the_results_alone(
    finished: dict[str, Any], sample: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="holds no fits; expected what `kgrec bench` wrote"):
        answered(sample, tmp_path, "--report")
    shutil.copytree(finished["folder"] / "out" / "fits", tmp_path / "out" / "fits")
    name = "differences.json"
    shutil.copy(finished["folder"] / "out" / name, tmp_path / "out" / name)
    assert answered(sample, tmp_path, "--report")["report"] == finished["report"]
    assert not (tmp_path / "work").exists()
    pages = [folder / "out" / "README.md" for folder in (tmp_path, finished["folder"])]
    assert pages[0].read_text() == pages[1].read_text()


def test_other_settings_and_seeds_are_fitted(finished: dict[str, Any], tmp_path: Path) -> None:
    ran, _ = again(finished, tmp_path / "a", "training.epochs=3")
    names = ("kgrec", "kgrec-no-graph", "kgrec-attention")
    assert ran == [f"{name} {seed}" for seed in (0, 1) for name in names]
    only = ["ease", "content-knn"]
    ran, _ = again(finished, tmp_path / "b", "text.components=3", only=only)
    assert ran == ["content-knn 0", "content-knn 1"]
    ran, fits = again(finished, tmp_path / "c", "bench.seeds=[1, 7]", only=["ease"])
    assert ran == ["ease 7"]
    assert {seed for model, seed in fits if model == "ease"} == {1, 7}
    assert (fits["ease", 1].error, fits["ease", 7].error) == (None, "not now")


def test_a_failure_takes_the_place_of_no_result(finished: dict[str, Any], tmp_path: Path) -> None:
    _, before = again(finished, tmp_path)
    ran, after = again(finished, tmp_path, "training.epochs=3")
    assert (ran[0], after) == ("kgrec 0", before)


def test_fresh_results_hold_nothing_but_the_runs(finished: dict[str, Any], tmp_path: Path) -> None:
    again(finished, tmp_path)
    _, fits = again(finished, tmp_path, 'bench.models=["ease"]', "bench.seeds=[1]", fresh=True)
    assert set(fits) == {("ease", 1)}
    assert read_results(tmp_path).differences == {}


def test_other_files_make_another_split(finished: dict[str, Any], tmp_path: Path) -> None:
    config = Path(finished["arguments"][1])
    for name in ("interactions.tsv", "triples.tsv"):
        (tmp_path / name).write_text((config.parent / name).read_text())
    bench, settings = read_bench(config)
    first = fill(bench, settings, tmp_path, tmp_path / "work", 0)
    before = (tmp_path / "work" / "split-0" / "graph.kgl").stat().st_mtime_ns
    assert fill(bench, settings, tmp_path, tmp_path / "work", 0) == first
    assert (tmp_path / "work" / "split-0" / "graph.kgl").stat().st_mtime_ns == before
    with (tmp_path / "triples.tsv").open("a") as file:
        file.write("i0\tgenre\tg1\n")
    second = fill(bench, settings, tmp_path, tmp_path / "work", 0)
    assert second.version != first.version
    assert second.counts["relation_edges"] == NUM_ITEMS + 1


def test_what_draws_nothing_is_fitted_once_for_a_split_of_all_seeds(
    finished: dict[str, Any], tmp_path: Path
) -> None:
    seeds = ("bench.split_seeds=false", "bench.seeds=[4, 5]")
    ran, fits = again(finished, tmp_path, *seeds, only=["ease", "als"])
    # A failed fit that both seeds share is not tried twice either.
    assert ran == ["ease 4", "als 4", "als 5"]
    assert set(fits) == {(model, seed) for model in ("ease", "als") for seed in (4, 5)}


# --- refits --------------------------------------------------------------------------------------


def test_a_refit_is_judged_on_test_with_what_it_learned(sample: Path, tmp_path: Path) -> None:
    overrides = ("bench.refit=true", "bench.seeds=[0]", 'bench.models=["ease"]')
    bench, settings = read_bench(sample / "sample.toml", overrides)
    told: list[str] = []
    run_fits(
        bench,
        settings,
        data=sample,
        work=tmp_path / "work",
        out=tmp_path / "out",
        launch=here,
        tell=told.append,
    )
    results = read_results(tmp_path / "out")
    (result,) = results.fits
    assert re.fullmatch(r"ease, seed 0: [\d.]+ s, \d+ MB", told[-1])  # valid judges nothing now
    graph = graph_of(tmp_path, 0)
    joined = graph.with_splits(Split.VALID)
    scorer = Ease.fit(train_history(joined), ridge=result.choices["ridge"])
    expected = evaluate(scorer, graph, Split.TEST).metrics
    row = result.rows[""]
    assert row.metrics["ndcg@20"] == pytest.approx(expected["ndcg@20"])
    assert row.valid == {}
    report = build_report("sample", results)
    assert "to_ease" not in report["rows"][0]["seconds"]  # valid was learned from
    page = to_markdown(report)
    assert "EASE's valid" not in page
    assert "not reached" not in page


# --- what fails ----------------------------------------------------------------------------------


def _breaks(job: Job) -> PeerFit:
    raise TrainingDiverged("the loss is no longer finite; lower the learning rate")


def test_a_model_that_fails_is_a_row_that_says_so(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PEERS, "broken", Peer("broken", "none", _breaks))
    bench, settings = read_bench(
        sample / "sample.toml", ("bench.seeds=[0]", 'bench.models=["broken", "popularity"]')
    )
    told: list[str] = []
    out = tmp_path / "out"
    run_fits(bench, settings, data=sample, work=tmp_path, out=out, launch=here, tell=told.append)
    report = build_report("sample", read_results(out), bench.models)
    broken, popularity = report["rows"]
    assert (broken["status"], popularity["status"]) == ("failed", "done")
    assert broken["errors"]["0"].startswith("the loss is no longer finite")
    assert "metrics" not in broken
    assert "difference" not in popularity  # kgrec was not fitted
    page = to_markdown(report)
    assert "broken, seed 0, has no result: the loss is no longer finite" in page
    assert "| broken | 0 | failed |" in page
    assert any(line.startswith("broken, seed 0: the loss") for line in told)


def test_bad_names_and_data_without_test_are_refused(sample: Path, tmp_path: Path) -> None:
    bench, settings = read_bench(sample / "sample.toml", ('bench.models=["eaze"]',))
    with pytest.raises(ConfigError, match="no model 'eaze'"):
        run_fits(bench, settings, data=sample, work=tmp_path, out=tmp_path, launch=here)
    bench, settings = read_bench(sample / "sample.toml", ("data.split.test=0",))
    with pytest.raises(DataError, match="no test interactions"):
        run_fits(bench, settings, data=sample, work=tmp_path, out=tmp_path, launch=here)
    given = {"data": {"train": "interactions.tsv"}}
    with pytest.raises(ConfigError, match="split_seeds"):
        fill(BenchConfig(name="x", split_seeds=True), given, sample, tmp_path, 0)


# --- processes -----------------------------------------------------------------------------------


def order_of(finished: dict[str, Any], folder: Path, **changes: Any) -> Order:
    config = Path(finished["arguments"][1])
    bench, settings = read_bench(config)
    split = fill(bench, settings, config.parent, finished["folder"] / "work", 0)
    values: dict[str, Any] = {
        "model": "popularity",
        "settings": "none",
        "seed": 0,
        "config": split.config.model_dump(mode="json"),
        "version": split.version,
        "refit": False,
        "minutes": 5.0,
        "cold": False,
        "folder": folder,
        "sections": (),
    }
    return Order(**{**values, **changes})


def test_a_process_of_its_own_finds_the_same(finished: dict[str, Any], tmp_path: Path) -> None:
    order = order_of(finished, tmp_path / "fit")
    assert launch_process(order) is None
    result = read_result(order.folder, order.key)
    assert result is not None
    row = row_of(finished["report"], "popularity")
    assert result.rows[""].metrics["ndcg@20"] == row["metrics"]["ndcg@20"]["values"][0]
    assert 50 < result.base_memory_mb <= result.peak_memory_mb
    assert read_result(order.folder, "another key") is None
    (order.folder / "users.safetensors").write_bytes(b"cut")
    assert read_result(order.folder, order.key) is None


def test_a_process_that_takes_too_long_is_ended(finished: dict[str, Any], tmp_path: Path) -> None:
    order = order_of(finished, tmp_path / "fit", minutes=0.0005)
    assert launch_process(order) == "ended after 0.0015 minutes"
    assert read_result(order.folder, order.key) is None


def test_another_graph_in_the_store_is_refused(
    finished: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = order_of(finished, tmp_path / "fit", version="of yesterday")
    assert main([str(order.write())]) == 1
    assert "the order is for of yesterday" in capsys.readouterr().err.splitlines()[-1]


def test_reasons_are_the_signal_or_the_last_line(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("Traceback\n  a line\nMemoryError: no room\n\n")
    assert _reason(1, log) == "MemoryError: no room"
    assert _reason(-9, log) == "killed by SIGKILL, which often means that memory ran out"
    assert _reason(-11, log) == "killed by SIGSEGV"
    log.write_text("")
    assert _reason(3, log) == "exit code 3, without a word"
