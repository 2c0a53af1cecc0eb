"""The public interface is exactly what kgrec says it is, is all people need, and is cheap."""

import ast
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kgrec

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

#: The one public name that is a room: its functions are called as kgrec.queries.popular(store).
ROOM = "queries"


def submodules() -> list[str]:
    return [module.name for module in pkgutil.walk_packages(kgrec.__path__, "kgrec.")]


def test_every_public_name_is_there_and_no_other_is_listed() -> None:
    assert sorted(kgrec.__all__) == kgrec.__all__
    for name in kgrec.__all__:
        assert getattr(kgrec, name) is not None
    assert dir(kgrec) == kgrec.__all__
    assert set(kgrec._LAZY) <= set(kgrec.__all__)


def test_no_module_hides_a_public_name() -> None:
    """An imported submodule becomes an attribute of its package, over a lazy function."""
    code = """
import importlib, inspect, pkgutil, sys
import kgrec
for module in pkgutil.walk_packages(kgrec.__path__, "kgrec."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
public = {name: getattr(kgrec, name) for name in kgrec.__all__}
modules = sorted(name for name, value in public.items() if inspect.ismodule(value))
idle = sorted(name for name, value in public.items()
              if not callable(value) and name not in ("__version__", *modules))
print(modules, idle)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == [f"['{ROOM}']", "[]"]


def test_no_package_gives_away_a_name_of_its_own_submodule() -> None:
    modules = set(submodules())
    for package in ["kgrec", *(m.name for m in pkgutil.iter_modules(kgrec.__path__, "kgrec."))]:
        names = getattr(importlib.import_module(package), "__all__", ())
        hidden = [name for name in names if f"{package}.{name}" in modules]
        assert hidden == ([ROOM] if package == "kgrec" else []), package


def test_public_names_are_documented() -> None:
    for name in set(kgrec.__all__) - {"__version__"}:
        assert inspect.getdoc(getattr(kgrec, name)), name


def deeper_imports(code: str) -> list[str]:
    """What code imports of kgrec beside its public names."""
    # Lines for the shell and for IPython are not Python's.
    lines = (line for line in code.splitlines() if not line.lstrip().startswith(("%", "!", "$")))
    modules = []
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names if alias.name.startswith("kgrec.")]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.startswith("kgrec."):
                modules.append(node.module)
            elif node.module == "kgrec":
                modules += [a.name for a in node.names if a.name not in kgrec.__all__]
    return modules


def attributes(code: str) -> set[str]:
    """The attributes of kgrec that code names."""
    lines = (line for line in code.splitlines() if not line.lstrip().startswith(("%", "!", "$")))
    return {
        node.attr
        for node in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "kgrec"
    }


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python[^\n]*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def assert_public(code: str, place: str) -> None:
    assert not deeper_imports(code), f"{place} imports deeper than `import kgrec`"
    strangers = attributes(code) - set(kgrec.__all__)
    assert not strangers, f"{place} uses names that kgrec has not: {sorted(strangers)}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_need_public_names_only(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert code
    for number, source in enumerate(code, start=1):
        assert_public(source, f"{path.name}, cell {number}")


def test_pages_need_public_names_only() -> None:
    blocks = [(path.name, block) for path in PAGES for block in python_blocks(path.read_text())]
    assert len(blocks) >= 5
    for name, block in blocks:
        assert_public(block, name)


def test_names_that_pages_call_public_are_there() -> None:
    for path in [*PAGES, *NOTEBOOKS]:
        if path.name == "upgrading.md":  # which has the names of old versions
            continue
        for name in re.findall(r"`kgrec\.(\w+)\(", path.read_text(encoding="utf-8")):
            assert name in kgrec.__all__, f"{path.name}: kgrec.{name}"


def test_every_command_has_its_row() -> None:
    from typer.main import get_command

    from kgrec.cli.app import app

    rows = re.findall(r"^\| `kgrec (\w+)", (ROOT / "docs" / "python.md").read_text(), re.MULTILINE)
    assert set(rows) == set(get_command(app).commands)


def test_functions_have_the_names_of_their_commands() -> None:
    from typer.main import get_command

    from kgrec.cli.app import app

    # Models that fit in processes of their own, a class with methods, and a room of functions.
    others = {"bench", "demo", "gan", "query"}
    for name in set(get_command(app).commands) - others:
        place = kgrec if name in kgrec.__all__ else kgrec.Recommender
        function = getattr(place, name)
        assert inspect.isfunction(function), name


def test_a_deeper_import_is_noticed() -> None:
    code = "%matplotlib inline\nimport kgrec.store\nfrom kgrec.store.base import GraphStore\n"
    assert deeper_imports(code + "from kgrec import Config, vocabulary") == [
        "kgrec.store", "kgrec.store.base", "vocabulary"
    ]  # fmt: skip
    with pytest.raises(AssertionError, match="told"):
        assert_public("kgrec.told()", "here")


def test_importing_kgrec_imports_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "neo4j", "kglite", "pandas"}
    code = f"import kgrec, sys; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_refreshing_imports_no_more_than_it_needs() -> None:
    heavy = {"torch_geometric", "matplotlib", "transformers", "neo4j", "scipy.stats"}
    code = f"import kgrec.upkeep.watching, sys; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
