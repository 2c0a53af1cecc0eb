"""The rows of queries: what each column means.

Ids are external ids, times are seconds since 1970 UTC, and `title` and `name` are what to call a
node, None where it has no name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class Row:
    """One row."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Makes a row of a record; lists become tuples."""
        return cls(**{name: _frozen(value) for name, value in row.items()})

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON values, columns in order."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True)
class ItemRow(Row):
    """A row on an item."""

    id: str
    title: str | None


@dataclass(frozen=True)
class Interaction(ItemRow):
    """One interaction of a user, and the split it is in."""

    rating: float | None
    time: float | None
    split: str


@dataclass(frozen=True)
class BehaviourCount(Row):
    """How many edges of a behaviour a user has."""

    type: str
    edges: int


@dataclass(frozen=True)
class ProfileAttribute(Row):
    """An attribute, and how many of a user's items have it by this relation."""

    type: str
    id: str
    name: str | None
    items: int


@dataclass(frozen=True)
class UserProfile(Row):
    """A user: training interactions, other behaviours, own properties, most frequent attributes."""

    id: str
    interactions: int
    first: float | None
    last: float | None
    rating: float | None
    behaviours: tuple[BehaviourCount, ...]
    properties: Mapping[str, Any]
    attributes: tuple[ProfileAttribute, ...]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Makes a row of a record."""
        return cls(
            **{
                **row,
                "behaviours": tuple(BehaviourCount(**part) for part in row["behaviours"]),
                "properties": dict(row["properties"]),
                "attributes": tuple(ProfileAttribute(**part) for part in row["attributes"]),
            }
        )


@dataclass(frozen=True)
class SimilarItem(ItemRow):
    """An item that shares users with another; `cosine` sets the shared users against both."""

    shared: int
    cosine: float


@dataclass(frozen=True)
class AttributeSimilarItem(ItemRow):
    """An item that shares attributes with another: how many, and their weight."""

    shared: int
    score: float


@dataclass(frozen=True)
class VectorSimilarItem(ItemRow):
    """An item whose text vector is like another's."""

    cosine: float


@dataclass(frozen=True)
class PopularItem(ItemRow):
    """An item and how many users interacted with it."""

    users: int


@dataclass(frozen=True)
class TrendingItem(ItemRow):
    """An item's users in a window and in the one before; `score` is the difference in sigmas."""

    recent: int
    earlier: int
    score: float


@dataclass(frozen=True)
class NeighboursItem(ItemRow):
    """An item that a user's neighbours like; `weight` sums the items they share with the user."""

    weight: int


@dataclass(frozen=True)
class SharedEntity(Row):
    """How an own item is connected with an item; directly where `entity` is None."""

    own: str
    type_in: str
    entity: str | None
    name: str | None
    type_out: str


@dataclass(frozen=True)
class AttributeStatistic(Row):
    """An attribute: of how many items, of what share of all, and these items' interactions."""

    type: str
    id: str
    name: str | None
    items: int
    share: float
    interactions: int


@dataclass(frozen=True)
class QuietNode(Row):
    """A node with few training interactions or none; `relations` counts its relation edges."""

    label: str
    id: str
    name: str | None
    interactions: int
    relations: int


@dataclass(frozen=True)
class TypeSummary(Row):
    """A relationship type that a model may learn from, and the labels it connects."""

    type: str
    edges: int
    connects: tuple[str, ...]


@dataclass(frozen=True)
class CatalogueRow(Row):
    """An edge set of the catalogue."""

    name: str
    type: str
    head: str
    tail: str
    role: str | None
    properties: tuple[str, ...] | None


@dataclass(frozen=True)
class LoadRow(Row):
    """A load: a delivery of a source."""

    number: int
    source: str
    kind: str
    files: tuple[str, ...] | None
    content: str
    rows: int
    rejected: int
    loaded_at: str
    undone: bool


@dataclass(frozen=True)
class StateRow(Row):
    """The graph's version and whether it is whole."""

    version: str
    state: str
    interaction_properties: tuple[str, ...] | None


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Row):
        return value.to_dict()
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return value
