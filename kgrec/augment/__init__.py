"""Synthetic interaction edges for nodes with few: who proposes them, and whether they help."""
