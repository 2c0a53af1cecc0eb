"""Leave-one-out scores against fitting again, their gradient against differences."""

import math
from functools import partial

import pytest
import torch
from graphs import checkerboard, history_of, make_graph

from kgrec.model.closed_form import ClosedForm
from kgrec.model.leave_one_out import (
    hard_ndcg,
    held_out_scores,
    leave_one_out_scores,
    smooth_ndcg,
    spd_inverse,
)
from kgrec.training.closed_form_problem import ClosedFormProblem

GENERATOR = torch.Generator().manual_seed(3)
X = (torch.rand(14, 9, generator=GENERATOR, dtype=torch.float64) < 0.4).double()
X[0, :3] = 1.0
ROWS = (torch.rand(5, 9, generator=GENERATOR, dtype=torch.float64) < 0.4).double()
DOUBLE = partial(torch.tensor, dtype=torch.float64)
WEIGHTS = torch.rand(14, generator=GENERATOR, dtype=torch.float64) + 0.5


def inverse_of(x: torch.Tensor, relation_weight: torch.Tensor, ridge: torch.Tensor) -> torch.Tensor:
    gram = (x * WEIGHTS[:, None]).T @ x + relation_weight * ROWS.T @ ROWS
    return spd_inverse(gram + ridge * torch.eye(9, dtype=torch.float64))


def fitted_without(user: int, item: int) -> torch.Tensor:
    """Scores of a model that never saw (user, item), each column of B a regression of its own."""
    x = X.clone()
    x[user, item] = 0
    stacked = torch.cat([WEIGHTS.sqrt()[:, None] * x, 0.7**0.5 * ROWS])
    out = torch.full((9,), -1e9, dtype=torch.float64)
    for target in range(9):
        others = [i for i in range(9) if i != target]
        A = stacked[:, others]
        solution = torch.linalg.solve(
            A.T @ A + 2.0 * torch.eye(8, dtype=torch.float64), A.T @ stacked[:, target]
        )
        if not x[user, target]:
            out[target] = x[user, others] @ solution
    return out


def test_equals_fitting_without_the_interaction() -> None:
    pairs = X.nonzero()
    inverse = inverse_of(
        X, torch.tensor(0.7, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    )
    user, item = pairs[:, 0], pairs[:, 1]
    scores = leave_one_out_scores(inverse, X[user], WEIGHTS[user], item)
    for row, (u, i) in enumerate(pairs.tolist()):
        torch.testing.assert_close(scores[row], fitted_without(u, i), atol=1e-10, rtol=1e-9)


def test_gradient_equals_differences() -> None:
    pairs = X.nonzero()[::3]
    user, item = pairs[:, 0], pairs[:, 1]

    def loss(relation_weight: torch.Tensor, ridge: torch.Tensor) -> torch.Tensor:
        inverse = inverse_of(X, relation_weight, ridge)
        scores = leave_one_out_scores(inverse, X[user], WEIGHTS[user], item)
        return smooth_ndcg(scores, item).mean()

    values = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.7, 2.0)]
    loss(*values).backward()
    for place, value in enumerate(values):
        step = torch.zeros(2, dtype=torch.float64)
        step[place] = 1e-6
        plain = torch.stack([v.detach() for v in values])
        slope = (loss(*(plain + step)) - loss(*(plain - step))) / 2e-6
        assert value.grad is not None
        assert value.grad.item() == pytest.approx(slope.item(), rel=1e-5)
        assert abs(value.grad.item()) > 1e-5


def test_inverse_gradient_is_that_of_torch() -> None:
    base = X.T @ X + torch.eye(9, dtype=torch.float64)
    cotangent = torch.rand(9, 9, generator=GENERATOR, dtype=torch.float64)
    gradients = []
    for invert in (spd_inverse, torch.linalg.inv):
        gram = base.clone().requires_grad_()
        (invert(gram) * cotangent).sum().backward()
        gradients.append(gram.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_held_out_scores_are_x_times_b() -> None:
    inverse = inverse_of(
        X, torch.tensor(0.7, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    )
    B = -inverse / inverse.diagonal()
    B.fill_diagonal_(0)
    scores = held_out_scores(inverse, X, X > 0)
    torch.testing.assert_close(scores[X == 0], (X @ B)[X == 0])
    assert (scores[X > 0] == -1e9).all()


def test_hard_ndcg_by_hand() -> None:
    scores = torch.tensor([[3.0, 2.0, 1.0, -1e9], [1.0, 2.0, 3.0, 4.0]])
    gains = hard_ndcg(scores, torch.tensor([1, 0]))
    torch.testing.assert_close(gains, torch.tensor([1 / math.log2(3), 1 / math.log2(5)]))
    assert hard_ndcg(scores, torch.tensor([1, 0]), k=3)[1] == 0


def test_smooth_ndcg_becomes_the_hard_one_and_knows_no_scale() -> None:
    scores = torch.tensor([[3.0, 2.0, 1.0, -1e9], [1.0, 2.0, 3.0, 4.0]])
    item = torch.tensor([1, 0])
    sharp = smooth_ndcg(scores, item, temperature=1e-3, depth=7)  # gain 1/3 at rank 7
    torch.testing.assert_close(sharp, (hard_ndcg(scores, item) - 1 / 3) / (2 / 3))
    assert smooth_ndcg(scores, item, temperature=1e-3, depth=3)[1] == 0  # at rank 4
    doubled = torch.where(scores > -1e8, 2 * scores, scores)
    torch.testing.assert_close(smooth_ndcg(doubled, item), smooth_ndcg(scores, item))


def test_the_search_scores_as_a_fusion_of_models_that_never_saw_the_interaction() -> None:
    board = checkerboard()
    graph = make_graph(
        (24, 16, 0), zip(board.train.user_index, board.train.item_index, strict=True)
    )
    problem = ClosedFormProblem(
        graph, (), activity=history_of(graph).lengths, pairs=60, seed=0, held_out=False
    )
    theta = problem.start(5.0, None) | {
        "user_exponent": torch.tensor(0.0),
        "dropout": torch.tensor(-30.0),  # none
        "popularity": torch.tensor(0.2).log(),
    }
    scores = problem.scores(theta)
    assert len(scores) > 40  # drawn ones that repeat are asked once
    pairs = torch.stack(
        [torch.from_numpy(graph.train.user_index), torch.from_numpy(graph.train.item_index)], dim=1
    )
    for row, (user, item) in enumerate(zip(problem._user, problem._item, strict=True)):
        kept = ~((pairs[:, 0] == user) & (pairs[:, 1] == item))
        without = make_graph((24, 16, 0), pairs[kept].tolist())
        model = ClosedForm.fit(history_of(without), (), {}, 5.0)
        popularity = torch.bincount(pairs[:, 1], minlength=16).float()
        popularity[item] -= 1  # of all other items nothing was taken away
        expected = model.score(user[None])[0] + 0.2 * popularity.log1p()
        expected[model.history.row(int(user))] = -1e9
        torch.testing.assert_close(scores[row], expected, atol=2e-5, rtol=1e-4)
