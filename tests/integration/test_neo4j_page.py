"""docs/neo4j.md, command by command, on a real server."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import neo4j
import pytest

from kgrec import publication
from kgrec.cli.app import main
from kgrec.config import Config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "neo4j.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)

#: The page's settings train for minutes; these for seconds.
FAST = (
    "text.enabled=false", "training.epochs=3", "training.ensemble=1", "model.channels=16",
    "closed_form.search_steps=3", "user_side.enabled=false",
    "factors.enabled=false", "directed.enabled=false", "model.temperature=0.2",
)  # fmt: skip

#: What kgrec may add to somebody's graph, at the start of a name.
MARKED = ("kgrec", "KGREC")


def commands(block: str) -> list[list[str]]:
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    return [words for words in lines if words and words[0] != "export"]


@pytest.fixture
def driver(neo4j_uri: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    user, password = os.environ["KGREC_NEO4J_USER"], os.environ["KGREC_NEO4J_PASSWORD"]
    monkeypatch.setenv("KGREC_SOURCE_USER", user)
    monkeypatch.setenv("KGREC_SOURCE_PASSWORD", password)
    with neo4j.GraphDatabase.driver(
        neo4j_uri, auth=(user, password), telemetry_disabled=True
    ) as opened:
        yield opened
        for kind, kinds in (("CONSTRAINT", "CONSTRAINTS"), ("INDEX", "INDEXES")):
            for name in names(opened, f"SHOW {kinds} YIELD name RETURN name"):
                if name.startswith(("kgrec_", "movie_id", "customer_number")):
                    opened.execute_query(f"DROP {kind} `{name}` IF EXISTS")


def names(driver: Any, cypher: str) -> list[str]:
    return [record["name"] for record in driver.execute_query(cypher).records]


def own_graph(driver: Any) -> tuple[list[Any], ...]:
    """Everything in the graph that is not marked as kgrec's."""
    nodes = driver.execute_query(
        "MATCH (n) WHERE NOT any(l IN labels(n) WHERE l STARTS WITH 'Kgrec')"
        " RETURN labels(n) AS labels, [k IN keys(n) WHERE NOT k STARTS WITH 'kgrec_' | [k,"
        " toString(n[k])]] AS own, elementId(n) AS id ORDER BY id"
    )
    edges = driver.execute_query(
        "MATCH (a)-[r]->(b) WHERE NOT type(r) STARTS WITH 'KGREC_' RETURN type(r) AS type,"
        " properties(r) AS own, elementId(a) AS a, elementId(b) AS b, elementId(r) AS id"
        " ORDER BY id"
    )
    schema = names(driver, "SHOW CONSTRAINTS YIELD name RETURN name ORDER BY name")
    schema += names(driver, "SHOW INDEXES YIELD name RETURN name ORDER BY name")
    unmarked = [name for name in schema if not name.startswith(MARKED)]
    return [r.data() for r in nodes.records], [r.data() for r in edges.records], unmarked


@pytest.mark.timeout(1_200)
def test_the_page_runs_from_top_to_bottom(
    driver: Any,
    neo4j_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(publication, "GRACE_SECONDS", 0.0)  # nobody reads while the page is run
    shutil.copytree(ROOT / "examples" / "movies", tmp_path / "examples" / "movies")
    before: tuple[list[Any], ...] | None = None
    ran, answers = [], []
    for language, block in BLOCKS:
        if language == "cypher":
            answers.append([r.data() for r in driver.execute_query(block).records])
        for words in commands(block) if language == "sh" else ():
            words = [neo4j_uri if word == "bolt://localhost:7687" else word for word in words]
            ran.append(words[:2])
            if words[0] == "python":
                subprocess.run([sys.executable, *words[1:]], check=True, capture_output=True)
                before = own_graph(driver)
                continue
            assert words[0] == "kgrec"
            if words[1] == "train":
                words += [word for one in FAST for word in ("--set", one)]
            assert main(words[1:]) == 0, (words, capsys.readouterr().err)
    assert before is not None
    assert own_graph(driver) == before  # nothing but marked names was written, and taken back
    left = driver.execute_query("MATCH ()-[r]->() WHERE type(r) STARTS WITH 'KGREC_' RETURN r")
    assert left.records == []
    assert [name for _, name in ran if not name.startswith("examples")] == [
        "inspect", "check", "ingest", "train", "evaluate", "recommend", "publish", "ingest",
        "refresh", "train", "publish", "publish", "publish",
    ]  # fmt: skip
    assert excerpt() in (tmp_path / "movies.toml").read_text()
    thrillers, japanese, similar = answers
    assert 0 < len(thrillers) <= 5
    assert all(row["year"] >= 2000 for row in thrillers)
    assert 0 < len(japanese) <= 5
    assert all(-1 <= row["cosine"] <= 1 for row in japanese)
    assert len(similar) == 5
    assert_filtered(driver, [row["title"] for row in thrillers])


def assert_filtered(driver: Any, titles: list[str]) -> None:
    """The filters again, one at a time."""
    for title in titles:
        (found,) = driver.execute_query(
            "MATCH (m:Movie {title: $title}) RETURN [(m)-[:IN_GENRE]->(g) | g.name] AS genres,"
            " EXISTS { (:Customer {number: 'c001'})-[:RATED|VIEWED]->(m) } AS known",
            title=title,
        ).records
        assert found.data() == {"genres": ["Thriller"], "known": False}


def excerpt() -> str:
    (first, *_) = [block for language, block in BLOCKS if language == "toml"]
    return first.strip()


def test_its_settings_load() -> None:
    (_, whole) = [block for language, block in BLOCKS if language == "toml"]
    config = Config.build(tomllib.loads(whole))
    assert config.adopt is not None
    assert config.adopt.interactions[1].direction == "in"
    assert config.adopt.relations.rename == {"演出": "acted_in"}


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
