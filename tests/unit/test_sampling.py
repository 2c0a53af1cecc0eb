"""Batches, negatives and known positives against plain Python sets."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from graphs import (
    ENTITY,
    ITEM,
    USER,
    behaviour,
    history_of,
    make_graph,
    random_graph,
    relation,
    tensors_of,
)

from kgrec.model.incidence import Incidence
from kgrec.model.network import GraphTensors
from kgrec.schema import Role
from kgrec.training.sampling import (
    known_among,
    known_pairs,
    negative_probability,
    pair_edges,
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
    among = list(zip(*known_among(history, users, items).tolist(), strict=True))
    assert len(among) == len(set(among))
    assert set(among) == {
        (row, place)
        for row, user in enumerate(users.tolist())
        for place, item in enumerate(items.tolist())
        if item in own[user]
    }
    assert 0 < len(among) < len(users) * len(items)


def told_of(tensors: GraphTensors, history: Incidence, pair: int) -> set[tuple[str, int, int]]:
    """Relation, source and target of each edge that `pair_edges` gives for an interaction."""
    places = pair_edges(tensors, history).row(pair).tolist()
    ends = tensors.edge_index.T.tolist()
    return {(tensors.relation_names[tensors.edge_type[place]], *ends[place]) for place in places}


def test_the_edges_that_tell_of_an_interaction_by_hand() -> None:
    # Nodes: users 0, 1, items 2, 3, then a review, a query, a country and a genre, 4 … 7.
    graph = make_graph(
        (2, 2, 4),
        [(0, 0), (1, 1)],
        (
            behaviour("view", [(0, 0), (0, 1), (1, 1)]),
            behaviour("dismiss", [(1, 1)], Role.NEGATIVE),
            relation("wrote", [(0, 0)], USER, ENTITY),
            relation("reviews", [(0, 0)], ENTITY, ITEM),
            relation("searched", [(0, 1)], USER, ENTITY),
            relation("led_to", [(1, 0), (1, 1)], ENTITY, ITEM),
            relation("country", [(0, 2), (1, 2)], USER, ENTITY),
            relation("made_in", [(0, 2), (1, 2)]),
            relation("genre", [(0, 3), (1, 3)]),
        ),
    )
    tensors, history = tensors_of(graph), history_of(graph)

    def both(kind: str, head: int, tail: int) -> set[tuple[str, int, int]]:
        return {(kind, head, tail), (f"rev_{kind}", tail, head)}

    # User 0 is still known to have written and searched; what of this led to item 0 is not shown.
    # That both live in a country in which item 0 is made says nothing of this pair alone.
    assert told_of(tensors, history, 0) == (
        both("INTERACTED", 0, 2) | both("VIEW", 0, 2) | both("REVIEWS", 4, 2) | both("LED_TO", 5, 2)
    )
    assert told_of(tensors, history, 1) == (
        both("INTERACTED", 1, 3) | both("VIEW", 1, 3) | both("DISMISS", 1, 3)
    )


def test_the_order_of_edges_changes_nothing_of_what_is_hidden() -> None:
    graph = random_graph(7)
    history, tensors = history_of(graph), tensors_of(graph)
    shuffled = torch.randperm(len(tensors.edge_type), generator=generator(2))
    mixed = replace(
        tensors,
        edge_index=tensors.edge_index[:, shuffled],
        edge_type=tensors.edge_type[shuffled],
    )
    direct = {"INTERACTED", "rev_INTERACTED", "VIEW", "rev_VIEW", "DISMISS", "rev_DISMISS"}
    kinds = []
    for pair, (user, item) in enumerate(zip(history.rows, history.columns, strict=True)):
        got = told_of(mixed, history, pair)
        assert got == told_of(tensors, history, pair)
        between = {int(user), int(item) + graph.num_users}
        joining = {edge for edge in got if set(edge[1:]) == between}
        assert {kind for kind, *_ in joining} <= direct
        assert {("INTERACTED", int(user), int(item) + graph.num_users)} <= joining
        kinds += [kind for kind, *_ in joining]
    ends = tensors.edge_index
    pairs = set(
        zip((history.rows).tolist(), (history.columns + graph.num_users).tolist(), strict=True)
    )
    for kind in ("VIEW", "DISMISS"):
        number = tensors.relation_names.index(kind)
        edges = zip(*ends[:, tensors.edge_type == number].tolist(), strict=True)
        assert kinds.count(kind) == len(pairs & set(edges)) > 0


def test_without_interactions_nothing_is_hidden() -> None:
    graph = make_graph((2, 2, 0), [], (behaviour("view", [(0, 1)]),))
    found = pair_edges(tensors_of(graph), history_of(graph))
    assert (found.num_rows, len(found.columns)) == (0, 0)
