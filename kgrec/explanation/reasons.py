"""What a score is made of, in the ids and names of the graph, and how items hang together there."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from kgrec.config import DataConfig
from kgrec.model.scorer import Scorer
from kgrec.schema import DISLIKED, INTERACTION_TYPES, SYNTHETIC, NodeLabel, relation_type
from kgrec.store.base import GraphStore
from kgrec.text.templates import leads_on, relation_phrase
from kgrec.vocabulary import Vocabulary

#: Rows a query may return: own items with many shared attributes have many.
_MOST_ROWS = 500


@dataclass(frozen=True)
class OwnItem:
    """What one of the user's own items adds to a score.

    Attributes:
        item_id: The own item.
        name: What to call it.
        share: What it adds, in units of the score; may be negative.
    """

    item_id: str
    name: str
    share: float


@dataclass(frozen=True)
class Explanation:
    """A served score, decomposed in two ways that each add up to it.

    Attributes:
        user_id: For whom.
        item_id: What.
        score: The served score; `sum(own items) + rest`, and `sum(relations)`.
        own_items: All of the user's own items, largest share first.
        rest: What no own item accounts for: the user's own embedding, popularity, centring.
        relations: What arrives at the item through each relation, by relationship type, both
            directions together; "self" is what arrives through none.
        exact: Whether the shares of own items follow from the score's formula.
        relations_exact: The same for relations; the closed form's are first-order estimates.
    """

    user_id: str
    item_id: str
    score: float
    own_items: tuple[OwnItem, ...]
    rest: float
    relations: Mapping[str, float]
    exact: bool
    relations_exact: bool


@dataclass(frozen=True)
class Connection:
    """A path of one or two relations between an own item and another item.

    Attributes:
        own_id: The own item.
        item_id: The other item.
        own_type: Relationship type at the own item.
        item_type: Relationship type at the other item.
        entity_id: The entity between them; None if they are connected directly.
        entity_name: What to call the entity.
    """

    own_id: str
    item_id: str
    own_type: str
    item_type: str
    entity_id: str | None = None
    entity_name: str | None = None

    @property
    def text(self) -> str:
        """The connection in words: "both directed by Michael Mann"."""
        phrase = relation_phrase(self.item_type)
        if self.entity_id is None:
            return f"connected by “{phrase}”"
        if self.own_type == self.item_type:
            return f"both {phrase}{' ' if leads_on(phrase) else ': '}{self.entity_name}"
        own = relation_phrase(self.own_type)
        return f"{own} {self.entity_name}, who is here as “{phrase}”"


@dataclass(frozen=True)
class Reason:
    """One reason in words.

    Attributes:
        text: A sentence part, e.g. "Heat (both directed by Michael Mann)".
        share: What the own item adds, in units of the score, mostly by who took both.
        item_id: The own item; None for reasons without one.
        connections: The store paths the text names.
        name: What the own item is called, "" without one.
        link: How the two items are connected, in words; the share is not what this carries.
    """

    text: str
    share: float
    item_id: str | None = None
    connections: tuple[Connection, ...] = field(default=())
    name: str = ""
    link: str = ""

    @classmethod
    def of_item(cls, own: OwnItem, links: Sequence[str], paths: tuple[Connection, ...]) -> "Reason":
        """Gives the reason that an own item is."""
        link = "; ".join(links)
        return cls(f"{own.name} ({link})", own.share, own.item_id, paths, own.name, link)


def explain_scores(
    scorer: Scorer,
    vocabularies: Mapping[NodeLabel, Vocabulary],
    names: Mapping[NodeLabel, Sequence[str]],
    user_id: str,
    item_ids: Sequence[str],
) -> list[Explanation]:
    """Decomposes the scores of one user and several items.

    Args:
        scorer: What served the scores.
        vocabularies: External ids of its users and items.
        names: What to call each node, in index order.
        user_id: A user the scorer knows.
        item_ids: Items the scorer knows.

    Raises:
        VocabularyError: If the user or an item is unknown.
    """
    items = vocabularies[NodeLabel.ITEM]
    user_index = vocabularies[NodeLabel.USER].index(user_id)
    contributions = scorer.contributions(user_index, torch.from_numpy(items.indices(item_ids)))
    own, kinds = contributions.own_items.tolist(), contributions.relation_names
    return [
        Explanation(
            user_id=user_id,
            item_id=item_id,
            score=float(contributions.score[row]),
            own_items=own_items(items, names, zip(own, by_item, strict=True)),
            rest=float(contributions.rest[row]),
            relations=by_kind(zip(kinds, by_relation, strict=True)),
            exact=contributions.exact,
            relations_exact=contributions.relations_exact,
        )
        for row, (item_id, by_item, by_relation) in enumerate(
            zip(
                item_ids, contributions.by_item.tolist(), contributions.by_relation.tolist(),
                strict=True,
            )
        )
    ]  # fmt: skip


def own_items(
    items: Vocabulary,
    names: Mapping[NodeLabel, Sequence[str]],
    shares: Iterable[tuple[int, float]],
) -> tuple[OwnItem, ...]:
    """Adds up shares by the index of the own item; gives these, the largest share first."""
    total: dict[int, float] = defaultdict(float)
    for index, share in shares:
        total[index] += share
    own = [OwnItem(items.ids[x], names[NodeLabel.ITEM][x], share) for x, share in total.items()]
    return tuple(sorted(own, key=lambda item: (-item.share, item.item_id)))


def by_kind(shares: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Adds up shares by relationship type, both directions together."""
    total: dict[str, float] = defaultdict(float)
    for name, share in shares:
        total[_relation_kind(name)] += share
    return dict(total)


