"""What the documentation site has beside docs/: pages of the repository, notebooks, the reference.

Pages have the paths that they have in the repository, so that each link leads to the same place on
the site as between the files. Notebooks are shown as they were run; nothing is run here.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "kgrec"
#: What the site shows of the repository: pages, and what they link to.
SHOWN = (
    "*.md", "LICENSE", "docs/*.md", "docs/images/*", "docs/site/*.css", "docs/site/*.js",
    "notebooks/README.md", "examples/*/README.md", "benchmarks/results/**/*.md",
    "benchmarks/results/*/*.png", "kgrec/data/resources/README.md", "kgrec/config/*.py",
)  # fmt: skip
MERMAID = re.compile(r'<script src="[^"]*mermaid[^"]*"></script>')
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def rooms() -> dict[str, list[str]]:
    """Gives each room of the package with its modules, as dotted names."""
    modules: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1].startswith("_"):
            parts = parts[:-1]  # an __init__.py stands for its package
        if parts:
            modules.setdefault(parts[0], []).append(".".join(("kgrec", *parts)))
    return {room: sorted(set(names)) for room, names in modules.items() if room != "cli"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fills the parts of the navigation that are lists of what is there."""
    lists: dict[str, list[Any]] = {
        "notebooks": ["notebooks/README.md", *(f"notebooks/{path.stem}.md" for path in NOTEBOOKS)],
        "reference": [
            {"kgrec": "reference/index.md"},
            *({f"kgrec.{room}": f"reference/{room}.md"} for room in rooms()),
        ],
    }
    assert config.nav is not None
    config.nav = [
        {title: lists.get(part, part) if isinstance(part, str) else part}
        for entry in config.nav
        for title, part in entry.items()
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Gives the theme's files, and instead of docs/ what the site shows of the repository."""
    site = Files([file for file in files if file.src_dir != config.docs_dir])
    for pattern in SHOWN:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            site.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    for path in NOTEBOOKS:
        for name, content in notebook_files(path):
            site.append(File.generated(config, name, content=content))
    site.append(File.generated(config, "reference/index.md", content=public_page()))
    for room, modules in rooms().items():
        page = "\n".join([f"# kgrec.{room}", "", *map(module_block, modules)])
        site.append(File.generated(config, f"reference/{room}.md", content=page))
    return site


def notebook_files(path: Path) -> Iterator[tuple[str, str | bytes]]:
    """Gives a notebook as a page, and its pictures."""
    notebook = nbformat.read(path, as_version=4)
    folder = f"{path.stem}_files"
    resources = {"output_files_dir": folder, "unique_key": path.stem}
    text, resources = MarkdownExporter().from_notebook_node(notebook, resources)
    # Links between notebooks are links between their pages.
    yield f"notebooks/{path.stem}.md", text.replace(".ipynb)", ".md)")
    for name, content in resources["outputs"].items():
        yield f"notebooks/{name}", content


def module_block(name: str) -> str:
    """Gives the place of a module's reference; what a package only gives on stands at its home."""
    path = ROOT.joinpath(*name.split("."))
    if not path.is_dir():
        return f"::: {name}\n"
    tree = ast.parse((path / "__init__.py").read_text(encoding="utf-8"))
    own = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    return f"::: {name}\n    options:\n      members: {own or 'false'}\n"


def public_page() -> str:
    """Gives the page of the public names, as `kgrec.__all__` has them."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    values = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    names = [name for name in ast.literal_eval(values["__all__"]) if name != "__version__"]
    lines = ["# kgrec", "", ast.get_docstring(tree) or "", ""]
    for name in names:
        if name == "queries":
            lines += ["## kgrec.queries", "", "The functions of [kgrec.queries](queries.md).", ""]
        else:
            lines += [f"::: kgrec.{name}", ""]
    return "\n".join(lines)


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lets the notebooks' index lead to their pages."""
    in_notebooks = page.file.src_uri.startswith("notebooks/")
    return markdown.replace(".ipynb)", ".md)") if in_notebooks else markdown


def on_post_page(output: str, **_: Any) -> str:
    """Leaves the large script for diagrams to pages that have one."""
    return output if 'class="mermaid"' in output else MERMAID.sub("", output)
