"""Alternating least squares against solving row by row and the objective's gradient."""

import pytest
import torch
from graphs import checkerboard, history_of

from kgrec.errors import ConfigError
from kgrec.model.incidence import Incidence
from kgrec.model.wmf import WeightedMF

BOARD = history_of(checkerboard())
RIDGE, UNOBSERVED = 0.7, 0.3


def dense(history: Incidence) -> torch.Tensor:
    table = torch.zeros(history.num_rows, history.num_columns)
    table[history.rows, history.columns] = 1.0
    return table


def loss(table: torch.Tensor, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
    scores = user @ item.T
    seen = (table * (1 - scores).square()).sum()
    return (
        seen
        + UNOBSERVED * scores.square().sum()
        + RIDGE * (user.square().sum() + item.square().sum())
    )


def test_users_are_the_best_answer_to_the_items() -> None:
    model = WeightedMF.fit(BOARD, factors=3, unobserved=UNOBSERVED, ridge=RIDGE, iterations=4)
    table, item = dense(BOARD), model.item_factors
    for u in range(BOARD.num_rows):
        weight = table[u] + UNOBSERVED  # of (target - score)², with target 1 / (1 + α) where seen
        left = item.T @ (weight[:, None] * item) + RIDGE * torch.eye(3)
        expected = torch.linalg.solve(left, item.T @ table[u])
        torch.testing.assert_close(model.user_factors(torch.tensor([u]))[0], expected)


def test_nothing_is_left_to_gain() -> None:
    model = WeightedMF.fit(BOARD, factors=3, unobserved=UNOBSERVED, ridge=RIDGE, iterations=300)
    user = model.user_factors(torch.arange(BOARD.num_rows)).requires_grad_()
    item = model.item_factors.clone().requires_grad_()
    slopes = torch.autograd.grad(loss(dense(BOARD), user, item), (user, item))
    assert all(float(slope.abs().max()) < 1e-3 for slope in slopes)
    assert float(model.item_factors.abs().max()) > 0.3  # zero has no gradient either


def test_rows_of_all_lengths_are_solved_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    table = torch.rand(50, 30, generator=generator) < torch.rand(50, 1, generator=generator)
    table[7] = False
    table[9] = True
    user, item = table.nonzero(as_tuple=True)
    history = Incidence.from_pairs(user, item, 50, 30)
    whole = WeightedMF.fit(history, factors=5)
    monkeypatch.setattr("kgrec.model.wmf._CELLS_AT_ONCE", 37)
    blocked = WeightedMF.fit(history, factors=5)
    torch.testing.assert_close(blocked.item_factors, whole.item_factors, atol=1e-4, rtol=1e-3)
    assert not whole.score(torch.tensor([7])).any()  # nothing is known of that user


def test_the_same_seed_gives_the_same_factors() -> None:
    first, second, other = (WeightedMF.fit(BOARD, factors=3, seed=s) for s in (1, 1, 2))
    assert torch.equal(first.item_factors, second.item_factors)
    assert not torch.equal(first.item_factors, other.item_factors)


@pytest.mark.parametrize(
    "wrong", [{"factors": 0}, {"unobserved": 0.0}, {"ridge": -1.0}], ids=lambda w: next(iter(w))
)
def test_what_must_be_positive(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="positive factors"):
        WeightedMF.fit(BOARD, **wrong)  # type: ignore[arg-type]
