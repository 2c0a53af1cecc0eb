"""What the searches for cold items and cold users find, and the kernel that it weighs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

#: The gain over popularity must be so many standard errors. As all users are read in turn, their
#: gains are not independent: with 2, 8 of 60 random profiles passed, with 3, 2.
_LEAST_ERRORS = 3.0


@dataclass(frozen=True)
class ColdSettings:
    """What is found for cold items.

    Attributes:
        view_weights: One for each view, in their order.
        noise: μ of the kernel ridge.
        rarity: κ: an item of n takers has the noise μ (1 + κ / n).
        product: Weight of the product of the summed kernel with itself: likeness in several views
            at once.
        own_weight: β, see `ColdCompletion`.
        popularity: What one e-fold of expected popularity adds, in standard deviations.
        scale: γ, on the completed standardised scores.
        exposure: Share of (user, cold item) pairs that are to beat the user's 20th warm item.
        places: Cold items a user that do so at most, however many there are.
        inner: Measured on the inner splits: NDCG@20 among cold items before and after the search;
            NDCG@20 of cold items among all, and the share of warm NDCG@20 that is kept.
        views: The views' names.
    """

    view_weights: tuple[float, ...]
    noise: float = 1.0
    rarity: float = 27.0
    product: float = 0.4
    own_weight: float = 1.0
    popularity: float = 0.2
    scale: float = 1.0
    exposure: float = 0.02
    places: float = 2.0
    inner: Mapping[str, float] = field(default_factory=dict)
    views: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColdUserSettings:
    """What is found for cold users.

    Attributes:
        view_weights: One for each view, in their order.
        noise: μ of the kernel ridge.
        product: Weight of the summed kernel's product with itself: likeness in several views.
        scale: γ, how much a profile counts beside log popularity.
        inner: Measured on warm users taken for cold: NDCG@20 of popularity (`popularity`) and of
            the profiles (`ndcg@20`) with settings that were found on other users, and the standard
            error of their difference (`error`).
    """

    view_weights: tuple[float, ...]
    noise: float = 30.0
    product: float = 0.4
    scale: float = 10.0
    inner: Mapping[str, float] = field(default_factory=dict)

    @property
    def pays(self) -> bool:
        """Whether the profiles beat popularity by more than chance."""
        gain = self.inner.get("ndcg@20", 0.0) - self.inner.get("popularity", 0.0)
        return gain > _LEAST_ERRORS * self.inner.get("error", 0.0)


def summed_kernel(
    kernels: Iterable[Tensor] | Tensor, settings: ColdSettings | ColdUserSettings
) -> Tensor:
    """Gives K̄ + product · K̄ ∘ K̄ with K̄ the weighted mean of the views' kernels, (n, n).

    Args:
        kernels: Each (n, n), or all of them as (views, n, n) with a mean diagonal of 1.
        settings: Weights and product are used.
    """
    weights = torch.tensor(settings.view_weights)
    weights /= weights.sum()
    if isinstance(kernels, Tensor):
        total = (weights @ kernels.flatten(1)).view(kernels.shape[1:])
    else:
        total = torch.zeros(())
        for weight, kernel in zip(weights.tolist(), kernels, strict=True):
            total = total + scaled_to_one(kernel).mul_(weight)
    return total.addcmul(total, total, value=settings.product)


def scaled_to_one(kernel: Tensor) -> Tensor:
    """The kernel with a mean diagonal of 1; it is overwritten."""
    return kernel.div_(max(float(kernel.diagonal().mean()), 1e-6))
