"""What came before what: held against a loop over every event, and a system solved in numpy."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from kgrec.errors import ConfigError, ShapeError
from kgrec.model.directed import DirectedRidge
from kgrec.model.incidence import Incidence

USERS, ITEMS = 9, 7
Matrix = npt.NDArray[np.float64]
#: Each user's items, the earliest first.
Sequences = list[list[int]]


def _sequences(seed: int = 0) -> Sequences:
    """The last user has one item, the one before none; nobody has the last item."""
    rng = np.random.default_rng(seed)
    found = [rng.permutation(ITEMS - 1)[: rng.integers(2, 6)].tolist() for _ in range(USERS - 2)]
    return [*found, [], [2]]


def _entries(sequences: Sequences, num_items: int = ITEMS) -> tuple[Incidence, Tensor]:
    """History and the rank of each of its entries."""
    pairs = [(u, i, r) for u, items in enumerate(sequences) for r, i in enumerate(items)]
    user, item, rank = (torch.tensor(column) for column in zip(*sorted(pairs), strict=True))
    return Incidence.from_pairs(user, item, len(sequences), num_items), rank.float()


def _solved(
    sequences: Sequences, ridge: float, bandwidth: float, weight: list[float], dropout: float
) -> Matrix:
    """B, one event after the other."""
    gram, cross = np.zeros((ITEMS, ITEMS)), np.zeros((ITEMS, ITEMS))
    for user, items in enumerate(sequences):
        for place, target in enumerate(items):
            v = np.zeros(ITEMS)
            for earlier in range(place):
                v[items[earlier]] = np.exp(-(place - earlier - 1) / bandwidth)
            hit = np.zeros(ITEMS)
            hit[target] = 1.0
            gram += weight[user] * np.outer(v, v)
            cross += weight[user] * np.outer(v, hit)
    noise = ridge * np.eye(ITEMS) + dropout / (1 - dropout) * np.diag(np.diag(gram))
    found: Matrix = np.linalg.solve(gram + noise, cross)
    return found


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("ridge", "bandwidth", "dropout"), [(1.5, 15.0, 0.25), (0.7, 1.3, 0.0), (4.0, 3.0, 0.5)]
)
def test_b_is_solved_from_every_event(
    ridge: float, bandwidth: float, dropout: float, weighted: bool
) -> None:
    sequences = _sequences()
    weight = np.linspace(0.4, 1.9, USERS).tolist() if weighted else [1.0] * USERS
    fitted = DirectedRidge.fit(
        *_entries(sequences),
        ridge,
        bandwidth=bandwidth,
        user_weight=torch.tensor(weight) if weighted else None,
        dropout=dropout,
    )
    expected = _solved(sequences, ridge, bandwidth, weight, dropout)
    np.testing.assert_allclose(fitted.weights.numpy(), expected, atol=2e-5)


def test_scores_weigh_what_is_recent() -> None:
    sequences = _sequences(1)
    fitted = DirectedRidge.fit(*_entries(sequences), 1.0, bandwidth=4.0, recency=2.5)
    weights = _solved(sequences, 1.0, 4.0, [1.0] * USERS, 0.25)
    expected = np.zeros((USERS, ITEMS))
    for user, items in enumerate(sequences):
        for age, item in enumerate(reversed(items)):
            expected[user] += np.exp(-age / 2.5) * weights[item]
    np.testing.assert_allclose(fitted.score(torch.arange(USERS)).numpy(), expected, atol=5e-5)


def test_one_pair_by_hand() -> None:
    """One user, item 0 before 1: G is 1 at (0, 0), so B_01 = 1 / (1 + λ + κ) and all else is 0."""
    history, ranks = _entries([[0, 1]], 2)
    fitted = DirectedRidge.fit(history, ranks, 2.0, dropout=0.5)
    expected = torch.tensor([[0.0, 1 / (1 + 2 + 1)], [0.0, 0.0]])
    torch.testing.assert_close(fitted.weights, expected)


def test_what_came_at_one_moment_did_not_come_before() -> None:
    history = Incidence.from_pairs(torch.tensor([0, 0]), torch.tensor([0, 1]), 1, 2)
    fitted = DirectedRidge.fit(history, torch.tensor([0.5, 0.5]), 1.0)
    assert fitted.weights.eq(0).all()


def test_the_order_is_what_counts() -> None:
    forwards = DirectedRidge.fit(*_entries([[0, 1]] * 5, 2), 1.0).weights
    backwards = DirectedRidge.fit(*_entries([[1, 0]] * 5, 2), 1.0).weights
    assert float(forwards[0, 1]) > 0.5
    assert float(forwards[1, 0]) == 0.0
    torch.testing.assert_close(backwards, forwards.flip(0, 1))


def test_new_labels_of_items_only_move_b() -> None:
    sequences = _sequences(2)
    label = np.random.default_rng(4).permutation(ITEMS)
    plain = DirectedRidge.fit(*_entries(sequences), 1.0, bandwidth=3.0)
    moved = DirectedRidge.fit(
        *_entries([[int(label[i]) for i in items] for items in sequences]), 1.0, bandwidth=3.0
    )
    torch.testing.assert_close(moved.weights[label][:, label], plain.weights, atol=2e-5, rtol=1e-4)
    users = torch.arange(USERS)
    torch.testing.assert_close(
        moved.score(users)[:, label], plain.score(users), atol=5e-5, rtol=1e-4
    )


def test_of_a_long_history_the_latest_500_are_learned_from() -> None:
    """The cut user's first ten teach nothing; they are scored with all the same."""
    rng = np.random.default_rng(5)
    long = rng.permutation(510).tolist()
    others = [rng.permutation(510)[:6].tolist() for _ in range(4)]
    whole = DirectedRidge.fit(*_entries([long, *others], 510), 2.0, bandwidth=5.0)
    cut = DirectedRidge.fit(*_entries([long[10:], *others], 510), 2.0, bandwidth=5.0)
    torch.testing.assert_close(whole.weights, cut.weights, atol=1e-5, rtol=1e-4)
    assert len(whole.own(0)[0]) == 510
    # The 500 that stay are all learned from: without one more, B is another.
    shorter = DirectedRidge.fit(*_entries([long[11:], *others], 510), 2.0, bandwidth=5.0)
    assert float((shorter.weights - cut.weights).abs().max()) > 1e-3


def test_no_ridge_and_a_foreign_matrix_are_refused() -> None:
    history, ranks = _entries(_sequences())
    with pytest.raises(ConfigError, match="ridge must be positive"):
        DirectedRidge.fit(history, ranks, 0.0)
    with pytest.raises(ShapeError, match="one catalogue"):
        DirectedRidge(history, torch.zeros(3, 3), torch.ones(len(ranks)))
