"""Settings: frozen, complete, and refused when misspelt.

A TOML file gives the values, `--set key=value` and keyword arguments override them, and the
environment gives what must never be saved (`KGREC_NEO4J_USER`, `KGREC_NEO4J_PASSWORD`). Paths in a
file are relative to that file. Defaults live in these classes and nowhere else.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kgrec.errors import ConfigError


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreConfig(_Settings):
    """Where the graph lives.

    Attributes:
        uri: `embedded:PATH`, `bolt://HOST:PORT`, `neo4j://…` or `neo4j+s://…`, no credentials.
        database: Neo4j database.
    """

    uri: str = "embedded:graph.kgl"
    database: str = "neo4j"


class SplitConfig(_Settings):
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


class RelationRule(_Settings):
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


class DataConfig(_Settings):
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


class TextConfig(_Settings):
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


class ModelConfig(_Settings):
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


class TrainingConfig(_Settings):
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


class ClosedFormConfig(_Settings):
    """The closed form: EASE with the graph's relations as weighted extra rows.

    Attributes:
        enabled: Whether it is a part of the fusion.
        ridge: L2; None searches it on an inner split of train.
        relation_weights: Weight of a relation's rows by name; None searches them likewise.
        search_items: The search runs on the so many most popular items.
        max_items: No closed form for larger catalogues (its inverse is dense).
    """

    enabled: bool = True
    ridge: float | None = Field(None, gt=0)
    relation_weights: dict[str, float] | None = None
    search_items: int = Field(3000, ge=10)
    max_items: int = Field(40_000, ge=1)


class FusionConfig(_Settings):
    """What the recommender is made of.

    Attributes:
        network: Whether the network takes part.
        popularity: Whether log popularity takes part.
    """

    network: bool = True
    popularity: bool = True


class EvaluationConfig(_Settings):
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


class Config(_Settings):
    """Everything a run depends on; saved whole in its directory."""

    seed: int = Field(0, ge=0)
    store: StoreConfig = StoreConfig()
    data: DataConfig
    text: TextConfig = TextConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    closed_form: ClosedFormConfig = ClosedFormConfig()
    fusion: FusionConfig = FusionConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _something_scores(self) -> Self:
        if not (self.fusion.network or self.closed_form.enabled or self.fusion.popularity):
            raise ValueError("network, closed_form and popularity are all off: nothing can score")
        return self

    @classmethod
    def load(cls, path: str | Path, overrides: tuple[str, ...] = ()) -> Self:
        """Reads a TOML file.

        Args:
            path: The file; relative paths in it are relative to its folder.
            overrides: `section.key=value` strings; values are TOML, bare words are strings.

        Raises:
            ConfigError: If the file is missing or not TOML, or a key is unknown or out of range.
        """
        path = Path(path)
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as exc:
            raise ConfigError(
                f"no config at {path}: {exc.strerror}; expected a TOML file; see docs/config.md"
            ) from exc
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise ConfigError(f"{path} is not TOML: {exc}; mend that line") from exc
        for override in overrides:
            _apply(tree, override)
        return cls.build(tree, base=path.parent, source=str(path))

    @classmethod
    def build(cls, tree: dict[str, Any], base: Path = Path(), source: str = "settings") -> Self:
        """Validates a nested dict; `base` resolves relative paths; raises ConfigError."""
        try:
            config = cls.model_validate(tree)
        except ValidationError as exc:
            raise ConfigError(_explain(exc, source)) from exc
        return config.resolved(base)

    def resolved(self, base: Path) -> Self:
        """The same settings with absolute paths."""
        paths = {
            name: (base / value).resolve() for name, value in self.data if isinstance(value, Path)
        }
        store = self.store
        scheme, _, rest = store.uri.partition(":")
        if scheme == "embedded" and rest:
            store = store.model_copy(update={"uri": f"embedded:{(base / rest).resolve()}"})
        return self.model_copy(update={"data": self.data.model_copy(update=paths), "store": store})

    def to_json(self) -> str:
        """The settings as JSON, without anything from the environment."""
        return self.model_dump_json(indent=2)


def _apply(tree: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(
            f"--set {override!r} is not section.key=value, for example training.epochs=5"
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, last = key.strip().split(".")
    node = tree
    for section in sections:
        node = node.setdefault(section, {})
        if not isinstance(node, dict):
            raise ConfigError(f"--set {override!r}: {section} is a value, not a section")
    node[last] = value


def _explain(exc: ValidationError, source: str) -> str:
    lines = []
    for error in exc.errors():
        where = ".".join(str(part) for part in error["loc"]) or "config"
        if error["type"] == "extra_forbidden":
            lines.append(f"{where}: unknown key; check its spelling")
        else:
            got = (
                ""
                if error["type"] in {"missing", "value_error"}
                else (f", got {json.dumps(error['input'], default=str)}")
            )
            lines.append(f"{where}: {error['msg'].removeprefix('Value error, ')}{got}")
    return f"{source}: " + "; ".join(lines)
