"""What becomes of synthetic edges: hard negatives, a relation that passes messages, rows."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graphs import checkerboard, history_of, random_graph, tensors_of
from test_augmenter import settings, two_tastes

from kgrec.config import ModelConfig, TrainingConfig
from kgrec.errors import ConfigError
from kgrec.explanation.reasons import explain_scores
from kgrec.graph.data import Interactions
from kgrec.graph.synthetic import SyntheticEdges
from kgrec.graph.texts import display_names
from kgrec.model.ease import solve_ease
from kgrec.model.incidence import Incidence
from kgrec.schema import NodeLabel, Split
from kgrec.training.augmentation import completed_rows
from kgrec.training.closed_form_part import solve_closed_form
from kgrec.training.closed_form_search import ClosedFormSettings
from kgrec.training.fit import fit
from kgrec.training.hard_negatives import HardNegatives, hard_loss
from kgrec.training.loop import train_network
from kgrec.training.resume import Trained, copy_state
from kgrec.training.run import train
from kgrec.training.synthetic_relation import extended, with_synthetic


def edges(pairs: list[tuple[int, int]], weight: float = 1.0) -> SyntheticEdges:
    user, item = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    return SyntheticEdges(user, item, np.full(len(user), weight, dtype=np.float32), "gan", 0)


class TestNegatives:
    history = Incidence.from_pairs(torch.tensor([0, 1, 2]), torch.tensor([0, 1, 2]), 3, 5)

    def test_the_loss_by_hand(self) -> None:
        positive = torch.tensor([1.0, 0.0, 2.0, -1.0])
        found = hard_loss(
            positive, torch.tensor([0, 3]), torch.tensor([1.0, 1.0]), torch.tensor([0.5, 2.0])
        )
        wanted = (0.5 * math.log(2) + 2 * math.log(1 + math.exp(2))) / 4
        assert float(found) == pytest.approx(wanted)
        none = torch.empty(0)
        assert float(hard_loss(positive, none.long(), none, none)) == 0.0

    def test_each_user_has_some_of_their_own_drawn(self) -> None:
        given = edges([(0, 3), (0, 0), (0, 4), (2, 1)], 0.25)  # 0 is an interaction of user 0
        hard = HardNegatives.of(given, self.history)
        users = torch.tensor([0, 1, 2, 0] * 500)
        at, items, weight = hard.draw(users, torch.Generator().manual_seed(0))
        assert at.tolist() == [n for n in range(2000) if n % 4 != 1]  # user 1 has none
        assert (weight == 0.25).all()
        of_first = items[users[at] == 0]
        assert set(of_first.tolist()) == {3, 4}
        assert abs(float((of_first == 3).float().mean()) - 0.5) < 0.05
        assert set(items[users[at] == 2].tolist()) == {1}

    @pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "bpr"])
    def test_they_end_below_where_they_would_stand(self, loss: Any) -> None:
        graph = checkerboard()
        # The item that each user would be recommended, and has held out, is called false.
        valid = graph.held_out
        pairs = next(iter(valid.values()))
        columns = pairs.user_index.tolist(), pairs.item_index.tolist()
        negatives = edges(list(zip(*columns, strict=True)), 8.0)
        training = TrainingConfig(
            epochs=12, batch_size=32, learning_rate=0.05, device="cpu", loss=loss, num_negatives=8
        )
        found = {}
        for name, given in (("without", None), ("with", negatives)):
            scorer, *_ = train_network(
                tensors_of(graph), history_of(graph), ModelConfig(channels=8), training,
                seed=0, negatives=given,
            )  # fmt: skip
            scores = scorer.score(torch.arange(graph.num_users))
            place = scores.argsort(dim=1, descending=True).argsort(dim=1).float()
            found[name] = float(place[pairs.user_index, pairs.item_index].mean())
        assert found["with"] > found["without"] + 0.8


class TestPropagation:
    def test_pairs_are_a_relation_of_their_own(self) -> None:
        graph = random_graph(0)
        plain = tensors_of(graph)
        more = with_synthetic(plain, edges([(13, 0), (13, 10), (2, 3)]))
        assert more.relation_names[-2:] == ("SYNTHETIC", "rev_SYNTHETIC")
        assert more.edge_index.shape[1] == plain.edge_index.shape[1] + 6
        added = more.edge_index[:, plain.edge_index.shape[1] :].tolist()
        users = plain.num_users
        assert added[0] == [13, 13, 2, users, users + 10, users + 3]
        assert added[1] == [users, users + 10, users + 3, 13, 13, 2]
        assert (
            more.edge_type[-6:].tolist()
            == [len(plain.relation_names)] * 3 + [len(plain.relation_names) + 1] * 3
        )

    def test_a_trained_network_goes_on_with_them(self) -> None:
        graph = random_graph(0)
        plain, history = tensors_of(graph), history_of(graph)
        model = ModelConfig(channels=8)
        training = TrainingConfig(epochs=2, batch_size=32, learning_rate=0.05, device="cpu")
        _, network, _ = train_network(plain, history, model, training, seed=0)
        start = Trained(copy_state(network), 2)
        given = edges([(13, 0), (13, 10)])  # user 13 has no interaction
        tensors = with_synthetic(plain, given)
        longer = extended(start, tensors, 0.5)
        still = TrainingConfig(epochs=0, device="cpu")
        scorer, further, _ = train_network(tensors, history, model, still, seed=0, start=longer)
        weights = further.encoder.relation_weights()
        assert weights[-2:].tolist() == pytest.approx([0.5, 0.5])
        assert torch.equal(weights[:-2], network.encoder.relation_weights())
        # Popularity counts interactions alone.
        assert torch.equal(further.log_popularity, network.log_popularity)
        # The user without interactions now stands near what was proposed.
        alone, *_ = train_network(plain, history, model, still, seed=0, start=start)
        heard, before = (x.score(torch.tensor([13]))[0] for x in (scorer, alone))
        assert heard[[0, 10]].mean() - heard.mean() > before[[0, 10]].mean() - before.mean()
        told = scorer.contributions(13, torch.tensor([0, 5]))
        assert torch.allclose(told.by_relation.sum(1), told.score, atol=1e-5)
        assert told.by_item.shape[1] == 0
        assert extended(longer, tensors, 0.5) is longer


class TestRows:
    def test_a_row_has_what_a_user_has_and_what_was_proposed(self) -> None:
        history = Incidence.from_pairs(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 2, 1, 3]), 3, 5)
        rows = completed_rows(history, edges([(2, 0), (0, 4), (2, 4)])).rows
        assert [rows.row(n).tolist() for n in range(2)] == [[0, 2, 4], [0, 3, 4]]

    def test_the_closed_form_counts_them_by_their_weight(self) -> None:
        graph = two_tastes()
        history = history_of(graph)
        given = edges([(50, 30), (51, 31)])
        found = ClosedFormSettings(10.0, {"SYNTHETIC": 0.5}, None)
        solved = solve_closed_form(
            graph, history, found, None, max_items=100, beside=completed_rows(history, given)
        )
        x = torch.zeros(graph.num_users, graph.num_items, dtype=torch.float64)
        x[history.rows, history.columns] = 1.0
        a = x[[50, 51]].clone()
        a[0, 30] = a[1, 31] = 1.0
        wanted, _ = solve_ease(x.T @ x + 0.5 * a.T @ a, 10.0)
        assert torch.allclose(solved.weights.double(), wanted, atol=1e-6)


def trained_with(tmp_path: Path, use: str, **changes: Any) -> Any:
    augment = {"at_most": 4, "per_user": 3, "use": use, "source": "auto", **changes}
    augment["gan"] = {"pretrain_epochs": 3, "rounds": 2}
    config = settings(
        augment=augment,
        training={"epochs": 3, "learning_rate": 0.05, "ensemble": 1, "device": "cpu"},
        model={"channels": 8, "temperature": 0.2},
    )
    rng = np.random.default_rng(1)
    graph = two_tastes()
    users = np.arange(36, 56)
    valid = [(int(u), int(rng.choice(np.arange(u % 2, 40, 2)))) for u in users]
    seen = set(zip(graph.train.user_index.tolist(), graph.train.item_index.tolist(), strict=True))
    held = [pair for pair in valid if pair not in seen]
    columns = (np.array(column, dtype=np.int64) for column in zip(*held, strict=True))
    graph = replace(graph, held_out={Split.VALID: Interactions(*columns)})
    return config, graph, train(config, graph, tmp_path / "run", progress=False)


@pytest.mark.parametrize(
    ("use", "names"),
    [
        ("negatives", ["gan"]),
        ("propagation", ["teacher", "knn", "generator", "gan", "popularity", "random"]),
        ("closed_form", ["teacher", "knn", "generator", "gan", "popularity", "random"]),
    ],
)
def test_the_gate_judges_every_use(tmp_path: Path, use: str, names: list[str]) -> None:
    told = trained_with(tmp_path, use)[2].record["augment"]
    assert told["use"] == use
    assert list(told["sources"]) == names
    assert told["picked"] in {"none", *names}
    assert ("closed form" in told["words"]) == (use == "closed_form")
    assert list(told["proposals"]) == names
    assert all(each["edges"] == 3 * 16 for each in told["proposals"].values())
    assert (tmp_path / "run" / "augment.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("use", ["propagation", "closed_form"])
def test_what_was_learned_of_proposals_is_named_and_is_no_reason(tmp_path: Path, use: str) -> None:
    config, graph, run = trained_with(tmp_path, use, source="knn", weight=2.0)
    assert run.record["augment"]["picked"] == "knn"
    items = list(graph.vocabularies[NodeLabel.ITEM].ids)
    own = set(graph.train.item_index[graph.train.user_index == 50].tolist())
    name = "network" if use == "propagation" else "closed_form"
    for refit in (False, True):  # where valid joins train, the picked source proposes again
        training = config.training.model_copy(update={"refit": refit})
        changed = config.model_copy(update={"training": training})
        part = fit(changed, graph, progress=False).parts[name]
        explained = explain_scores(part, graph.vocabularies, display_names(graph), "u50", items)
        assert any(told.relations["SYNTHETIC"] != 0 for told in explained)
        for told in explained:
            assert sum(told.relations.values()) == pytest.approx(told.score, abs=1e-4)
            found = {each.item_id for each in told.own_items}
            assert {f"i{n}" for n in own} <= found
            assert len(found) <= len(own) + refit  # one of valid; nothing that was only proposed


def test_settings_that_make_no_sense_are_refused() -> None:
    def given(**augment: Any) -> Any:
        return settings(augment=augment)

    for changes, words in (
        ({"source": "knn", "use": "negatives"}, "only the gan has"),
        ({"source": "knn", "use": "everywhere"}, "use"),
    ):
        with pytest.raises(ConfigError, match=words):
            given(**changes)
    with pytest.raises(ConfigError, match="nothing has rows"):
        settings(augment={"source": "knn", "use": "closed_form"}, closed_form={"enabled": False})
    with pytest.raises(ConfigError, match="take positives"):
        settings(augment={"source": "knn", "use": "propagation"}, model={"encoder": "attention"})
    rows = settings(augment={"source": "knn", "use": "closed_form"}, fusion={"network": False})
    assert rows.augment.use == "closed_form"
