"""Adversarial perturbation of embeddings: the loss is also lowered where a small push raises it."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.config import AdversarialConfig
from kgrec.model.network import GraphNetwork


def perturbation(gradient: Tensor, epsilon: float) -> Tensor:
    """Gives Δ = ε Γ / |Γ| row by row: the push of length ε that raises the loss most.

    Args:
        gradient: Γ = ∂L/∂X, (N, d); rows of zeros stay zeros.
        epsilon: ε.

    References:
        He et al., "Adversarial personalized ranking for recommendation", SIGIR 2018, eq. 8,
        arXiv:1808.03908; on features instead of free embeddings: Tang et al., "Adversarial training
        towards robust multimedia recommender system" (AMR), arXiv:1809.07062.
    """
    return epsilon * functional.normalize(gradient, dim=1)


def backward(
    network: GraphNetwork,
    loss: Callable[[], Tensor],
    config: AdversarialConfig | None,
    generator: torch.Generator,
) -> Tensor:
    """Leaves the gradient of a batch's loss, and of the perturbed loss if the settings ask for it.

    Args:
        network: Its gradients are set.
        loss: Gives the batch's loss.
        config: ε and the weight; None adds nothing.
        generator: Draws the batch's negatives; the perturbed loss sees the same ones.

    Returns:
        The plain loss, detached.
    """
    generator_state = generator.get_state()
    network.zero_grad()
    plain = loss()
    plain.backward()  # type: ignore[no-untyped-call]
    if config is not None:
        generator.set_state(generator_state)
        add_adversarial(network, loss, config)
    return plain.detach()


def add_adversarial(
    network: GraphNetwork, loss: Callable[[], Tensor], config: AdversarialConfig
) -> None:
    """Adds the gradient of weight · L(X + Δ) to the gradient of L(X), which is there already.

    X = E + T W enters the encoder as a whole, so that Δ perturbs free embeddings and projected
    texts alike, and ∂L/∂X is what the free embeddings' gradient is.

    Args:
        network: After the backward pass of L(X); its gradients are added to.
        loss: Gives L of the same batch again.
        config: ε and the weight.
    """
    gradient = network.embedding.grad
    assert gradient is not None, "the plain loss comes first"
    network.perturbation = perturbation(gradient.detach(), config.epsilon)
    try:
        (config.weight * loss()).backward()  # type: ignore[no-untyped-call]
    finally:
        network.perturbation = None
