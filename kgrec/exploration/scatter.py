"""Neighbourhoods: what was asked for in the middle, the rest in rings or on springs around it."""

import math
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from kgrec.exploration.look import (
    TONE_WORDS,
    TONES,
    fold,
    text_width,
    tone_name,
    type_colours,
    widths,
)
from kgrec.exploration.subgraph import Key, Part, Subgraph
from kgrec.text.templates import relation_phrase

_INK, _SOFT, _PAPER = "#1C2430", "#5B6675", "#FFFFFF"
_SEED, _NAME, _MOST_LETTERS = 0, 7.5, 30

Places = dict[Key, Any]


def scatter(subgraph: Subgraph) -> Figure:
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
    axes.set_title(" ".join(fold(subgraph.title, 70, 1)), fontsize=13, color=_INK, weight="bold")
    rim = rings[-1] if len(rings) > 1 else []
    places = places_of(subgraph, rings)
    longest = max((text_width(_short(graph, key)) for key in rim), default=0.0)
    room = 1.08 / (1 - min(2 * longest * _NAME / (side * 72), 0.6)) if rim else 1.12
    axes.set_xlim(-room, room)
    axes.set_ylim(-room, room)
    _edges(axes, graph, places)
    _nodes(axes, graph, places)
    _legend(figure, graph)
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
    colours, wide = type_colours(graph), widths(graph, 0.7, 2.6)
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
    for name, tone in TONES.items():
        for central, size in ((False, 55), (True, 380)):
            keys = [
                key
                for key, data in graph.nodes(data=True)
                if tone_name(data) == name and (data["part"] == Part.CENTER) == central
            ]
            collection = nx.draw_networkx_nodes(
                graph, places, nodelist=keys, ax=axes, node_size=size, node_color=tone.fill,
                edgecolors=tone.line, linewidths=1.2,
            )  # fmt: skip
            collection.set_zorder(2)


def _short(graph: nx.MultiDiGraph, key: Key) -> str:
    return " ".join(fold(graph.nodes[key]["name"], _MOST_LETTERS, 1))


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
            x, y if central else y + 0.02, "\n".join(fold(graph.nodes[key]["name"], 22, 2)),
            fontsize=10 if central else _NAME, weight="bold" if central else "normal", color=_INK,
            ha="center", va="center" if central else "bottom", zorder=5, parse_math=False,
            path_effects=[withStroke(linewidth=2.5, foreground=_PAPER)],
        )  # fmt: skip
        box = text.get_window_extent()
        if not central and any(box.overlaps(other_box) for other_box in boxes):
            text.remove()
        else:
            boxes.append(box)


def _legend(figure: Figure, graph: nx.MultiDiGraph) -> None:
    tones = {tone_name(data) for _, data in graph.nodes(data=True)}
    marks = [
        Line2D([], [], marker="o", linestyle="", markersize=8, markerfacecolor=TONES[tone].fill,
               markeredgecolor=TONES[tone].line, label=words)
        for tone, words in TONE_WORDS.items() if tone in tones
    ]  # fmt: skip
    wide = widths(graph, 0.7, 2.6)
    marks += [
        Line2D([], [], color=colour, linewidth=wide[kind] + 0.6, label=relation_phrase(kind))
        for kind, colour in type_colours(graph).items()
    ]
    figure.legend(
        handles=marks, loc="outside right center", frameon=False, fontsize=8.5, labelcolor=_SOFT
    )
