"""Weights and the saved form of a trained generator, on made lessons."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_augment_gan import CONFIG, Ranks, draws, made

from kgrec.augment.adversary import Generator
from kgrec.augment.bank import Bank
from kgrec.augment.gan import Augmenter, Classroom, fit_gan, fit_generator
from kgrec.augment.learned import LearnedSource, augmenter_from_state, augmenter_state
from kgrec.augment.measures import compare, describe
from kgrec.augment.sources import Plan
from kgrec.config import GanConfig
from kgrec.graph.data import SyntheticEdges
from kgrec.model.incidence import Incidence

KNOWN = Incidence.from_pairs(torch.tensor([0, 2]), torch.tensor([8, 0]), 3, 9)
BANK = Bank({"teacher": Ranks()}, KNOWN, ("teacher",))


def plan(per_user: int, weight: float = 1.0) -> Plan:
    return Plan(KNOWN, np.array([0, 1, 2]), np.array([0]), per_user, 0, weight)


def room() -> Classroom:
    return Classroom(made(draws()), made(draws(2)), made(draws(1)), 0.5, ("teacher", "right"))


def test_every_edge_counts_the_weight_of_the_plan() -> None:
    augmenter = Augmenter(Generator(2), ("teacher",), GanConfig())
    edges = LearnedSource("generator", augmenter, BANK).propose(plan(3, 0.5), 0)
    assert len(edges) == 9
    assert (edges.weight == 0.5).all()


def test_a_saved_generator_is_the_same() -> None:
    config = CONFIG.model_copy(update={"rounds": 3, "pretrain_epochs": 3})
    start = fit_generator(room(), config, 5, 0)
    gan = fit_gan(room(), start, 5, 0)
    features, noise = made(draws(3)).features, torch.randn(120, 4, generator=draws(4))
    for augmenter in (start, gan):
        tensors, values = augmenter_state(augmenter)
        again = augmenter_from_state(tensors, json.loads(json.dumps(values)))
        assert again.names == augmenter.names
        assert again.config == augmenter.config
        assert again.report == augmenter.report
        with torch.no_grad():
            assert torch.equal(
                again.generator(features, noise), augmenter.generator(features, noise)
            )
            if augmenter.discriminator is not None:
                for _ in range(2):  # what asks it does not change it
                    assert torch.equal(
                        again.discriminator(features), augmenter.discriminator(features)
                    )
    assert start.discriminator is None
    assert gan.discriminator is not None


def test_proposals_beside_what_was_hidden() -> None:
    lessons, other = made(draws()), made(draws(1))
    right = compare(lambda x: x.features[:, :, 1], lessons, other, 5)
    wrong = compare(lambda x: -x.features[:, :, 1], lessons, other, 5)
    popular = compare(lambda x: x.popularity, lessons, other, 5)
    assert (right["precision"], wrong["precision"]) == (1.0, 0.0)
    # Who proposes exactly what was hidden cannot be told apart, at no distance of any kind.
    assert right["auc"] == pytest.approx(0.5)
    assert right["popularity_distance"] == right["degree_distance"] == 0.0
    assert wrong["auc"] > 0.99
    assert popular["popularity_distance"] == pytest.approx(1.4, abs=0.2)  # the first 5 of 30
    same = replace(other, items=other.items % 2)
    few = compare(lambda x: x.features[:, :, 0], lessons, same, 5)
    assert few["distinct"] == 2
    assert few["effective"] == pytest.approx(2, abs=0.01)


def test_what_proposals_are_like_by_hand() -> None:
    edges = SyntheticEdges(
        np.array([0, 0, 1, 1]), np.array([0, 1, 0, 3]), np.ones(4, dtype=np.float32), "gan", 0
    )
    users_of = np.array([4, 3, 1, 0])
    later = (np.array([0, 1, 1, 7]), np.array([1, 3, 2, 0]))
    told = describe(edges, users_of, np.array([False, False, True, True]), later)
    assert (told["edges"], told["users"], told["distinct"]) == (4, 2, 3)
    assert told["effective"] == pytest.approx(2**1.5)
    share = np.array([5, 4, 5, 1]) / 12
    assert told["novelty"] == pytest.approx(-np.log2(share).mean())
    assert told["tail"] == 0.25
    assert told["proven"] == 0.5  # (0, 1) and (1, 3) of four
    assert told["foreseen"] == pytest.approx(2 / 3)  # of user 7 nothing was asked
    assert describe(edges, users_of, np.zeros(4, dtype=bool))["proven"] is None


def test_what_is_told_is_asked_once_and_remembered() -> None:
    class Counted(Ranks):
        def __init__(self) -> None:
            self.asked = 0

        def score(self, user_indices: torch.Tensor) -> torch.Tensor:
            self.asked += 1
            return super().score(user_indices)

    first, second, third = Counted(), Counted(), Counted()
    scorers = {"teacher": first, "knn": second, "like": third}
    bank = Bank(scorers, KNOWN, ("teacher", "knn"))  # type: ignore[arg-type]
    users = torch.tensor([2, 0])
    items, told = bank.candidates(users, 4)
    assert [each.asked for each in scorers.values()] == [1, 1, 1]
    assert torch.equal(told, bank.features(users, items))
    again = bank.candidates(users, 4)
    assert again[0] is items
    assert [each.asked for each in scorers.values()] == [2, 2, 2]  # by features alone
    other, _ = bank.candidates(users, 3)
    assert other.shape == (2, 3)
    assert 8 not in items[1]  # what user 0 has
    assert 0 not in items[0]
    assert bank.over(KNOWN).candidates(users, 4)[0] is not items
