"""Dense users made sparse, and what scorers say of them."""

import numpy as np
import pytest
import torch
from graphs import ENTITY, ITEM, USER, behaviour, history_of, make_graph, relation

from kgrec.augment.bank import Bank
from kgrec.augment.world import masked_world
from kgrec.errors import DataError, ShapeError
from kgrec.graph.data import GraphData
from kgrec.model.closed_form import ClosedForm
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import Ease, ItemKNN, recency_weights
from kgrec.model.kernels import Likeness
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import FromHistory
from kgrec.model.sparse_closed_form import SparseClosedForm
from kgrec.model.wmf import WeightedMF
from kgrec.schema import Role

SPARSE, DENSE = range(40), range(40, 100)


def crowd() -> GraphData:
    """Forty users with one or two items, sixty with thirty; all of them were looked at before."""
    train = [(user, item) for user in SPARSE for item in range(1 + user % 2)]
    train += [(user, (user + item) % 50) for user in DENSE for item in range(30)]
    views = [*train, (0, 40)]
    dislikes = behaviour("dislike", [(50, 20)], Role.NEGATIVE)
    return make_graph((100, 50, 0), train, (behaviour("view", views), dislikes))


def rows(matrix: Incidence) -> list[list[int]]:
    return [matrix.row(number).tolist() for number in range(matrix.num_rows)]


class TestWorld:
    graph = crowd()
    history = history_of(graph)
    world = masked_world(graph, history, at_most=5, most=90, seed=1)

    def test_copies_of_half_of_the_dense_users_look_like_sparse_ones(self) -> None:
        owners, copies = torch.unique(self.world.owner, return_counts=True)
        assert set(owners.tolist()) < set(DENSE)
        assert copies.tolist() == [3] * 30
        assert set(self.world.history.lengths.tolist()) == {1, 2}  # as many as sparse users have

    def test_of_each_copy_all_is_told_or_hidden(self) -> None:
        told, hidden = rows(self.world.history), rows(self.world.hidden)
        for made, owner in enumerate(self.world.owner.tolist()):
            assert sorted(told[made] + hidden[made]) == self.history.row(owner).tolist()
        assert len({tuple(told[made]) for made in range(3)}) > 1  # each copy draws anew

    def test_the_graph_knows_nothing_of_their_owners(self) -> None:
        graph, owners = self.world.graph, self.world.owner.numpy()
        gone = np.isin(self.graph.train.user_index, owners)
        assert not np.isin(graph.train.user_index, owners).any()
        assert len(graph.train) == (~gone).sum()
        views, dislikes = graph.relations
        assert not np.isin(views.head_index, owners).any()
        assert len(views) == (~gone).sum() + 1
        assert len(dislikes) == 1

    def test_the_seed_decides(self) -> None:
        again, other = (
            masked_world(self.graph, self.history, at_most=5, most=90, seed=seed) for seed in (1, 2)
        )
        assert rows(again.hidden) == rows(self.world.hidden)
        assert rows(other.hidden) != rows(self.world.hidden)

    def test_without_sparse_users_any_few_are_told(self) -> None:
        graph = make_graph((20, 30, 0), [(u, i) for u in range(20) for i in range(25)])
        world = masked_world(graph, history_of(graph), at_most=3, most=4000, seed=0)
        assert set(world.history.lengths.tolist()) == {1, 2, 3}
        assert len(world.owner) == 10 * 10

    def test_without_dense_users_there_is_no_world(self) -> None:
        graph = make_graph((3, 9, 0), [(u, i) for u in range(2) for i in range(6)])
        with pytest.raises(DataError, match="0 users have more than 6 different items"):
            masked_world(graph, history_of(graph), at_most=3, most=4000, seed=0)
        assert len(masked_world(graph, history_of(graph), at_most=2, most=1, seed=0).owner) == 1

    def test_what_only_its_owners_searched_for_leaves(self) -> None:
        # Entity n is a search of user n alone, the last one of everybody; all led to items.
        train = [(user, item) for user in range(20) for item in range(12)]
        searched = [(user, user) for user in range(20)] + [(user, 20) for user in range(20)]
        led = [(entity, entity % 12) for entity in range(21)]
        graph = make_graph(
            (20, 12, 21),
            train,
            (
                relation("searched", searched, USER, ENTITY),
                relation("led_to", led, ENTITY, ITEM),
            ),
        )
        world = masked_world(graph, history_of(graph), at_most=3, most=50, seed=0)
        gone = set(world.owner.tolist())
        assert len(gone) == 10
        for edges in world.graph.relations:
            ends = edges.tail_index if edges.key.head is USER else edges.head_index
            assert set(ends.tolist()) == set(range(21)) - gone


class Fixed:
    def __init__(self, *order: int) -> None:
        """Ranks items in an order, for everyone."""
        self._scores = torch.empty(len(order))
        self._scores[list(order)] = -torch.arange(len(order), dtype=torch.float32)

    def score(self, user_indices: torch.Tensor) -> torch.Tensor:
        return self._scores.expand(len(user_indices), -1)

    def over(self, history: Incidence) -> "Fixed":
        return self


