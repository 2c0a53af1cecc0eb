"""The sections of the settings, their defaults and their meaning."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """Frozen, and refusing keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreConfig(Settings):
    """Where the graph lives.

    Attributes:
        uri: `embedded:PATH`, `bolt://HOST:PORT`, `neo4j://…` or `neo4j+s://…`, no credentials.
        database: Neo4j database.
    """

    uri: str = "embedded:graph.kgl"
    database: str = "neo4j"


class SplitConfig(Settings):
    """How one interactions file becomes train, valid and test.

    Attributes:
        kind: `random` draws per user; `temporal_user` takes each user's latest; `temporal_global`
            cuts at one moment; `leave_last_out` takes the last and the one before.
        valid: Share of the interactions for validation.
        test: Share of the interactions for test.
        min_interactions: Users with fewer keep everything in train (except `temporal_global`,
            where that would put the future into train).
    """

    kind: Literal["random", "temporal_user", "temporal_global", "leave_last_out"] = "random"
    valid: float = Field(0.1, ge=0, lt=1)
    test: float = Field(0.1, ge=0, lt=1)
    min_interactions: int = Field(3, ge=1)


class RelationRule(Settings):
    """What one relation name of the triples file becomes.

    Attributes:
        name: The name to use; several relations with one name are merged.
        inverse: Whether head and tail change places (`film.director.film` is `directed_by` read
            backwards).
        drop: Whether the relation is left out.
    """

    name: str | None = None
    inverse: bool = False
    drop: bool = False


class DataConfig(Settings):
    """The input files.

    Attributes:
        interactions: One file of all interactions, split by `split`; or
        train: … split files, which are taken as they are.
        valid: See train.
        test: See train.
        split: How `interactions` is split.
        items: Table of items; its first column is the id, `title` is shown, the rest are
            properties.
        users: Table of users; likewise.
        triples: Columns head, relation, tail. An id that names an item is that item.
        link: Columns item, entity: the entity is that item.
        entities: Table of entities; `name` is shown.
        relations: Renames, merges, turns round or drops relations by their name in the triples.
        item_lists: Item columns that hold lists (separated by spaces, or `|` or `,` where the
            column has them); each becomes a relation to entities.
        unknown_triples: What to do with triples that no chain of triples connects to an item.
        min_rating: Interactions rated lower are left out (and said so).
    """

    interactions: Path | None = None
    train: Path | None = None
    valid: Path | None = None
    test: Path | None = None
    split: SplitConfig | None = None
    items: Path | None = None
    users: Path | None = None
    triples: Path | None = None
    link: Path | None = None
    entities: Path | None = None
    relations: dict[str, RelationRule] = Field(default_factory=dict)
    item_lists: dict[str, str] = Field(default_factory=dict)
    unknown_triples: Literal["error", "drop"] = "error"
    min_rating: float | None = None

    @model_validator(mode="after")
    def _one_way_to_split(self) -> Self:
        if (self.interactions is None) == (self.train is None):
            raise ValueError(
                "give either interactions (one file, with split) or train (with valid and test)"
            )
        if self.train is not None and self.split is not None:
            raise ValueError("split applies to interactions; split files are taken as they are")
        if self.interactions is not None and (self.valid is not None or self.test is not None):
            raise ValueError("valid and test go with train, not with interactions")
        return self


class TextConfig(Settings):
    """Text features.

    Attributes:
        enabled: Whether node texts are encoded at all.
        model: Local path or hub name of a transformers encoder; None is all-MiniLM-L6-v2 from
            the installed package.
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
        temperature: Divides the cosine.
        use_graph: Whether relation edges take part; False is the control without a graph.
        use_text: Whether projected text vectors join the free embeddings.
        heads: Attention heads (attention encoder only).
        popularity: Whether a learned multiple of log popularity joins the score.
    """

    encoder: Literal["propagation", "attention"] = "propagation"
    channels: int = Field(64, ge=1)
    num_layers: int = Field(2, ge=0)
    score: Literal["cosine", "inner"] = "cosine"
    temperature: float = Field(0.2, gt=0)
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
        hide_targets: Whether a batch's own interactions pass no messages while they are predicted;
            else the network can read the answer off its input and needs the graph less.
        num_negatives: Negatives a step (shared by the batch) for sampled losses.
        patience: Evaluations on valid without improvement before stopping.
        evaluate_every: Epochs between evaluations on valid.
        device: `auto` is CUDA when present.
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
    patience: int = Field(3, ge=1)
    evaluate_every: int = Field(2, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"


class ClosedFormConfig(Settings):
    """The closed form: EASE with the graph's relations as weighted extra rows.

    Attributes:
        enabled: Whether it is a part of the fusion.
        ridge: L2; None searches it on an inner split of train.
        relation_weights: Weight of a relation's rows by name; None searches those of the 12 largest
            relations likewise.
        search_items: The search runs on the so many most popular items.
        max_items: No closed form for larger catalogues (its inverse is dense).
    """

    enabled: bool = True
    ridge: float | None = Field(None, gt=0)
    relation_weights: dict[str, float] | None = None
    search_items: int = Field(3000, ge=10)
    max_items: int = Field(40_000, ge=1)


class FusionConfig(Settings):
    """What the recommender is made of.

    Attributes:
        network: Whether the network takes part.
        popularity: Whether log popularity takes part.
    """

    network: bool = True
    popularity: bool = True


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
