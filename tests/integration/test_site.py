"""The documentation site: it builds without a warning, whole, and needs nothing from elsewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import browser
import pytest

import kgrec

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "WARNING" not in result.stderr
    assert "unrecognized relative link" not in result.stderr
    return folder


class Addresses(HTMLParser):
    """Everything a page loads, and everything it links to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.linked.append(values.get("href", ""))
        elif tag == "link" and values.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(values.get("href", ""))
        elif "src" in values:
            self.loaded.append(values["src"])


def pages(site: Path) -> list[Path]:
    found = sorted(site.rglob("*.html"))
    assert len(found) > 50
    return found


def test_nothing_is_loaded_from_elsewhere_and_all_links_lead_somewhere(site: Path) -> None:
    broken = []
    for page in pages(site):
        if page.name == "404.html":  # whose addresses are the server's
            continue
        addresses = Addresses(page)
        assert not [a for a in addresses.loaded if urlsplit(a).scheme not in ("", "data")], page
        for address in {*addresses.loaded, *addresses.linked}:
            path = unquote(urldefrag(address).url)
            if urlsplit(path).scheme or not path:
                continue
            target = page.parent / path
            if not (target / "index.html").is_file() and not target.is_file():
                broken.append(f"{page.relative_to(site)}: {address}")
    assert not broken


def test_every_page_of_docs_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = re.findall(r": (docs/.*\.md)$", text, flags=re.MULTILINE)
    assert sorted(nav) == sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))


def test_the_reference_has_every_public_name_and_every_room(site: Path) -> None:
    public = (site / "reference" / "index.html").read_text(encoding="utf-8")
    for name in set(kgrec.__all__) - {"__version__", "queries"}:
        assert f'id="kgrec.{name}"' in public, name
    rooms = {path.stem for path in (ROOT / "kgrec").iterdir() if not path.stem.startswith("_")}
    assert {path.parent.name for path in site.glob("reference/*/index.html")} == rooms - {"cli"}
    store = (site / "reference" / "store" / "index.html").read_text(encoding="utf-8")
    assert 'id="kgrec.store.base.GraphStore.read"' in store
    assert "Raises:" in store


def test_notebooks_are_shown_with_their_outputs(site: Path) -> None:
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = site / "notebooks" / path.stem / "index.html"
        pictures = [a for a in Addresses(page).loaded if a.endswith(".png")]
        assert len(pictures) == path.read_text(encoding="utf-8").count('"image/png": "')
    tables = (site / "notebooks" / "03-exploring-subgraphs" / "index.html").read_text("utf-8")
    assert 'class="dataframe"' in tables


@pytest.mark.browser
def test_the_picture_of_the_architecture_is_drawn(site: Path) -> None:
    with browser.opened(site / "docs" / "architecture" / "index.html", 1100, settle=4.0) as chrome:
        assert browser.requested(chrome) <= {"file", "data", "blob"}
        assert not [line for line in browser.complaints(chrome) if "arse error" in line]
        (width, height), *_ = browser.sizes(chrome, "div.mermaid")
        assert width > 400
        assert height > 400
