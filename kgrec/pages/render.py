"""Fills the templates; everything that is filled into a page is escaped."""

from collections.abc import Mapping
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from kgrec.pages import numbers
from kgrec.pages.text import printable

#: Characters of a text; cells and headings of templates take fewer by the filter `cut`.
_MOST_CHARACTERS = 4000


def render(template: str, **values: object) -> str:
    """Fills a template.

    Args:
        template: Its name in `templates/`.
        values: By the names that the template gives them. Texts are escaped; only the pictures of
            `kgrec.pages.svg` go in as they are.

    Raises:
        jinja2.UndefinedError: If the template uses a name that it was not given.
    """
    return _environment().get_template(template).render(**values)


def render_markdown(template: str, values: Mapping[str, object]) -> str:
    """Fills a template of Markdown, in which texts stand as they are.

    Args:
        template: Its name in `templates/`, `….md.j2`.
        values: By the names that the template gives them.

    Raises:
        jinja2.UndefinedError: If the template uses a name that it was not given.
    """
    return _markdown().get_template(template).render(values)


@cache
def _markdown() -> Environment:
    return Environment(
        loader=PackageLoader("kgrec.pages"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("kgrec.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cut": _cut,
        "day": numbers.day,
        "fixed": numbers.fixed,
        "metric": numbers.metric,
        "moment": numbers.moment,
        "number": numbers.number,
        "percent": numbers.percent,
        "share": numbers.share,
        "signed": numbers.signed,
    }
    return environment


def _cut(value: object, most: int = 400) -> object:
    return value if hasattr(value, "__html__") else printable(value, most)


def _finalize(value: object) -> object:
    return _cut(value, _MOST_CHARACTERS)
