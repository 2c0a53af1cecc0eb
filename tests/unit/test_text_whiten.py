import numpy as np
import pytest

from kgrec.errors import ShapeError
from kgrec.text.whiten import Whitening


def whiten(matrix: np.ndarray, components: int) -> np.ndarray:
    return Whitening.fit(matrix, components).apply(matrix)


def correlated(n: int = 500, d: int = 12) -> np.ndarray:
    rng = np.random.default_rng(0)
    scales = np.linspace(5, 0.5, d)
    return (rng.normal(size=(n, d)) * scales @ rng.normal(size=(d, d)) + 3).astype(np.float32)


def test_columns_are_centred_uncorrelated_and_of_unit_variance() -> None:
    result = whiten(correlated(), 5)
    assert result.shape == (500, 5)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(result.T @ result / 500, np.eye(5), atol=1e-4)


def test_by_hand() -> None:
    # Centred: (±2, 0) and (0, ±1); variances 2 and 1/2.
    matrix = np.array([[3, 1], [-1, 1], [1, 2], [1, 0]], dtype=np.float32)
    expected = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]) * np.sqrt(2)
    np.testing.assert_allclose(whiten(matrix, 2), expected, atol=1e-6)
    np.testing.assert_allclose(whiten(matrix, 1), expected[:, :1], atol=1e-6)


def test_rows_without_text_take_no_part_and_stay_zero() -> None:
    matrix = correlated(50)
    with_gaps = np.insert(matrix, [0, 20, 50], 0, axis=0)
    result = whiten(with_gaps, 6)
    told = with_gaps.any(axis=1)
    np.testing.assert_allclose(result[told], whiten(matrix, 6), atol=1e-6)
    assert not result[~told].any()


def test_signs_do_not_depend_on_the_order_of_rows() -> None:
    matrix = correlated()
    order = np.random.default_rng(1).permutation(len(matrix))
    np.testing.assert_allclose(whiten(matrix[order], 8), whiten(matrix, 8)[order], atol=1e-3)


def test_no_more_components_than_the_rank() -> None:
    rng = np.random.default_rng(0)
    flat = (rng.normal(size=(40, 3)) @ rng.normal(size=(3, 10))).astype(np.float32)
    assert whiten(flat, 8).shape == (40, 3)
    assert whiten(correlated(4), 8).shape == (4, 3)
    assert whiten(np.ones((5, 3), dtype=np.float32), 8).tolist() == [[0.0]] * 5
    assert whiten(np.zeros((5, 3), dtype=np.float32), 8).shape == (5, 1)


def test_what_is_no_finite_matrix_is_refused() -> None:
    for bad in (np.zeros(3, dtype=np.float32), np.full((2, 2), np.nan, dtype=np.float32)):
        with pytest.raises(ShapeError, match="expected a finite matrix"):
            whiten(bad, 2)
