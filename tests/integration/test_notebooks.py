"""The notebooks: they run from top to bottom, and what is committed was run so."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NAMES = [
    "01-quick-start", "02-your-data-and-graph", "03-exploring-subgraphs",
    "04-training-weights-audit", "05-sparse-nodes-gan", "06-neo4j-and-back",
]  # fmt: skip
#: With a picture each; the second has tables alone.
PICTURED = {"01", "03", "04", "05"}


def read(path: Path) -> Any:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_all_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_one_was_run_in_order_and_without_errors(path: Path) -> None:
    notebook = read(path)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    kinds = [output.output_type for output in outputs(notebook)]
    assert "error" not in kinds
    assert not [o for o in outputs(notebook) if o.get("name") == "stderr"]
    pictures = [o for o in outputs(notebook) if "image/png" in o.get("data", {})]
    assert bool(pictures) == (path.stem[:2] in PICTURED)
    assert path.stat().st_size < 1_500_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (FOLDER / target).exists(), target


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")  # torch deprecates what torch-geometric does
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    # Cells hold their own findings true by assertions; one that fails is an error here.
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(FOLDER)}}).execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
