"""Which nodes of a run a graph that others made still has."""

from kgrec.adopt import Naming
from kgrec.errors import StoreError
from kgrec.publication.versions import HEADS
from kgrec.schema import quoted
from kgrec.store.base import GraphStore
from kgrec.training.directory import Run

#: Keys that are looked for at once.
_KEYS = 10_000


def missing_nodes(store: GraphStore, naming: Naming, run: Run) -> list[str]:
    """Says how many of a run's nodes are not in the graph that others made; refuses none at all.

    Raises:
        StoreError: If no user, or no item, is there.
    """
    notes: list[str] = []
    for node in HEADS.values() if naming.foreign else ():
        label, key = naming.label_and_key(node)
        keys = naming.values(node, run.vocabularies[node].ids)
        names = {"node": quoted(label), "key": quoted(key)}
        rows = [
            store.read("count_keys", names=names, keys=keys[start : start + _KEYS])[0]
            for start in range(0, len(keys), _KEYS)
        ]
        num_present, num_nodes = (sum(row[name] for row in rows) for name in ("keys", "nodes"))
        if keys and not num_present:
            raise StoreError(
                f"none of the run's {len(keys):,} keys such as {keys[0]!r} is the {label}.{key} of "
                f"a node in {store.uri}; expected those that it was ingested from; check the label "
                f"and the key of [adopt], and that key_type is what the graph has"
            )
        if num_present < len(keys):
            num_missing = len(keys) - num_present
            notes.append(f"{num_missing:,} nodes not found: no {label} has their {key}")
        if num_nodes > num_present:
            num_sharing = num_nodes - num_present
            notes.append(f"{num_sharing:,} nodes more: {label} nodes share their {key}")
    return notes
