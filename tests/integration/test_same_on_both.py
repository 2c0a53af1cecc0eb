"""The whole job gives the same on Neo4j as on the embedded store."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import build_tiny

import kgrec
from kgrec.schema import NodeLabel


def whole_job(uri: str, folder: Path) -> tuple[Any, dict[str, float], list[dict[str, Any]]]:
    config = kgrec.Config.load(build_tiny(folder))
    with kgrec.open_store(uri) as store:
        kgrec.write_dataset(kgrec.load_dataset(config.data, config.seed), store)
        graph = kgrec.fetch_graph(store)
        run = kgrec.train(config, graph, folder / "run", progress=False)
        metrics = kgrec.evaluate(run.scorer, graph, "test").metrics
        recommender = kgrec.Recommender(run, store)
        found = [r.to_dict() for u in ("u0", "u1") for r in recommender.recommend(u, k=5)]
    return graph, dict(metrics), found


@pytest.mark.neo4j
def test_graph_metrics_and_reasons_are_the_same(tmp_path: Path, neo4j_uri: str) -> None:
    mine, my_metrics, my_list = whole_job(f"embedded:{tmp_path / 'graph.kgl'}", tmp_path / "a")
    theirs, their_metrics, their_list = whole_job(neo4j_uri, tmp_path / "b")
    assert mine.version == theirs.version
    for label in NodeLabel:
        assert mine.vocabularies[label] == theirs.vocabularies[label]
    np.testing.assert_array_equal(mine.train.user_index, theirs.train.user_index)
    np.testing.assert_array_equal(mine.train.item_index, theirs.train.item_index)
    assert [(r.name, r.key) for r in mine.relations] == [(r.name, r.key) for r in theirs.relations]
    for one, other in zip(mine.relations, theirs.relations, strict=True):
        np.testing.assert_array_equal(one.head_index, other.head_index)
        np.testing.assert_array_equal(one.tail_index, other.tail_index)
    assert my_metrics == pytest.approx(their_metrics, abs=5e-4)
    assert my_list == their_list
