"""Batches, negatives and known positives against plain Python sets."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from graphs import history_of, random_graph, tensors_of

from kgrec.model.incidence import Incidence
from kgrec.training.sampling import (
    interaction_edges,
    known_among,
    known_pairs,
    negative_probability,
    sample_batches,
    sample_negatives,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_batches_hold_every_place_once_in_seeded_order() -> None:
    batches = [batch.tolist() for batch in sample_batches(10, 4, generator(1))]
    assert [len(batch) for batch in batches] == [4, 4, 2]
    places = [place for batch in batches for place in batch]
    assert sorted(places) == list(range(10))
    assert places != list(range(10))
    assert batches == [batch.tolist() for batch in sample_batches(10, 4, generator(1))]
    assert batches != [batch.tolist() for batch in sample_batches(10, 4, generator(2))]


def test_popular_items_are_drawn_more_often() -> None:
    history = Incidence.from_pairs(
        torch.tensor([0, 1, 2, 0]), torch.tensor([0, 0, 0, 1]), 3, 3
    )  # counts 3, 1, 0
    weight = np.array([4**0.75, 2**0.75, 1.0])
    np.testing.assert_allclose(negative_probability(history), weight / weight.sum(), rtol=1e-6)
    flat = negative_probability(history, exponent=0.0)
    np.testing.assert_allclose(flat, [1 / 3] * 3, rtol=1e-6)


def test_draws_follow_the_probability_and_carry_their_correction() -> None:
    q = torch.tensor([0.6, 0.3, 0.1, 0.0])
    items, expected = sample_negatives(q, 20_000, generator())
    assert items.tolist() == [0, 1, 2]  # never the impossible one, each once, ascending
    # e = log(n q / times), so times = n q exp(-e).
    times = 20_000 * q[items] * torch.exp(-expected)
    assert times.sum().item() == pytest.approx(20_000, rel=1e-4)
    np.testing.assert_allclose(times / 20_000, [0.6, 0.3, 0.1], atol=0.01)


def test_the_correction_counts_repeats() -> None:
    q = torch.tensor([0.25, 0.75])
    draws = torch.multinomial(q, 8, replacement=True, generator=generator(3))
    counts = Counter(draws.tolist())
    items, expected = sample_negatives(q, 8, generator(3))
    for item, value in zip(items.tolist(), expected.tolist(), strict=True):
        assert value == pytest.approx(math.log(8 * q[item].item() / counts[item]))


def test_known_positives_stand_in_the_row_of_their_user() -> None:
    # The trap: negatives paired with the wrong user after a reshape. Users repeat and are not
    # in order; one has no history.
    graph = random_graph(2)
    history = history_of(graph)
    own: dict[int, set[int]] = {user: set() for user in range(graph.num_users)}
    for user, item in zip(
        graph.train.user_index.tolist(), graph.train.item_index.tolist(), strict=True
    ):
        own[user].add(item)
    users = torch.tensor([5, 0, 13, 5, 2])
    pairs = list(zip(*known_pairs(history, users).tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == {
        (row, item) for row, user in enumerate(users.tolist()) for item in own[user]
    }
    items = torch.tensor([8, 1, 10, 3])
    mask = known_among(history, users, items)
    assert mask.tolist() == [
        [item in own[user] for item in items.tolist()] for user in users.tolist()
    ]
    assert mask.any()
    assert not mask.all()


def test_every_interaction_finds_its_two_edges() -> None:
    graph = random_graph(7)
    history, tensors = history_of(graph), tensors_of(graph)
    shuffled = torch.randperm(len(tensors.edge_type), generator=generator(2))
    mixed = replace(
        tensors,
        edge_index=tensors.edge_index[:, shuffled],
        edge_type=tensors.edge_type[shuffled],
    )
    forward, reverse = interaction_edges(mixed, history)
    users, items = history.rows, history.columns + graph.num_users
    assert torch.equal(mixed.edge_index[:, forward], torch.stack([users, items]))
    assert torch.equal(mixed.edge_index[:, reverse], torch.stack([items, users]))
    assert {mixed.relation_names[k] for k in mixed.edge_type[forward].tolist()} == {"INTERACTED"}
    assert {mixed.relation_names[k] for k in mixed.edge_type[reverse].tolist()} == {
        "rev_INTERACTED"
    }
