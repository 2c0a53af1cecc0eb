"""Where things stand: an explanation in columns from the user to the item, also as inline SVG.

The SVG takes the colours of its page, light or dark.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import fmean
from typing import Any

from kgrec.exploration import look
from kgrec.exploration.subgraph import Key, Part, Subgraph
from kgrec.pages.svg import Picture, picture
from kgrec.pages.text import escaped
from kgrec.schema import INTERACTION_TYPES, NodeLabel, Split

#: Size of letters, in units of the drawing (pixels of a page).
LETTER, SMALL = 13.0, 11.0
_LINE, _PAD, _ROW_GAP, _COLUMN_GAP, _MARGIN = 16.0, 10.0, 16.0, 150.0, 14.0
INTERACTED = INTERACTION_TYPES[Split.TRAIN]
_SWEEPS = 8
#: Between edges that join the same two nodes.
_BESIDE = 11.0
#: An edge's data and the keys that it passes, from left to right.
_Route = tuple[dict[str, Any], list[Any]]


@dataclass(frozen=True)
class Box:
    """A node in its place; x and y are its middle.

    Attributes:
        key: The node's key; None for a label that stands for itself.
        lines: Its text.
        tone: Name of its tone.
        x: From the left.
        y: From the top.
        width: Of the box.
        height: Of the box.
    """

    key: Key | None
    lines: tuple[str, ...]
    tone: str
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True)
class Line:
    """A line between two places, with what is written on it.

    Attributes:
        start: (x, y) at the left.
        end: (x, y) at the right.
        label: In words; "" for none.
        at: Where the middle of the label stands.
        colour: On light paper.
        width: In units of the drawing.
        dashed: Whether it is not in the store: counted, or synthetic.
        faint: Whether it explains nothing.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    label: str
    at: tuple[float, float]
    colour: str
    width: float
    dashed: bool
    faint: bool


