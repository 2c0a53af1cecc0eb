"""The list of loads that a store keeps beside its graph."""

from collections.abc import Sequence
from dataclasses import asdict

from kgrec.data.loads import Load
from kgrec.store.base import GraphStore


def read_loads(store: GraphStore) -> tuple[Load, ...]:
    """Gives the loads whose rows are, or were, in the graph, by number."""
    return tuple(Load(**{**row, "files": tuple(row["files"] or ())}) for row in store.read("loads"))


def write_loads(store: GraphStore, loads: Sequence[Load]) -> None:
    """Makes the list of loads the given one."""
    store.write_rows("upsert_loads", [[str(load.number), load_properties(load)] for load in loads])
    store.write("delete_loads", kept=[str(load.number) for load in loads])


def load_properties(load: Load) -> dict[str, object]:
    """Gives what a load's node holds beside its id."""
    return {**asdict(load), "files": list(load.files)}
