"""Removing what retired publications left, in batches; killed anywhere, it is done again."""

import time

from kgrec.adopt import Naming
from kgrec.progress import Advance
from kgrec.publication.target import Saver
from kgrec.publication.vectors import SLOTS, clear_slot
from kgrec.publication.versions import Publication, State, publications
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
    versions = publications(store)
    retired = [publication for publication in versions if publication.state is State.RETIRED]
    num_deleted = sum(_purge_edges(store, naming, publication, advance) for publication in retired)
    used_slots = {
        publication.slot for publication in versions if publication.state is not State.RETIRED
    }
    for slot in SLOTS:
        if slot not in used_slots and any(publication.slot == slot for publication in retired):
            clear_slot(store, naming, slot)
    for publication in retired:
        store.write("delete_publication", id=publication.id)
    if retired:
        store.checkpoint()
    return num_deleted


def _purge_edges(
    store: GraphStore, naming: Naming, publication: Publication, advance: Advance
) -> int:
    limit = PURGE_ROWS if store.capabilities.concurrent_writers else EMBEDDED_ROWS
    saver, num_total = Saver(store), 0
    for counter in ("recommended", "similar"):
        num_deleted = limit
        while num_deleted == limit:
            num_deleted = store.write(
                "purge_edges", names=edge_names(naming, counter), run=publication.id, limit=limit
            )[0]["deleted"]
            num_total += num_deleted
            saver.sometimes()
            advance(f"{num_total:,} old edges removed")
    return num_total
