"""The command line: answers, exit codes, and what goes to which stream."""

import datetime
import json
import logging
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from resealed import reseal
from rich.console import Console
from tiny import NUM_ITEMS, NUM_USERS, build_tiny, group_of

from kgrec import __version__
from kgrec.auditing.trials import ALL_USERS
from kgrec.cli import main
from kgrec.cli.demo import typical_user
from kgrec.cli.options import absolute_uri, list_lengths, store_config
from kgrec.cli.output import to_json
from kgrec.cli.recommend import why_popular
from kgrec.cli.tables import evaluation_tables
from kgrec.config import Config
from kgrec.errors import ConfigError
from kgrec.graph.data import GraphData, Interactions
from kgrec.model.incidence import Incidence
from kgrec.schema import NodeLabel
from kgrec.store.connect import open_store
from kgrec.training.directory import load_run
from kgrec.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings, a filled store and a trained run."""
    folder = tmp_path_factory.mktemp("site")
    build_tiny(folder)
    assert main(["train", "--config", str(folder / "tiny.toml"), "--run", str(folder / "run")]) == 0
    return folder


def parts_of(site: Path) -> list[str]:
    """The parts of the run that have a weight."""
    weights = json.loads((site / "run" / "record.json").read_text())["fusion"]["weights"]
    return [name for name, weight in weights.items() if weight]


def alone_in_table(site: Path) -> list[str]:
    """Parts have rows of their own where there are several; popularity is a floor already."""
    parts = parts_of(site)
    return [f"{name} alone" for name in parts if name != "popularity"] if len(parts) > 1 else []


def answer(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """What a command with --json says on stdout, which must be one object."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    value = json.loads(out)
    assert isinstance(value, dict)
    return value


# --- the program ---------------------------------------------------------------------------------


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kgrec {__version__}\n"


