"""What every scorer keeps to, whatever is inside it.

A scorer joins by one line in `FACTORIES`: a function from a `Toy` to a fitted scorer.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from graphs import ITEM, USER, behaviour, make_graph, relation, tensors_of
from torch import Tensor

from kgrec.graph.data import GraphData
from kgrec.model.closed_form import ClosedForm, Refinements
from kgrec.model.cold_users import ColdUsers, Profiles
from kgrec.model.directed import DirectedRidge
from kgrec.model.fusion import Fusion
from kgrec.model.graph_scorer import EmbeddingScorer, PropagationScorer
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import Ease, ItemKNN
from kgrec.model.network import GraphNetwork
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.model.user_side import UserSide
from kgrec.model.wmf import WeightedMF
from kgrec.schema import Role
from kgrec.training.relation_rows import relation_rows


@dataclass(frozen=True)
class Toy:
    """A small catalogue: 13 users (the last one without history), 17 items (the last one cold)."""

    user: Tensor
    item: Tensor
    num_users: int = 13
    num_items: int = 17

    def own(self, user: int) -> list[int]:
        return sorted(set(self.item[self.user == user].tolist()))


def make_toy() -> Toy:
    generator = torch.Generator().manual_seed(11)
    matrix = torch.rand(13, 17, generator=generator) < 0.3
    matrix[-1, :] = False
    matrix[:, -1] = False
    user, item = matrix.nonzero(as_tuple=True)
    order = torch.randperm(len(user), generator=generator)
    return Toy(user[order], item[order])


Factory = Callable[[Toy], Scorer]

FACTORIES: dict[str, Factory] = {
    "cold_users": lambda toy: _cold_users(toy),
    "popularity": lambda toy: Popularity(
        Incidence.from_pairs(toy.user, toy.item, toy.num_users, toy.num_items)
    ),
    "itemknn": lambda toy: ItemKNN.fit(
        Incidence.from_pairs(toy.user, toy.item, toy.num_users, toy.num_items),
        neighbours=5,
        shrink=1.0,
    ),
    "ease": lambda toy: Ease.fit(
        Incidence.from_pairs(toy.user, toy.item, toy.num_users, toy.num_items), ridge=5.0
    ),
    "network_cosine": lambda toy: _propagation(toy, 0.2),
    "network_inner": lambda toy: _propagation(toy, None),
    "attention": lambda toy: EmbeddingScorer.from_network(
        _network(toy, "attention"), _history(toy), 0.2
    ),
    "closed_form": lambda toy: ClosedForm.fit(
        _history(toy), relation_rows(_graph(toy)), {"genre": 2.0, "sequel": 0.5, "view": 0.3}, 5.0
    ),
    "closed_form_refined": lambda toy: ClosedForm.fit(
        _history(toy),
        relation_rows(_graph(toy)),
        {"genre": 2.0},
        5.0,
        Refinements(0.2, 0.4, bandwidth=2.0, kernel_share=0.6, recency=3.0),
        _ranks(toy),
    ),
    "directed": lambda toy: DirectedRidge.fit(
        _history(toy), _ranks(toy), 3.0, bandwidth=2.0, recency=4.0
    ),
    "user_side": lambda toy: UserSide.fit(_history(toy), 5.0),
    "factors": lambda toy: WeightedMF.fit(_history(toy), factors=4, iterations=3),
    "fusion": lambda toy: Fusion(
        {name: FACTORIES[name](toy) for name in ("network_cosine", "closed_form", "popularity")},
        {"network_cosine": 1.0, "closed_form": 0.7, "popularity": 0.1},
        {"closed_form": 0.3},
    ),
}


def _graph(toy: Toy) -> GraphData:
    """The toy's interactions, in its order, relations and behaviours of every role."""
    train = zip(toy.user.tolist(), toy.item.tolist(), strict=True)
    genres = relation("genre", [(item, item % 3) for item in range(toy.num_items)])
    sequels = relation("sequel", [(0, 4), (4, 9), (2, 16)], ITEM, ITEM)
    views = behaviour("view", [(user, (3 * user + n) % 17) for user in range(12) for n in (0, 4)])
    dislikes = behaviour("dismiss", [(user, (5 * user) % 17) for user in range(12)], Role.NEGATIVE)
    follows = relation("follows", [(0, 3), (3, 12)], USER, USER)
    edges = (genres, sequels, views, dislikes, follows)
    return make_graph((toy.num_users, toy.num_items, 3), train, edges)


def _cold_users(toy: Toy) -> ColdUsers:
    """The last user, who has no history, in two directions."""
    popularity = Popularity(Incidence.from_pairs(toy.user, toy.item, toy.num_users, toy.num_items))
    directions = torch.randn(2, toy.num_items, generator=torch.Generator().manual_seed(3))
    cold, factors = torch.tensor([toy.num_users - 1]), torch.tensor([[0.5, -1.0]])
    return ColdUsers(popularity, Profiles(cold, factors, directions, popularity.item_score))


