"""Losses over scores; plain tensors in, a scalar out."""

import torch
from torch import Tensor
from torch.nn import functional


def softmax_loss(scores: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy of each row's target against all items that are not known positives.

        -log( exp(s_t) / (exp(s_t) + Σ_{j not known} exp(s_j)) )

    Args:
        scores: float (B, I), logits.
        target: int64 (B,), the positive item of each row.
        known: int64 (2, m), pairs (row, item) of all known positives of the rows' users.

    Returns:
        Scalar, mean over the batch.
    """
    at = torch.arange(len(target), device=scores.device)
    positive = scores[at, target]  # (B,)
    masked = scores.index_put(
        (known[0], known[1]), scores.new_full((known.shape[1],), -torch.inf)
    ).index_put((at, target), positive)
    return (masked.logsumexp(dim=1) - positive).mean()


def sampled_softmax_loss(
    positive: Tensor, negative: Tensor, log_expected: Tensor, known: Tensor
) -> Tensor:
    """Cross-entropy against sampled negatives, corrected for how often each is drawn.

        -log( exp(s_t) / (exp(s_t) + Σ_{j drawn, not known} exp(s_j - e_j)) )

    Args:
        positive: float (B,), scores of the targets.
        negative: float (B, m), scores of the m distinct drawn items, shared by the batch.
        log_expected: float (m,), e_j = log(n q_j / times drawn) for n draws with probability q.
        known: bool (B, m), where a drawn item is a known positive of the row's user.

    Returns:
        Scalar, mean over the batch.

    References:
        Jean et al., arXiv:1412.2007; Wu et al., "On the effectiveness of sampled softmax loss for
        item recommendation", arXiv:2201.02327.
    """
    corrected = (negative - log_expected).masked_fill(known, -torch.inf)  # (B, m)
    everything = torch.cat([positive.unsqueeze(1), corrected], dim=1)  # (B, 1 + m)
    return (everything.logsumexp(dim=1) - positive).mean()


def bpr_loss(positive: Tensor, negative: Tensor, known: Tensor) -> Tensor:
    """Bayesian personalised ranking: -log σ(s_positive - s_negative), mean over valid pairs.

    Args:
        positive: float (B,).
        negative: float (B, n).
        known: bool (B, n), where a drawn item is a known positive of the row's user.

    Returns:
        Scalar.

    References:
        Rendle et al., arXiv:1205.2618, equation 4.
    """
    losses = functional.softplus(negative - positive.unsqueeze(1))  # (B, n)
    keep = ~known
    return (losses * keep).sum() / keep.sum().clamp(min=1)
