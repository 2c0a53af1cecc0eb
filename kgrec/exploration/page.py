"""Pages to move about in: one self-contained HTML file, drawn by neo4j-viz."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from kgrec.errors import ConfigError
from kgrec.exploration import look
from kgrec.exploration.layout import INTERACTED, columns_of, lay_out
from kgrec.exploration.picture import places_of, rings_of
from kgrec.exploration.subgraph import Key, Part, Subgraph
from kgrec.files import os_errors_as, write_text
from kgrec.pages.render import render
from kgrec.schema import NodeLabel
from kgrec.text.templates import relation_phrase

#: Radius of nodes; names are written inside.
_SIZES = {Part.USER: 56, Part.OWN: 56, Part.RECOMMENDED: 68, Part.CENTER: 68, Part.OTHER: 50}
#: Of what is on no explaining path.
_FAINT, _FAINT_NODE = "#C3C9D1", "#9AA3AE"
#: Between the middles of nodes of a column, and of columns, of an explanation.
_DOWN, _ACROSS = 128.0, 380.0


def write_subgraph(subgraph: Subgraph, path: Path | str) -> None:
    """Writes the page; what was there before stays until the new one is whole.

    Raises:
        ConfigError: If neo4j-viz is not installed, or the file cannot be written.
    """
    page = subgraph_html(subgraph)
    with os_errors_as(ConfigError, "page", path):
        write_text(path, page, errors="replace")


def subgraph_html(subgraph: Subgraph, height: str = "100vh") -> str:
    """Gives a page that needs nothing else, no server and no network.

    Nodes are coloured by what they are, edges by their type, as wide as the type's learned weight;
    where paths explain a recommendation, everything else is faint.

    Raises:
        ConfigError: If neo4j-viz is not installed.
    """
    page: str = visualize_subgraph(subgraph).render(layout="free", height=height).data
    names = sorted({name for _, name in subgraph.graph.nodes(data="name")})
    addition = render("explore.html.j2", title=subgraph.title, trails=subgraph.trails, names=names)
    return page.replace("</body>", f"{addition}</body>", 1)


def visualize_subgraph(subgraph: Subgraph) -> Any:
    """Gives the subgraph as a neo4j-viz `VisualizationGraph`, which a notebook can go on with.

    Raises:
        ConfigError: If neo4j-viz is not installed.
    """
    try:
        viz: Any = import_module("neo4j_viz")
    except ImportError as exc:
        raise ConfigError(
            "pages are drawn by neo4j-viz, which is not installed; pip install 'kgrec[viz]', or "
            "write a .png, .svg or .pdf"
        ) from exc
    graph, places = subgraph.graph, _places(subgraph)
    colours, wide = look.type_colours(graph), look.widths(graph, 1.5, 6.0)
    explains = bool(subgraph.trails)
    on_trails = {key for trail in subgraph.trails for key in trail.nodes}
    shares = look.own_shares(subgraph)
    nodes = [
        viz.Node(
            id=":".join(key),
            caption=data["name"],
            size=_SIZES[Part(data["part"])],
            caption_size=1,
            color=_FAINT_NODE
            if explains and key not in on_trails
            else look.TONES[look.tone_name(data)].line,
            properties={name: data[name] for name in ("label", "id", "name", "kind", "part")},
            **places.get(key, {}),
        )
        for key, data in graph.nodes(data=True)
    ]
    edges = [
        viz.Relationship(
            id=f"{place}",
            source=":".join(head),
            target=":".join(tail),
            caption=_share(shares, head, tail, data) or look.caption(data),
            caption_size=3,
            width=_width(shares, tail, data, wide),
            color=_FAINT if explains and not data["on_trail"] else colours[data["type"]],
            properties=_edge_properties(data),
        )
        for place, (head, tail, data) in enumerate(graph.edges(data=True))
    ]
    figure = viz.VisualizationGraph(nodes, edges)
    _set_legend(figure, subgraph)
    return figure


def _share(
    shares: Mapping[Key, Sequence[float]], head: Key, tail: Key, data: dict[str, Any]
) -> str:
    """Gives what an own item adds to the score, for the line that leads to it; "" for others."""
    is_own = data["type"] == INTERACTED and head[0] == NodeLabel.USER and tail in shares
    return look.share_label(shares[tail]) if is_own and data["on_trail"] else ""


def _width(
    shares: Mapping[Key, Sequence[float]],
    tail: Key,
    data: dict[str, Any],
    wide: Mapping[str, float],
) -> float:
    """Gives lines to own items a width by their share, others one by their type's weight."""
    if data["type"] != INTERACTED or tail not in shares or not data["on_trail"]:
        return wide[data["type"]]
    most = max(abs(sum(of_items)) for of_items in shares.values()) or 1.0
    return 1.5 + 4.5 * abs(sum(shares[tail])) / most


def _edge_properties(data: dict[str, Any]) -> dict[str, Any]:
    weight = data["weight"]
    properties = {
        "type": data["type"],
        "learned weight": "none" if weight != weight else f"{weight:.3f}",
    }
    if data["synthetic"]:
        properties["synthetic"] = "yes: made up by a model, no fact"
    if not data["stored"]:
        properties["stored"] = "no: counted for this picture"
    return properties


def _places(subgraph: Subgraph) -> dict[Key, dict[str, float]]:
    """Where nodes stand: those of an explanation in columns, others in rings or on springs."""
    if not subgraph.trails:
        rings = rings_of(subgraph)
        fullest = max((len(ring) / place for place, ring in enumerate(rings) if place), default=0.0)
        crowd = 1.4 * len(subgraph.graph) ** 0.5
        radius = _DOWN * (max(len(rings) - 1, 1) * fullest / 6.2 if fullest else crowd)
        radius = max(radius, 2.2 * _DOWN * max(len(rings) - 1, 1))
        positions = places_of(subgraph, rings)
        return {key: {"x": radius * x, "y": -radius * y} for key, (x, y) in positions.items()}
    columns: dict[int, list[tuple[float, Key]]] = defaultdict(list)
    column = columns_of(subgraph)
    for box in lay_out(subgraph).boxes:
        if box.key is not None:
            columns[column[box.key]].append((box.y, box.key))
    places = {}
    middle = max(columns) / 2
    for number, keys in columns.items():
        for place, (_, key) in enumerate(sorted(keys)):
            down = (place - (len(keys) - 1) / 2) * _DOWN
            places[key] = {"x": (number - middle) * _ACROSS, "y": down}
    return places


def _set_legend(figure: Any, subgraph: Subgraph) -> None:
    graph = subgraph.graph
    node_colours = {tone.words: tone.line for tone in look.tones_of(graph)}
    on_trails = {k for *_, k, on in graph.edges(keys=True, data="on_trail") if on}
    kinds = {
        relation_phrase(kind): colour
        for kind, colour in look.type_colours(graph).items()
        if kind in on_trails or not subgraph.trails
    }
    figure.set_legend(nodes=node_colours, relationships=kinds)
