"""Graphs that others made: what their labels and types mean to kgrec, and how it names its own."""

from kgrec.adopt.naming import OWN, Naming, graph_of_users

__all__ = ["OWN", "Naming", "graph_of_users"]
