"""Users explained by users: held against regressions in numpy, one for each user."""

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
import torch

from kgrec.errors import ConfigError
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import Ease
from kgrec.model.user_side import UserSide

USERS, ITEMS = 11, 8
Matrix = npt.NDArray[np.float64]


def _taken(seed: int = 0) -> Matrix:
    """Who took what; the last user nothing, and the last item nobody."""
    rng = np.random.default_rng(seed)
    taken = (rng.random((USERS, ITEMS)) < 0.45).astype(np.float64)
    taken[-1] = taken[:, -1] = 0.0
    return taken


def _history(taken: Matrix) -> Incidence:
    user, item = np.nonzero(taken)
    return Incidence.from_pairs(torch.from_numpy(user), torch.from_numpy(item), *taken.shape)


def _item_weights(taken: Matrix, exponent: float) -> Matrix:
    """(1 + popularity)^-β, scaled so that the interactions weigh 1 on average."""
    popularity = [sum(taken[u, i] for u in range(len(taken))) for i in range(taken.shape[1])]
    weights = np.array([(1 + count) ** -exponent for count in popularity])
    mean = sum(w * n for w, n in zip(weights, popularity, strict=True)) / sum(popularity)
    return weights / mean


def _regressions(taken: Matrix, ridge: float, exponent: float, dropout: float) -> Matrix:
    """One least-squares problem a user, without that user's own column."""
    weights = _item_weights(taken, exponent)
    found = np.zeros((len(taken), len(taken)))
    for user in range(len(taken)):
        others = [other for other in range(len(taken)) if other != user]
        rows = [[np.sqrt(weights[i]) * taken[v, i] for v in others] for i in range(ITEMS)]
        asked = [np.sqrt(weights[i]) * taken[user, i] for i in range(ITEMS)]
        for place, other in enumerate(others):
            lost = sum(weights[i] * taken[other, i] ** 2 for i in range(ITEMS))
            penalty = np.zeros(len(others))
            penalty[place] = np.sqrt(ridge + dropout / (1 - dropout) * lost)
            rows.append(penalty.tolist())
            asked.append(0.0)
        found[others, user] = np.linalg.lstsq(np.array(rows), np.array(asked), rcond=None)[0]
    return found


@pytest.mark.parametrize(
    ("ridge", "exponent", "dropout"),
    [(2.0, 0.0, 0.0), (2.0, 0.3, 0.25), (0.5, 1.0, 0.0), (7.0, 0.0, 0.6)],
)
def test_each_user_is_a_regression_on_the_others(
    ridge: float, exponent: float, dropout: float
) -> None:
    taken = _taken()
    fitted = UserSide.fit(_history(taken), ridge, item_exponent=exponent, dropout=dropout)
    expected = _regressions(taken, ridge, exponent, dropout)
    np.testing.assert_allclose(fitted.weights.numpy(), expected, atol=1e-6)
    scores = fitted.score(torch.tensor([4, 0, 10]))
    np.testing.assert_allclose(scores.numpy(), (expected.T @ taken)[[4, 0, 10]], atol=1e-5)


def test_dropout_is_the_mean_loss_over_all_that_can_be_dropped() -> None:
    """Every way to drop entries of the others, written out, its loss weighed by its chance."""
    taken = np.array([[1.0, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]])
    dropout, ridge, user = 0.3, 0.8, 0
    entries = [(v, i) for v in (1, 2, 3) for i in range(3) if taken[v, i]]
    gram, asked = ridge * np.eye(3), np.zeros(3)
    for kept in product((0, 1), repeat=len(entries)):
        shown = np.zeros((4, 3))
        for (other, item), there in zip(entries, kept, strict=True):
            shown[other, item] = there / (1 - dropout)
        chance = np.prod([1 - dropout if there else dropout for there in kept])
        gram += chance * shown[1:] @ shown[1:].T
        asked += chance * shown[1:] @ taken[user]
    fitted = UserSide.fit(_history(taken), ridge, item_exponent=0.0, dropout=dropout)
    np.testing.assert_allclose(fitted.weights[1:, user], np.linalg.solve(gram, asked), atol=1e-6)


def test_without_weights_it_is_ease_of_the_transposed_matrix() -> None:
    taken = _taken(1)
    user, item = (torch.from_numpy(index) for index in np.nonzero(taken))
    twin = Ease.fit(Incidence.from_pairs(item, user, ITEMS, USERS), ridge=3.0)
    fitted = UserSide.fit(_history(taken), 3.0, item_exponent=0.0, dropout=0.0)
    torch.testing.assert_close(fitted.weights, twin.weights)
    scores = fitted.score(torch.arange(USERS))
    torch.testing.assert_close(scores, twin.score(torch.arange(ITEMS)).T)


def test_no_user_speaks_for_themself_and_who_took_nothing_is_told_nothing() -> None:
    fitted = UserSide.fit(_history(_taken()), 1.0)
    assert fitted.weights.diagonal().eq(0).all()
    assert fitted.weights[-1].eq(0).all()
    assert fitted.weights[:, -1].eq(0).all()
    assert fitted.score(torch.tensor([USERS - 1])).eq(0).all()


def test_new_labels_of_items_and_users_only_move_the_scores() -> None:
    taken = _taken(2)
    rng = np.random.default_rng(3)
    users, items = rng.permutation(USERS), rng.permutation(ITEMS)
    plain = UserSide.fit(_history(taken), 2.0).score(torch.arange(USERS)).numpy()
    moved = UserSide.fit(_history(taken[users][:, items]), 2.0).score(torch.arange(USERS)).numpy()
    np.testing.assert_allclose(moved, plain[users][:, items], atol=1e-5)


def test_everything_is_in_the_rest() -> None:
    fitted = UserSide.fit(_history(_taken()), 2.0)
    items = torch.tensor([5, 0])
    parts = fitted.contributions(3, items)
    torch.testing.assert_close(parts.rest, fitted.score(torch.tensor([3]))[0, items])
    assert parts.by_item.eq(0).all()


@pytest.mark.parametrize("ridge", [0.0, -1.0])
def test_a_ridge_that_is_not_positive_is_refused(ridge: float) -> None:
    with pytest.raises(ConfigError, match="ridge must be positive"):
        UserSide.fit(_history(_taken()), ridge)
