"""The data card: plain values that a terminal, a page and JSON show."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kgrec.data.cleaning.report import Finding

#: How sure a caution is: the target is in the data, it may be, or it is good to know.
Level = Literal["leak", "suspect", "note"]

LEVELS: tuple[Level, ...] = ("leak", "suspect", "note")


@dataclass(frozen=True)
class Caution:
    """Something in the data that may mislead.

    Attributes:
        level: How sure it is.
        subject: What it is about: a relation, a property, the split.
        measured: What was measured, in one or two sentences with numbers.
        advice: What to do.
        numbers: What was measured, by name.
    """

    level: Level
    subject: str
    measured: str
    advice: str
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class Bin:
    """Nodes whose degree is from `low` to `high`, both included."""

    low: int
    high: int
    count: int

    @property
    def name(self) -> str:
        """The degrees in words: 3, or 4–7."""
        return f"{self.low:,}" if self.low == self.high else f"{self.low:,}–{self.high:,}"


@dataclass(frozen=True)
class Degrees:
    """Interactions a node, in train.

    Attributes:
        nodes: How many nodes there are.
        without: Those with none.
        few: Those with 1 to 5.
        mean: Mean over all nodes.
        median: Median over all nodes.
        p90: 90th percentile over all nodes.
        max: The greatest.
        gini: 0 if all have as many, near 1 if few have nearly all.
        top_1: Share of the interactions that the 1 % of nodes with the most have.
        top_10: The same for 10 %.
        bins: 0, 1, 2–3, 4–7 and so on.
    """

    nodes: int
    without: int
    few: int
    mean: float
    median: float
    p90: float
    max: int
    gini: float
    top_1: float
    top_10: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class SplitSummary:
    """One part of the interactions.

    Attributes:
        split: `train`, `valid` or `test`.
        interactions: Pairs of a user and an item.
        users: Users in it.
        items: Items in it.
        new_users: Its users that train lacks.
        new_items: Its items that train lacks.
        without_time: Pairs whose time is unknown.
        first: Earliest time, ISO 8601 UTC; None without times.
        early: Time before which 5 % lie, from at most a million of them.
        late: Time after which 5 % lie, likewise.
        last: Latest time.
    """

    split: str
    interactions: int
    users: int
    items: int
    new_users: int
    new_items: int
    without_time: int
    first: str | None
    early: str | None
    late: str | None
    last: str | None


@dataclass(frozen=True)
class BehaviourSummary:
    """One kind of interaction.

    Attributes:
        name: The settings' name of it.
        role: `target`, `evidence` or `negative`.
        events: Events before they were folded; None if nobody counted them.
        edges: Edges of its own in the graph; None for a target, whose edges are the splits.
        without_time: Events whose time is unknown.
        without_rating: Events without a rating.
        first: Earliest time, ISO 8601 UTC.
        last: Latest time.
        mean_rating: Of the events with a rating.
        ratings: Events by rating, where ratings are halves.
    """

    name: str
    role: str
    events: int | None
    edges: int | None
    without_time: int | None = None
    without_rating: int | None = None
    first: str | None = None
    last: str | None = None
    mean_rating: float | None = None
    ratings: Mapping[float, int] | None = None

    @property
    def rated(self) -> int | None:
        """Events with a rating; None if nobody counted them."""
        if self.events is None or self.without_rating is None:
            return None
        return self.events - self.without_rating


@dataclass(frozen=True)
class Timeline:
    """Behaviours over time.

    Attributes:
        unit: `day`, `week` (from Monday), `month` or `year`.
        starts: First day of each period, ISO 8601, ascending, none left out.
        counts: Per behaviour the events of each period.
        outside: Events so far from all others that they are not shown.
    """

    unit: str
    starts: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    outside: int


@dataclass(frozen=True)
class PropertySummary:
    """One property of one label.

    Attributes:
        label: Of the nodes.
        name: Of the property.
        kind: `number` or `text`.
        nodes: How many nodes there are.
        missing: Those without it.
        distinct: Distinct values.
        low: Least number.
        median: Median number.
        high: Greatest number.
    """

    label: str
    name: str
    kind: str
    nodes: int
    missing: int
    distinct: int
    low: float | None = None
    median: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class RelationSummary:
    """One set of edges that is no interaction.

    Attributes:
        name: In the data.
        type: Relationship type.
        head: Label at the start.
        tail: Label at the end.
        role: What it says to a model.
        edges: How many.
        heads: Distinct nodes at the start.
        tails: Distinct nodes at the end.
        mean_out: Edges per distinct head.
        max_out: Most edges of one head.
        mean_in: Edges per distinct tail.
        max_in: Most edges of one tail.
    """

    name: str
    type: str
    head: str
    tail: str
    role: str
    edges: int
    heads: int
    tails: int
    mean_out: float
    max_out: int
    mean_in: float
    max_in: int


@dataclass(frozen=True)
class SourceSummary:
    """One source: rows read just now, and rows of these that were refused."""

    name: str
    kind: str
    rows: int
    rejected: int


@dataclass(frozen=True)
class Card:
    """What the data is like, and what in it may mislead.

    Attributes:
        name: Of the data, for titles.
        users: Users.
        items: Items.
        entities: Entities.
        interactions: Pairs of a user and an item in all splits.
        density: Share of all pairs of a user and an item that are interactions.
        split_kind: How the splits were made; None if the files say it.
        folded: Whether behaviours are counted after folding, because nobody counted the events.
        events_per_user: Median number of events of a user that has any.
        deleted: Rows that take events back.
        splits: The parts of the interactions.
        behaviours: Kinds of interaction.
        timeline: Behaviours over time; None without times.
        user_degrees: Train interactions of the users.
        item_degrees: Train interactions of the items.
        relations: Edge sets that are no interactions, the largest first.
        items_with_edges: Items that at least one of these edges touches.
        properties: What is known of the nodes.
        sources: What was read.
        findings: What cleaning did.
        cautions: What may mislead, the surest first.
    """

    name: str
    users: int
    items: int
    entities: int
    interactions: int
    density: float
    split_kind: str | None
    folded: bool
    events_per_user: float
    deleted: int
    splits: tuple[SplitSummary, ...]
    behaviours: tuple[BehaviourSummary, ...]
    timeline: Timeline | None
    user_degrees: Degrees
    item_degrees: Degrees
    relations: tuple[RelationSummary, ...]
    items_with_edges: int
    properties: tuple[PropertySummary, ...]
    sources: tuple[SourceSummary, ...]
    findings: tuple[Finding, ...]
    cautions: tuple[Caution, ...]

    @property
    def relation_edges(self) -> int:
        """Edges of all relations."""
        return sum(relation.edges for relation in self.relations)

    def to_json(self) -> dict[str, Any]:
        """Gives everything as dicts, lists, texts and numbers that JSON knows."""
        return {**_plain(asdict(self)), "relation_edges": self.relation_edges}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_key(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _key(key: object) -> str:
    return f"{key:g}" if isinstance(key, float) else str(key)
