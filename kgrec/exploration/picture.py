"""Static pictures, for papers and pages: PNG, SVG or PDF through matplotlib.

An explanation stands in columns; of a neighbourhood, what was asked for is in the middle, the rest
in rings or on springs around it.
"""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from kgrec.errors import ConfigError
from kgrec.exploration import look
from kgrec.exploration.layout import LETTER, SMALL, Box, Line, lay_out
from kgrec.exploration.subgraph import Key, Part, Subgraph
from kgrec.files import os_errors_as
from kgrec.text.templates import relation_phrase

#: What is written of each kind of file, which says nothing of when and by what it was made.
KINDS: Mapping[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
_INK, _SOFT, _PAPER = "#1C2430", "#5B6675", "#FFFFFF"
_TITLE, _LEGEND = 34.0, 30.0
_SEED, _NAME, _MOST_LETTERS = 0, 7.5, 30
_FACES = ["DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei"]

Places = dict[Key, Any]


def draw_subgraph(subgraph: Subgraph, path: Path | str | None = None, *, dpi: int = 160) -> Figure:
    """Draws a subgraph.

    An explanation stands in columns, from the user over the own items to what is recommended, with
    what each own item adds; anything else around what was asked for.

    Args:
        subgraph: What to draw.
        path: The file to write: .png, .svg or .pdf; None writes none.
        dpi: Dots an inch, of PNG.

    Returns:
        The figure; a notebook shows it.

    Raises:
        ConfigError: If the file is of another kind, or cannot be written.
    """
    if path is not None and Path(path).suffix.lower() not in KINDS:
        raise ConfigError(
            f"no picture can be written to {path}; expected a file that ends in {', '.join(KINDS)}"
        )
    with _faces():
        figure = _columns(subgraph) if subgraph.trails else _scatter(subgraph)
        if path is not None:
            with os_errors_as(ConfigError, "picture", path):
                figure.savefig(path, dpi=dpi, metadata=KINDS[Path(path).suffix.lower()])
    return figure


@contextmanager
def _faces() -> Iterator[None]:
    """Takes faces for names in any script, as far as they are installed; SVG keeps its texts."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    faces = [face for face in _FACES if face in installed]
    settings: Any = {"font.family": faces, "svg.fonttype": "none", "svg.hashsalt": "kgrec"}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A name that no installed face can show is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _columns(subgraph: Subgraph) -> Figure:
    drawing = lay_out(subgraph)
    wide, tall = max(drawing.width, 420.0), drawing.height + _TITLE + _LEGEND
    figure = Figure(figsize=(wide / 72, tall / 72), facecolor=_PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim((drawing.width - wide) / 2, (drawing.width + wide) / 2)
    axes.set_ylim(drawing.height + _LEGEND, -_TITLE)
    axes.axis("off")
    (title,) = look.fold(subgraph.title, max(int(drawing.width / 9.5), 24), 1)
    axes.text(
        drawing.width / 2, -_TITLE / 2, title, ha="center", va="center",
        fontsize=LETTER + 1, color=_INK, weight="bold", parse_math=False,
    )  # fmt: skip
    for line in drawing.lines:
        _draw_line(axes, line)
    for box in drawing.boxes:
        _draw_box(axes, box)
    marks = _marks(subgraph, "s", 9)
    marks.append(Line2D([], [], linestyle="", label="+0.12: what an own item adds to the score"))
    axes.legend(
        handles=marks, loc="lower center", ncols=len(marks), frameon=False, fontsize=SMALL - 1.5,
        labelcolor=_SOFT, handletextpad=0.4, columnspacing=1.2, borderaxespad=0.3,
    )  # fmt: skip
    return figure


def _draw_line(axes: Axes, line: Line) -> None:
    (x1, y1), (x2, y2) = line.start, line.end
    bend = (x2 - x1) / 2
    corners = [(x1, y1), (x1 + bend, y1), (x2 - bend, y2), (x2, y2)]
    axes.add_patch(
        PathPatch(
            Outline(corners, [Outline.MOVETO, Outline.CURVE4, Outline.CURVE4, Outline.CURVE4]),
            facecolor="none", edgecolor=line.colour, linewidth=line.width,
            alpha=0.35 if line.faint else 0.8,
            linestyle=(0, (3, 2)) if line.dashed else "-", capstyle="round" if not line.dashed
            else "butt", zorder=1,
        )
    )  # fmt: skip
    if line.label:
        axes.text(
            *line.at, line.label, ha="center", va="center", fontsize=SMALL - 1,
            color=_INK if line.colour == look.INTERACTION_COLOUR else line.colour, zorder=3,
            path_effects=[withStroke(linewidth=4, foreground=_PAPER)],
            parse_math=False,
        )  # fmt: skip


def _draw_box(axes: Axes, box: Box) -> None:
    tone = look.TONES[box.tone]
    axes.add_patch(
        FancyBboxPatch(
            (box.x - box.width / 2 + 3, box.y - box.height / 2 + 3), box.width - 6, box.height - 6,
            boxstyle="round,pad=3,rounding_size=7", facecolor=tone.fill, edgecolor=tone.line,
            linewidth=1.6 if box.tone == "recommended" else 1.1, zorder=2,
        )
    )  # fmt: skip
    axes.text(
        box.x, box.y, "\n".join(box.lines), ha="center", va="center", fontsize=LETTER - 1.5,
        color=_INK, zorder=4, linespacing=1.15, parse_math=False,
        weight="bold" if box.tone == "recommended" else "normal",
    )  # fmt: skip


def _marks(subgraph: Subgraph, marker: str, size: float) -> list[Line2D]:
    """What the tones of the nodes mean, for a legend."""
    return [
        Line2D([], [], marker=marker, linestyle="", markersize=size, markerfacecolor=tone.fill,
               markeredgecolor=tone.line, label=tone.words)
        for tone in look.tones_of(subgraph.graph)
    ]  # fmt: skip


def _scatter(subgraph: Subgraph) -> Figure:
    """Draws a neighbourhood: in rings around one node, on springs around several."""
    graph = subgraph.graph
    middle = [key for key, data in graph.nodes(data=True) if data["part"] == Part.CENTER]
    rings = rings_of(subgraph)
    side = min(7.5 + 0.03 * len(graph), 13.0)
    figure = Figure(figsize=(side + 1.8, side), facecolor=_PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title(
        " ".join(look.fold(subgraph.title, 70, 1)), fontsize=13, color=_INK, weight="bold"
    )
    rim = rings[-1] if len(rings) > 1 else []
    places = places_of(subgraph, rings)
    longest = max((look.text_width(_short(graph, key)) for key in rim), default=0.0)
    room = 1.08 / (1 - min(2 * longest * _NAME / (side * 72), 0.6)) if rim else 1.12
    axes.set_xlim(-room, room)
    axes.set_ylim(-room, room)
    _edges(axes, graph, places)
    _nodes(axes, graph, places)
    wide = look.widths(graph, 0.7, 2.6)
    marks = _marks(subgraph, "o", 8) + [
        Line2D([], [], color=colour, linewidth=wide[kind] + 0.6, label=relation_phrase(kind))
        for kind, colour in look.type_colours(graph).items()
    ]
    figure.legend(
        handles=marks, loc="outside right center", frameon=False, fontsize=8.5, labelcolor=_SOFT
    )
    _name_rim(axes, graph, places, rim, side * 72 / (2 * room))
    _name_others(figure, axes, graph, places, middle, [key for key in graph if key not in rim])
    return figure


def rings_of(subgraph: Subgraph) -> list[list[Key]]:
    """Gives the nodes by their distance from the one in the middle; [] if there are several."""
    graph = subgraph.graph
    middle = [key for key, data in graph.nodes(data=True) if data["part"] == Part.CENTER]
    if len(middle) != 1:
        return []
    (hub,) = middle
    away = nx.single_source_shortest_path_length(graph.to_undirected(as_view=True), hub)
    rings: list[list[Key]] = [[] for _ in range(max(away.values()) + 1)]
    for key in graph:
        rings[away[key]].append(key)
    return rings


def places_of(subgraph: Subgraph, rings: Sequence[Sequence[Key]]) -> Places:
    """Gives every node its place (2,), within a circle of radius one."""
    graph = subgraph.graph
    return _wheel(graph, rings) if len(rings) > 1 else _springs(graph)


def _wheel(graph: nx.MultiDiGraph, rings: Sequence[Sequence[Key]]) -> Places:
    """Puts rings around the hub: the first by type, each other next to what it hangs on."""
    undirected = graph.to_undirected(as_view=True)
    hub = rings[0][0]
    places: Places = {hub: np.zeros(2)}
    for number, ring in enumerate(rings[1:], start=1):
        if number == 1:
            ordered = sorted(
                ring, key=lambda key: (min(undirected[hub][key]), graph.nodes[key]["name"])
            )
        else:
            ordered = sorted(ring, key=lambda key: _angle(undirected, places, key))
        angles = np.pi / 2 - 2 * np.pi * np.arange(len(ordered)) / len(ordered)
        radius = number / (len(rings) - 1)
        points = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)  # (n, 2)
        places |= dict(zip(ordered, points, strict=True))
    return places


def _angle(graph: Any, places: Places, key: Key) -> float:
    """How far clockwise from the top a node's placed neighbours are, in the mean."""
    x, y = np.sum([places[neighbour] for neighbour in graph[key] if neighbour in places], axis=0)
    return math.atan2(x, y) % (2 * math.pi)


def _springs(graph: nx.MultiDiGraph) -> Places:
    """Puts neighbours near each other, within a circle of radius one."""
    simple = nx.Graph(graph.to_undirected(as_view=True))
    places = nx.spring_layout(
        simple, seed=_SEED, iterations=120, k=2.4 / math.sqrt(max(len(simple), 1))
    )
    points = np.array([places[key] for key in graph])
    points = points - points.mean(axis=0)
    points /= max(np.linalg.norm(points, axis=1).max(), 1e-9)
    return dict(zip(graph, points, strict=True))


def _edges(axes: Axes, graph: nx.MultiDiGraph, places: Places) -> None:
    colours, wide = look.type_colours(graph), look.widths(graph, 0.7, 2.6)
    for kind, colour in colours.items():
        for synthetic, style in ((False, "solid"), (True, "dashed")):
            edges = [
                (u, v, k)
                for u, v, k, data in graph.edges(keys=True, data=True)
                if k == kind and data["synthetic"] == synthetic
            ]
            nx.draw_networkx_edges(
                graph, places, edgelist=edges, ax=axes, edge_color=colour, width=wide[kind],
                alpha=0.6, arrows=False, style=style,
            )  # fmt: skip


def _nodes(axes: Axes, graph: nx.MultiDiGraph, places: Places) -> None:
    for name, tone in look.TONES.items():
        for central, size in ((False, 55), (True, 380)):
            keys = [
                key
                for key, data in graph.nodes(data=True)
                if look.tone_name(data) == name and (data["part"] == Part.CENTER) == central
            ]
            collection = nx.draw_networkx_nodes(
                graph, places, nodelist=keys, ax=axes, node_size=size, node_color=tone.fill,
                edgecolors=tone.line, linewidths=1.2,
            )  # fmt: skip
            collection.set_zorder(2)


def _short(graph: nx.MultiDiGraph, key: Key) -> str:
    return " ".join(look.fold(graph.nodes[key]["name"], _MOST_LETTERS, 1))


def _name_rim(
    axes: Axes, graph: nx.MultiDiGraph, places: Places, rim: Sequence[Key], unit: float
) -> None:
    """Names what is outermost, reading outwards; of more than fit, those with the most edges."""
    least = 1.25 * _NAME / unit  # between two names, in radians on a circle of radius one
    angles: list[float] = []
    for key in sorted(rim, key=lambda key: -graph.degree(key)):
        x, y = places[key]
        angle = math.atan2(y, x)
        if any(
            abs((angle - other_angle + math.pi) % (2 * math.pi) - math.pi) < least
            for other_angle in angles
        ):
            continue
        angles.append(angle)
        degrees = math.degrees(angle)
        flipped = abs(degrees) > 90
        axes.text(
            1.035 * x, 1.035 * y, _short(graph, key), fontsize=_NAME, color=_INK, va="center",
            ha="right" if flipped else "left", rotation=degrees + 180 if flipped else degrees,
            rotation_mode="anchor", parse_math=False, zorder=4,
        )  # fmt: skip


def _name_others(
    figure: Figure, axes: Axes, graph: nx.MultiDiGraph, places: Places, middle: Sequence[Key],
    keys: Sequence[Key],
) -> None:  # fmt: skip
    """Names the rest, the busiest first, as long as no name would cover another."""
    figure.draw_without_rendering()
    boxes: list[Bbox] = []
    for key in sorted(keys, key=lambda key: (key not in middle, -graph.degree(key))):
        x, y = places[key]
        central = key in middle
        text = axes.text(
            x, y if central else y + 0.02, "\n".join(look.fold(graph.nodes[key]["name"], 22, 2)),
            fontsize=10 if central else _NAME, weight="bold" if central else "normal", color=_INK,
            ha="center", va="center" if central else "bottom", zorder=5, parse_math=False,
            path_effects=[withStroke(linewidth=2.5, foreground=_PAPER)],
        )  # fmt: skip
        box = text.get_window_extent()
        if not central and any(box.overlaps(other_box) for other_box in boxes):
            text.remove()
        else:
            boxes.append(box)