def test_help_names_all_commands_and_is_bad_usage_without_a_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    helped = capsys.readouterr().out
    assert main([]) == 2
    assert capsys.readouterr().out.split() == helped.split()
    commands = ("demo", "ingest", "train", "evaluate", "recommend", "similar", "query", "status")
    assert all(command in helped for command in commands)


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from kgrec.cli import main; main(['train', '--help']);"
        "print(*{'torch', 'transformers', 'kglite', 'neo4j', 'pandas', 'numpy'} & set(sys.modules),"
        "file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "--config" in done.stdout
    assert done.stderr == "\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "error: interrupted; run it again to go on"),
        (
            RuntimeError("two\nlines [bold]"),
            1,
            "error: unexpected RuntimeError: two lines [bold]; run again with --debug",
        ),
    ],
)
def test_unexpected_ends(
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("kgrec.cli.query.store_config", fail)
    assert main(["query", "popular"]) == code
    assert capsys.readouterr() == ("", line + "\n")


def test_debug_may_stand_behind_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("kgrec.cli.query.store_config", fail)
    assert main(["query", "popular", "--debug"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):")
    assert 'raise RuntimeError("boom")' in err


def test_only_own_messages_are_shown_and_stdout_is_for_the_answer(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from kgrec.graph import fetch

    inner = fetch.status

    def noisy(store: object) -> object:
        print("chatter of a library")
        warnings.warn("a library is worried", stacklevel=1)
        logging.getLogger("library").warning("a library complains")
        logging.getLogger("kgrec.graph").info("told with --verbose")
        logging.getLogger("kgrec.graph").warning("told always")
        return inner(store)  # type: ignore[arg-type]

    monkeypatch.setattr(fetch, "status", noisy)
    arguments = ["status", "--store", f"embedded:{site / 'graph.kgl'}", "--json"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["state"] == "ready"
    assert err == "chatter of a library\nwarning: told always\n"
    assert main([*arguments, "--verbose"]) == 0
    assert "info: told with --verbose\n" in capsys.readouterr().err
    assert not any(type(h).__name__ == "_Lines" for h in logging.getLogger("kgrec").handlers)


# --- options and JSON ----------------------------------------------------------------------------


def test_json_is_strict_and_plain() -> None:
    value = {
        "nan": float("nan"),
        "numpy": np.array([[1, 2]]),
        "number": np.float32(0.5),
        "when": datetime.date(1995, 12, 15),
        "tuple": ("ä", None, True),
    }
    assert json.loads(to_json(value)) == {
        "nan": None,
        "numpy": [[1, 2]],
        "number": 0.5,
        "when": "1995-12-15",
        "tuple": ["ä", None, True],
    }
    assert "ä" in to_json(value)


def test_list_lengths_are_sorted_and_checked() -> None:
    assert list_lengths("20, 10,20") == (10, 20)
    for bad in ("", "ten", "10,0", "1.5"):
        with pytest.raises(ConfigError, match="--k 10,20"):
            list_lengths(bad)


def test_store_on_the_command_line_is_the_callers(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_uri("bolt://h:1") == "bolt://h:1"
    assert store_config(None, None).uri == f"embedded:{tmp_path / 'graph.kgl'}"
    # In a file a path is relative to the file, on the command line to where the caller stands.
    assert store_config(site / "tiny.toml", None).uri == f"embedded:{site / 'graph.kgl'}"
    assert store_config(site / "tiny.toml", "embedded:x").uri == f"embedded:{tmp_path / 'x'}"


# --- commands ------------------------------------------------------------------------------------


def test_ingest_is_idempotent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = build_tiny(tmp_path)
    first = answer(["ingest", "--config", str(config)], capsys)
    written = (tmp_path / "graph.kgl").read_bytes()
    again = answer(["ingest", "--config", str(config)], capsys)
    assert (first["changed"], again["changed"]) == (True, False)
    assert first["version"] == again["version"]
    assert first["nodes"] == NUM_USERS + NUM_ITEMS + 7
    assert first["edges"] == NUM_USERS * 13 + 90
    assert (tmp_path / "graph.kgl").read_bytes() == written


def test_status_counts_and_query_answers(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", f"embedded:{site / 'graph.kgl'}"]
    status = answer(["status", *store], capsys)
    assert status["nodes"] == {"User": NUM_USERS, "Item": NUM_ITEMS, "Entity": 7}
    assert status["interactions"] == {"train": 660, "valid": 60, "test": 60}

    asked = answer(["query", "user_history", "-p", "user=u1", "-p", "limit=2", *store], capsys)
    assert asked["query"] == "user_history"
    rows = asked["rows"]
    assert isinstance(rows, list)
    assert [list(row) for row in rows] == [["id", "title", "rating", "time", "split"]] * 2
    assert rows[0]["time"] > rows[1]["time"]

    listed = answer(["query"], capsys)["queries"]
    assert isinstance(listed, list)
    names = [query["name"] for query in listed]
    assert names == sorted(names)
    assert {"popular", "paths"} <= set(names)
    assert not {"upsert_nodes", "sweep_nodes", "export_edges"} & set(names)


def test_an_id_that_looks_like_a_number_stays_text_and_a_list_is_one(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--store", f"embedded:{site / 'graph.kgl'}"]
    assert answer(["query", "user_history", "-p", "user=7", *store], capsys)["rows"] == []
    shared = answer(
        ["query", "shared_entities", "-p", 'own=["i0"]', "-p", "item=i2", *store], capsys
    )
    rows = shared["rows"]
    assert isinstance(rows, list)
    assert {(row["type_in"], row["entity"]) for row in rows} == {
        ("GENRE", "genre_sea"),
        ("SEQUEL", None),
    }


def test_a_table_shows_names_as_they_are(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = f"embedded:{site / 'graph.kgl'}"
    assert main(["query", "item_neighbourhood", "-p", "item=i2", "--store", store]) == 0
    out, err = capsys.readouterr()
    assert "J. O'Shore" in out
    assert err == ""
    assert "\x1b" not in out  # no colours in a pipe
    assert main(["status", "--store", store]) == 0
    assert "(Item)-[DIRECTED_BY]->(Entity)" in capsys.readouterr().out


def test_evaluate_reports_run_parts_floors_and_cohorts(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = answer(["evaluate", "--run", str(site / "run"), "--k", "5,20"], capsys)
    assert report["run"] == str(site / "run")
    assert (report["split"], report["seed"], report["num_users"]) == ("test", 0, NUM_USERS)
    metrics, floors, parts = (report[name] for name in ("metrics", "floors", "parts"))
    assert isinstance(metrics, dict)
    assert isinstance(floors, dict)
    assert isinstance(parts, dict)
    assert list(floors) == ["popularity", "itemknn", "ease"]
    assert list(parts) == parts_of(site)
    # There are 20 items of a taste, 11 of them known: recall@20 is perfect for who tells tastes.
    assert metrics["recall@20"] > 0.9 > floors["popularity"]["recall@20"]
    assert set(report) >= {"cohorts", "differences", "seconds", "peak_memory_mb"}

    short = answer(["evaluate", "--run", str(site / "run"), "--no-floors"], capsys)
    assert short["floors"] == {}


def test_train_audits_the_graph_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_tiny(tmp_path)
    arguments = ["train", "--config", str(tmp_path / "tiny.toml"), "--run", str(tmp_path / "run")]
    brief = ["--set", "fusion.network=false", "--set", "closed_form.search_steps=1"]
    options = ["--search-minutes", "0.5", "--audit", "--json"]
    assert main([*arguments, *brief, *options]) == 0
    out, _ = capsys.readouterr()
    audit = json.loads(out)["audit"]
    assert set(audit["edges"]) == {"directed_by", "genre", "sequel"}
    assert audit["verdict"]["sentences"]
    gain = audit["differences"]["permuted"]["ndcg@20"][ALL_USERS]
    assert gain["low"] <= gain["difference"] <= gain["high"]


def test_train_says_what_synthetic_edges_were_worth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_tiny(tmp_path)
    arguments = ["train", "--config", str(tmp_path / "tiny.toml"), "--run", str(tmp_path / "run")]
    arguments += ["--augment", "auto", "--set", "augment.at_most=12"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["augment"]
    assert list(found["sources"]) == ["teacher", "knn"]
    assert main(arguments) == 0
    assert found["words"].splitlines()[0] in capsys.readouterr().out


def test_evaluate_on_valid_shows_a_table(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--run", str(site / "run"), "--split", "valid"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"valid: {NUM_USERS} users; lists of 20")
    first_words = [line.split("  ")[0].strip() for line in lines]
    alone = alone_in_table(site)
    order = ["popularity", "itemknn", "ease", *alone, "this run"]
    assert first_words[2 : 2 + len(order)] == order


@pytest.mark.parametrize("width", [60, 80, 100, 150])
def test_table_fits_the_terminal_and_keeps_ndcg(
    width: int, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = answer(["evaluate", "--run", str(site / "run")], capsys)
    console = Console(width=width)
    with console.capture() as capture:
        console.print(evaluation_tables(report)[0])
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= width
    assert "ndcg" in lines[1]
    assert "…" not in capture.get()
    assert len(lines) == 6 + len(alone_in_table(site))


def test_recommend_tells_tastes_apart_and_why(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = answer(["recommend", "--run", str(site / "run"), "--user", "u1", "-k", "5"], capsys)
    found = told["recommendations"]
    assert isinstance(found, list)
    assert (told["user"], told["cold"]) == ("u1", False)
    assert [each["rank"] for each in found] == [1, 2, 3, 4, 5]
    assert {group_of(each["item_id"]) for each in found} == {"space"}
    assert any("space story" in reason["text"] for reason in found[0]["reasons"])

    store = f"embedded:{site / 'graph.kgl'}"
    history = answer(["query", "user_history", "-p", "user=u1", "--store", store], capsys)["rows"]
    assert isinstance(history, list)
    assert not {row["id"] for row in history} & {each["item_id"] for each in found}

    similar = answer(["similar", "--run", str(site / "run"), "--item", "i1", "-k", "3"], capsys)
    likes = similar["similar"]
    assert isinstance(likes, list)
    assert {group_of(each["item_id"]) for each in likes} == {"space"}


def test_a_copied_project_reads_its_own_store(site: Path, tmp_path: Path) -> None:
    shutil.copytree(site, tmp_path / "copy")
    copied = load_run(tmp_path / "copy" / "run").config
    assert copied.store.uri == f"embedded:{(tmp_path / 'copy' / 'graph.kgl').resolve()}"
    # A run alone, without the project, still knows where its graph is.
    shutil.copytree(site / "run", tmp_path / "alone" / "run")
    alone = load_run(tmp_path / "alone" / "run").config
    assert alone.store.uri == f"embedded:{(site / 'graph.kgl').resolve()}"


def test_a_copied_project_is_refreshed_from_its_own_store(site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(site, copy)
    for path in site.glob("graph.kgl*"):
        path.rename(path.with_name(f"away-{path.name}"))
    try:
        assert main(["refresh", "--run", str(copy / "run"), "--json"]) == 0
    finally:
        for path in site.glob("away-*"):
            path.rename(path.with_name(path.name.removeprefix("away-")))


def test_lists_are_headed_by_titles_and_histories_have_dates(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["similar", "--run", str(site / "run"), "--item", "i1", "-k", "2"]) == 0
    title = load_run(site / "run").names[NodeLabel.ITEM][
        load_run(site / "run").vocabularies[NodeLabel.ITEM].index("i1")
    ]
    assert title != "i1"
    assert f"Like {title} (i1)" in capsys.readouterr().out
    store = ["--store", f"embedded:{site / 'graph.kgl'}"]
    assert main(["query", "user_history", "-p", "user=u1", *store]) == 0
    out = capsys.readouterr().out
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +test", out)
    assert {"train", "valid", "test"} <= set(out.split())


def test_words_for_those_who_get_the_most_popular_items(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = load_run(site / "run")
    index = run.vocabularies[NodeLabel.USER].index("u1")
    none = torch.empty(0, dtype=torch.int64)
    sizes = len(run.vocabularies[NodeLabel.USER]), len(run.vocabularies[NodeLabel.ITEM])
    disliked = Incidence.from_pairs(torch.tensor([index]), torch.tensor([0]), *sizes)
    hater = replace(run, behaviours=replace(run.behaviours, disliked=disliked))
    assert why_popular(hater, "u1").startswith("user 'u1' has only dislikes so far, 1 item: these")
    idle = replace(run.behaviours, disliked=Incidence.from_pairs(none, none, *sizes))
    assert "no liked item of user 'u1'" in why_popular(replace(run, behaviours=idle), "u1")
    assert "knows no user 'nobody'" in why_popular(run, "nobody")


def test_what_an_item_adds_stands_apart_from_how_it_is_connected(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["recommend", "--run", str(site / "run"), "--user", "u1", "-k", "1"]
    (place,) = answer(arguments, capsys)["recommendations"]  # type: ignore[misc]
    reason = place["reasons"][0]
    own = {kind: x for kind, x in place["relations"].items() if kind not in {"self", "INTERACTED"}}
    assert place["graph"] == pytest.approx(sum(own.values()))
    assert main(arguments) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert any(line.endswith(f"{reason['share']:+.2f} {reason['name']}") for line in lines)
    assert reason["link"].split(";")[0] in lines[lines.index(lines[2]) + 1]
    assert any(line.startswith(f"the graph carries {place['graph']:+.2f}") for line in lines)


def test_explain_is_ten_lines_unless_in_full(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = f"embedded:{site / 'graph.kgl'}"
    pair = ["explain", "--run", str(site / "run"), "--user", "u1", "--item", "i1"]
    assert main([*pair, "--store", store]) == 0
    short = capsys.readouterr().out.splitlines()
    assert len(short) <= 10
    assert any("the graph carries" in line for line in short)
    assert main([*pair, "--full"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 20
    assert main([*pair, "--store", f"embedded:{site / 'none.kgl'}"]) == 1
    assert "none.kgl" in capsys.readouterr().err


def test_training_tells_its_stages_and_quick_what_it_left_out(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "--config", str(site / "tiny.toml"), "--run", str(tmp_path / "quick")]
    assert main([*arguments, "--preset", "quick"]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"^  closed form +\d+\.\d s$", err, re.MULTILINE)
    assert re.search(r"^  fusion +\d+\.\d s$", err, re.MULTILINE)
    assert "left out: networks, texts" in out
    run = load_run(tmp_path / "quick")
    assert set(run.scorer.parts) <= {"closed_form", "popularity"}
    assert (run.config.closed_form.search_items, run.config.fusion.network) == (400, False)
    assert main([*arguments, "--preset", "quick", "--set", "closed_form.search_steps=2"]) == 0
    assert load_run(tmp_path / "quick").config.closed_form.search_steps == 2
    capsys.readouterr()


def test_recommend_without_the_runs_store_warns(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "run"
    shutil.copytree(site / "run", moved)
    config = json.loads((moved / "config.json").read_text())
    config["store"]["uri"] = f"embedded:{site / 'none.kgl'}"
    (moved / "config.json").write_text(json.dumps(config))
    reseal(moved)
    assert main(["recommend", "--run", str(moved), "--user", "u1", "-k", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("warning: reasons come without the paths of the graph: there is no graph")
    (found,) = json.loads(out)["recommendations"]
    assert found["reasons"]
    assert all(reason["connections"] == [] for reason in found["reasons"])


@pytest.mark.parametrize("command", [["recommend", "--user", "u1"], ["similar", "--item", "i1"]])
def test_a_store_that_is_named_must_be_there(
    site: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--run", str(site / "run"), "--store", f"embedded:{site / 'none.kgl'}"]
    assert main([*command, *named]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: there is no graph at")


def test_train_names_its_run_after_settings_and_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = build_tiny(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "--config", str(config), "--seed", "3", "--set", "training.epochs=1"]
    trained = answer(arguments, capsys)
    assert trained["run"] == "runs/tiny-seed3"
    assert trained["seed"] == 3
    saved = json.loads((tmp_path / "runs" / "tiny-seed3" / "config.json").read_text())
    assert saved["training"]["epochs"] == 1
    assert Path(str(trained["picture"])).read_bytes().startswith(b"\x89PNG")


def test_typical_user_has_the_median_history_told_latest_first() -> None:
    train = Interactions(
        user_index=np.array([0, 1, 1, 1, 2, 2]),
        item_index=np.array([0, 0, 1, 2, 1, 2]),
        time=np.array([1.0, 1.0, 2.0, 3.0, 5.0, 9.0]),
    )
    ids = {NodeLabel.USER: ["a", "b", "c"], NodeLabel.ITEM: ["x", "y", "z"], NodeLabel.ENTITY: []}
    vocabularies = {label: Vocabulary(known, label) for label, known in ids.items()}
    graph = GraphData("v", vocabularies, {}, train, {}, ())
    assert typical_user(graph, ["X", "Y", "Z"]) == ("c", ["Z", "Y"])


def test_demo_does_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Config.load(build_tiny(tmp_path / "data"))
    monkeypatch.setattr("kgrec.data.movielens.demo_config", lambda: settings)
    monkeypatch.setenv("COLUMNS", "300")  # a path on a line of its own is not broken
    monkeypatch.setenv("KGREC_CACHE", str(tmp_path / "cache"))
    told = answer(["demo"], capsys)
    assert told["run"] == str(tmp_path / "cache" / "demo" / "run")
    assert told["store"] == f"embedded:{tmp_path / 'cache' / 'demo' / 'graph.kgl'}"
    evaluation, seconds, found = (told[x] for x in ("evaluation", "seconds", "recommendations"))
    assert isinstance(evaluation, dict)
    assert isinstance(seconds, dict)
    assert isinstance(found, list)
    assert set(evaluation["floors"]) == {"popularity", "itemknn", "ease"}
    assert list(seconds) == [
        "fetch", "ingest", "graph", "train", "evaluate", "floors", "recommend"
    ]  # fmt: skip
    assert len(found) == 20
    assert Path(str(told["picture"])).is_file()

    assert main(["demo"]) == 0  # again, for people: nothing is loaded twice
    out, err = capsys.readouterr()
    assert "already up to date" in err
    assert "this run" in out
    assert f"For user {told['user']}" in out
    assert f"picture: {told['picture']}" in out


def test_a_list_of_ids_may_be_one_id(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = f"embedded:{site / 'graph.kgl'}"
    asked = ["query", "shared_entities", "-p", "item=i2", "--store", store]
    one = answer([*asked, "-p", "own=i4"], capsys)["rows"]
    assert one
    assert one == answer([*asked, "-p", 'own=["i4"]'], capsys)["rows"]


def test_a_half_loaded_graph_answers_no_query(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"embedded:{tmp_path / 'half.kgl'}"
    with open_store(uri) as store:
        store.apply_schema()
        store.write("set_graph_state", version="x", state="loading", interaction_properties=[])
    assert main(["query", "popular", "--store", uri]) == 1
    assert "interrupted" in capsys.readouterr().err
    state = answer(["query", "graph_state", "--store", uri], capsys)["rows"]
    assert state[0]["state"] == "loading"


@pytest.mark.parametrize(
    ("setting", "said"),
    [("text.model=/no/such/model", "/no/such/model"), ("training.device=cuda", "no CUDA device")],
)
def test_what_training_cannot_use_is_refused_before_the_store_is_made(
    tmp_path: Path,
    setting: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    config = build_tiny(tmp_path / "data")
    arguments = ["train", "--config", str(config), "--run", str(tmp_path / "run")]
    assert main([*arguments, "--set", "text.enabled=true", "--set", setting]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("run*"))
    assert not list((tmp_path / "data").glob("graph.kgl*"))
