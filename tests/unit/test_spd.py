"""Inverses and solutions in place, against torch's own."""

import pytest
import torch

from kgrec.model.spd import invert, solve


def positive_definite(size: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    root = torch.randn(size, size, generator=torch.Generator().manual_seed(size), dtype=dtype)
    return root @ root.T / size + torch.eye(size, dtype=dtype)


@pytest.mark.parametrize("size", [0, 1, 7, 512, 513, 1300])
def test_the_inverse_is_made_where_the_matrix_was(size: int) -> None:
    matrix = positive_definite(size)
    expected = torch.linalg.inv(matrix)
    result = invert(matrix)
    assert result.data_ptr() == matrix.data_ptr()
    assert torch.allclose(result, expected, atol=1e-12)
    assert torch.equal(result, result.T)


@pytest.mark.parametrize("size", [1, 7, 1300])
@pytest.mark.parametrize("count", [1, 5, 2049])
def test_the_solution_is_made_where_the_right_hand_side_was(size: int, count: int) -> None:
    matrix, right = positive_definite(size), torch.ones(size, count, dtype=torch.float64)
    right += torch.arange(count)
    expected = torch.linalg.inv(matrix) @ right
    result = solve(matrix, right)
    assert result.data_ptr() == right.data_ptr()
    assert torch.allclose(result, expected, rtol=1e-10)


def test_right_hand_sides_may_lie_by_columns() -> None:
    matrix, right = positive_definite(9), torch.randn(4, 9, dtype=torch.float64).T
    expected = torch.linalg.inv(matrix) @ right
    assert torch.allclose(solve(matrix, right), expected)


def test_in_single_precision_rounding_is_of_the_size_of_lapacks() -> None:
    matrix = positive_definite(1300)
    exact = torch.linalg.inv(matrix)
    lapack = torch.cholesky_inverse(torch.linalg.cholesky(matrix.float()))
    ours = invert(matrix.float())
    assert (ours - exact).norm() <= 3 * (lapack - exact).norm() <= 1e-4 * exact.norm()


def test_a_matrix_that_is_not_positive_definite_is_refused() -> None:
    with pytest.raises(torch.linalg.LinAlgError, match="positive-definite"):
        invert(-torch.eye(3))
    with pytest.raises(torch.linalg.LinAlgError, match="positive-definite"):
        solve(-torch.eye(3), torch.ones(3, 1))