def _relation_kind(name: str) -> str:
    """Brings a part's name for a relation to its relationship type.

    The network names directed types (`GENRE`, `rev_GENRE`), the closed form the data's relations
    (`genre`).
    """
    name = name.removeprefix("rev_")
    if name in ("self", SYNTHETIC) or name in INTERACTION_TYPES.values():
        return name
    return relation_type(name)


def graph_share(relations: Mapping[str, float], config: DataConfig) -> float:
    """Gives what of a score the graph carries: what users did and the nodes themselves aside.

    Args:
        relations: What arrives by relationship type.
        config: Names what users did beside the targets.
    """
    evidence = [relation_type(x) for x, rule in config.behaviours.items() if rule.role != "target"]
    aside = {"self", "profile", SYNTHETIC, DISLIKED, *INTERACTION_TYPES.values(), *evidence}
    return sum(share for kind, share in relations.items() if kind not in aside)


def fetch_connections(
    store: GraphStore,
    own_ids: Sequence[str],
    item_id: str,
    *,
    entity_names: Mapping[str, str],
    fan_out: Mapping[str, float],
    most: int = 2,
) -> dict[str, tuple[Connection, ...]]:
    """Finds what connects own items to an item, the most telling first.

    A relation that few items share an entity of (a director) tells more than one that many share
    (a language), so connections are ordered by how many items an entity of the relation has on
    average.

    Args:
        store: Open for reading.
        own_ids: Items of the user.
        item_id: The other item.
        entity_names: What to call entities, by id.
        fan_out: Items per entity, by relationship type; entities are told through these types only.
        most: At most so many per own item.

    Returns:
        Connections by own item; own items without any are absent.

    Raises:
        StoreError: If the store refuses.
    """

    def breadth(connection: Connection) -> tuple[float, str, str, str]:
        own, item = connection.own_type, connection.item_type
        width = max(fan_out[kind] for kind in (own, item)) if connection.entity_id else 0.0
        return width + (own != item), item, own, str(connection)

    out = {}
    for own in own_ids:
        # One statement an own item: a limit over all would starve the last of them.
        rows = store.read("shared_entities", own=[own], item=item_id, limit=_MOST_ROWS)
        connections = []
        for row in rows:
            entity, kinds = row["entity"], (row["type_in"], row["type_out"])
            if entity is None or set(fan_out).issuperset(kinds):
                name = None if entity is None else row["name"] or entity_names.get(entity, entity)
                connections.append(Connection(own, item_id, *kinds, entity, name))
        by_entity: dict[str | None, Connection] = {}  # its director may be its writer too
        for connection in sorted(connections, key=breadth):
            by_entity.setdefault(connection.entity_id, connection)
        if by_entity:
            out[own] = tuple(by_entity.values())[:most]
    return out
