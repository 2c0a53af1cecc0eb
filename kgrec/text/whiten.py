"""Whitening: the directions of a text space made equally long, so that none drowns the others."""

import numpy as np
import numpy.typing as npt

from kgrec.errors import ShapeError

# Directions with less than this share of the largest variance are noise of the arithmetic.
_FLAT = 1e-7


def whiten(matrix: npt.NDArray[np.float32], components: int) -> npt.NDArray[np.float32]:
    """Centres the rows and gives their leading principal components unit variance.

    With X the centred rows and X^T X / n = V diag(λ) V^T, λ descending:

        Y = X V_c diag(λ_c)^(-1/2)

    Signs are fixed (a direction's largest entry is positive), so equal input gives equal output.

    Args:
        matrix: (n, d). Rows of zeros stand for nodes without text: they take no part and stay zero.
        components: Directions kept, at most.

    Returns:
        float32 (n, c), c the smaller of `components` and the rank of the centred rows; at least one
        column (of zeros, if all rows are alike).

    Raises:
        ShapeError: If the matrix is not two-dimensional and finite.

    References:
        Su et al., Whitening Sentence Representations for Better Semantics and Faster Retrieval,
        arXiv:2103.15316.
    """
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise ShapeError(
            f"expected a finite matrix (n, d), got shape {matrix.shape}"
            f"{' with NaN or infinity' if matrix.ndim == 2 else ''}; encode the texts again"
        )
    told = matrix.any(axis=1)
    rows = matrix[told].astype(np.float64)
    if len(rows) == 0:
        return np.zeros((len(matrix), 1), dtype=np.float32)
    rows -= rows.mean(axis=0)
    variances, directions = np.linalg.eigh(rows.T @ rows / len(rows))
    variances, directions = variances[::-1], directions[:, ::-1]  # descending
    rank = int((variances > _FLAT * max(float(variances[0]), 1e-12)).sum())
    kept = min(components, rank)
    if kept == 0:
        return np.zeros((len(matrix), 1), dtype=np.float32)
    basis = directions[:, :kept]
    largest = basis[np.abs(basis).argmax(axis=0), np.arange(kept)]
    basis = basis * np.sign(largest) / np.sqrt(variances[:kept])  # (d, c)
    result = np.zeros((len(matrix), kept), dtype=np.float32)
    result[told] = rows @ basis
    return result
