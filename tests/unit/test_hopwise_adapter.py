"""hopwise's models as peers: what is refitted, counted and recorded."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from kgrec.bench.hopwise import fit as hopwise
from kgrec.bench.hopwise.fit import fit_hopwise_peer
from kgrec.bench.peer import Job, PeerFit
from kgrec.config import Config
from kgrec.graph.data import GraphData, Interactions
from kgrec.model.incidence import Incidence
from kgrec.model.popularity import Popularity
from kgrec.schema import NodeLabel, Split
from kgrec.vocabulary import Vocabulary


def graph_with(held_out: dict[Split, Interactions]) -> GraphData:
    return GraphData(
        version="v",
        vocabularies={label: Vocabulary(["a", "b", "c"], label) for label in NodeLabel},
        properties={label: pd.DataFrame() for label in NodeLabel},
        train=Interactions(np.array([0, 1]), np.array([0, 1])),
        held_out=held_out,
        relations=(),
    )


class Fits:
    """Stands in for `fit_hopwise`: remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def __call__(
        self, model: str, graph: GraphData, seed: int, work: Path, **options: Any
    ) -> PeerFit:
        self.asked.append({"graph": graph, "seed": seed, "work": work, **options})
        user, item = (torch.from_numpy(x) for x in (graph.train.user_index, graph.train.item_index))
        looks = [] if options["epochs"] is not None else [{"epoch": 1, "valid_ndcg@20": 0.3}]
        return PeerFit(
            Popularity(Incidence.from_pairs(user, item, graph.num_users, graph.num_items)),
            parameters={"": 7},
            choices={"best_epoch": 1, "history": looks},
            seconds=10.0 * len(self.asked),
            peak_memory_mb=100.0 - len(self.asked),
        )


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Fits:
    found = Fits()
    monkeypatch.setattr(hopwise, "fit_hopwise", found)
    return found


CONFIG = Config.build({"data": {"interactions": "none.tsv"}})
VALID = {Split.VALID: Interactions(np.array([0]), np.array([2]))}


def test_a_fit_is_searched_on_valid(fits: Fits, tmp_path: Path) -> None:
    job = Job(graph_with(VALID), CONFIG, 5, minutes=2.0, work=tmp_path)
    fit = fit_hopwise_peer("LightGCN", job)
    (asked,) = fits.asked
    assert (asked["seed"], asked["epochs"], asked["max_seconds"]) == (5, None, 120.0)
    assert (fit.seconds, fit.peak_memory_mb, fit.parameters) == (10.0, 99.0, {"": 7})
    assert fit.choices["history"] == [{"epoch": 1, "valid_ndcg@20": 0.3}]


def test_a_refit_learns_from_valid_for_the_best_epochs(fits: Fits, tmp_path: Path) -> None:
    job = Job(graph_with(VALID), CONFIG, 5, refit=True, work=tmp_path)
    fit = fit_hopwise_peer("LightGCN", job)
    first, second = fits.asked
    assert first["graph"] is job.graph
    assert second["graph"] is job.final
    assert len(second["graph"].train) == 3
    assert second["epochs"] == 1
    assert first["work"] != second["work"]
    assert fit.seconds == 10.0 + 20.0  # of the search and the refit
    assert fit.peak_memory_mb == 99.0  # the larger of the two
    assert fit.choices["history"] == [{"epoch": 1, "valid_ndcg@20": 0.3}]  # of the search
    # The refit's popularity counts the pair of valid: all three items once.
    assert fit.scorer.score(torch.tensor([0]))[0].unique().numel() == 1


def test_without_valid_a_fixed_number_of_epochs(fits: Fits, tmp_path: Path) -> None:
    job = Job(graph_with({}), CONFIG, 5, work=tmp_path)
    fit = fit_hopwise_peer("LightGCN", job)
    assert fits.asked[0]["epochs"] == hopwise.DEFAULT_EPOCHS
    assert fit.choices["history"] == []
