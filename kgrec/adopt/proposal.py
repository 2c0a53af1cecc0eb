"""What the names of a graph may mean, for a person to read and as settings.

Every choice says why it was made and what else there was, and one that rests on little says so. As
settings it is a TOML file with the reasons as comments, which loads as it stands.
"""

import json
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from kgrec.config import Config

#: Where a proposal keeps kgrec's own graph; how wide its comments are.
_STORE = "embedded:kgrec.kgl"
_WIDTH = 96

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
    direction: Direction
    role: Role
    name: str | None = None
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
        renames: What those of them are called that would else be one type under two names.
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
    renames: Mapping[str, str] = field(default_factory=dict)
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


def to_toml(proposal: Proposal, uri: str, database: str = "neo4j") -> str:
    """Gives the text of a settings file.

    Args:
        proposal: What the names mean.
        uri: Address of the graph, without credentials.
        database: Its database.

    Raises:
        ConfigError: If the names do not make settings: two things would have one label.
    """
    renames = ", ".join(f"{_value(x)} = {_value(y)}" for x, y in proposal.renames.items())
    split = "random" if proposal.interactions[0].time is None else "temporal_user"
    lines = [
        f"# Proposed by kgrec inspect for {uri}; correct what is wrong.",
        *(line for doubt in proposal.unsure() for line in _comment(f"UNSURE: {doubt}")),
        *_table(
            "[store]  # kgrec's own graph; nothing is written to the one below except by kgrec "
            "publish",
            uri=_STORE,
        ),
        *_table(
            "[adopt]  # KGREC_SOURCE_USER and KGREC_SOURCE_PASSWORD come from the environment",
            uri=uri,
            database=database,
        ),
        "other_labels = false",
        *_table(
            "[adopt.user]",
            label=proposal.user,
            key=proposal.user_key,
            key_type=proposal.key_types[0],
            properties=proposal.user_properties,
        ),
        *_table(
            "[adopt.item]",
            label=proposal.item,
            key=proposal.item_key,
            key_type=proposal.key_types[1],
            title=proposal.item_title,
            properties=proposal.item_properties,
            text=proposal.item_text,
            attributes=proposal.item_attributes,
        ),
        *(line for choice in proposal.interactions for line in _interaction(choice)),
        *(line for choice in proposal.entities for line in _entity(choice)),
        *_table("[adopt.relations]"),
        *_comment(
            f"all other types between these labels: {', '.join(proposal.relations) or 'none'}"
        ),
        *([f"rename = {{ {renames} }}"] if renames else []),
        *(line for omission in proposal.left_out for line in _comment(f"not taken: {omission}")),
        "",
        "[data]",
        f"split = {{ kind = {_value(split)} }}",
        "",
    ]
    text = "\n".join(lines)
    Config.build(tomllib.loads(text), source="the proposal")
    return text


def _interaction(choice: InteractionChoice) -> list[str]:
    lines = _table(
        "[[adopt.interactions]]",
        type=choice.type,
        direction=None if choice.direction == "out" else choice.direction,
        name=choice.name,
        role=None if choice.role == "target" else choice.role,
        rating=choice.rating,
        weight=choice.weight,
        time=choice.time,
    )
    if choice.rating is not None and choice.role == "target":
        lines.append("# min_rating = 3  # lower ones are known dislikes")
    if choice.time_unit != "s":
        lines.append(f"time_format = {{ unit = {_value(choice.time_unit)} }}")
    return lines


def _entity(choice: EntityChoice) -> list[str]:
    return _table(
        "[[adopt.entities]]", label=choice.label, key=choice.key, properties=choice.properties
    )


def _table(header: str, **values: Choice | str | tuple[str, ...] | None) -> list[str]:
    """A table of TOML with the reasons of choices as comments; without None and empty lists."""
    lines = ["", header]
    for name, value in values.items():
        if isinstance(value, Choice):
            others = ", ".join(f"{other} ({score})" for other, score in value.alternatives)
            also = f"; else {others}" if others else ""
            lines += _comment(f"{name}, {value.score:.2f} of 1: {'; '.join(value.reasons)}{also}")
            lines.append(f"{name} = {_value(value.name)}")
        elif isinstance(value, str):
            lines.append(f"{name} = {_value(value)}")
        elif value:
            lines.append(f"{name} = [{', '.join(map(_value, value))}]")
    return lines


def _comment(text: str) -> list[str]:
    lines = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return [f"# {line}" for line in lines]


def _value(text: str) -> str:
    """A basic string of TOML; names have no character that JSON and TOML write differently."""
    return json.dumps(text, ensure_ascii=False)


def to_json(proposal: Proposal) -> Mapping[str, object]:
    """Gives a proposal as plain values."""
    return {**asdict(proposal), "unsure": list(proposal.unsure())}
