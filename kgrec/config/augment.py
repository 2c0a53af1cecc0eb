"""Settings of synthetic edges."""

from typing import Literal

from pydantic import Field

from kgrec.config.base import Settings


class GanConfig(Settings):
    """The generator of edges, and its training.

    Attributes:
        candidates: Items that it chooses from for a user.
        most_users: At most so many sparse users are made of dense ones to learn from.
        noise: Numbers of noise a user.
        hidden: Width of its correction's layers.
        popularity: Exponent of popularity that is taken as given when it learns, so that it says
            what speaks for an item beyond that: 0 lets it propose what is popular, 1 leaves all of
            popularity out.
        learning_rate: While it learns by cross-entropy.
        pretrain_epochs: For so long it does.
        rounds: Epochs against the discriminator.
        discriminator_steps: Of the discriminator for each of the generator's.
        drawn: Proposals of a user that the discriminator sees a step.
        adversarial_learning_rate: Of the generator; the discriminator's is twice that.
        anchor: Weight of the cross-entropy beside the adversarial loss.
    """

    candidates: int = Field(500, ge=1)
    most_users: int = Field(4_000, ge=1)
    noise: int = Field(4, ge=1)
    hidden: int = Field(32, ge=1)
    popularity: float = Field(0.5, ge=0, le=1)
    learning_rate: float = Field(3e-3, gt=0)
    pretrain_epochs: int = Field(15, ge=0)
    rounds: int = Field(8, ge=0)
    discriminator_steps: int = Field(2, ge=1)
    drawn: int = Field(10, ge=1)
    adversarial_learning_rate: float = Field(1e-3, gt=0)
    anchor: float = Field(1.0, ge=0)


class AugmentConfig(Settings):
    """Synthetic interaction edges for users, and items, with few: further positives of networks.

    Attributes:
        source: Who proposes them: `teacher` is the closed form, `knn` the nearest items, `gan` a
            generator that learns what dense users did next when little is told of them, and goes
            on against a discriminator; `auto` tries all and lets the gate pick one or none.
        at_most: So few interactions make a node sparse.
        per_user: Edges for each sparse user.
        per_item: Edges for each sparse item.
        weight: What an edge counts in the loss, where an interaction counts 1.
        epochs: For so long networks learn on with the edges.
        gan: The generator and its training.
    """

    source: Literal["none", "auto", "teacher", "knn", "gan"] = "none"
    at_most: int = Field(5, ge=1)
    per_user: int = Field(10, ge=0)
    per_item: int = Field(0, ge=0)
    weight: float = Field(1.0, gt=0)
    epochs: int = Field(2, ge=1)
    gan: GanConfig = GanConfig()
