"""The wheel works where there is no source tree: it carries its Cypher and its templates."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from graph_oracle import random_dataset

from kgrec.ingestion import write_dataset
from kgrec.schema import Split
from kgrec.store.connect import open_store

ROOT = Path(__file__).parents[2]
#: All that a query and a page need; torch and transformers are not among it.
LIGHT = (
    "jinja2",
    "kglite",
    "pandas",
    "pyarrow",
    "pydantic",
    "rich",
    "typer",
    "neo4j",
    "neo4j-rust-ext",
)


def uv(*arguments: str | Path, cwd: Path) -> str:
    command = [str(Path(sys.executable).with_name("uv")), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(600)
def test_a_wheel_in_another_environment_answers_a_query(tmp_path: Path) -> None:
    source = tmp_path / "source"  # without .venv and caches, as a fresh clone would be
    for name in ("kgrec", "cypher"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    uv("build", "--wheel", "--out-dir", tmp_path / "dist", source, cwd=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    carried = set(zipfile.ZipFile(wheel).namelist())
    for statement in (ROOT / "cypher").rglob("*.cypher"):
        assert f"kgrec/_cypher/{statement.relative_to(ROOT / 'cypher').as_posix()}" in carried
    for template in (ROOT / "kgrec" / "pages" / "templates").iterdir():
        assert f"kgrec/pages/templates/{template.name}" in carried
    assert not [name for name in carried if name.startswith("tests")]

    locked = uv("export", "--frozen", "--no-hashes", "--no-emit-project", cwd=ROOT)
    (tmp_path / "locked.txt").write_text(locked)
    uv("venv", "--python", sys.executable, "env", cwd=tmp_path)
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    uv("pip", "install", "--python", python, "--no-deps", wheel, cwd=tmp_path)
    uv("pip", "install", "--python", python, "-c", "locked.txt", *LIGHT, cwd=tmp_path)

    uri = f"embedded:{tmp_path / 'graph.kgl'}"
    dataset = random_dataset(0)
    with open_store(uri) as store:
        write_dataset(dataset, store)
    pairs = pd.concat([dataset.pairs(split) for split in Split])
    user = pairs["head"].iloc[0]
    own = set(pairs.loc[pairs["head"] == user, "tail"])
    code = (
        "import json, sys, kgrec\n"
        "assert 'site-packages' in kgrec.__file__, kgrec.__file__\n"
        "from kgrec.store.connect import open_store\n"
        "from kgrec.pages.render import render\n"
        "assert '&lt;x&gt;' in render('explore.html.j2', title='<x>', trails=(), names=())\n"
        "with open_store(sys.argv[1], read_only=True) as store:\n"
        "    rows = store.read('user_history', user=sys.argv[2], limit=1000)\n"
        "print(json.dumps([row['id'] for row in rows]))\n"
    )
    done = subprocess.run(
        [str(python), "-c", code, uri, user], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == own
