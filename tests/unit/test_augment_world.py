"""Dense users made sparse, and how many of their hidden items the candidates hold."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from graphs import behaviour, make_graph

from kgrec.augment.candidates import candidates, recall
from kgrec.augment.world import World, masked_world
from kgrec.errors import DataError
from kgrec.graph.data import GraphData, Interactions
from kgrec.model.incidence import Incidence
from kgrec.schema import Role

SPARSE, DENSE = range(40), range(40, 100)


def crowd() -> GraphData:
    """Forty users with one or two items, sixty with thirty; all of them were looked at before."""
    train = [(user, item) for user in SPARSE for item in range(1 + user % 2)]
    train += [(user, (user + item) % 50) for user in DENSE for item in range(30)]
    views = [*train, (0, 40)]
    dislikes = behaviour("dislike", [(50, 20)], Role.NEGATIVE)
    return make_graph((100, 50, 0), train, (behaviour("view", views), dislikes))


def pairs(part: Interactions) -> set[tuple[int, int]]:
    return set(zip(part.user_index.tolist(), part.item_index.tolist(), strict=True))


class TestWorld:
    graph = crowd()
    world = masked_world(graph, at_most=5, seed=1)

    def test_half_of_the_dense_users_look_like_sparse_ones(self) -> None:
        count = np.bincount(self.world.graph.train.user_index, minlength=100)
        assert len(self.world.users) == 30
        assert set(self.world.users) < set(DENSE)
        assert set(count[self.world.users]) == {1, 2}  # as many as sparse users have
        others = np.setdiff1d(np.arange(100), self.world.users)
        before = np.bincount(self.graph.train.user_index, minlength=100)
        assert np.array_equal(count[others], before[others])

    def test_nothing_is_lost(self) -> None:
        left, hidden = pairs(self.world.graph.train), pairs(self.world.hidden)
        assert not left & hidden
        assert left | hidden == pairs(self.graph.train)

    def test_what_speaks_for_a_hidden_pair_leaves_too(self) -> None:
        views, dislikes = self.world.graph.relations
        seen = set(zip(views.head_index.tolist(), views.tail_index.tolist(), strict=True))
        assert seen == pairs(self.world.graph.train) | {(0, 40)}
        assert len(dislikes) == 1

    def test_the_seed_decides(self) -> None:
        again, other = (masked_world(self.graph, at_most=5, seed=seed) for seed in (1, 2))
        assert pairs(again.hidden) == pairs(self.world.hidden)
        assert pairs(other.hidden) != pairs(self.world.hidden)

    def test_repeats_of_a_pair_are_hidden_together(self) -> None:
        train = self.graph.train
        twice = Interactions(np.tile(train.user_index, 2), np.tile(train.item_index, 2))
        world = masked_world(replace(self.graph, train=twice), at_most=5, seed=1)
        assert not pairs(world.graph.train) & pairs(world.hidden)
        assert len(world.hidden) == 2 * len(pairs(world.hidden))

    def test_without_sparse_users_any_few_are_kept(self) -> None:
        graph = make_graph((20, 30, 0), [(u, i) for u in range(20) for i in range(25)])
        count = np.bincount(masked_world(graph, at_most=3).graph.train.user_index)
        assert set(count) <= {1, 2, 3, 25}

    def test_without_dense_users_there_is_no_world(self) -> None:
        graph = make_graph((3, 9, 0), [(0, i) for i in range(6)])
        with pytest.raises(DataError, match="more than 6 different items"):
            masked_world(graph, at_most=3)
        assert isinstance(masked_world(graph, at_most=2), World)


class Fixed:
    def __init__(self, *order: int) -> None:
        """Ranks items in an order, for everyone."""
        self.num_users, self.num_items = 4, len(order)
        self._scores = torch.empty(len(order))
        self._scores[list(order)] = -torch.arange(len(order), dtype=torch.float32)

    def score(self, users: torch.Tensor) -> torch.Tensor:
        return self._scores.expand(len(users), -1)


class TestCandidates:
    def test_scorers_take_turns(self) -> None:
        known = Incidence.from_pairs(torch.tensor([1]), torch.tensor([0]), 4, 5)
        found = candidates([Fixed(0, 1, 2, 3, 4), Fixed(4, 0, 3, 2, 1)], known, np.array([0, 1]), 3)
        # User 1 has item 0, which both put first or second.
        assert found.tolist() == [[0, 4, 1], [4, 1, 2]]

    def test_who_has_nearly_everything_gets_what_is_left(self) -> None:
        owner, item = torch.tensor([2, 2, 2, 2]), torch.tensor([0, 1, 2, 4])
        known = Incidence.from_pairs(owner, item, 4, 5)
        found = candidates([Fixed(0, 1, 2, 3, 4)], known, np.array([2, 3]), 99)
        assert found[0].tolist() == [3, -1, -1, -1, -1]
        assert found[1].tolist() == [0, 1, 2, 3, 4]

    def test_recall_counts_hidden_pairs(self) -> None:
        chosen = torch.tensor([[0, 1], [4, -1]])
        hidden = Interactions(np.array([2, 2, 3, 3]), np.array([1, 4, 4, 4]))
        assert recall(chosen, np.array([2, 3]), hidden) == pytest.approx(2 / 3)
        nothing = Interactions(np.array([], dtype=np.int64), np.array([], dtype=np.int64))
        assert recall(chosen, np.array([2, 3]), nothing) == 0.0
