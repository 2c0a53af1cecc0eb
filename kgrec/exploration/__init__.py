"""Subgraphs to look at: around nodes, or around a recommendation; as networkx, pandas, pictures."""

from kgrec.exploration.around import fetch_subgraph
from kgrec.exploration.exploring import explore
from kgrec.exploration.page import subgraph_html, visualize_subgraph, write_subgraph
from kgrec.exploration.picture import draw_subgraph
from kgrec.exploration.recommendation import recommendation_subgraph
from kgrec.exploration.subgraph import Key, Subgraph, Trail, node_key

__all__ = [
    "Key",
    "Subgraph",
    "Trail",
    "draw_subgraph",
    "explore",
    "fetch_subgraph",
    "node_key",
    "recommendation_subgraph",
    "subgraph_html",
    "visualize_subgraph",
    "write_subgraph",
]
