"""The closed form's own leave-one-out scores, exact and differentiable.

A model that is a matrix inverse need not be fitted again to see what it would say of an interaction
that it had not been shown: taking one interaction away changes the Gram matrix by rank two, and the
inverse follows (Woodbury). So every setting can be judged on all of train, and the gradient of that
judgement with respect to every setting costs two more matrix products.
"""

import math
from typing import Any

import torch
from torch import Tensor

from kgrec.model.spd import invert

#: Scores of items that are out of the question.
_NEVER = -1e9


class SpdInverse(torch.autograd.Function):
    """P = G⁻¹ of a symmetric positive definite G, with ∂L/∂G = -P (∂L/∂P) P."""

    @staticmethod
    def forward(ctx: Any, gram: Tensor) -> Tensor:
        """Inverts through Cholesky factors, a third of the work of a general inverse."""
        inverse = invert(gram.clone())
        ctx.save_for_backward(inverse)
        return inverse

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Gives the gradient with respect to G."""
        (inverse,) = ctx.saved_tensors
        gradient: Tensor = -(inverse @ grads[0] @ inverse)
        return gradient


def spd_inverse(gram: Tensor) -> Tensor:
    """Gives G⁻¹ (n, n) of a symmetric positive definite G, differentiable."""
    result: Tensor = SpdInverse.apply(gram)
    return result


def leave_one_out_scores(inverse: Tensor, x: Tensor, weight: Tensor, item: Tensor) -> Tensor:
    """Scores all items for users from each of whom one interaction was taken away.

    With U = [x, e_j] the Gram matrix without the interaction (u, j) is G + U C Uᵀ,
    C = d [[0, -1], [-1, 1]] (up to the user's weight d, held), so its inverse is
    P - P U (C⁻¹ + UᵀPU)⁻¹ UᵀP. Scores are x' B with x' = x - e_j and B made of that inverse: what
    the model, fitted without (u, j), would say.

    Args:
        inverse: P, (n, n).
        x: (m, n), the users' items with the one that is taken away, 0 or 1.
        weight: (m,), the users' weights d.
        item: (m,) int64, the items j that are taken away.

    Returns:
        (m, n); items of x' are at -1e9.
    """
    row = torch.arange(len(item), device=item.device)
    t = x @ inverse  # (m, n)
    # Selected, not indexed: the gradient of an index with repeats is summed in any order.
    column = inverse.index_select(0, item)  # (m, n)
    corner = inverse.diagonal().index_select(0, item)  # (m,)
    at = t.gather(1, item[:, None]).squeeze(1)  # (m,)
    # K = C⁻¹ + UᵀPU = [[a, b], [b, corner]], 2 x 2 for each row
    a = (t * x).sum(dim=1) - 1 / weight
    b = at - 1 / weight
    determinant = a * corner - b * b
    first, second = a + 1 / weight - at, at - corner  # UᵀP x'
    k1 = (corner * first - b * second) / determinant
    k2 = (a * second - b * first) / determinant
    top = (t - column) - t * k1[:, None] - column * k2[:, None]  # P' x'
    squares = corner[:, None] * t.square() + a[:, None] * column.square()
    cross = (2 * b)[:, None] * t * column
    diagonal = inverse.diagonal() - (squares - cross) / determinant[:, None]  # diag(P')
    remaining = x.clone()
    remaining[row, item] = 0
    return (-top / diagonal).masked_fill(remaining > 0, _NEVER)


def held_out_scores(inverse: Tensor, x: Tensor, known: Tensor) -> Tensor:
    """Scores all items for inputs that the inverse was not made of.

    Args:
        inverse: P, (n, n).
        x: (m, n), the users' items, weighted.
        known: (m, n) bool, items that are out of the question.

    Returns:
        x B, (m, n); known items are at -1e9.
    """
    # Items of x are known, so B's zero diagonal plays no part.
    return -((x @ inverse) / inverse.diagonal()).masked_fill(known, -_NEVER)


def smooth_ndcg(
    scores: Tensor, item: Tensor, *, temperature: float = 0.15, depth: int = 100
) -> Tensor:
    """Gives each row's discounted gain of one item, its rank made differentiable, (m,).

    rank = 1 + Σ_k σ((s_k - s_j) / (τ sd)), gain = 1 / log₂(1 + rank), with sd the root mean square
    of the row's scores: scaling a row changes nothing. The gain at `depth` is taken off and what is
    deeper counts 0: else moving items from rank 2,000 to 1,000 would pay more than the top does.

    Args:
        scores: (m, n); what is below -1e8 does not compete.
        item: (m,) int64, j.
        temperature: τ.
        depth: Ranks that count.

    References:
        ApproxNDCG: Qin, Liu, Li, "A general approximation framework for direct optimization of
        information retrieval measures", Information Retrieval 2010, eq. 7 to 10.
    """
    competes = scores > _NEVER / 10
    plain = torch.where(competes, scores, torch.zeros_like(scores))
    # The small number keeps the root's slope finite where all scores are 0.
    deviation = (plain.square().sum(dim=1) / competes.sum(dim=1) + 1e-24).sqrt()
    target = plain.gather(1, item[:, None])  # (m, 1)
    above = torch.sigmoid((plain - target) / (temperature * deviation)[:, None])
    rank = 0.5 + torch.where(competes, above, torch.zeros_like(above)).sum(dim=1)  # σ(0) of itself
    floor = 1 / math.log2(1 + depth)
    return (1 / torch.log2(1 + rank) - floor).clamp(min=0) / (1 - floor)


def hard_ndcg(scores: Tensor, item: Tensor, k: int = 20) -> Tensor:
    """Gives each row's NDCG@k of one relevant item, (m,): 1 / log₂(1 + rank), 0 beyond k."""
    target = scores.gather(1, item[:, None])
    rank = (scores > target).sum(dim=1) + 1
    gain = 1 / torch.log2(1.0 + rank)
    return torch.where(rank <= k, gain, torch.zeros_like(gain))
