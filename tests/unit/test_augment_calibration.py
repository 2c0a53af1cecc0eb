"""Calibrated weights: isotonic by hand, and what the reliability curve says."""

import pytest
import torch

from kgrec.augment.calibration import Calibration, reliability
from kgrec.errors import ShapeError


def test_isotonic_by_hand() -> None:
    scores = torch.tensor([1.0, 2.0, 3.0, 4.0, 4.0, 5.0])
    real = torch.tensor([False, True, False, True, False, True])
    found = Calibration.fit(scores, real)
    # 2 and 3 are out of order and pool to a half, as do the two at 4.
    assert found(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])).tolist() == [0.0, 0.5, 0.5, 0.5, 1.0]
    assert found(torch.tensor([1.5, -9.0, 99.0])).tolist() == [0.25, 0.0, 1.0]
    assert found.score.tolist() == [1.0, 2.0, 4.0, 5.0]


def test_a_score_that_tells_the_wrong_way_tells_nothing() -> None:
    scores = torch.arange(100.0)
    real = scores < 30
    found = Calibration.fit(scores, real)
    assert found(torch.tensor([0.0, 50.0, 99.0])).tolist() == pytest.approx([0.3] * 3)


def test_what_came_is_what_was_promised() -> None:
    draws = torch.Generator().manual_seed(0)
    scores = torch.randn(20_000, generator=draws)
    truth = torch.sigmoid(2 * scores - 1)
    real = torch.rand(20_000, generator=draws) < truth
    half = slice(0, 10_000), slice(10_000, None)
    found = Calibration.fit(scores[half[0]], real[half[0]])
    assert float((found(scores) - truth).abs().mean()) < 0.02
    curve = reliability(found(scores[half[1]]), real[half[1]])
    assert len(curve["bins"]) > 7  # fewer than ten where much was promised the same
    assert curve["expected_error"] < 0.02
    # The same scores taken for probabilities as they are promise too much.
    assert reliability(torch.sigmoid(scores[half[1]]), real[half[1]])["expected_error"] > 0.1


def test_the_expected_error_by_hand() -> None:
    promised = torch.tensor([0.2] * 10 + [0.9] * 10)
    real = torch.tensor([True] * 3 + [False] * 7 + [True] * 8 + [False] * 2)
    found = reliability(promised, real)
    # What was promised alike is one bin: .2 against 3/10, .9 against 8/10.
    assert [each["pairs"] for each in found["bins"]] == [10, 10]
    assert found["expected_error"] == pytest.approx(0.1)
    few = reliability(torch.tensor([0.1] + [0.5] * 99), torch.arange(100) % 2 > 0)
    assert [each["pairs"] for each in few["bins"]] == [100]
    spread = reliability(torch.arange(20.0) / 20, torch.arange(20) % 2 > 0)
    assert [each["pairs"] for each in spread["bins"]] == [2] * 10
    assert [each["came"] for each in spread["bins"]] == [0.5] * 10
    assert spread["expected_error"] == pytest.approx(0.25)
    assert reliability(promised[:0], real[:0]) == {"bins": [], "expected_error": None}


def test_without_pairs_nothing_is_known() -> None:
    assert (
        Calibration.fit(torch.empty(0), torch.empty(0).bool())(torch.ones(2)).tolist() == [0.5] * 2
    )
    with pytest.raises(ShapeError, match="one of each a pair"):
        Calibration.fit(torch.ones(2), torch.ones(3).bool())