def bank(history: Incidence, *orders: tuple[int, ...]) -> Bank:
    scorers = {str(number): Fixed(*order) for number, order in enumerate(orders)}
    return Bank(scorers, history, tuple(scorers))


class TestBank:
    def test_scorers_take_turns(self) -> None:
        known = Incidence.from_pairs(torch.tensor([1]), torch.tensor([0]), 4, 5)
        two = bank(known, (0, 1, 2, 3, 4), (4, 0, 3, 2, 1))
        # User 1 has item 0, which both put first or second.
        assert two.candidates(torch.tensor([0, 1]), 3)[0].tolist() == [[0, 4, 1], [4, 1, 2]]

    def test_who_has_nearly_everything_gets_what_is_left(self) -> None:
        owner, item = torch.tensor([2, 2, 2, 2]), torch.tensor([0, 1, 2, 4])
        known = Incidence.from_pairs(owner, item, 4, 5)
        found, _ = bank(known, (0, 1, 2, 3, 4)).candidates(torch.tensor([2, 3]), 99)
        assert found.tolist() == [[3, -1, -1, -1, -1], [0, 1, 2, 3, 4]]

    def test_features_are_standard_scores_and_how_much_is_known(self) -> None:
        owner, item = torch.tensor([1, 1]), torch.tensor([0, 1])
        known = Incidence.from_pairs(owner, item, 2, 5)
        told = bank(known, (0, 1, 2, 3, 4)).features(
            torch.tensor([0, 1]), torch.tensor([[4, 2]] * 2)
        )
        low = -np.arcsinh(2**0.5)
        expected = [[[low, 0.0], [0.0, 0.0]], [[low, np.log(3)], [0.0, np.log(3)]]]
        assert torch.allclose(told, torch.tensor(expected).float(), atol=1e-6)

    def test_features_of_a_user_do_not_depend_on_the_others(self) -> None:
        history = history_of(crowd())
        scorer = ItemKNN.fit(history)
        asked = Bank({"knn": scorer}, history, ("knn",))
        users = torch.arange(100)
        items, told = asked.candidates(users, 7)
        together = asked.features(users, items)
        assert torch.equal(told, together)
        alone = torch.cat([asked.features(users[n : n + 1], items[n : n + 1]) for n in (3, 77)])
        assert torch.allclose(together[[3, 77]], alone, atol=1e-6)


class TestOtherUsers:
    """Scorers that know nothing of a user but the history score a copy of a user as the user."""

    history = history_of(crowd())
    copies = Incidence.from_pairs(
        torch.tensor([0, 1]).repeat_interleave(30),
        torch.cat([history.row(70), history.row(45)]),
        2,
        50,
    )

    @pytest.mark.parametrize(
        "make",
        [
            ItemKNN.fit,
            lambda h: WeightedMF.fit(h, factors=4),
            lambda h: ClosedForm.fit(h, [], {}, 10.0),
            lambda h: SparseClosedForm.fit(h, [], {}, 10.0),
            Popularity,
            lambda h: Likeness(h, h),
        ],
    )
    def test_copies_score_as_their_owners(self, make: type[FromHistory]) -> None:
        scorer = make(self.history)
        other = scorer.over(self.copies)
        found = other.score(torch.tensor([0, 1]))
        assert torch.allclose(found, scorer.score(torch.tensor([70, 45])), atol=1e-5)
        assert (scorer.num_users, other.num_users) == (100, 2)

    def test_of_other_items_nothing_can_be_said(self) -> None:
        with pytest.raises(ShapeError, match="50 items was asked of users of a catalogue of 9"):
            Popularity(self.history).over(Incidence.from_pairs(*torch.zeros(2, 1).long(), 1, 9))

    def test_what_counts_by_its_age_is_refused(self) -> None:
        scorer = Ease.fit(self.history)
        assert scorer.over(self.copies).num_users == 2
        scorer.entry_weights = recency_weights(
            self.history, torch.zeros(len(self.history.columns)), 1.0
        )
        with pytest.raises(ShapeError, match="fit the scorer without recency"):
            scorer.over(self.copies)


class TestLikeness:
    def test_by_hand(self) -> None:
        # Entity 0 has items 0 and 1, entity 1 has 1 and 2, entity 2 all four: ln 2, ln 2, 0.
        relation = Incidence.from_pairs(
            torch.tensor([0, 0, 1, 1, 2, 2, 2, 2]), torch.tensor([0, 1, 1, 2, 0, 1, 2, 3]), 3, 4
        )
        history = Incidence.from_pairs(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 2]), 3, 4)
        half = 0.5**0.5
        expected = [[1, half, 0, 0], [0.5, half, 0.5, 0], [0, 0, 0, 0]]
        scores = Likeness(history, relation).score(torch.tensor([0, 1, 2]))
        assert torch.allclose(scores, torch.tensor(expected).float(), atol=1e-6)

    def test_rows_of_other_items_are_refused(self) -> None:
        one = Incidence.from_pairs(*torch.zeros(2, 1).long(), 1, 1)
        two = Incidence.from_pairs(*torch.zeros(2, 1).long(), 1, 2)
        with pytest.raises(ShapeError, match="rows over 2 items, the history is over 1"):
            Likeness(one, two)
