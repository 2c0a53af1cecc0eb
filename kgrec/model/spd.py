"""Linear systems with a symmetric positive definite matrix, solved where the matrix lies."""

from typing import Any, cast

import torch
from torch import Tensor

#: What torch raises where a matrix is not positive definite; its stubs leave the class out.
LinAlgError: type[RuntimeError] = cast("Any", torch.linalg).LinAlgError
#: Rows of a block. Smaller ones lose the speed of large products, larger ones work in vain above
#: the diagonal of each block.
_BLOCK = 512
#: Right-hand sides that are solved at once.
_COLUMNS = 2_048


def invert(matrix: Tensor) -> Tensor:
    """Gives A⁻¹ in A's memory, with up to half as much beside it.

    LAPACK's `potri` runs on one thread, and with more it waits for other processes; products of
    large blocks do not (docs/performance.md has the numbers).

    Args:
        matrix: A, (n, n) symmetric, float32 or float64, contiguous; is overwritten.

    Returns:
        `matrix`, now A⁻¹, both triangles.

    Raises:
        LinAlgError: If A is not positive definite in its precision.
    """
    factor = _factor(matrix)
    _invert_triangle(factor)
    _square(factor)
    return matrix


def solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Gives X of A X = R in R's memory.

    Args:
        matrix: A, (n, n) symmetric, contiguous; is overwritten by its factor.
        right: R, (n, k); is overwritten.

    Returns:
        `right`, now X.

    Raises:
        LinAlgError: If A is not positive definite in its precision.
    """
    factor = _factor(matrix)
    for columns in torch.split(right, _COLUMNS, dim=1):  # views; at most so many are held twice
        half = torch.linalg.solve_triangular(factor, columns, upper=False)
        columns.copy_(torch.linalg.solve_triangular(factor.mT, half, upper=True))
    return right


def _factor(matrix: Tensor) -> Tensor:
    """L with A = L Lᵀ in A's memory; zero above the diagonal.

    LAPACK works on columns. A is symmetric, so its transposed view is the same matrix in that
    layout, and it writes where it reads.
    """
    factor = matrix.mT
    torch.linalg.cholesky(factor, out=factor)
    return factor


def _invert_triangle(lower: Tensor) -> None:
    """L becomes L⁻¹: with blocks a, b, c of L, b becomes -c⁻¹ b a⁻¹, then a and c likewise."""
    size = len(lower)
    if size <= _BLOCK:
        unit = torch.eye(size, dtype=lower.dtype, device=lower.device)
        lower.copy_(torch.linalg.solve_triangular(lower, unit, upper=False))
        return
    half = size // 2
    a, b, c = lower[:half, :half], lower[half:, :half], lower[half:, half:]
    b.copy_(torch.linalg.solve_triangular(c, b, upper=False).neg_())
    b.copy_(torch.linalg.solve_triangular(a, b, upper=False, left=False))
    _invert_triangle(a)
    _invert_triangle(c)


def _square(lower: Tensor) -> None:
    """M becomes MᵀM, both triangles; row by row of blocks, as later ones do not need earlier M."""
    size = len(lower)
    for start in range(0, size, _BLOCK):
        stop = min(start + _BLOCK, size)
        lower[start:stop, :stop] = lower[start:, start:stop].T @ lower[start:, :stop]
    for start in range(0, size, _BLOCK):
        stop = min(start + _BLOCK, size)
        own = lower[start:stop, start:stop]
        own.copy_(own.tril() + own.tril(-1).T)  # products of matrices round M and Mᵀ differently
        lower[start:stop, stop:] = lower[stop:, start:stop].T
