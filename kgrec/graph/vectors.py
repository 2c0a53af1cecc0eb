"""Text vectors of a graph's nodes into its store."""

import numpy as np

from kgrec.config import TextConfig
from kgrec.graph.data import GraphData
from kgrec.graph.texts import text_features
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore


def write_text_vectors(graph: GraphData, config: TextConfig, store: GraphStore) -> dict[str, int]:
    """Writes the whitened text vector of every node that has a text, and indexes them.

    Args:
        graph: The graph as the store holds it.
        config: How to encode; encoded texts come from the cache.
        store: Open for writing.

    Returns:
        How many vectors each label got.

    Raises:
        ConfigError: If the encoder cannot be loaded.
        StoreError: If the store refuses.
    """
    counts = {}
    for label, matrix in text_features(graph, config).items():
        rows = np.flatnonzero(matrix.any(axis=1))
        if len(rows):
            ids = graph.vocabularies[NodeLabel(label)].ids
            store.write_vectors(label, [ids[row] for row in rows], matrix[rows])
        counts[str(label)] = len(rows)
    store.checkpoint()
    return counts
