"""Settings of a benchmark: the usual ones and a section [bench]."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from kgrec.config import _explain, read_tree
from kgrec.config.base import Settings
from kgrec.errors import ConfigError


class ThinConfig(Settings):
    """Users who lose most of what they have in train, drawn by the split's seed.

    Attributes:
        share: Of the users with more than `keep` train interactions.
        keep: So many interactions stay, drawn.
    """

    share: float = Field(0.5, gt=0, le=1)
    keep: int = Field(5, ge=1)


class BenchAugmentConfig(Settings):
    """What `kgrec bench --augment` compares, on the first split.

    Attributes:
        sources: Of synthetic edges; empty are all that the data allows.
        networks: From so many initial values.
    """

    sources: tuple[str, ...] = ()
    networks: int = Field(5, ge=1)


class BenchAttacksConfig(Settings):
    """What `kgrec bench --attacks` does to the first split.

    Attributes:
        noise: Shares of made-up pairs that are added to real users' train.
        kinds: Of attacks, see `kgrec.bench.attacks.Attack`.
        share: Fake users as a share of the real ones.
        profile: Items of a fake user, the target included; clones have what they clone.
        targets: Each attack is tried on so many items.
    """

    noise: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.01, 0.05, 0.1, 0.2)
    kinds: tuple[Literal["random", "average", "bandwagon", "segment", "clones"], ...] = (
        "random", "average", "bandwagon", "segment", "clones",
    )  # fmt: skip
    share: float = Field(0.03, gt=0, le=1)
    profile: int = Field(12, ge=2)
    targets: int = Field(3, ge=1)


class BenchConfig(Settings):
    """What is compared, on which data, how often.

    Attributes:
        name: Names the set and its folder of results.
        models: What is fitted, in the order of the table; see `kgrec.bench.peers`.
        seeds: Each model is fitted once a seed. A model that draws nothing is fitted once for all
            seeds that share a split.
        source: Where the data is. `files`: the paths of [data], relative to a folder given on the
            command line; `ml-100k`: the demo's data, keys of [data] win over the demo's;
            `amazon-book`: `train.txt.gz` and `test.txt.gz` with lines `user item item …`.
        split_seeds: Whether each seed draws a split of its own. Given splits cannot.
        valid_share: Of each user's train interactions, the last, that `amazon-book` holds out for
            valid.
        refit: Whether models, once everything about them is chosen on valid, are fitted again on
            train and valid before test is ranked.
        minutes: Peers that train by epochs stop after so long and keep what was best on valid;
            any fit is ended after three times as long.
        cold: Whether test's items without training interactions, and the others, are judged apart.
        thin: Whose train interactions are thinned out; None leaves them.
        augment: What is compared of synthetic edges.
        attacks: How robustness is measured.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    models: tuple[str, ...] = (
        "kgrec", "kgrec-no-graph", "popularity", "itemknn", "ease", "slim", "als", "bpr", "neumf",
        "lightgcn", "content-knn",
    )  # fmt: skip
    seeds: tuple[int, ...] = (0, 1, 2)
    source: Literal["files", "ml-100k", "amazon-book"] = "files"
    split_seeds: bool = False
    valid_share: float = Field(0.1, gt=0, lt=1)
    refit: bool = False
    minutes: float = Field(60.0, gt=0)
    cold: bool = False
    thin: ThinConfig | None = None
    augment: BenchAugmentConfig = BenchAugmentConfig()
    attacks: BenchAttacksConfig = BenchAttacksConfig()

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        for name, values in (("models", self.models), ("seeds", self.seeds)):
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name} must not be empty nor repeat itself, got {list(values)}")
        if min(self.seeds) < 0:
            raise ValueError(f"seeds must not be negative, got {list(self.seeds)}")
        return self


def read_bench(
    path: str | Path, overrides: tuple[str, ...] = ()
) -> tuple[BenchConfig, dict[str, Any]]:
    """Reads a benchmark's TOML file.

    Args:
        path: The file.
        overrides: `section.key=value` strings, as for `Config.load`.

    Returns:
        The section [bench], and all other sections, which are validated when the data is there.

    Raises:
        ConfigError: If the file is missing or not TOML, or a key of [bench] is unknown, missing or
            out of range.
    """
    path = Path(path)
    expected = "a TOML file such as benchmarks/ml-100k.toml"
    tree = read_tree(path, overrides, "benchmark", expected)
    section = tree.pop("bench", None)
    if not isinstance(section, dict):
        raise ConfigError(f"{path} has no section [bench]; give at least its name")
    try:
        return BenchConfig.model_validate(section), tree
    except ValidationError as exc:
        raise ConfigError(_explain(exc, f"{path} [bench]")) from exc
