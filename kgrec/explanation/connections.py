"""How two items hang together in the store, in words."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kgrec.store.base import GraphStore
from kgrec.text.templates import leads_on, relation_phrase

#: Rows a query may return: own items with many shared attributes have many.
_MOST_ROWS = 500


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
    rows = [
        row  # one statement an own item: a limit over all would starve the last of them
        for own in own_ids
        for row in store.read("shared_entities", own=[own], item=item_id, limit=_MOST_ROWS)
    ]
    by_own: dict[str, list[Connection]] = defaultdict(list)
    for row in rows:
        entity = row["entity"]
        if entity is not None and not {row["type_in"], row["type_out"]} <= set(fan_out):
            continue
        name = None if entity is None else row["name"] or entity_names.get(entity, entity)
        by_own[row["own"]].append(
            Connection(row["own"], item_id, row["type_in"], row["type_out"], entity, name)
        )

    def breadth(connection: Connection) -> tuple[float, str, str, str]:
        own, item = connection.own_type, connection.item_type
        width = max(fan_out[kind] for kind in (own, item)) if connection.entity_id else 0.0
        return width + (own != item), item, own, str(connection)

    return {
        own: tuple(_distinct_entities(sorted(connections, key=breadth))[:most])
        for own, connections in by_own.items()
    }


def _distinct_entities(connections: Sequence[Connection]) -> list[Connection]:
    """Keeps the first connection through each entity: its director may be its writer too."""
    by_entity: dict[str | None, Connection] = {}
    for connection in connections:
        by_entity.setdefault(connection.entity_id, connection)
    return list(by_entity.values())
