"""Proposed user-item pairs in a store: under a type of their own, marked, listed and purged.

They are no part of the graph: its version does not know them, ingesting leaves them alone (they go
with the user or item that goes), and whatever reads interactions or relations does not see them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kgrec.errors import StoreError
from kgrec.schema import synthetic_key
from kgrec.store.base import GraphStore

#: Pairs that a transaction writes or deletes.
_BATCH = 10_000

#: User id, item id, weight.
Pair = tuple[str, str, float]


@dataclass(frozen=True)
class SyntheticRun:
    """The pairs of one run.

    Attributes:
        run: Its name.
        source: Who proposed them.
        seed: Of the proposals.
        edges: Number of pairs.
        users: Of so many users.
        items: And so many items.
        proven: So many of the pairs are interactions of train by now.
    """

    run: str
    source: str
    seed: int
    edges: int
    users: int
    items: int
    proven: int


def write_synthetic(
    store: GraphStore, pairs: Sequence[Pair], *, run: str, source: str, seed: int
) -> int:
    """Writes the pairs of a run; what it had before goes, so that a repetition changes nothing.

    A write that was interrupted is completed by the next of the same run.

    Args:
        store: Open for writing.
        pairs: User id, item id and weight of each.
        run: Its name, by which they are listed and purged.
        source: Who proposed them.
        seed: Of the proposals.

    Returns:
        How many are written.

    Raises:
        StoreError: If the run has no name, a weight is no number of 0 or more, or a user or an
            item is not in the store; nothing is changed by the first two.
    """
    if not run.strip():
        raise StoreError("synthetic edges need a run to be purged by, got an empty name; name it")
    for user, item, weight in pairs:
        if not (math.isfinite(weight) and weight >= 0):
            raise StoreError(
                f"the synthetic edge of {user!r} and {item!r} has the weight {weight}, expected a "
                f"number of 0 or more"
            )
    purge_synthetic(store, run)
    key, num_written = synthetic_key(), 0
    for start in range(0, len(pairs), _BATCH):
        rows = [list(pair) for pair in pairs[start : start + _BATCH]]
        num_written += store.write(
            "upsert_synthetic", key=key, rows=rows, run=run, source=source, seed=seed
        )[0]["written"]
    if num_written != len(pairs):
        purge_synthetic(store, run)
        raise StoreError(
            f"{len(pairs) - num_written} of {len(pairs)} synthetic edges have a user or an item "
            f"that is not in {store.uri}; sample them on the graph that this store holds"
        )
    store.checkpoint()
    return num_written


def synthetic_runs(store: GraphStore) -> list[SyntheticRun]:
    """Gives the runs whose pairs are in a store, by name."""
    rows = store.read("synthetic_runs", key=synthetic_key())
    return sorted((SyntheticRun(**row) for row in rows), key=lambda run: (run.run, run.source))


def synthetic_pairs(store: GraphStore, run: str) -> list[Pair]:
    """Gives the pairs of a run, sorted; nothing else that reads a store gives them."""
    rows = store.read("synthetic_edges", key=synthetic_key(), run=run)
    return sorted((row["user"], row["item"], row["weight"]) for row in rows)


def purge_synthetic(store: GraphStore, run: str | None = None) -> int:
    """Deletes the pairs of a run, or of all; gives how many."""
    key, num_total, num_deleted = synthetic_key(), 0, _BATCH
    while num_deleted == _BATCH:
        rows = store.write("delete_synthetic", key=key, run=run, limit=_BATCH)
        num_deleted = rows[0]["deleted"]
        num_total += num_deleted
    store.checkpoint()
    return num_total
