"""Removing what retired publications left, in batches; killed anywhere, it is done again."""

import time

from kgrec.adopt import Naming
from kgrec.progress import Advance
from kgrec.publication.publication import Publication, State, publications
from kgrec.publication.saving import Saver
from kgrec.publication.vectors import SLOTS, clear_slot
from kgrec.publication.writing import edge_names
from kgrec.store.base import GraphStore

#: Edges that a transaction of Neo4j deletes. The embedded engine has no use for batches: it looks
#: at all edges of the type each time.
PURGE_ROWS = 10_000
EMBEDDED_ROWS = 1_000_000
#: Seconds between a switch and the purge on a server: a statement that looked up the publication
#: before the switch reads on undisturbed.
GRACE_SECONDS = 2.0


def wait_for_readers(store: GraphStore) -> None:
    """Lets statements end that began before a switch; readers of a file have their own copy."""
    if store.capabilities.concurrent_writers:
        time.sleep(GRACE_SECONDS)


def purge(store: GraphStore, naming: Naming, advance: Advance) -> int:
    """Deletes all that is left of retired publications.

    Args:
        store: A store that is open for writing.
        naming: How its graph calls what is written.
        advance: Tells a progress bar of a batch.

    Returns:
        The number of edges deleted.
    """
    known = publications(store)
    gone = [each for each in known if each.state is State.RETIRED]
    deleted = sum(_purge_edges(store, naming, each, advance) for each in gone)
    kept = {each.slot for each in known if each.state is not State.RETIRED}
    for slot in SLOTS:
        if slot not in kept and any(each.slot == slot for each in gone):
            clear_slot(store, naming, slot)
    for each in gone:
        store.write("delete_publication", id=each.id)
    if gone:
        store.checkpoint()
    return deleted


def _purge_edges(
    store: GraphStore, naming: Naming, publication: Publication, advance: Advance
) -> int:
    limit = PURGE_ROWS if store.capabilities.concurrent_writers else EMBEDDED_ROWS
    saved, total = Saver(store), 0
    for counter in ("recommended", "similar"):
        deleted = limit
        while deleted == limit:
            deleted = store.write(
                "purge_edges", names=edge_names(naming, counter), run=publication.id, limit=limit
            )[0]["deleted"]
            total += deleted
            saved.sometimes()
            advance(f"{total:,} old edges removed")
    return total
