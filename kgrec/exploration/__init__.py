"""Subgraphs to look at: around nodes, or around a recommendation; as networkx, pandas, pictures."""

from kgrec.exploration.page import subgraph_html, visualize_subgraph, write_subgraph
from kgrec.exploration.picture import draw_subgraph
from kgrec.exploration.recommendation import explore, recommendation_subgraph
from kgrec.exploration.subgraph import Key, Subgraph, Trail, fetch_subgraph, node_key

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
