"""What the names of a graph may mean: for a person to read, and for settings to be made from.

Every choice says why it was made and what else there was, and one that rests on little says so.
"""

from dataclasses import dataclass
from typing import Literal

Role = Literal["target", "evidence", "negative"]
Direction = Literal["out", "in"]


@dataclass(frozen=True)
class Choice:
    """One name among several.

    Attributes:
        name: The name.
        score: From 0 to 1, how much speaks for it.
        reasons: What does, in words.
        alternatives: Other names with their scores, the best first.
        unsure: Why a person should look, in words; "" if the choice is clear.
    """

    name: str
    score: float
    reasons: tuple[str, ...]
    alternatives: tuple[tuple[str, float], ...] = ()
    unsure: str = ""


@dataclass(frozen=True)
class InteractionChoice:
    """A type between users and items, in which direction, and what its properties are."""

    type: Choice
    direction: Literal["out", "in"]
    role: Role
    rating: str | None = None
    weight: str | None = None
    time: str | None = None
    time_unit: str = "s"


@dataclass(frozen=True)
class EntityChoice:
    """A label of other nodes and the property that tells them apart."""

    label: str
    key: Choice
    properties: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """What the names of a graph may mean.

    Attributes:
        user: The label of the users.
        user_key: Their key.
        item: The label of the items.
        item_key: Their key.
        item_title: Property that shows an item; None if there is none.
        interactions: The types between them, the target first.
        entities: Labels of other nodes that relations reach.
        relations: Types that become relations.
        left_out: What is not taken, and why.
        user_properties: Properties of users to take.
        item_properties: Properties of items to take.
        item_text: Properties of items that a language model should read.
        item_attributes: Properties of items whose values are shared by many.
        key_types: "string" or "integer", of users and of items.
    """

    user: Choice
    user_key: Choice
    item: Choice
    item_key: Choice
    item_title: Choice | None
    interactions: tuple[InteractionChoice, ...]
    entities: tuple[EntityChoice, ...]
    relations: tuple[str, ...]
    left_out: tuple[str, ...]
    user_properties: tuple[str, ...] = ()
    item_properties: tuple[str, ...] = ()
    item_text: tuple[str, ...] = ()
    item_attributes: tuple[str, ...] = ()
    key_types: tuple[str, str] = ("string", "string")

    def unsure(self) -> tuple[str, ...]:
        """Gives every doubt, in words."""
        choices = [self.interactions[0].type, self.user_key, self.item_key]
        choices += [entity.key for entity in self.entities]
        return tuple(choice.unsure for choice in choices if choice.unsure)
