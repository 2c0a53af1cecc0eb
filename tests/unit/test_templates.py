"""All HTML stands in templates, and nothing gets into a page unescaped but kgrec's own pictures."""

import ast
import html.parser
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jinja2 import UndefinedError

from kgrec.exploration.subgraph import Trail
from kgrec.pages.render import render
from kgrec.pages.svg import label, picture
from kgrec.pages.text import printable

PACKAGE = Path(__file__).parents[2] / "kgrec"
TEMPLATES = sorted((PACKAGE / "pages" / "templates").iterdir())
MODULES = sorted(PACKAGE.rglob("*.py"))
HOSTILE = "\"' onload='x' \"><script>alert(1)</script></style></title>&amp;\x00{{ 7 * 7 }}"

#: The one module that may say of a text that it is markup.
SEAM = "pages/svg.py"
#: Ways around escaping, in a template.
BYPASS = re.compile(r"\|\s*safe\b|autoescape|Markup|__html__|\|\s*(urlize|xmlattr|tojson)\b")
#: A tag of a page; the name of a group in a pattern is none.
TAG = re.compile(
    r"(?<!\?P)<(!doctype|html|head|body|main|header|section|article|div|span|p|h\d|ul|ol|li|dl|"
    r"table|tr|t[hd]|a|b|i|script|style|figure|details|img)[\s>]"
)


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts of a module, its docstrings aside."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (
            id(node) not in docstrings
        ):  # fmt: skip
            yield node.lineno, node.value


def test_only_pictures_go_into_a_template_as_they_are() -> None:
    assert len(TEMPLATES) >= 6
    for path in TEMPLATES:
        bypass = BYPASS.search(path.read_text(encoding="utf-8"))
        assert bypass is None, f"{path.name}: {bypass and bypass[0]!r} goes around escaping"
    for path in MODULES:
        names = {
            node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute)
            else node.name if isinstance(node, ast.alias | ast.FunctionDef) else ""
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        }  # fmt: skip
        wrong = names & {"Markup", "markupsafe", "__html__", "select_autoescape"}
        assert not wrong or name_of(path) == SEAM, f"{name_of(path)}: {wrong} belong in {SEAM}"
    seam = (PACKAGE / SEAM).read_text(encoding="utf-8")
    assert len(re.findall(r"\b(?:Markup|Picture)\(", seam)) == 1
    assert sum(len(re.findall(r"\bPicture\(", path.read_text(encoding="utf-8"))) for path in
               MODULES) == 1  # fmt: skip


def test_no_html_stands_in_python() -> None:
    for path in MODULES:
        for line, text in strings(ast.parse(path.read_text(encoding="utf-8"))):
            tag = TAG.search(text)
            assert tag is None, f"{name_of(path)}:{line}: {tag and tag[0]!r} belongs in a template"


def test_templates_ask_nobody_for_anything() -> None:
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?:|//[a-z]|url\(|@import|\b(src|srcset|action)\s*=", text), path
        assert not re.search(r"<(link|img|iframe|object|embed|base|form)\b", text), path


class Page(html.parser.HTMLParser):
    """Collects tags, attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_hostile_text_stays_a_text_in_attributes_and_between_tags() -> None:
    trail = Trail((("User", "u"),), (), 0.5, HOSTILE)
    page = Page(render("explore.html.j2", title=HOSTILE, trails=[trail], names=[HOSTILE]))
    own = ["style", "section", "details", "summary", "h1", "ul", "li", "b", "p", "details"]
    assert page.tags == [*own, "summary", "ul", "li", "script"]  # all of them kgrec's own
    assert page.attributes == {"id": "why", "open": None, "aria-label": printable(HOSTILE)}
    texts = "".join(page.texts)
    assert texts.count(printable(HOSTILE)) == 3  # title, path and name
    assert "alert(1)" not in page.texts[-1]
    assert "\x00" not in texts
    assert "{{ 7 * 7 }}" in texts  # no template is read from what is filled in


def test_a_hostile_text_stays_a_text_in_a_picture() -> None:
    shape = label(1, 2, HOSTILE, "middle")
    drawing = picture([shape], (30, 40), title=HOSTILE, description=HOSTILE, number=3)
    root = ElementTree.fromstring(str(drawing))
    assert [element.tag for element in root.iter()] == ["svg", "title", "desc", "text"]
    assert [element.text for element in root] == [printable(HOSTILE)] * 3


def test_a_value_that_is_missing_is_an_error_and_no_hole() -> None:
    with pytest.raises(UndefinedError, match="'trails' is undefined"):
        render("explore.html.j2", title="x")
    for template in ("card.html.j2", "report.html.j2"):
        with pytest.raises(UndefinedError):
            render(template)


def test_a_long_text_is_cut() -> None:
    page = render("explore.html.j2", title="t" * 10_000, trails=[], names=[])
    assert page.count("t" * 399 + "…") == 2
    assert len(page) < 3_500
    assert printable("&" * 10, most=3) == "&&…"
