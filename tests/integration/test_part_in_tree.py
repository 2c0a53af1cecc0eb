"""A part in kgrec's own tree is two files and one line, on a copy of the tree."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tiny import build_tiny

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")

PART = '''"""Cosines between the users of two items, as a part."""

from typing import ClassVar

from pydantic import Field

from kgrec.config.base import PartConfig
from kgrec.training.part import Part


{config}


class TogetherPart(Part):
    """See `kgrec.model.together.Together`."""

    name, title, section = "together", "together", TogetherConfig

    def fit(self, fitting, settings, advance):
        """Counts users in common."""
        from kgrec.model.together import Together

        return Together(fitting.history, TogetherConfig.of(fitting.config).shrink)


PART = TogetherPart()
'''

USE = """
import sys
import kgrec
assert "torch" not in sys.modules
assert kgrec.__file__.startswith(sys.argv[1]), kgrec.__file__
config = kgrec.Config.load("tiny.toml", ("together.shrink=3", "closed_form.enabled=false",
                                         "model.channels=2", "training.epochs=1"))
kgrec.ingest(config)
with kgrec.open_store(config.store, read_only=True) as store:
    graph = kgrec.fetch_graph(store)
kgrec.train(config, graph, "run")
run = kgrec.load_run("run")
assert run.config.together.shrink == 3
assert run.scorer.part_weights["together"] > 0
assert 0 < kgrec.evaluate(run.scorer.parts["together"], graph, "test").metrics["ndcg@20"] < 1
assert "together" in [part.name for part in kgrec.explain(run, "u1", "i2").parts]
with open("interactions.tsv", "a") as file:
    file.write("late\\ti2\\t5\\t9000000\\nlate\\ti4\\t5\\t9000001\\n")
kgrec.ingest(config)
with kgrec.open_store(config.store, read_only=True) as store:
    fresh = kgrec.refresh(run, store).run
assert fresh.scorer.parts["together"].num_users == run.scorer.num_users + 1
"""


def test_a_part_is_its_model_its_settings_and_one_line(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for folder in ("kgrec", "cypher"):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tree / folder, ignore=skip)
    (block,) = re.findall(r'^```python title="together.py"\n(.*?)^```', PAGE, re.S | re.M)
    classes = {
        node.name: ast.get_source_segment(block, node)
        for node in ast.parse(block).body
        if isinstance(node, ast.ClassDef)
    }
    (tree / "kgrec" / "model" / "together.py").write_text(
        '"""Cosines between the users of two items."""\n\n'
        "from kgrec.model.incidence import Incidence\n"
        "from kgrec.model.scorer import FromHistory\n\n\n" + (classes["Together"] or ""),
        encoding="utf-8",
    )
    (tree / "kgrec" / "training" / "parts" / "together.py").write_text(
        PART.format(config=classes["TogetherConfig"]), encoding="utf-8"
    )
    (before, line) = re.findall(r"^```diff\n (.*?)\n\+(.*?)\n```", PAGE, re.S | re.M)[0]
    registry = tree / "kgrec" / "registry.py"
    source = registry.read_text(encoding="utf-8")
    assert source.count(f"{before}\n") == 1
    registry.write_text(source.replace(f"{before}\n", f"{before}\n{line}\n"), encoding="utf-8")

    shop = build_tiny(tmp_path / "shop").parent
    code = [sys.executable, "-c", USE, str(tree)]
    environment = {**os.environ, "PYTHONPATH": str(tree), "KGREC_CACHE": str(tmp_path / "cache")}
    process = subprocess.run(code, cwd=shop, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
