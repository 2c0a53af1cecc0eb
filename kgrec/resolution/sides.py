"""What is compared with what: the nodes of one label and source on each side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import pandas as pd

from kgrec.config import NODE_KINDS, ResolutionConfig
from kgrec.data.tables import Dataset
from kgrec.errors import ConfigError
from kgrec.resolution.names import Names
from kgrec.schema import DISPLAY_PROPERTY, NodeLabel

#: Where a node table does not say what it was loaded from.
_UNSAID: Mapping[NodeLabel, str] = {
    NodeLabel.USER: "users",
    NodeLabel.ITEM: "items",
    NodeLabel.ENTITY: "entities",
}
_NAME_COLUMNS = ("title", "name")
_TEXT_KINDS = frozenset({"reviews", "queries"})


@dataclass(frozen=True)
class Side:
    """The nodes of one label that came from one source.

    Attributes:
        label: Their label.
        source: The source's name.
        frame: Their rows of the node table, by id, rows numbered from 0.
        aliases: Columns with other names.
    """

    label: NodeLabel
    source: str
    frame: pd.DataFrame
    aliases: tuple[str, ...] = ()

    @cached_property
    def names(self) -> Names:
        """Their names in normal forms."""
        candidates = (DISPLAY_PROPERTY[self.label], *_NAME_COLUMNS)
        column = next((name for name in candidates if name in self.frame.columns), None)
        return Names.read(
            None if column is None else self.frame[column],
            [self.frame[name] for name in self.aliases if name in self.frame.columns],
            len(self.frame),
        )


@dataclass(frozen=True)
class Comparison:
    """Two sides, of one label or an item's and an entity's.

    Attributes:
        left: The first side; the items' where labels differ.
        right: The second; the same object as `left` to compare a source with itself.
    """

    left: Side
    right: Side

    @property
    def label(self) -> str:
        """As in the column `label` of a source of kind same_as."""
        if self.left.label == self.right.label:
            return str(self.left.label)
        return f"{self.left.label}/{self.right.label}"

    @property
    def within(self) -> bool:
        """Whether a source is compared with itself."""
        return self.left is self.right

    def __str__(self) -> str:
        if self.within:
            return f"{self.label} within {self.left.source}"
        return f"{self.label} of {self.left.source} and {self.right.source}"


def comparisons(dataset: Dataset, config: ResolutionConfig) -> list[Comparison]:
    """Gives what is to be compared; see `ResolutionConfig.pairs` and `within`.

    Without pairs, sources of interactions, triples and links are left out where both sides have one
    label: they name nodes that others describe. An entity is compared with items only if its
    source has no items.

    Raises:
        ConfigError: If a pair names a source that no load is of, or both its names are one, or
            nothing is left to compare.
    """
    sides = _sides(dataset, config)
    kinds: dict[str, str] = {load.source: load.kind for load in dataset.loads}
    order = [source for source in dict.fromkeys((*kinds, *_UNSAID.values())) if source in sides]
    pairs = _source_pairs(config, order)
    compared = []
    for first, second in pairs:
        described = {kinds.get(source, "items") for source in (first, second)} <= NODE_KINDS
        if described or config.pairs:
            compared += [
                Comparison(sides[first][label], sides[second][label])
                for label in NodeLabel
                if label in sides[first] and label in sides[second]
            ]
        # Of reviews and queries the entities are texts, which are no things of the world.
        things = {kinds.get(source) for source in (first, second)}.isdisjoint(_TEXT_KINDS)
        for of_items, of_entities in (
            ((first, second), (second, first)) if things or config.pairs else ()
        ):
            if NodeLabel.ITEM in sides[of_items] and NodeLabel.ITEM not in sides[of_entities]:
                entities = sides[of_entities].get(NodeLabel.ENTITY)
                if entities is not None:
                    compared.append(Comparison(sides[of_items][NodeLabel.ITEM], entities))
    if config.within:
        sources = dict.fromkeys(source for pair in pairs for source in pair) or order
        compared += [Comparison(s, s) for source in sources for s in sides[source].values()]
    compared = [
        comparison
        for comparison in compared
        if len(comparison.left.frame) and len(comparison.right.frame)
    ]
    if not compared:
        raise ConfigError(
            f"nothing to compare: nodes come from {', '.join(order) or 'no source'}; expected two "
            f"sources with nodes of one label, or items and entities; add a source to [data], or "
            f"set resolution.within to look inside one"
        )
    return compared


def _source_pairs(config: ResolutionConfig, order: list[str]) -> list[tuple[str, str]]:
    if not config.pairs:
        return list(combinations(order, 2))
    for pair in config.pairs:
        for name in (pair.left, pair.right):
            if name not in order:
                raise ConfigError(
                    f"resolution.pairs names the source {name!r}, from which no node is; expected "
                    f"one of {', '.join(order)}; correct the name"
                )
        if pair.left == pair.right:
            raise ConfigError(
                f"resolution.pairs compares {pair.left!r} with itself; name two sources, or set "
                f"resolution.within"
            )
    return [(pair.left, pair.right) for pair in config.pairs]


def _sides(dataset: Dataset, config: ResolutionConfig) -> dict[str, dict[NodeLabel, Side]]:
    sources = {load.number: load.source for load in dataset.loads}
    sides: dict[str, dict[NodeLabel, Side]] = {}
    for label, frame in dataset.nodes.items():
        for source, rows in _by_source(frame, sources, _UNSAID[label]):
            ordered = rows.sort_values("id", ignore_index=True)
            sides.setdefault(source, {})[label] = Side(label, source, ordered, config.aliases)
    return sides


def _by_source(
    frame: pd.DataFrame, sources: Mapping[int, str], unsaid: str
) -> Iterator[tuple[str, pd.DataFrame]]:
    if "load" not in frame.columns or not sources:
        yield unsaid, frame
        return
    names = frame["load"].map(sources).to_numpy(dtype=object)
    names = np.where(pd.isna(names), unsaid, names)
    for source in dict.fromkeys(names):
        yield str(source), frame[names == source]
