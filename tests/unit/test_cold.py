"""Cold items completed from warm ones: the arithmetic, what stays and what adds up."""

import numpy as np
import pytest
import torch

from kgrec.errors import ConfigError, ShapeError
from kgrec.model.cold import ColdCompletion, Completion, kernel_ridge
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import Ease
from kgrec.model.kernels import gaussian_kernel, linear_kernel, ranks, relation_kernel
from kgrec.model.scorer import Scorer

USERS, ITEMS = 12, 9


def _random_ease(seed: int = 0) -> Ease:
    rng = np.random.default_rng(seed)
    user, item = np.nonzero(rng.random((USERS, ITEMS - 2)) < 0.4)  # the last two are cold
    return Ease.fit(
        Incidence.from_pairs(torch.from_numpy(user), torch.from_numpy(item), USERS, ITEMS),
        ridge=2.0,
    )


def _completed(own_weight: float = 0.7) -> ColdCompletion:
    generator = torch.Generator().manual_seed(1)
    made = Completion(
        torch.arange(ITEMS - 2),
        torch.tensor([ITEMS - 2, ITEMS - 1]),
        torch.randn(ITEMS - 2, 2, generator=generator),
        torch.tensor([0.3, -0.5]),
        own_weight,
    )
    return ColdCompletion(_random_ease(), made)


def test_three_items_by_hand() -> None:
    """K = [[1, .5], [.5, 1]], noise 1: the inverse is [[2, -.5], [-.5, 2]] / 3.75."""
    kernel = torch.tensor([[1.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    across = torch.tensor([[0.8], [0.2]], dtype=torch.float64)
    weights = kernel_ridge(kernel, across, torch.ones(2, dtype=torch.float64))
    expected = np.array([[(2 * 0.8 - 0.5 * 0.2) / 3.75], [(-0.5 * 0.8 + 2 * 0.2) / 3.75]])
    np.testing.assert_allclose(weights.numpy(), expected, atol=1e-12)


def test_a_completed_score_by_hand() -> None:
    """Warm scores 1 and 3: mean 2, deviation 1, standardised -1 and 1; the user owns the second."""

    class Two(Scorer):
        history = Incidence.from_pairs(torch.tensor([0]), torch.tensor([1]), 1, 3)

        def score(self, users: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[1.0, 3.0, 9.0]]).repeat(len(users), 1)

    weights = torch.tensor([[0.25], [0.5]])
    made = Completion(torch.tensor([0, 1]), torch.tensor([2]), weights, torch.tensor([0.1]), 2.0)
    scores = ColdCompletion(Two(), made).score(torch.tensor([0, 0]))  # type: ignore[arg-type]
    expected = 2 + 1 * (-1 * 0.25 + (1 + 2) * 0.5 + 0.1)
    torch.testing.assert_close(scores, torch.tensor([[1.0, 3.0, expected]] * 2))


def test_warm_scores_stay_exactly() -> None:
    completed = _completed()
    users = torch.arange(USERS)
    warm = completed.completion.warm
    assert torch.equal(completed.score(users)[:, warm], completed.scorer.score(users)[:, warm])


def test_a_batch_is_its_users_one_by_one() -> None:
    completed = _completed()
    users = torch.tensor([3, 0, 3, 11])
    single = torch.cat([completed.score(user[None]) for user in users])
    torch.testing.assert_close(completed.score(users), single)
    assert completed.score(users[:0]).shape == (0, ITEMS)


@pytest.mark.parametrize("items", [[7, 2, 8, 0], [8], [1, 2]])
def test_contributions_add_up(items: list[int]) -> None:
    completed, asked = _completed(), torch.tensor(items)
    for user in range(USERS):
        found = completed.contributions(user, asked)
        score = completed.score(torch.tensor([user]))[0, asked]
        torch.testing.assert_close(found.score, score, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found.by_item.sum(1) + found.rest, score, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found.by_relation.sum(1), score, atol=1e-5, rtol=1e-4)
        assert torch.equal(found.own_items, completed.history.row(user))


def test_a_user_of_equal_scores_gets_their_level() -> None:
    history = Incidence.from_pairs(torch.tensor([0]), torch.tensor([0]), 2, 3)
    scorer = Ease(history, torch.zeros(3, 3))
    made = Completion(
        torch.tensor([0, 1]), torch.tensor([2]), torch.ones(2, 1), torch.tensor([5.0]), 1.0
    )
    completed = ColdCompletion(scorer, made)
    assert completed.score(torch.tensor([0, 1])).eq(0.0).all()
    found = completed.contributions(0, torch.tensor([2]))
    assert float(found.by_item.sum() + found.rest.sum()) == 0.0


def test_state_makes_the_same_completion() -> None:
    completed = _completed()
    tensors, values = completed.state()
    ease = Ease.from_state(
        {k.removeprefix("scorer/"): v for k, v in tensors.items() if k.startswith("scorer/")}, {}
    )
    assert values["kind"] == "Ease"
    again = ColdCompletion.from_state(tensors, values)
    users = torch.arange(USERS)
    assert torch.equal(again.score(users), completed.score(users))
    assert torch.equal(again.scorer.score(users), ease.score(users))


def test_wrong_shapes_and_no_noise_are_refused() -> None:
    with pytest.raises(ShapeError, match="2 cold from 3 warm"):
        Completion(torch.arange(3), torch.tensor([3, 4]), torch.ones(2, 2), torch.ones(2), 1.0)
    with pytest.raises(ConfigError, match="not positive definite"):
        kernel_ridge(torch.ones(2, 2), torch.ones(2, 1), torch.full((2,), -1.5))


def test_relation_kernel_by_hand() -> None:
    """Four items; entity 0 has items 0 and 1, entity 1 has 0, entity 2 has 2; item 3 has none."""
    rows = Incidence.from_pairs(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 0, 2]), 3, 4)
    two, one = np.log(4 / 2), np.log(4 / 1)
    expected = np.zeros((4, 4))
    expected[0, 0] = expected[1, 1] = expected[2, 2] = 1.0
    expected[0, 1] = expected[1, 0] = two / np.sqrt((two + one) * two)
    np.testing.assert_allclose(relation_kernel(rows).numpy(), expected, atol=1e-6)


def test_kernels_are_positive_semidefinite_and_know_the_unknown() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(10, 3, generator=generator)
    features[4] = 0.0
    linear = linear_kernel(features)
    assert linear[4].eq(0).all()
    numbers = torch.tensor([1990.0, 1990.0, torch.nan, 2000.0, 1950.0])
    place = ranks(numbers)
    np.testing.assert_allclose(place[[0, 1, 3, 4]].numpy(), [0.25, 0.25, 0.75, 0.0])
    gaussian = gaussian_kernel(place[:, None], 0.25)
    assert gaussian[2].eq(0).all()
    assert float(gaussian[0, 1]) == 1.0
    assert float(gaussian[0, 3]) == pytest.approx(np.exp(-0.5 * (0.5 / 0.25) ** 2))
    for kernel in (linear, gaussian):
        assert torch.linalg.eigvalsh(kernel.double()).min() > -1e-5
