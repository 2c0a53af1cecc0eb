"""Losses over scores; plain tensors in, a scalar out."""

import torch
from torch import Tensor
from torch.nn import functional

#: Scores whose exponentials are taken at once on the CPU: 1 MiB, which a core's cache keeps.
_SCORES_AT_ONCE = 1 << 18


def softmax_loss(
    rows: Tensor,
    columns: Tensor,
    bias: Tensor,
    known_pairs: Tensor,
    positive: Tensor,
    owner: Tensor,
    weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of each positive against all columns that are not known positives.

        -log( exp(p_b) / (exp(p_b) + Σ_{j not known} exp(s_j)) ) = softplus(log Σ_j exp(s_j) - p_b),
        s = rows columnsᵀ + bias

    The sum is a user's and not an interaction's, so a user with many interactions in the batch is
    one row. Items or drawn negatives, the columns are treated alike: subtract log(n q_j / times
    drawn) from a drawn item's bias and the sum over the drawn is an unbiased estimate of that over
    all items.

    Args:
        rows: float (u, d), one for each user of the batch.
        columns: float (m, d), the items that compete.
        bias: float (m,), added to every row's scores.
        known_pairs: int64 (2, k), pairs (row, column) that do not compete: known positives.
        positive: float (B,), the scores p of the batch's interactions.
        owner: int64 (B,), the row of each interaction's user.
        weight: float (B,), what each interaction counts; None is 1 each.

    Returns:
        Scalar, mean over the batch of weight times loss.

    References:
        Jean et al., arXiv:1412.2007; Wu et al., "On the effectiveness of sampled softmax loss for
        item recommendation", arXiv:2201.02327.
    """
    total: Tensor = _LogSumExp.apply(rows, columns, bias, known_pairs)  # (u,)
    loss = functional.softplus(total.index_select(0, owner) - positive)
    return loss.mean() if weight is None else (weight * loss).mean()


class _LogSumExp(torch.autograd.Function):
    """log Σ_j exp(⟨row, column_j⟩ + bias_j) over the pairs that are not hidden, (u,).

    One (u, m) matrix is held: the scores become their exponentials in place, block by block while
    they lie in cache, and the gradients are two products with it.
    """

    @staticmethod
    def forward(ctx, rows: Tensor, columns: Tensor, bias: Tensor, hidden: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        scores = torch.addmm(bias, rows, columns.mT)  # (u, m)
        scores.view(-1).index_fill_(0, hidden[0] * len(columns) + hidden[1], -torch.inf)
        top, total = rows.new_empty(len(rows)), rows.new_empty(len(rows))
        step = max(_SCORES_AT_ONCE // max(len(columns), 1), 1)
        if scores.device.type != "cpu":
            step = max(len(rows), 1)
        for start in range(0, len(rows), step):
            block = scores[start : start + step]
            # A row without anything that competes sums to 0, and its maximum is -inf.
            largest = block.amax(dim=1).clamp_(min=torch.finfo(rows.dtype).min)
            block.sub_(largest[:, None]).exp_()
            top[start : start + step] = largest
            torch.sum(block, dim=1, out=total[start : start + step])
        ctx.save_for_backward(rows, columns, scores, total)
        return top + total.log()

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        rows, columns, exponential, total = ctx.saved_tensors
        scale = torch.where(total > 0, grad / total, 0.0)  # (u,)
        grad_rows = (exponential @ columns).mul_(scale[:, None])
        grad_columns = exponential.mT @ (rows * scale[:, None])
        return grad_rows, grad_columns, exponential.mT @ scale, None


def bpr_loss(
    positive: Tensor, negative: Tensor, known: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Bayesian personalised ranking: -log σ(s_positive - s_negative), mean over valid pairs.

    Args:
        positive: float (B,).
        negative: float (B, n).
        known: bool (B, n), where a drawn item is a known positive of the row's user.
        weight: float (B,), what each positive counts; None is 1 each.

    Returns:
        Scalar.

    References:
        Rendle et al., arXiv:1205.2618, equation 4.
    """
    losses = functional.softplus(negative - positive.unsqueeze(1))  # (B, n)
    keep = ~known
    if weight is not None:
        losses = weight.unsqueeze(1) * losses
    return (losses * keep).sum() / keep.sum().clamp(min=1)
