"""The version of the graph in a store, and whether it is whole."""

from dataclasses import dataclass

from kgrec.errors import StoreError
from kgrec.schema import EdgeKey, NodeLabel
from kgrec.store.base import GraphStore

LOADING = "loading"
READY = "ready"


@dataclass(frozen=True)
class GraphState:
    """What a store says of its graph.

    Attributes:
        version: Fingerprint of the dataset it was, or is being, filled from.
        state: `LOADING` or `READY`.
        interaction_properties: Which of `rating` and `time` the interactions carry.
    """

    version: str
    state: str
    interaction_properties: tuple[str, ...]


def read_state(store: GraphStore) -> GraphState | None:
    """Gives the state of the graph; None if kgrec never filled it."""
    rows = store.read("graph_state")
    if not rows:
        return None
    row = rows[0]
    return GraphState(row["version"], row["state"], tuple(row["interaction_properties"] or ()))


def write_state(store: GraphStore, state: GraphState) -> None:
    """Records the state of the graph."""
    store.write(
        "set_graph_state",
        version=state.version,
        state=state.state,
        interaction_properties=list(state.interaction_properties),
    )


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


def read_relations(store: GraphStore) -> list[tuple[str, EdgeKey]]:
    """Gives the catalogue: the name and the edge set of every relation, sorted by edge set."""
    rows = store.read("relations")
    found = [
        (row["name"], EdgeKey(row["type"], NodeLabel(row["head"]), NodeLabel(row["tail"])))
        for row in rows
    ]
    return sorted(found, key=lambda pair: pair[1])
