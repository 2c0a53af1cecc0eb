"""What a graph that others made looks like: labels, types, properties and degrees, read only.

Counts of nodes and relationships come from Neo4j's count store; everything about properties and
degrees comes from a bounded sample, so that a large graph takes no longer than a small one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kgrec.errors import QueryFailed, SchemaError, StoreError
from kgrec.schema import quoted
from kgrec.store.base import GraphStore, Row

#: Nodes or relationships looked at, a label or type.
SAMPLE = 1_000

#: More names than that are a model made by accident (a label a day …), and take minutes to count.
MAX_NAMES = 200


@dataclass(frozen=True)
class Property:
    """A property of a label's nodes or a type's relationships, as a sample shows it.

    Attributes:
        name: Its name.
        type: The kind of most of its values, as Neo4j calls it ("INTEGER", "STRING" …).
        mixed: Whether its values are of several kinds.
        present: Share of the sample that has it.
        differing: Share of its values that differ from each other.
        length: Mean length of texts; 0 for what is none.
        unique: Whether a constraint says that no two nodes share it.
        examples: A few values as text.
        sampled: How many nodes or relationships were looked at.
    """

    name: str
    type: str
    mixed: bool
    present: float
    differing: float
    length: float
    unique: bool
    examples: tuple[str, ...]
    sampled: int

    @property
    def tells_apart(self) -> bool:
        """Whether every node of the sample has it, and no two share it."""
        return self.present == 1 and (self.unique or self.differing == 1)


@dataclass(frozen=True)
class Label:
    """A label with the number of its nodes and their properties."""

    name: str
    nodes: int
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True)
class Degrees:
    """How many relationships of one type the nodes at one end have, over a sample of all nodes.

    Attributes:
        mean: Of those that have any.
        median: Of those that have any.
        largest: The most.
        share: Share of the nodes that have any.
    """

    mean: float
    median: float
    largest: int
    share: float


@dataclass(frozen=True)
class RelationshipType:
    """A relationship type: its size, what it connects, its properties.

    Attributes:
        name: Its name.
        edges: How many there are.
        heads: How many begin at each label; a node may have several.
        tails: How many end at each label.
        properties: Of the relationships.
        outgoing: Degrees of the label that most begin at.
        incoming: Degrees of the label that most end at.
    """

    name: str
    edges: int
    heads: Mapping[str, int]
    tails: Mapping[str, int]
    properties: tuple[Property, ...] = ()
    outgoing: Degrees | None = None
    incoming: Degrees | None = None


@dataclass(frozen=True)
class GraphFacts:
    """A graph as seen from outside.

    Attributes:
        uri: Its address.
        labels: Its labels, the largest first.
        types: Its relationship types, the largest first.
        notes: What could not be looked at, in words.
    """

    uri: str
    labels: tuple[Label, ...]
    types: tuple[RelationshipType, ...]
    notes: tuple[str, ...] = field(default=())

    def label(self, name: str) -> Label:
        """Gives a label by its name."""
        return next(label for label in self.labels if label.name == name)

    def main_label(self, counts: Mapping[str, int], edges: int) -> str | None:
        """Gives the narrowest label that nearly all ends of a type have; None if there is none.

        A graph may give every node a label more (`Resource`, `Entity`); the narrower one says more.
        """
        wide = [name for name, count in counts.items() if count >= 0.95 * edges]
        return min(wide, key=lambda name: (self.label(name).nodes, name), default=None)


def read_facts(
    store: GraphStore, *, sample: int = SAMPLE, on_name: Callable[[str], None] | None = None
) -> GraphFacts:
    """Looks at the graph of a Neo4j store; nothing is written.

    Args:
        store: The store.
        sample: Nodes or relationships looked at, a label or type.
        on_name: Is told each label and type that was looked at, for progress.

    Raises:
        StoreError: If the graph cannot be read, has no relationships, or is kgrec's own.
    """
    notes: list[str] = []
    if store.read("graph_state"):  # a label stays in the list when its nodes are gone
        raise StoreError(
            f"the graph in {store.uri} is kgrec's own, made by kgrec ingest; expected one that "
            f"others made; look at it with kgrec status"
        )
    names = _names(store, "inspect_labels", "kgrec", notes)
    type_names = _names(store, "inspect_types", "kgrec_", notes)
    unique = _unique(store, notes)
    tell = on_name or (lambda _: None)  # there may be no progress bar
    labels, types = [], []
    for name in names:
        labels.append(_label(store, name, unique.get(name, frozenset()), sample))
        tell(name)
    labels.sort(key=lambda label: (-label.nodes, label.name))
    facts = GraphFacts(store.uri, tuple(label for label in labels if label.nodes), ())
    for name in type_names:
        types.append(_type(store, name, facts, sample))
        tell(name)
    types.sort(key=lambda kind: (-kind.edges, kind.name))
    facts = replace(facts, types=tuple(kind for kind in types if kind.edges), notes=tuple(notes))
    if not facts.types:
        raise StoreError(
            f"the graph in {store.uri} has no relationships; expected some between users and items"
        )
    return facts


def _names(store: GraphStore, statement: str, own: str, notes: list[str]) -> list[str]:
    """Gives the names that may stand in a statement, without those that kgrec begins with `own`."""
    names = []
    for row in store.read(statement):
        try:
            quoted(row["name"])
        except SchemaError as exc:
            notes.append(f"left out: {exc}")
        else:
            names.append(row["name"])
    if len(names) > MAX_NAMES:
        notes.append(f"{len(names)} names in {statement}: only {MAX_NAMES} were looked at")
    return [name for name in names[:MAX_NAMES] if not name.lower().startswith(own)]


def _unique(store: GraphStore, notes: list[str]) -> dict[str, frozenset[str]]:
    """Gives by label the properties that a constraint makes unique."""
    try:
        rows = store.read("inspect_constraints")
    except QueryFailed:
        notes.append("the constraints may not be read: whether keys are unique is from the sample")
        return {}
    unique_names: dict[str, set[str]] = {}
    for row in rows:
        is_single = len(row["properties"] or ()) == 1
        if is_single and ("UNIQUENESS" in row["kind"] or row["kind"].endswith("KEY")):
            for label in row["labels"] or ():
                unique_names.setdefault(label, set()).add(row["properties"][0])
    return {label: frozenset(names) for label, names in unique_names.items()}


def _label(store: GraphStore, name: str, unique: frozenset[str], sample: int) -> Label:
    label = {"label": quoted(name)}
    nodes = store.read("inspect_label_count", names=label)[0]["nodes"]
    rows = store.read("inspect_properties", names=label, sample=sample) if nodes else []
    return Label(name, nodes, _properties(rows, unique))


def _type(store: GraphStore, name: str, facts: GraphFacts, sample: int) -> RelationshipType:
    kind = {"type": quoted(name)}
    edges = store.read("inspect_type_count", names=kind)[0]["edges"]
    if not edges:
        return RelationshipType(name, 0, {}, {})
    # Counting every label at every type would take minutes where there are hundreds of both.
    (ends,) = store.read("inspect_ends", names=kind, sample=sample)
    label_names = {label.name for label in facts.labels}
    heads, tails = (
        {
            label: store.read(f"inspect_{side}", names={**kind, "label": quoted(label)})[0]["edges"]
            for label in sorted(label_names & set(ends[side]))
        }
        for side in ("heads", "tails")
    )
    degrees = [
        _degrees(store, kind, facts.main_label(counts, edges), side, sample)
        for counts, side in ((heads, "outgoing"), (tails, "incoming"))
    ]
    rows = store.read("inspect_type_properties", names=kind, sample=sample)
    return RelationshipType(name, edges, heads, tails, _properties(rows, frozenset()), *degrees)


def _degrees(
    store: GraphStore, kind: Mapping[str, str], label: str | None, side: str, sample: int
) -> Degrees | None:
    if label is None:
        return None
    names = {**kind, "label": quoted(label)}
    counts = np.asarray(store.read("inspect_degrees", names=names, sample=sample)[0][side])
    positive = counts[counts > 0] if (counts > 0).any() else np.zeros(1)
    share = float(np.mean(counts > 0)) if len(counts) else 0.0
    return Degrees(float(positive.mean()), float(np.median(positive)), int(positive.max()), share)


def _properties(rows: Sequence[Row], unique: frozenset[str]) -> tuple[Property, ...]:
    """Joins the rows of one property, one a kind of value."""
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(row["name"], []).append(row)
    properties = []
    for name, parts in by_name.items():
        try:
            quoted(name)
        except SchemaError:
            continue
        parts = sorted(parts, key=lambda row: (-row["present"], row["type"]))
        present = sum(row["present"] for row in parts)
        properties.append(
            Property(
                name=name,
                type=str(parts[0]["type"]).removesuffix(" NOT NULL"),
                mixed=len(parts) > 1,
                present=present / parts[0]["sampled"],
                differing=sum(row["differing"] for row in parts) / present,
                length=float(parts[0]["length"] or 0),
                unique=name in unique,
                examples=tuple(str(value) for value in parts[0]["examples"]),
                sampled=parts[0]["sampled"],
            )
        )
    return tuple(sorted(properties, key=lambda prop: prop.name))
