"""Whitening: the directions of a text space made equally long, so that none drowns the others."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from kgrec.errors import ShapeError

# Directions with less than this share of the largest variance are noise of the arithmetic.
_FLAT = 1e-7


@dataclass(frozen=True, eq=False)
class Whitening:
    """A whitened text space, kept so that later texts can be put into it.

    With X the centred rows and X^T X / n = V diag(λ) V^T, λ descending, they become

        Y = X V_c diag(λ_c)^(-1/2)

    Signs are fixed (a direction's largest entry is positive), so equal input gives equal output.

    Attributes:
        mean: float64 (d,), of the rows that it was fitted on.
        basis: float64 (d, c), directions over their standard deviations.

    References:
        Su et al., Whitening Sentence Representations for Better Semantics and Faster Retrieval,
        arXiv:2103.15316.
    """

    mean: npt.NDArray[np.float64]
    basis: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, matrix: npt.NDArray[np.float32], components: int) -> Self:
        """Finds the space in which the rows' leading principal components have unit variance.

        Args:
            matrix: (n, d). Rows of zeros stand for nodes without text and take no part.
            components: Directions kept, at most; fewer where the rank of the rows is, but one.

        Raises:
            ShapeError: If the matrix is not two-dimensional and finite.
        """
        if matrix.ndim != 2 or not np.isfinite(matrix).all():
            raise ShapeError(
                f"expected a finite matrix (n, d), got shape {matrix.shape}"
                f"{' with NaN or infinity' if matrix.ndim == 2 else ''}; encode the texts again"
            )
        rows = matrix[matrix.any(axis=1)].astype(np.float64)
        flat = np.zeros((matrix.shape[1], 1))
        if len(rows) == 0:
            return cls(np.zeros(matrix.shape[1]), flat)
        mean = rows.mean(axis=0)
        rows -= mean
        variances, directions = np.linalg.eigh(rows.T @ rows / len(rows))
        variances, directions = variances[::-1], directions[:, ::-1]  # descending
        rank = int((variances > _FLAT * max(float(variances[0]), 1e-12)).sum())
        width = min(components, rank)
        if width == 0:
            return cls(mean, flat)
        basis = directions[:, :width]
        largest = basis[np.abs(basis).argmax(axis=0), np.arange(width)]
        return cls(mean, basis * np.sign(largest) / np.sqrt(variances[:width]))

    def apply(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Puts rows (n, d) into the space, float32 (n, c); rows of zeros stay zero.

        Raises:
            ShapeError: If the rows are of another length: another encoder made them.
        """
        if matrix.ndim != 2 or matrix.shape[1] != len(self.mean):
            raise ShapeError(
                f"expected text vectors (n, {len(self.mean)}), got shape {matrix.shape}; encode "
                f"the texts with the model that the space was made with"
            )
        nonzero = matrix.any(axis=1)
        result = np.zeros((len(matrix), self.basis.shape[1]), dtype=np.float32)
        result[nonzero] = (matrix[nonzero].astype(np.float64) - self.mean) @ self.basis
        return result
