"""An explanation as inline SVG: it takes the colours of its page, light or dark."""

from kgrec.exploration.layout import Box, Line, lay_out
from kgrec.exploration.look import INTERACTION_COLOUR
from kgrec.exploration.subgraph import Subgraph
from kgrec.pages.svg import Picture, picture
from kgrec.pages.text import escaped


def subgraph_svg(subgraph: Subgraph, number: int) -> Picture:
    """Gives the drawing.

    Args:
        subgraph: An explanation.
        number: Makes its ids differ from those of other pictures of the page.
    """
    drawing = lay_out(subgraph)
    labels = [_label(line) for line in drawing.lines if line.label]
    return picture(
        [*map(_line, drawing.lines), *labels, *map(_box, drawing.boxes)],
        (drawing.width, drawing.height),
        title=subgraph.title,
        description="; ".join(trail.text for trail in subgraph.trails),
        number=number,
    )


def _line(line: Line) -> str:
    (x1, y1), (x2, y2) = line.start, line.end
    middle = (x1 + x2) / 2
    dashes = ' stroke-dasharray="6 4"' if line.dashed else ""
    faint = ' class="faint"' if line.faint else ""
    return (
        f'<path d="M{x1:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} '
        f'{y2:.1f}" stroke="{line.colour}" stroke-width="{line.width:.1f}"{dashes}{faint}/>'
    )


def _label(line: Line) -> str:
    x, y = line.at
    tint = "" if line.colour == INTERACTION_COLOUR else f' style="fill:{line.colour}"'
    return f'<text class="said" x="{x:.1f}" y="{y + 4:.1f}"{tint}>{escaped(line.label)}</text>'


def _box(box: Box) -> str:
    x, top = box.x - box.width / 2, box.y - box.height / 2
    step = (box.height - 10) / max(len(box.lines), 1)
    text = "".join(
        f'<text x="{box.x:.1f}" y="{top + 9.5 + step * (place + 0.5):.1f}">{escaped(words)}</text>'
        for place, words in enumerate(box.lines)
    )
    return (
        f'<g class="{box.tone}"><rect x="{x:.1f}" y="{top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="8"/>{text}</g>'
    )
