"""Who proposes edges: sources on small graphs, by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from graphs import history_of, make_graph

from kgrec.augment.sources import Plan, ScoredSource
from kgrec.bench.controls import DrawnSource
from kgrec.config import AugmentConfig
from kgrec.errors import ShapeError
from kgrec.graph.data import GraphData, SyntheticEdges

# User 0 has six items, user 1 two, user 2 one, user 3 none.
TRAIN = [*((0, item) for item in range(6)), (1, 0), (1, 1), (2, 0)]
GRAPH = make_graph((4, 8, 0), TRAIN)


class Fixed:
    """Scores item j of user u as u + j, but item 7 below all."""

    num_users, num_items = 4, 8

    def score(self, users: torch.Tensor) -> torch.Tensor:
        scores = users[:, None].float() + torch.arange(8.0)
        scores[:, 7] = -1.0
        return scores


def plan(graph: GraphData, **settings: Any) -> Plan:
    return Plan.for_sparse_nodes(history_of(graph), AugmentConfig(**settings))


def pairs(edges: SyntheticEdges) -> list[tuple[int, int]]:
    return list(zip(edges.user_index.tolist(), edges.item_index.tolist(), strict=True))


def test_sparse_nodes_have_between_one_and_five() -> None:
    asked = plan(GRAPH)
    assert asked.users.tolist() == [1, 2]
    assert asked.items.tolist() == [0, 1, 2, 3, 4, 5]
    assert plan(GRAPH, at_most=1).items.tolist() == [2, 3, 4, 5]
    repeated = make_graph((1, 2, 0), [(0, 0)] * 7)
    assert plan(repeated).users.tolist() == [0]


def test_the_best_unseen_items_of_sparse_users_are_proposed() -> None:
    asked = plan(GRAPH, per_user=2, weight=0.25)
    edges = ScoredSource("teacher", Fixed()).propose(asked, seed=3)
    assert pairs(edges) == [(1, 6), (1, 5), (2, 6), (2, 5)]
    assert edges.weight.tolist() == [0.25] * 4
    assert (edges.source, edges.seed) == ("teacher", 3)


def test_the_best_users_of_sparse_items_are_proposed() -> None:
    class Opposed(Fixed):
        def score(self, users: torch.Tensor) -> torch.Tensor:
            # User 1 likes what comes first and says so a hundred times louder, the others the last.
            scale = torch.where(users == 1, -100.0, 1.0)
            return scale[:, None] * torch.arange(8.0)

    asked = plan(GRAPH, at_most=1, per_user=0, per_item=1)
    edges = ScoredSource("teacher", Opposed()).propose(asked, 0)
    # User 0 has them all; user 3, who has nothing, is nobody's.
    assert pairs(edges) == [(1, 2), (1, 3), (2, 4), (2, 5)]


def test_what_a_source_says_nothing_of_is_not_proposed() -> None:
    class Some(Fixed):
        def score(self, users: torch.Tensor) -> torch.Tensor:
            scores = super().score(users).clone()
            scores[:, 2:7] = -torch.inf
            return scores

    asked = plan(GRAPH, at_most=1, per_user=8, per_item=4)  # sparse items are 2 to 5
    edges = ScoredSource("gan", Some()).propose(asked, 0)
    assert pairs(edges)
    assert not set(edges.item_index.tolist()) & set(range(2, 7))


def test_who_has_everything_gets_nothing() -> None:
    graph = make_graph((1, 2, 0), [(0, 0), (0, 1)])
    asked = plan(graph, per_user=3, per_item=2)

    class Two(Fixed):
        num_users, num_items = 1, 2

        def score(self, users: torch.Tensor) -> torch.Tensor:
            return torch.ones(len(users), 2)

    assert len(ScoredSource("teacher", Two()).propose(asked, 0)) == 0
    assert len(DrawnSource("random", by_popularity=False).propose(asked, 0)) == 0


@pytest.mark.parametrize("by_popularity", [False, True])
def test_drawn_edges_follow_their_distribution(by_popularity: bool) -> None:
    users, items = 4000, 6
    # Everybody has item 0; items 1 to 5 have 100, 200 … 500 others.
    train = [(user, 0) for user in range(users)]
    owners = iter(range(users))
    train += [(next(owners), item) for item in range(1, 6) for _ in range(100 * item)]
    graph = make_graph((users, items, 0), train)
    asked = plan(graph, at_most=1, per_user=1)
    source = DrawnSource("drawn", by_popularity)
    edges = source.propose(asked, seed=1)
    assert len(edges) == users - 1500
    share = np.bincount(edges.item_index, minlength=items)[1:] / len(edges)
    expected = np.arange(1, 6) / 15 if by_popularity else np.full(5, 0.2)
    assert share == pytest.approx(expected, abs=0.03)
    assert pairs(source.propose(asked, seed=1)) == pairs(edges)
    assert pairs(source.propose(asked, seed=2)) != pairs(edges)


def test_of_repeated_pairs_the_first_stays() -> None:
    weight = np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32)
    edges = SyntheticEdges(np.array([2, 0, 1, 0]), np.array([2, 3, 2, 3]), weight, "s", 0)
    kept = edges.distinct()
    assert pairs(kept) == [(2, 2), (0, 3), (1, 2)]
    assert kept.weight.tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_what_users_and_items_both_ask_for_is_proposed_once() -> None:
    asked = plan(GRAPH, per_user=8, per_item=4)
    edges = ScoredSource("teacher", Fixed()).propose(asked, 0)
    assert len(set(pairs(edges))) == len(edges)
    assert not set(pairs(edges)) & set(TRAIN)


@pytest.mark.parametrize(
    ("weight", "said"),
    [([0.1], "columns of"), ([0.1, -0.2], "negative"), ([0.1, np.nan], "no numbers")],
)
def test_columns_that_do_not_fit_are_refused(weight: list[float], said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        SyntheticEdges(
            np.array([0, 1]), np.array([0, 1]), np.array(weight, dtype=np.float32), "s", 0
        )
