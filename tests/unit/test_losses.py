"""The losses by hand, and what sampling leaves of the full softmax."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from kgrec.model.losses import bpr_loss, sampled_softmax_loss, softmax_loss

NONE = torch.empty(2, 0, dtype=torch.int64)


def log(*values: float) -> Tensor:
    return torch.tensor(values).log()


class TestSoftmax:
    def test_by_hand(self) -> None:
        scores = torch.stack([log(1.0, 2.0, 5.0), log(4.0, 4.0, 8.0)])
        loss = softmax_loss(scores, torch.tensor([1, 2]), NONE)
        assert loss.item() == pytest.approx((math.log(8 / 2) + math.log(16 / 8)) / 2)

    def test_known_positives_do_not_compete_but_the_target_stays(self) -> None:
        scores = torch.stack([log(1.0, 2.0, 5.0), log(4.0, 4.0, 8.0)])
        # Row 0's user also has item 2; row 1's only its target.
        known = torch.tensor([[0, 0, 1], [1, 2, 2]])
        loss = softmax_loss(scores, torch.tensor([1, 2]), known)
        assert loss.item() == pytest.approx((math.log(3 / 2) + math.log(16 / 8)) / 2)

    def test_known_positives_get_no_gradient(self) -> None:
        scores = torch.zeros(1, 4, requires_grad=True)
        softmax_loss(scores, torch.tensor([0]), torch.tensor([[0, 0], [0, 3]])).backward()
        torch.testing.assert_close(scores.grad, torch.tensor([[1 / 3 - 1, 1 / 3, 1 / 3, 0.0]]))

    def test_a_user_who_has_everything_costs_nothing(self) -> None:
        known = torch.tensor([[0, 0], [0, 1]])
        assert softmax_loss(torch.tensor([[3.0, 9.0]]), torch.tensor([0]), known).item() == 0.0


class TestSampledSoftmax:
    def test_by_hand(self) -> None:
        positive, negative = log(2.0, 1.0), torch.stack([log(3.0, 6.0), log(3.0, 6.0)])
        known = torch.tensor([[False, True], [False, False]])
        loss = sampled_softmax_loss(positive, negative, log(1.5, 2.0), known)
        first, second = math.log((2 + 2) / 2), math.log((1 + 2 + 3) / 1)
        assert loss.item() == pytest.approx((first + second) / 2)

    def test_every_item_drawn_as_often_as_expected_is_the_full_softmax(self) -> None:
        scores = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
        target = torch.tensor([4, 0, 2])
        rows = torch.arange(3)
        pairs = torch.stack([rows, target])
        known = torch.zeros(3, 6, dtype=torch.bool)
        known[rows, target] = True
        sampled = sampled_softmax_loss(scores[rows, target], scores, torch.zeros(6), known)
        torch.testing.assert_close(sampled, softmax_loss(scores, target, pairs))

    def test_the_corrected_sum_is_unbiased_over_all_draws(self) -> None:
        # E[Σ_drawn exp(s_j - e_j)] = Σ_j exp(s_j), by going through all 3³ draws of 3 from 3.
        q = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
        scores = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
        positive = torch.zeros(1, dtype=torch.float64)
        expected = 0.0
        for draw in product(range(3), repeat=3):
            items, times = torch.unique(torch.tensor(draw), return_counts=True)
            correction = torch.log(q[items] * 3 / times)
            none = torch.zeros(1, len(items), dtype=torch.bool)
            loss = sampled_softmax_loss(positive, scores[items][None], correction, none)
            expected += math.prod(q[list(draw)].tolist()) * (math.exp(loss.item()) - 1.0)
        assert expected == pytest.approx(scores.exp().sum().item())


class TestBpr:
    def test_by_hand(self) -> None:
        positive = torch.tensor([1.0, 0.0])
        negative = torch.tensor([[0.0, 9.0], [0.0, 2.0]])
        known = torch.tensor([[False, True], [False, False]])
        pairs = (-math.log(1 / (1 + math.exp(-d))) for d in (1.0, 0.0, -2.0))
        assert bpr_loss(positive, negative, known).item() == pytest.approx(sum(pairs) / 3)

    def test_no_valid_pair_costs_nothing(self) -> None:
        positive = torch.ones(1, requires_grad=True)
        loss = bpr_loss(positive, torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool))
        loss.backward()
        assert loss.item() == 0.0
        assert positive.grad is not None
        assert not positive.grad.any()
