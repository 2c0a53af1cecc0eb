"""Text vectors in the store: written on request, found by the store's own index."""

from pathlib import Path

import numpy as np
from tiny import build_tiny

from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.graph.fetch import fetch_graph
from kgrec.graph.texts import text_features, write_text_vectors
from kgrec.ingestion import write_dataset
from kgrec.schema import NodeLabel
from kgrec.store.connect import open_store


def test_vectors_are_written_and_the_nearest_found(
    tmp_path: Path, store_uri: str, monkeypatch
) -> None:
    monkeypatch.setenv("KGREC_CACHE", str(tmp_path / "cache"))
    config = Config.load(build_tiny(tmp_path), ("text.enabled=true", "text.components=16"))
    with open_store(store_uri) as store:
        write_dataset(load_dataset(config.data, 0), store)
        graph = fetch_graph(store)
        written = write_text_vectors(graph, config.text, store)
        features = text_features(graph, config.text)[0][NodeLabel.ITEM]
        ids, matrix = store.vectors(NodeLabel.ITEM)
        rows = store.read(
            "nearest", label=NodeLabel.ITEM, vector=features[3].tolist(), limit=graph.num_items
        )
    assert written["Item"] == graph.num_items
    order = graph.vocabularies[NodeLabel.ITEM].indices(ids)
    np.testing.assert_allclose(matrix, features[order], atol=1e-6)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosine = unit @ unit[3]
    best = graph.vocabularies[NodeLabel.ITEM].ids[int(cosine.argmax())]
    assert rows[0]["id"] == best == graph.vocabularies[NodeLabel.ITEM].ids[3]
    assert len(rows) == graph.num_items
