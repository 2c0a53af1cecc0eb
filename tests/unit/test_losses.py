"""The losses by hand, and what sampling leaves of the full softmax."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from kgrec.model import losses
from kgrec.model.losses import bpr_loss, softmax_loss

NONE = torch.empty(2, 0, dtype=torch.int64)


def log(*values: float) -> Tensor:
    return torch.tensor(values).log()


def softmax_of_scores(
    scores: Tensor, target: Tensor, known: Tensor, weight: Tensor | None = None
) -> Tensor:
    """The loss of one interaction a row whose scores are given: rows times the unit matrix."""
    width = scores.shape[1]
    owner = torch.arange(len(target))
    unit, bias = torch.eye(width, dtype=scores.dtype), torch.zeros(width, dtype=scores.dtype)
    known = torch.cat([known, torch.stack([owner, target])], dim=1)  # a target is always known
    return softmax_loss(scores, unit, bias, known, scores[owner, target], owner, weight)


class TestSoftmax:
    def test_by_hand(self) -> None:
        scores = torch.stack([log(1.0, 2.0, 5.0), log(4.0, 4.0, 8.0)])
        loss = softmax_of_scores(scores, torch.tensor([1, 2]), NONE)
        assert loss.item() == pytest.approx((math.log(8 / 2) + math.log(16 / 8)) / 2)

    def test_weights_multiply_each_positives_loss(self) -> None:
        scores = torch.stack([log(1.0, 2.0, 5.0), log(4.0, 4.0, 8.0)])
        loss = softmax_of_scores(scores, torch.tensor([1, 2]), NONE, torch.tensor([1.0, 0.2]))
        assert loss.item() == pytest.approx((math.log(8 / 2) + 0.2 * math.log(16 / 8)) / 2)

    def test_known_positives_do_not_compete_but_the_target_stays(self) -> None:
        scores = torch.stack([log(1.0, 2.0, 5.0), log(4.0, 4.0, 8.0)])
        # Row 0's user also has item 2; row 1's only its target.
        known = torch.tensor([[0, 0, 1], [1, 2, 2]])
        loss = softmax_of_scores(scores, torch.tensor([1, 2]), known)
        assert loss.item() == pytest.approx((math.log(3 / 2) + math.log(16 / 8)) / 2)

    def test_known_positives_get_no_gradient(self) -> None:
        scores = torch.zeros(1, 4, requires_grad=True)
        softmax_of_scores(scores, torch.tensor([0]), torch.tensor([[0, 0], [0, 3]])).backward()
        torch.testing.assert_close(scores.grad, torch.tensor([[1 / 3 - 1, 1 / 3, 1 / 3, 0.0]]))

    def test_a_user_who_has_everything_costs_nothing(self) -> None:
        known = torch.tensor([[0, 0], [0, 1]])
        scores = torch.tensor([[3.0, 9.0]], requires_grad=True)
        loss = softmax_of_scores(scores, torch.tensor([0]), known)
        assert loss.item() == 0.0
        loss.backward()
        assert torch.equal(scores.grad, torch.zeros(1, 2))

    @pytest.mark.parametrize("at_once", [1, 7, 1 << 18])
    def test_users_with_several_interactions_are_as_if_each_had_a_row(
        self, at_once: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(losses, "_SCORES_AT_ONCE", at_once)
        generator = torch.Generator().manual_seed(4)
        rows = torch.randn(3, 5, generator=generator, dtype=torch.float64, requires_grad=True)
        columns = torch.randn(6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
        bias = torch.randn(6, generator=generator, dtype=torch.float64, requires_grad=True)
        owner, target = torch.tensor([2, 0, 2, 2, 1]), torch.tensor([1, 3, 0, 5, 2])
        known = torch.stack([owner, target])
        positive = (rows[owner] * columns[target]).sum(1) + bias[target]
        got = softmax_loss(rows, columns, bias, known, positive, owner)
        scores = (rows @ columns.T + bias)[owner]  # (B, I), one row an interaction
        mine = torch.zeros(3, 6, dtype=torch.bool).index_put_(tuple(known), torch.tensor(True))
        hidden = mine[owner].scatter(1, target[:, None], False)
        wanted = torch.nn.functional.cross_entropy(scores.masked_fill(hidden, -torch.inf), target)
        torch.testing.assert_close(got, wanted)
        for one, other in zip(
            torch.autograd.grad(got, (rows, columns, bias)),
            torch.autograd.grad(wanted, (rows, columns, bias)),
            strict=True,
        ):
            torch.testing.assert_close(one, other)

    def test_scores_far_apart_neither_overflow_nor_vanish(self) -> None:
        scores = torch.tensor([[1e4, -1e4, 1e4 - 1.0]], requires_grad=True)
        loss = softmax_of_scores(scores, torch.tensor([1]), NONE)
        assert loss.item() == pytest.approx(2e4 + math.log(1 + math.exp(-1.0)))
        loss.backward()
        share = 1 / (1 + math.exp(-1.0))
        torch.testing.assert_close(scores.grad, torch.tensor([[share, -1.0, 1 - share]]))


class TestSampledSoftmax:
    def test_by_hand(self) -> None:
        # Items drawn weigh 1/1.5 and 1/2; the first user knows the second of them.
        rows, columns = torch.ones(2, 1), torch.zeros(2, 1)
        bias = log(3.0, 6.0) - log(1.5, 2.0)
        known = torch.tensor([[0], [1]])
        positive, owner = log(2.0, 1.0), torch.tensor([0, 1])
        loss = softmax_loss(rows, columns, bias, known, positive, owner)
        first, second = math.log((2 + 2) / 2), math.log((1 + 2 + 3) / 1)
        assert loss.item() == pytest.approx((first + second) / 2)

    def test_the_corrected_sum_is_unbiased_over_all_draws(self) -> None:
        # E[Σ_drawn exp(s_j - e_j)] = Σ_j exp(s_j), by going through all 3³ draws of 3 from 3.
        q = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
        scores = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
        positive, owner = torch.zeros(1, dtype=torch.float64), torch.tensor([0])
        expected = 0.0
        for draw in product(range(3), repeat=3):
            items, times = torch.unique(torch.tensor(draw), return_counts=True)
            bias = scores[items] - torch.log(q[items] * 3 / times)
            none = positive.new_zeros(len(items), 1)
            loss = softmax_loss(positive[:, None], none, bias, NONE, positive, owner)
            expected += math.prod(q[list(draw)].tolist()) * (math.exp(loss.item()) - 1.0)
        assert expected == pytest.approx(scores.exp().sum().item())


class TestBpr:
    def test_by_hand(self) -> None:
        positive = torch.tensor([1.0, 0.0])
        negative = torch.tensor([[0.0, 9.0], [0.0, 2.0]])
        known = torch.tensor([[False, True], [False, False]])
        pairs = (-math.log(1 / (1 + math.exp(-d))) for d in (1.0, 0.0, -2.0))
        assert bpr_loss(positive, negative, known).item() == pytest.approx(sum(pairs) / 3)

    def test_weights_multiply_each_positives_loss(self) -> None:
        positive, negative = torch.tensor([1.0, 0.0]), torch.tensor([[0.0], [2.0]])
        known = torch.zeros(2, 1, dtype=torch.bool)
        loss = bpr_loss(positive, negative, known, torch.tensor([0.2, 1.0]))
        first, second = (-math.log(1 / (1 + math.exp(-d))) for d in (1.0, -2.0))
        assert loss.item() == pytest.approx((0.2 * first + second) / 2)

    def test_no_valid_pair_costs_nothing(self) -> None:
        positive = torch.ones(1, requires_grad=True)
        loss = bpr_loss(positive, torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool))
        loss.backward()
        assert loss.item() == 0.0
        assert positive.grad is not None
        assert not positive.grad.any()