@dataclass(frozen=True)
class Drawing:
    """Boxes and lines, ready to be drawn."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


@dataclass
class _Sketch:
    """Columns of keys; labels in the way have keys of their own."""

    columns: list[list[Any]]
    boxes: dict[Any, Box]
    links: dict[Any, set[Any]] = field(default_factory=lambda: defaultdict(set))


def columns_of(subgraph: Subgraph) -> dict[Key, int]:
    """Gives each node its column: users left, then by how far along a path they are.

    What is on no path stands right of the recommended items.
    """
    column = {key: 0 for trail in subgraph.trails for key in trail.nodes}
    for _ in column:  # as often as the longest way through all paths can be long
        moved = False
        for trail in subgraph.trails:
            for source, target in pairwise(trail.nodes):
                if column[target] <= column[source] < len(column):
                    column[target], moved = column[source] + 1, True
        if not moved:
            break
    for key, data in subgraph.graph.nodes(data=True):
        if data["part"] == Part.OWN:
            column.setdefault(key, 1)
        elif data["part"] == Part.USER:
            column[key] = 0
    recommended = {k for k, p in subgraph.graph.nodes(data="part") if p == Part.RECOMMENDED}
    last = max((at for key, at in column.items() if key not in recommended), default=0) + 1
    for key, data in subgraph.graph.nodes(data=True):
        if data["part"] == Part.RECOMMENDED:
            column[key] = last
        else:
            column.setdefault(key, last + 1)
    return column


def lay_out(subgraph: Subgraph) -> Drawing:
    """Lays an explanation out in columns, with as few crossings as a few sweeps leave.

    Lines over more than one column pass through a gap of their own in the columns between, where
    what they say is written.
    """
    column = columns_of(subgraph)
    shares = look.own_shares(subgraph)
    sketch = _sketch(subgraph, column)
    routes = _routes(subgraph, column, sketch)
    for own in sketch.columns[1:2]:
        own.sort(key=lambda key: -sum(shares.get(key, ())))
    for _ in range(_SWEEPS):
        for at in range(2, len(sketch.columns)):
            _sort(sketch, at, at - 1)
        for at in range(len(sketch.columns) - 2, 1, -1):
            _sort(sketch, at, at + 1)
    width, height = _place(sketch)
    lines = _lines(subgraph, sketch, routes, shares)
    boxes = tuple(box for box in sketch.boxes.values() if box.key)
    return Drawing(width, height, boxes, tuple(lines))


def _sketch(subgraph: Subgraph, column: Mapping[Key, int]) -> _Sketch:
    columns: list[list[Any]] = [[] for _ in range(max(column.values(), default=0) + 1)]
    boxes: dict[Any, Box] = {}
    for key, data in subgraph.graph.nodes(data=True):
        lines = look.fold(data["name"], 26, 3)
        wide = max(map(look.text_width, lines)) * LETTER + 2 * _PAD
        tall = len(lines) * _LINE + _PAD
        boxes[key] = Box(key, lines, look.tone_name(data), width=wide, height=tall)
        columns[column[key]].append(key)
    return _Sketch(columns, boxes)


def _routes(subgraph: Subgraph, column: Mapping[Key, int], sketch: _Sketch) -> list[_Route]:
    """Gives per edge its data and the keys it passes, from left to right."""
    routes = []
    for head, tail, data in subgraph.graph.edges(data=True):
        first, last = sorted((head, tail), key=lambda key: column[key])
        passed: list[Any] = [first]
        for at in range(column[first] + 1, column[last]):
            gap = (first, last, data["type"], at)
            label = look.caption(data) if at == column[first] + 1 else ""
            wide = look.text_width(label) * SMALL + 8
            sketch.boxes[gap] = Box(None, (label,), "gap", width=wide, height=_LINE)
            sketch.columns[at].append(gap)
            passed.append(gap)
        passed.append(last)
        for source, target in pairwise(passed):
            sketch.links[source].add(target)
            sketch.links[target].add(source)
        routes.append((data, passed))
    return routes


def _sort(sketch: _Sketch, at: int, by: int) -> None:
    """Orders a column by the mean place of its neighbours in another."""
    place = {key: number for number, key in enumerate(sketch.columns[by])}

    def mean(key: Any) -> float:
        positions = [place[neighbour] for neighbour in sketch.links[key] if neighbour in place]
        return fmean(positions) if positions else float(sketch.columns[at].index(key))

    sketch.columns[at] = sorted(sketch.columns[at], key=mean)


def _place(sketch: _Sketch) -> tuple[float, float]:
    """Gives every box its place; columns are centred on each other."""
    tall = [
        sum(sketch.boxes[key].height for key in column) + _ROW_GAP * max(len(column) - 1, 0)
        for column in sketch.columns
    ]
    height, x = max(tall, default=0.0) + 2 * _MARGIN, _MARGIN
    for column, used in zip(sketch.columns, tall, strict=True):
        wide = max((sketch.boxes[key].width for key in column), default=0.0)
        # What there is too much room for is spread, so that lines run straight.
        spare = min((height - 2 * _MARGIN - used) / (len(column) + 1), 40.0)
        y = (height - used - spare * (len(column) - 1)) / 2
        for key in column:
            box = sketch.boxes[key]
            sketch.boxes[key] = replace(box, x=x + wide / 2, y=y + box.height / 2)
            y += box.height + _ROW_GAP + spare
        x += wide + (_COLUMN_GAP if wide else 0.0)
    return x - _COLUMN_GAP + _MARGIN, height


def _lines(
    subgraph: Subgraph,
    sketch: _Sketch,
    routes: Sequence[_Route],
    shares: Mapping[Key, Sequence[float]],
) -> list[Line]:
    colours, wide = look.type_colours(subgraph.graph), look.widths(subgraph.graph, 1.2, 4.5)
    most = max((abs(sum(of_items)) for of_items in shares.values()), default=1.0) or 1.0
    lines: list[Line] = []
    labelled: set[tuple[Key, str, bool]] = set()
    num_parallel = Counter((passed[0], passed[-1]) for _, passed in routes)
    num_placed: Counter[tuple[Key, Key]] = Counter()
    for data, passed in routes:
        kind, label, first, last = data["type"], "", passed[0], passed[-1]
        width, near_start = wide[kind], False
        # Where several edges join two nodes, they run beside each other.
        shift = _BESIDE * (num_placed[first, last] - (num_parallel[first, last] - 1) / 2)
        num_placed[first, last] += 1
        if kind == INTERACTED and last in shares:
            label = look.share_label(shares[last])
            width = 1.2 + 3.8 * abs(sum(shares[last])) / most
        elif len(passed) == 2:
            # Where lines of one type meet in an entity, one label is enough.
            near_start = subgraph.graph.nodes[first]["label"] == NodeLabel.ENTITY
            meeting = (first if near_start else last, kind, near_start)
            label = "" if meeting in labelled else look.caption(data)
            labelled.add(meeting)
        plain = Line(
            (0, shift), (0, shift), label, (0, 0), colours[kind], width,
            data["synthetic"] or not data["stored"], not data["on_trail"],
        )  # fmt: skip
        lines += _pieces(plain, [sketch.boxes[key] for key in passed], near_start)
    return lines


def _pieces(plain: Line, boxes: Sequence[Box], near_start: bool) -> Iterator[Line]:
    """Gives the line from box to box, straight through the gaps in between."""
    for number, (box, next_box) in enumerate(pairwise(boxes)):
        down, up = plain.start[1] * (not number), plain.end[1] * (next_box.key is not None)
        start, end = (
            (box.x + box.width / 2, box.y + down),
            (next_box.x - next_box.width / 2, next_box.y + up),
        )
        piece = replace(plain, start=start, end=end, label="" if len(boxes) > 2 else plain.label)
        yield replace(piece, at=_label_at(piece, near_start))
        if next_box.key is None:
            through = (next_box.x + next_box.width / 2, next_box.y)
            label = next_box.lines[0] and (plain.label or next_box.lines[0])
            above = next_box.y - _clearance(plain)
            yield replace(plain, start=end, end=through, label=label, at=(next_box.x, above))


def _label_at(line: Line, near_start: bool) -> tuple[float, float]:
    """Gives the place of a label beside its line, close to the box that it belongs to.

    It stands clear of the line: on the side from which the line does not come, of a straight one
    above, and of two beside each other outside.
    """
    (x1, _), (x2, _) = line.start, line.end
    half = min(look.text_width(line.label) * SMALL / 2 + 8, (x2 - x1) / 2)
    target_x = x1 + half if near_start else x2 - half
    low, high = 0.0, 1.0
    for _ in range(20):  # x grows with the place
        middle = (low + high) / 2
        low, high = (middle, high) if on_curve(line, middle)[0] < target_x else (low, middle)
    x, _ = on_curve(line, low)
    near, far = (line.start, line.end) if near_start else (line.end, line.start)
    is_above = far[1] >= near[1]
    return x, near[1] + (-1 if is_above else 1) * _clearance(line)


def _clearance(line: Line) -> float:
    """How far the middle of a label is from that of its line."""
    return SMALL / 2 + line.width / 2 + 3


def on_curve(line: Line, place: float) -> tuple[float, float]:
    """Gives the point of a line at a place from 0, its start, to 1."""
    (x1, y1), (x2, y2) = line.start, line.end
    t, u = place, 1 - place
    x = u**3 * x1 + 3 * u * t * (x1 + x2) / 2 + t**3 * x2
    return x, (u**3 + 3 * u**2 * t) * y1 + (3 * u * t**2 + t**3) * y2


def subgraph_svg(subgraph: Subgraph, number: int) -> Picture:
    """Gives the drawing.

    Args:
        subgraph: An explanation.
        number: Makes its ids differ from those of other pictures of the page.
    """
    drawing = lay_out(subgraph)
    labels = [_label_svg(line) for line in drawing.lines if line.label]
    return picture(
        [*map(_line_svg, drawing.lines), *labels, *map(_box_svg, drawing.boxes)],
        (drawing.width, drawing.height),
        title=subgraph.title,
        description="; ".join(trail.text for trail in subgraph.trails),
        number=number,
    )


def _line_svg(line: Line) -> str:
    (x1, y1), (x2, y2) = line.start, line.end
    middle = (x1 + x2) / 2
    dashes = ' stroke-dasharray="6 4"' if line.dashed else ""
    faint = ' class="faint"' if line.faint else ""
    return (
        f'<path d="M{x1:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} '
        f'{y2:.1f}" stroke="{line.colour}" stroke-width="{line.width:.1f}"{dashes}{faint}/>'
    )


def _label_svg(line: Line) -> str:
    x, y = line.at
    tint = "" if line.colour == look.INTERACTION_COLOUR else f' style="fill:{line.colour}"'
    return f'<text class="said" x="{x:.1f}" y="{y + 4:.1f}"{tint}>{escaped(line.label)}</text>'


def _box_svg(box: Box) -> str:
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
