"""The sections of the settings, their defaults and their meaning."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kgrec.config.base import Settings
from kgrec.schema import Split


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


class StoreConfig(Settings):
    """Where the graph lives.

    Attributes:
        uri: `embedded:PATH`, `bolt://HOST:PORT`, `neo4j://…` or `neo4j+s://…`, no credentials.
        database: Neo4j database.
    """

    uri: str = "embedded:graph.kgl"
    database: str = "neo4j"


class TextConfig(Settings):
    """Text features.

    Attributes:
        enabled: Whether node texts are encoded at all.
        model: Local path or hub name of a transformers encoder, or the name of one that
            `kgrec.register_encoder` was given; None is all-MiniLM-L6-v2 from the installed package.
        max_tokens: Longer texts are cut.
        batch_size: Texts a forward pass; halved when memory runs out.
        components: Dimensions kept by whitening.
        history: Titles of a user's latest training items in the user's text.
        write_to_store: Whether the vectors are written to the nodes.
    """

    enabled: bool = True
    model: str | None = None
    max_tokens: int = Field(64, ge=8)
    batch_size: int = Field(64, ge=1)
    components: int = Field(128, ge=1)
    history: int = Field(10, ge=0)
    write_to_store: bool = False


class ModelConfig(Settings):
    """The graph network.

    Attributes:
        encoder: `propagation` is relation-weighted linear propagation, `attention` attends over
            relations (RGAT).
        channels: Embedding dimensions.
        num_layers: Rounds of propagation.
        score: `cosine` or `inner` product of the ends' embeddings.
        temperature: Divides the cosine; None searches it by short trainings, judged on valid.
        use_graph: Whether relations take part; False is the control without a graph (behaviours
            stay: they are interactions).
        use_text: Whether projected text vectors join the free embeddings.
        heads: Attention heads (attention encoder only).
        popularity: Whether a learned multiple of log popularity joins the score.
    """

    encoder: Literal["propagation", "attention"] = "propagation"
    channels: int = Field(64, ge=1)
    num_layers: int = Field(2, ge=0)
    score: Literal["cosine", "inner"] = "cosine"
    temperature: float | None = Field(None, gt=0)
    use_graph: bool = True
    use_text: bool = True
    heads: int = Field(2, ge=1)
    popularity: bool = True


class TrainingConfig(Settings):
    """How the network is trained.

    Attributes:
        loss: `softmax` over all items, `sampled_softmax`, `bpr`, or `auto`: full softmax up to
            5,000 items, sampled beyond.
        epochs: At most so many.
        batch_size: Interactions a step.
        learning_rate: Adam's.
        relation_learning_rate: Adam's for the relation weights, which are few and must move far.
        decay: Both learning rates are multiplied by this after every epoch.
        weight_decay: L2 on the free embeddings.
        hide_targets: Whether a batch's own interactions, every other behaviour of the same pairs
            and what only that user wrote or searched pass no messages while they are predicted;
            else the network can read the answer off its input and needs the graph less.
        num_negatives: Negatives a step (shared by the batch) for sampled losses.
        neighbours: For graphs that do not fit in memory several times: how many edges of a node are
            drawn a step, for each round of propagation, the one next to the batch first, such as
            [20, 10]; only what was drawn is then updated. None takes the whole graph.
        patience: Evaluations on valid without improvement before stopping.
        evaluate_every: Epochs between evaluations on valid.
        adversarial: Embeddings, projected texts among them, are also trained where they are
            perturbed, at twice the cost; None is off. Not with `neighbours`.
        device: `auto` is CUDA when present.
        ensemble: So many networks from different initial values, averaged.
        refit: Whether, once everything is chosen, all parts are fitted again on train and valid
            together; networks go on for three epochs instead. Comparable only with others who did
            the same.
        deploy: As `refit`, on all interactions, those of test included: for serving, as nothing is
            left to judge it on.
    """

    loss: Literal["auto", "softmax", "sampled_softmax", "bpr"] = "auto"
    epochs: int = Field(60, ge=0)
    batch_size: int = Field(4096, ge=1)
    learning_rate: float = Field(0.01, gt=0)
    relation_learning_rate: float = Field(0.05, gt=0)
    decay: float = Field(0.95, gt=0, le=1)
    hide_targets: bool = True
    weight_decay: float = Field(1e-6, ge=0)
    num_negatives: int = Field(2048, ge=1)
    neighbours: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    adversarial: AdversarialConfig | None = None
    patience: int = Field(3, ge=1)
    evaluate_every: int = Field(2, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    ensemble: int = Field(3, ge=1)
    refit: bool = False
    deploy: bool = False

    @property
    def refit_splits(self) -> tuple[Split, ...]:
        """The splits that join train once everything is chosen."""
        if self.deploy:
            return (Split.VALID, Split.TEST)
        return (Split.VALID,) if self.refit else ()


class ColdConfig(Settings):
    """Items without interactions, scored through their content.

    Attributes:
        enabled: Whether they are.
        keep_warm: Share of the accuracy on other items that must stay when cold items compete.
    """

    enabled: bool = True
    keep_warm: float = Field(0.999, gt=0, le=1)


class SearchConfig(Settings):
    """When searches of settings end before they are done.

    Attributes:
        minutes: All searches of one training together, by the clock; what is reached by then is
            taken, so that the same seed may give another model on a busy machine. None, the
            default, lets each search end by its own steps.
    """

    minutes: float | None = Field(None, gt=0)


class FusionConfig(Settings):
    """What the recommender is made of.

    Attributes:
        network: Whether the network takes part.
        popularity: Whether log popularity takes part.
    """

    network: bool = True
    popularity: bool = True


class SourcePair(Settings):
    """Two sources that are compared, by name."""

    left: str
    right: str


class ResolutionConfig(Settings):
    """Which nodes of two sources are one thing: what `kgrec resolve` compares and proposes.

    Attributes:
        pairs: Sources to compare; without any, all that describe nodes of one label, and items
            with the entities of other sources.
        within: Whether the nodes of one source are compared with each other too.
        keys: Columns that identify a thing anywhere (`isbn`, `ean`, `email`).
        aliases: Columns with other names of a thing (`original_title`).
        compare: Columns that speak for or against a pair; None is every column both sides have.
        max_shared: A key or name that more nodes of one side share says nothing and is reported.
        neighbours: Similar names, and similar texts, that are looked at per node.
        vectors: Whether text vectors propose pairs; never without `text.enabled`.
        one_to_one: Whether a node is at most one node of another source.
        accept: Pairs that score at least this much are accepted.
        propose: Pairs that score at least this much are written for a person to decide.
    """

    pairs: tuple[SourcePair, ...] = ()
    within: bool = False
    keys: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    compare: tuple[str, ...] | None = None
    max_shared: int = Field(5, ge=1)
    neighbours: int = Field(5, ge=1)
    vectors: bool = True
    one_to_one: bool = True
    accept: float = Field(0.95, gt=0, le=1)
    propose: float = Field(0.6, gt=0, le=1)

    @model_validator(mode="after")
    def _proposes_what_it_accepts(self) -> Self:
        if self.propose > self.accept:
            raise ValueError(f"propose must not exceed accept, got {self.propose} > {self.accept}")
        return self


class EvaluationConfig(Settings):
    """How runs are judged.

    Attributes:
        k: List lengths.
        block_size: Users scored at once.
        floors: Whether popularity, ItemKNN and EASE are trained beside the run.
    """

    k: tuple[int, ...] = (10, 20)
    block_size: int = Field(1024, ge=1)
    floors: bool = True

    @model_validator(mode="after")
    def _positive_k(self) -> Self:
        if not self.k or min(self.k) <= 0:
            raise ValueError(f"k must be positive, got {list(self.k)}")
        return self
