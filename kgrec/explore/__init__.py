"""Subgraphs to look at: around nodes, or around a recommendation; as networkx, pandas, pictures."""

from kgrec.explore.around import fetch_subgraph
from kgrec.explore.page import subgraph_html, visualization, write_page
from kgrec.explore.picture import draw_subgraph
from kgrec.explore.recommendation import recommendation_subgraph
from kgrec.explore.subgraph import Key, Subgraph, Trail, node_key

__all__ = [
    "Key",
    "Subgraph",
    "Trail",
    "draw_subgraph",
    "fetch_subgraph",
    "node_key",
    "recommendation_subgraph",
    "subgraph_html",
    "visualization",
    "write_page",
]
