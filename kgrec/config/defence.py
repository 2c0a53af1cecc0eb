"""Settings of the defence against made-up interactions, and of training against perturbations."""

from pydantic import Field

from kgrec.config.base import Settings


class AdversarialConfig(Settings):
    """Training against perturbed embeddings: L(X) + weight · L(X + Δ).

    Attributes:
        epsilon: Length of each node's perturbation, in the direction that raises the loss most.
        weight: Of the perturbed loss.
    """

    epsilon: float = Field(0.5, gt=0)
    weight: float = Field(1.0, gt=0)


class DefenceConfig(Settings):
    """Users who look made up, and what becomes of their interactions.

    Attributes:
        filter: Whether interactions of suspicious users are set aside before training. All that
            is set aside is named in the run's record; nothing leaves the store.
        suspicious: So large a share of the users, those that others explain worst, is looked at,
            and the worse half and quarter of these likewise; none is set aside for that alone.
        threshold: An item is taken for the target of an attack if so many deviations more of its
            users are among the suspicious than chance would bring; only the suspicious users of
            such an item are set aside.
        trusted: Ids of users who are never set aside, whatever they look like.
    """

    filter: bool = False
    suspicious: float = Field(0.4, gt=0, lt=0.5)
    threshold: float = Field(7.0, gt=0)
    trusted: tuple[str, ...] = ()