def _history(toy: Toy) -> Incidence:
    return Incidence.from_pairs(toy.user, toy.item, toy.num_users, toy.num_items)


def _ranks(toy: Toy) -> Tensor:
    """Places by a time that runs against the items' order."""
    history = _history(toy)
    return history.lengths[history.rows].float() - 1 - _place(history)


def _place(history: Incidence) -> Tensor:
    return (torch.arange(len(history.columns)) - history.pointer[history.rows]).float()


def _network(toy: Toy, encoder: str) -> GraphNetwork:
    generator = torch.Generator().manual_seed(2)
    return GraphNetwork(tensors_of(_graph(toy)), encoder=encoder, channels=8, generator=generator)


def _propagation(toy: Toy, temperature: float | None) -> PropagationScorer:
    return PropagationScorer.from_network(
        _network(toy, "propagation"), tensors_of(_graph(toy)), _history(toy), temperature
    )


@pytest.fixture(scope="module")
def toy() -> Toy:
    return make_toy()


@pytest.fixture(scope="module", params=list(FACTORIES))
def factory(request: pytest.FixtureRequest) -> Factory:
    return FACTORIES[request.param]


@pytest.fixture(scope="module")
def scorer(factory: Factory, toy: Toy) -> Scorer:
    return factory(toy)


def everyone(toy: Toy) -> Tensor:
    return torch.arange(toy.num_users)


def test_scores_are_finite_float32_one_row_a_user(scorer: Scorer, toy: Toy) -> None:
    scores = scorer.score(torch.tensor([4, 0, 12]))
    assert (scorer.num_users, scorer.num_items) == (toy.num_users, toy.num_items)
    assert scores.shape == (3, toy.num_items)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()


def test_a_batch_equals_its_users_one_by_one(scorer: Scorer, toy: Toy) -> None:
    batch = scorer.score(torch.tensor([3, 12, 0, 3]))
    for row, user in zip(batch, [3, 12, 0, 3], strict=True):
        torch.testing.assert_close(row, scorer.score(torch.tensor([user]))[0])


def test_no_users_give_no_rows(scorer: Scorer, toy: Toy) -> None:
    empty = scorer.score(torch.tensor([], dtype=torch.int64))
    assert empty.shape == (0, toy.num_items)


def test_the_answer_belongs_to_the_caller(scorer: Scorer, toy: Toy) -> None:
    before = scorer.score(everyone(toy)).clone()
    scorer.score(everyone(toy)).fill_(7.0)  # as masking does
    assert torch.equal(scorer.score(everyone(toy)), before)


def test_scores_need_no_gradient(scorer: Scorer, toy: Toy) -> None:
    assert not scorer.score(everyone(toy)).requires_grad


@pytest.mark.parametrize("user", [0, 5, 12])
def test_contributions_add_up_to_the_served_score_both_ways(
    scorer: Scorer, toy: Toy, user: int
) -> None:
    items = torch.tensor([16, 2, 9])
    parts = scorer.contributions(user, items)
    served = scorer.score(torch.tensor([user]))[0, items]
    torch.testing.assert_close(parts.score, served, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(parts.by_item.sum(1) + parts.rest, parts.score, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(parts.by_relation.sum(1), parts.score, atol=1e-5, rtol=1e-4)
    assert sorted(parts.own_items.tolist()) == toy.own(user)
    assert parts.by_item.shape == (3, len(parts.own_items))
    assert parts.by_relation.shape == (3, len(parts.relation_names))
    assert len(set(parts.relation_names)) == len(parts.relation_names)


def test_state_makes_an_equal_scorer(scorer: Scorer, toy: Toy) -> None:
    tensors, values = scorer.state()
    again = type(scorer).from_state({name: t.clone() for name, t in tensors.items()}, values)
    assert (again.num_users, again.num_items) == (scorer.num_users, scorer.num_items)
    assert torch.equal(again.score(everyone(toy)), scorer.score(everyone(toy)))
    items = torch.tensor([1, 8])
    assert torch.equal(
        again.contributions(2, items).by_item, scorer.contributions(2, items).by_item
    )


def test_state_is_tensors_and_json(scorer: Scorer) -> None:
    import json

    tensors, values = scorer.state()
    assert all(isinstance(tensor, Tensor) for tensor in tensors.values())
    assert json.loads(json.dumps(values)) == values


def test_the_order_of_the_edges_does_not_matter(factory: Factory, toy: Toy) -> None:
    shuffled = torch.randperm(len(toy.user), generator=torch.Generator().manual_seed(5))
    other = Toy(toy.user[shuffled], toy.item[shuffled])
    torch.testing.assert_close(
        factory(other).score(everyone(toy)), factory(toy).score(everyone(toy))
    )


def test_a_user_that_is_not_there_is_an_error(scorer: Scorer, toy: Toy) -> None:
    with pytest.raises(IndexError):
        scorer.score(torch.tensor([toy.num_users]))
