"""What nodes bring to a score of a network that is no sum over edges: an approximation.

The attention encoder weighs messages by what they say, so its scores do not add up over edges or
items. Integrated gradients follow the score from features of 0 to the trained ones,

    IG_v = Σ_d x_vd ∫₀¹ ∂f(t X) / ∂x_vd dt,   Σ_v IG_v = f(X) - f(0)

and the integral is a sum over so many steps: by how much the shares miss f(X) - f(0) is told.

References:
    Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", ICML 2017,
    arXiv:1703.01365, eq. 3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from kgrec.errors import ConfigError
from kgrec.model.network import GraphNetwork


@dataclass(frozen=True, eq=False)
class NodeGradients:
    """Shares of nodes' features in one score, approximate.

    Attributes:
        share: float32 (N,), of each node: users, items, entities.
        score: The score, the cosine's norms held.
        base: The score at features of 0: popularity, and what an encoder makes of nothing.
        gap: score - base - Σ share; 0 for a perfect integral.
        exact: Always false.
    """

    share: Tensor
    score: float
    base: float
    gap: float
    exact: bool = False


def integrated_gradients(
    network: GraphNetwork,
    user_index: int,
    item_index: int,
    temperature: float | None,
    *,
    steps: int = 64,
) -> NodeGradients:
    """Tells which nodes' features a score is made of.

    Args:
        network: A trained network of any encoder.
        user_index: The user.
        item_index: The item.
        temperature: Of the cosine, whose norms are held; None is the inner product.
        steps: Of the sum, by the midpoint rule.

    Raises:
        ConfigError: If there is no step.
    """
    if steps < 1:
        raise ConfigError(f"integrated gradients need at least one step, got {steps}; try 64")
    x = network.features().detach()
    bias = float(network.item_bias().detach()[item_index])
    item = network.num_users + item_index
    with torch.no_grad():
        z = network.encoder(x)
        norm = 1.0
        if temperature is not None:
            lengths = z[[user_index, item]].norm(dim=1).clamp(min=1e-12)
            norm = float(lengths.prod()) * temperature

    def score(features: Tensor) -> Tensor:
        out: Tensor = network.encoder(features)
        return (out[user_index] * out[item]).sum() / norm

    gradient = torch.zeros_like(x)
    for step in range(steps):
        at = (x * ((step + 0.5) / steps)).requires_grad_()
        (part,) = torch.autograd.grad(score(at), at)
        gradient += part / steps
    share = (x * gradient).sum(dim=1)
    with torch.no_grad():
        whole, base = float(score(x)), float(score(torch.zeros_like(x)))
    return NodeGradients(
        share, whole + bias, base + bias, whole - base - float(share.double().sum())
    )
