"""A Neo4j graph that others made as the data: which of its names is what."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from kgrec.addresses import holds_secrets
from kgrec.config.base import Settings, TimeFormat
from kgrec.schema import literal, quoted


def _name(name: str) -> str:
    quoted(name)
    return name


#: A label, relationship type or property of the graph, as it stands there.
Name = Annotated[str, AfterValidator(_name)]

KeyType = Literal["string", "integer"]


class AdoptedUsers(Settings):
    """The nodes that are users.

    Attributes:
        label: Their label.
        key: Property that each has and no two share; kgrec's id is this, as text.
        key_type: What the key is in the graph; `kgrec publish` finds the node by it.
        properties: Properties to take.
    """

    label: Name
    key: Name
    key_type: KeyType = "string"
    properties: tuple[Name, ...] = ()


class AdoptedItems(AdoptedUsers):
    """The nodes that are recommended.

    Attributes:
        title: Property that shows an item to people.
        text: Properties that the language model reads.
        attributes: Properties whose values become entities.
    """

    title: Name | None = None
    text: tuple[Name, ...] = ()
    attributes: tuple[Name, ...] = ()


class AdoptedEntities(Settings):
    """Nodes of one more label.

    Attributes:
        label: Their label. A node of several listed labels is of the first in the list.
        key: Property that tells them apart; nodes that share it are one entity.
        name: Property that shows one to people; None is the key.
        properties: Properties to take.
    """

    label: Name
    key: Name
    name: Name | None = None
    properties: tuple[Name, ...] = ()


class AdoptedInteraction(Settings):
    """Relationships of one type between users and items.

    Attributes:
        type: Their type.
        direction: `out` goes from the user to the item, `in` from the item to the user.
        name: Name of the behaviour; None makes it from the type.
        role: As of a behaviour: `target` is recommended for, `evidence` speaks for an item,
            `negative` against it.
        min_rating: A target rated lower is a known dislike.
        rating: Property that holds a rating.
        weight: Property that holds a weight or a quantity.
        time: Property that holds the time.
        time_format: How a time is written that is no date of Neo4j.
    """

    type: Name
    direction: Literal["out", "in"] = "out"
    name: str | None = Field(None, pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$")
    role: Literal["target", "evidence", "negative"] = "target"
    min_rating: float | None = None
    rating: Name | None = None
    weight: Name | None = None
    time: Name | None = None
    time_format: TimeFormat = TimeFormat()

    def behaviour(self) -> str:
        """Gives the behaviour's name."""
        if self.name is not None:
            return self.name
        name = re.sub(r"[^a-z0-9]+", "_", self.type.lower()).strip("_")
        return name if name[:1].isalpha() else f"type_{name}".rstrip("_")


class AdoptedRelations(Settings):
    """Which relationships that are no interactions are relations.

    Attributes:
        include: Only these types; empty is all that are no interactions.
        exclude: Types to leave out.
        rename: What a relation is called, by its type.
    """

    include: tuple[Name, ...] = ()
    exclude: tuple[Name, ...] = ()
    rename: dict[Name, Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$")]] = Field(
        default_factory=dict
    )


class AdoptConfig(Settings):
    """A Neo4j graph with labels and types of its own, read into kgrec's store by `kgrec ingest`.

    It is only read; `kgrec publish` writes into it, and then nothing but names that begin with
    `kgrec_`. What kgrec wrote is never read as data.

    Attributes:
        uri: `bolt://HOST:PORT`, `neo4j://…`, `neo4j+s://…`; user and password come from
            `KGREC_SOURCE_USER` and `KGREC_SOURCE_PASSWORD`.
        database: The database.
        user: The nodes that are users.
        item: The nodes that are recommended.
        interactions: The types between them, the first of which must be a target.
        entities: Labels of other nodes, and how they are told apart.
        other_labels: Whether nodes of no listed label are entities, too: told apart by their first
            label and the first property of `FALLBACK_KEYS` that they have.
        relations: Which other types are taken, between items and entities and between users.
            Others of users are not: what a user did with an item is an interaction, with
            `role = "evidence"` where it is not the target.
    """

    uri: str
    database: str = Field("neo4j", min_length=1)
    user: AdoptedUsers
    item: AdoptedItems
    interactions: tuple[AdoptedInteraction, ...] = Field(min_length=1)
    entities: tuple[AdoptedEntities, ...] = ()
    other_labels: bool = True
    relations: AdoptedRelations = AdoptedRelations()

    @model_validator(mode="after")
    def _names_are_one_thing_each(self) -> Self:
        if holds_secrets(self.uri):
            raise ValueError(
                "uri holds credentials; take them out and set KGREC_SOURCE_USER and "
                "KGREC_SOURCE_PASSWORD"
            )
        labels = [self.user.label, self.item.label, *(entity.label for entity in self.entities)]
        if twice := _repeated(labels):
            raise ValueError(
                f"the label {twice!r} stands for two things; expected one label each for users, "
                f"items and every kind of entity"
            )
        for label in labels:
            literal(f"{label}:")  # begins the ids of entities
        if twice := _repeated([interaction.behaviour() for interaction in self.interactions]):
            raise ValueError(
                f"two interactions are called {twice!r}; give one of them another name"
            )
        types = [interaction.type for interaction in self.interactions]
        if twice := _repeated(types):
            raise ValueError(f"the type {twice!r} stands twice under interactions")
        if all(interaction.role != "target" for interaction in self.interactions):
            raise ValueError('no interaction has role = "target": nothing to recommend for')
        include, exclude = set(self.relations.include), set(self.relations.exclude)
        if overlap := sorted(include & set(types)):
            raise ValueError(f"the type {overlap[0]!r} is both an interaction and a relation")
        if overlap := sorted(include & exclude):
            raise ValueError(f"relations include and exclude the type {overlap[0]!r}")
        return self


def _repeated(names: list[str]) -> str | None:
    """The first name that stood before."""
    return next((name for at, name in enumerate(names) if name in names[:at]), None)
