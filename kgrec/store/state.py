"""The version of the graph in a store, and whether it is whole."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from kgrec.errors import StoreError
from kgrec.schema import EdgeKey, NodeLabel, Role
from kgrec.store.base import GraphStore

LOADING = "loading"
READY = "ready"


@dataclass(frozen=True)
class GraphState:
    """What a store says of its graph.

    Attributes:
        version: Fingerprint of the dataset it was, or is being, filled from.
        state: `LOADING` or `READY`.
        interaction_properties: Which of EDGE_PROPERTIES interactions may carry.
    """

    version: str
    state: str
    interaction_properties: tuple[str, ...]

    def is_ready(self, version: str) -> bool:
        """Whether the graph is whole and of a version."""
        return (self.state, self.version) == (READY, version)


def read_state(store: GraphStore) -> GraphState | None:
    """Gives the state of the graph; None if kgrec never filled it."""
    rows = store.read("graph_state")
    if not rows:
        return None
    row = rows[0]
    return GraphState(row["version"], row["state"], tuple(row["interaction_properties"] or ()))


def state_properties(state: GraphState) -> dict[str, Any]:
    """Gives what the node of the graph's state holds beside its id."""
    return {**asdict(state), "interaction_properties": list(state.interaction_properties)}


def write_state(store: GraphStore, state: GraphState) -> None:
    """Records the state of the graph."""
    store.write("set_graph_state", **state_properties(state))


def ready_state(store: GraphStore) -> GraphState:
    """Gives the state of a graph that is whole.

    Raises:
        StoreError: If the graph is empty, or a load of it did not end.
    """
    state = read_state(store)
    if state is None:
        raise StoreError(f"there is no graph in {store.uri}; fill it with kgrec ingest")
    if state.state != READY:
        raise StoreError(
            f"the graph in {store.uri} is being loaded, or a load of it was interrupted; "
            f"let it end, or run kgrec ingest again"
        )
    return state


def graph_version(store: GraphStore) -> str:
    """Gives the version of a graph that is whole; raises as `ready_state`."""
    return ready_state(store).version


@dataclass(frozen=True)
class CatalogueEntry:
    """One set of edges that is no split of the target.

    Attributes:
        name: Name of the relation or behaviour in the data.
        key: Its edge set.
        role: What it says to a model.
        properties: Which of EDGE_PROPERTIES its edges may carry.
    """

    name: str
    key: EdgeKey
    role: Role = Role.RELATION
    properties: tuple[str, ...] = ()


def read_relations(store: GraphStore) -> list[CatalogueEntry]:
    """Gives the catalogue, sorted by edge set."""
    entries = [
        CatalogueEntry(
            row["name"],
            EdgeKey(row["type"], NodeLabel(row["head"]), NodeLabel(row["tail"])),
            Role(row["role"] or Role.RELATION),
            tuple(row["properties"] or ()),
        )
        for row in store.read("relations")
    ]
    return sorted(entries, key=lambda entry: entry.key)


def relation_properties(entry: CatalogueEntry) -> dict[str, object]:
    """Gives what the node of an entry holds beside its id."""
    return {
        "name": entry.name,
        "edge_type": entry.key.type,
        "head": entry.key.head.value,
        "tail": entry.key.tail.value,
        "role": entry.role.value,
        "properties": list(entry.properties),
    }


def write_relations(
    store: GraphStore, entries: Iterable[CatalogueEntry], *, only: bool = True
) -> None:
    """Writes entries of the catalogue.

    Args:
        store: The store.
        entries: The entries.
        only: Whether all others are deleted.
    """
    rows = [[str(entry.key), relation_properties(entry)] for entry in entries]
    store.write_rows("upsert_relations", rows)
    if only:
        store.write("delete_relations", kept=[row[0] for row in rows])
