"""Files for the offline importer, read by the real importer of each Neo4j."""

import json
import os
import subprocess
from pathlib import Path

import neo4j_server
import numpy as np
import pandas as pd
import pytest
from graph_oracle import LOADS, assert_holds, random_dataset

from kgrec.data.tables import Dataset, RelationTable
from kgrec.errors import DataError, SchemaError, StoreError
from kgrec.ingestion import write_dataset, write_offline
from kgrec.schema import EdgeKey, NodeLabel, Role, Split
from kgrec.store.connect import open_store

#: Texts that a careless writer or reader of CSV gets wrong.
TEXTS = (
    'He said "no"',
    "a, b; c",
    "one\ntwo\r\nthree",
    "  spaces  ",
    "=SUM(A1)",
    "",
    None,
    "日本 😀 é",
    "\\N \\",
    "null",
    "1.50",
    '"',
    "tab\there",
    "'",
)


def awkward_dataset() -> Dataset:
    """Every awkward text as an id, a title and a name; numbers at their limits; missing values."""
    ids = [f"{text}#{n}" for n, text in enumerate(TEXTS)]
    count = len(ids)
    nodes = {
        NodeLabel.USER: pd.DataFrame(
            {
                "id": ids,
                "age": np.arange(count) - 3,
                "height": [1e-300, np.nan, -0.1, 1e300, *np.linspace(0, 2, count - 4)],
                "load": [1] * count,
            }
        ),
        NodeLabel.ITEM: pd.DataFrame({"id": ids, "title": TEXTS, "big": [2**62] * count}),
        NodeLabel.ENTITY: pd.DataFrame({"id": ids, "nothing": [None] * count}),
    }
    at = np.arange(count)
    train = pd.DataFrame(
        {
            "head": at,
            "tail": at[::-1],
            "rating": [0.1, np.nan, *np.linspace(1, 5, count - 2)],
            "time": [np.nan, *range(1, count)],
            "load": [1, 2] * (count // 2),
        }
    )
    view = EdgeKey("VIEW", NodeLabel.USER, NodeLabel.ITEM)
    about = EdgeKey("ABOUT", NodeLabel.ENTITY, NodeLabel.ENTITY)
    relations = (
        RelationTable("view, of", view, train[["head", "tail", "time"]], Role.EVIDENCE),
        RelationTable("about", about, pd.DataFrame({"head": at, "tail": at})),
    )
    empty = train.iloc[:0]
    splits = {Split.TRAIN: train, Split.VALID: train.iloc[:1], Split.TEST: empty}
    splits[Split.TRAIN] = train.iloc[1:]
    return Dataset(nodes, splits, relations, LOADS)


VERSIONS = [
    pytest.param(x, marks=() if x == neo4j_server.DEFAULT_VERSION else pytest.mark.prove)
    for x in neo4j_server.runnable_versions() or [neo4j_server.DEFAULT_VERSION]
]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.mark.neo4j
def test_the_importer_makes_the_graph_of_the_dataset(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = awkward_dataset()
    files = write_offline(given, tmp_path / "files")
    assert files.edges == sum(map(len, given.edges().values()))

    def fill(admin: neo4j_server.Admin) -> None:
        assert files.command[0] == "neo4j-admin"
        admin(files.command[1:], files.folder)

    with neo4j_server.running(version, before=fill) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        with open_store(server.uri) as store:
            assert_holds(store, given, provenance=True)
            assert store.read("constraint_names") == []
            report = write_dataset(given, store)
            assert (report.num_written, report.num_removed, report.changed) == (0, 0, False)
            assert len(store.read("constraint_names")) == 8
            assert_holds(store, given, provenance=True)
            other = random_dataset(1)
            write_dataset(other, store)
            assert_holds(store, other, provenance=True)


def test_the_script_runs_the_command_in_its_folder(tmp_path: Path) -> None:
    files = write_offline(awkward_dataset(), tmp_path / "a folder")
    program = tmp_path / "bin" / "neo4j-admin"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\npwd\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    environment = {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}

    def run(*arguments: str) -> list[str]:
        command = ["sh", str(files.folder / "import.sh"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    assert run() == [str(files.folder), *files.command[1:]]
    named = run("films", "--overwrite-destination")
    assert named == [
        str(files.folder), *files.command[1:4], "films", *files.command[5:],
        "--overwrite-destination",
    ]  # fmt: skip
    for name in files.command[5:]:
        if name.startswith(("--nodes", "--relationships")):
            assert (files.folder / name.rpartition("=")[2]).is_file()
    readme = (files.folder / "README.txt").read_text(encoding="utf-8")
    assert files.version in readme
    assert "sh import.sh" in readme


def test_a_folder_is_replaced_whole_and_only_if_it_is_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()  # an empty one is as good as none
    first = write_offline(random_dataset(0), folder)
    (folder / "stale.csv").write_text("x")
    second = write_offline(random_dataset(1), folder)
    assert first.version != second.version
    assert not (folder / "stale.csv").exists()
    held = json.loads((folder / "kgrec-offline.json").read_text(encoding="utf-8"))
    assert held["version"] == second.version
    before = sorted((p.name, p.read_bytes()) for p in folder.iterdir())
    infinite = random_dataset(2)
    infinite.interactions[Split.TEST].loc[0, "rating"] = np.inf
    with pytest.raises(DataError, match="rating holds an infinite number"):
        write_offline(infinite, folder)
    refused = random_dataset(2)
    refused.nodes[NodeLabel.ITEM]["type"] = "film"
    with pytest.raises(SchemaError, match="item_type"):
        write_offline(refused, folder)
    assert sorted((p.name, p.read_bytes()) for p in folder.iterdir()) == before
    assert [p.name for p in tmp_path.iterdir()] == ["files"]
    other = tmp_path / "mine"
    other.mkdir()
    (other / "diary.txt").write_text("x")
    for place in (other, other / "diary.txt"):
        with pytest.raises(StoreError, match="name another one"):
            write_offline(random_dataset(0), place)
    with pytest.raises(StoreError, match="cannot write"):
        write_offline(random_dataset(0), other / "diary.txt" / "files")
    assert (other / "diary.txt").read_text() == "x"
