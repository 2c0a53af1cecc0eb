"""docs/queries.md names everything there is, and every example on it runs."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny import build_tiny

import kgrec
from kgrec import queries
from kgrec.cli import main
from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.ingestion import write_dataset
from kgrec.queries import QUERIES
from kgrec.queries.description import describe
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.store.cypher import load_statements

PAGE = (Path(__file__).parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")
SECTIONS = {
    part.splitlines()[0]: re.split(r"^## ", part, flags=re.M)[0]
    for part in re.split(r"^### ", PAGE, flags=re.M)[1:]
}

#: A graph without cold nodes, loads and publications has nothing to say here.
MAY_BE_EMPTY = {
    "cold_nodes", "loads", "publications", "published_recommendations", "published_similar",
    "recommend_filtered",
}  # fmt: skip


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the page has it: a graph with vectors, and a run."""
    folder = tmp_path_factory.mktemp("page")
    config = Config.load(build_tiny(folder))
    dataset = load_dataset(config.data, 0)
    with open_store(f"embedded:{folder / 'graph.kgl'}") as store:
        write_dataset(dataset, store)
        ids = dataset.nodes[NodeLabel.ITEM]["id"].tolist()
        matrix = np.random.default_rng(0).normal(size=(len(ids), 8)).astype(np.float32)
        store.write_vectors(NodeLabel.ITEM, ids, matrix)
    run = folder / "runs" / "first"
    run.mkdir(parents=True)
    (run / "record.json").write_text('{"relation_weights": {"GENRE": 0.25, "rev_GENRE": 2}}')
    return folder


@pytest.fixture
def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GraphStore]:
    monkeypatch.chdir(folder)
    with open_store("embedded:graph.kgl", read_only=True) as opened:
        yield opened


def test_every_query_has_a_section_and_no_other_has() -> None:
    assert set(SECTIONS) == set(QUERIES)


@pytest.mark.parametrize("name", QUERIES)
def test_a_section_names_parameters_defaults_and_columns(name: str) -> None:
    section, known = SECTIONS[name], describe(name)
    rows = re.findall(r"^\| `(\w+)` \| (\S.*?) \| (.+) \|$", section, re.M)
    assert [row[0] for row in rows] == list(known.parameters)
    for parameter, default, meaning in rows:
        if parameter in known.defaults:
            assert json.loads(default.strip("`")) == known.defaults[parameter]
        else:
            assert default == "needed"
        assert meaning
    columns = re.search(r"^Columns: (.*?)\.( Has|$)", section, re.M)
    assert columns
    assert re.findall(r"`(\w+)`", columns[1]) == list(known.columns)
    assert ("to_networkx" in section) == known.is_graph


@pytest.mark.parametrize("name", QUERIES)
def test_the_three_forms_of_a_query_run(
    name: str, store: GraphStore, capsys: pytest.CaptureFixture[str]
) -> None:
    section = SECTIONS[name]
    (code,) = blocks(section, "python")
    found = eval(code, {"kgrec": kgrec, "store": store})
    assert found.query == name
    assert found.rows or name in MAY_BE_EMPTY

    (line,) = blocks(section, "sh")
    assert main([*shlex.split(line)[1:], "--json"]) == 0
    answered = json.loads(capsys.readouterr().out)
    assert answered == json.loads(json.dumps(found.to_dict()))

    (cypher,) = blocks(section, "cypher")
    params = {
        key: json.loads(re.sub(r"(\w+): ", r'"\1": ', value))
        for key, value in re.findall(r"^:param (\w+) => (.*);$", cypher, re.M)
    }
    assert f":source cypher/{name}.cypher" in cypher
    assert list(params) == list(load_statements("embedded")[name].parameters)
    rows = store.query(name, params)
    if name not in {"random_walks", "subgraph"}:  # a statement of theirs is one step
        assert json.loads(json.dumps(_as_rows(name, rows))) == answered["rows"]
    assert rows or name in MAY_BE_EMPTY


def _as_rows(name: str, rows: list[dict[str, object]]) -> list[dict[str, object]]:
    if name == "user_profile":
        return [{**row, "properties": dict(row["properties"])} for row in rows]  # type: ignore[call-overload]
    return rows


def test_the_other_examples_run(store: GraphStore) -> None:
    store.close()
    above = PAGE.partition("## A user")[0]
    names: dict[str, object] = {}
    for code in blocks(above, "python"):
        exec(code, names)
    assert names["weights"] == {"GENRE": 0.25, "rev_GENRE": 2.0}
    assert len(names["similar"]) == 5  # type: ignore[arg-type]


def test_weights_of_a_run_are_taken_on_the_command_line(
    store: GraphStore, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["query", "similar_by_attributes", "-p", "item=i4", "--json"]
    assert main([*asked, "--run", "runs/first"]) == 0
    got = json.loads(capsys.readouterr().out)["rows"]
    weighed = queries.similar_by_attributes(store, "i4", weights={"GENRE": 0.25, "rev_GENRE": 2})
    plain = queries.similar_by_attributes(store, "i4")
    assert got == weighed.to_dict()["rows"] != plain.to_dict()["rows"]
    given = ["-p", 'weights={"GENRE": 1}']  # what is said wins over the run
    assert main([*asked, "--run", "runs/first", *given]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == plain.to_dict()["rows"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["popular", "--run", "runs/first"], "takes no relation weights"),
        (["popular", "--timeout", "0"], "positive number of seconds"),
        (["popular", "-p", "limit=10001"], "at most 10000"),
        (["popular", "-p", "since=yesterday"], "seconds since 1970"),
        (["paths", "-p", "user=u1", "-p", "item=i1", "-p", "hops=9"], "at most 4"),
        (["random_walks", "-p", "nodes=Item:i1"], "needs seed"),
        (["subgraph", "-p", "nodes=Film:i1"], "a label and an id"),
        (["candidates", "-p", 'ranges={"year": 3}'], "by property"),
        (["similar_by_attributes", "-p", "item=i1", "-p", "weights=[1]"], "by directed relation"),
    ],
)
def test_what_does_not_fit_is_bad_usage(
    arguments: list[str], said: str, store: GraphStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["query", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_tables_show_what_is_inside(
    store: GraphStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["query", "user_profile", "-p", "user=u1"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "person_orbit, name: Lem" in out
    assert "items: 10 · type: GENRE" in out
