"""An explanation as inline SVG: it takes the colours of its page, light or dark."""

from kgrec.data.card.markup import shown
from kgrec.explore.layout import LETTER, SMALL, Box, Line, lay_out
from kgrec.explore.look import INTERACTION_COLOUR, TONES, type_colours
from kgrec.explore.subgraph import Subgraph

#: Rules for every drawing of a page.
SUBGRAPH_CSS = (
    ".drawing { overflow-x: auto; }\n"
    f".drawing svg {{ min-width: 640px; }}\n"
    f".drawing text {{ font-size: {LETTER}px; fill: var(--ink); text-anchor: middle; }}\n"
    f".drawing .said {{ font-size: {SMALL}px; paint-order: stroke; stroke: var(--sheet);"
    " stroke-width: 4px; stroke-linejoin: round; }\n"
    ".drawing path { fill: none; opacity: .8; }\n"
    ".drawing .faint { opacity: .35; }\n"
    ".drawing .recommended text { font-weight: 700; }\n"
    + "".join(
        f".drawing .{name} rect {{ fill: {tone.fill}; stroke: {tone.line}; }}\n"
        f".drawing .{name} text {{ fill: #1c2430; }}\n"
        for name, tone in TONES.items()
    )
    + "@media (prefers-color-scheme: dark) {\n"
    + "".join(
        f".drawing .{name} rect {{ fill: color-mix(in srgb, {tone.line} 34%, #1c2229);"
        f" stroke: color-mix(in srgb, {tone.line} 70%, white); }}\n"
        f".drawing .{name} text {{ fill: #e6e9ec; }}\n"
        for name, tone in TONES.items()
    )
    + ".drawing path, .keys i { filter: brightness(1.45); }\n"
    + ".drawing .said { filter: brightness(1.5); }\n}\n"
)


def subgraph_svg(subgraph: Subgraph, number: int) -> str:
    """Gives the drawing.

    Args:
        subgraph: An explanation.
        number: Makes its ids differ from those of other drawings of the page.
    """
    drawing = lay_out(subgraph)
    told = "; ".join(trail.text for trail in subgraph.trails)
    lines = "".join(map(_line, drawing.lines))
    labels = "".join(_label(line) for line in drawing.lines if line.label)
    boxes = "".join(map(_box, drawing.boxes))
    return (
        f'<div class="drawing" tabindex="0" role="region" aria-label="{shown(subgraph.title)}">'
        f'<svg viewBox="0 0 {drawing.width:.0f} {drawing.height:.0f}" role="img" '
        f'aria-labelledby="g{number} h{number}"><title id="g{number}">{shown(subgraph.title)}'
        f'</title><desc id="h{number}">{shown(told, 4000)}</desc>{lines}{labels}{boxes}</svg></div>'
    )


def legend(subgraph: Subgraph) -> str:
    """Names the colours of the lines, which are the same within one drawing."""
    from kgrec.text.templates import relation_phrase

    told = "".join(
        f'<li><i style="background:{colour}"></i>{shown(relation_phrase(kind))}</li>'
        for kind, colour in type_colours(subgraph.graph).items()
    )
    return f'<ul class="keys">{told}</ul>'


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
    return f'<text class="said" x="{x:.1f}" y="{y + 4:.1f}"{tint}>{shown(line.label)}</text>'


def _box(box: Box) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    step = (box.height - 10) / max(len(box.lines), 1)
    text = "".join(
        f'<text x="{box.x:.1f}" y="{top + 5 + step * (place + 0.5) + 4.5:.1f}">{shown(line)}</text>'
        for place, line in enumerate(box.lines)
    )
    return (
        f'<g class="{box.tone}"><rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="8"/>{text}</g>'
    )
