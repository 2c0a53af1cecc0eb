"""What a graph needs before anything is published into it."""

from kgrec.adopt import Naming
from kgrec.errors import StoreError
from kgrec.schema import quoted
from kgrec.store.base import GraphStore

#: Nodes of a label among which a key may be looked for without an index.
SCANNED = 5_000


def prepare(store: GraphStore, naming: Naming) -> None:
    """Makes the constraints of kgrec's own nodes.

    In a graph that others made, nothing is done to their labels. Nodes are found there by their
    keys, so the keys of many need an index: without one every row would look at every node.

    Raises:
        StoreError: If a label of a graph that others made has more than `SCANNED` nodes, and their
            key no index; the message has the statement that makes one.
    """
    if not naming.foreign:
        store.apply_schema()
        return
    if store.capabilities.engine == "neo4j":
        _refuse_scans(store, naming)
    for kind in ("publication", "current"):
        store.write(f"constraint_{kind}")


def _refuse_scans(store: GraphStore, naming: Naming) -> None:
    rows = store.read("adopted_indexes")
    indexed = {(label, row["properties"][0]) for row in rows for label in row["labels"]}
    for label, key in ((naming.user, naming.user_key), (naming.item, naming.item_key)):
        if (label, key) in indexed:
            continue
        nodes = store.read("inspect_label_count", names={"label": quoted(label)})[0]["nodes"]
        if nodes > SCANNED:
            raise StoreError(
                f"{label}.{key} has no index in {store.uri}, and every row that is published would "
                f"look at all {nodes:,} nodes; expected an index or a constraint; make one: CREATE "
                f"CONSTRAINT FOR (n:{quoted(label)}) REQUIRE n.{quoted(key)} IS UNIQUE"
            )
