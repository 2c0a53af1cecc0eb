"""The frame of every inline picture, and the only way of own markup into a template.

A picture scales with its page, takes the page's colours, and says what it shows.
"""

from collections.abc import Iterable

from markupsafe import Markup

from kgrec.pages.text import escaped

#: A picture as templates take it.
Picture = Markup


def picture(
    shapes: Iterable[str],
    size: tuple[float, float],
    *,
    title: str,
    description: str,
    number: int,
) -> Picture:
    """Gives a picture that templates take as it is.

    Args:
        shapes: SVG elements, texts in them escaped already (`escaped`).
        size: Width and height, in units of the drawing.
        title: What it is, for who cannot see it.
        description: What it shows, likewise.
        number: Makes its ids differ from those of other pictures of the page.
    """
    width, height = size
    return Picture(
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-labelledby="t{number} d{number}"><title id="t{number}">{escaped(title)}</title>'
        f'<desc id="d{number}">{escaped(description, 4000)}</desc>{"".join(shapes)}</svg>'
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Gives a straight line; `kind` is its class in the page's style."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def label(
    x: float, y: float, text: str, anchor: str, kind: str = "tick", *, most: int = 400
) -> str:
    """Gives a text that starts, ends or has its middle (`anchor`) at a place."""
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escaped(text, most)}</text>"
    )
