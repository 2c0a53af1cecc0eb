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
    wrong = next((pair for pair in pairs if not (math.isfinite(pair[2]) and pair[2] >= 0)), None)
    if wrong is not None:
        raise StoreError(
            f"the synthetic edge of {wrong[0]!r} and {wrong[1]!r} has the weight {wrong[2]}, "
            f"expected a number of 0 or more"
        )
    purge_synthetic(store, run)
    key, written = synthetic_key(), 0
    for start in range(0, len(pairs), _BATCH):
        rows = [list(pair) for pair in pairs[start : start + _BATCH]]
        written += store.write(
            "upsert_synthetic", key=key, rows=rows, run=run, source=source, seed=seed
        )[0]["written"]
    if written != len(pairs):
        purge_synthetic(store, run)
        raise StoreError(
            f"{len(pairs) - written} of {len(pairs)} synthetic edges have a user or an item that "
            f"is not in {store.uri}; sample them on the graph that this store holds"
        )
    store.checkpoint()
    return written


def synthetic_runs(store: GraphStore) -> list[SyntheticRun]:
    """Gives the runs whose pairs are in a store, by name."""
    rows = store.read("synthetic_runs", key=synthetic_key())
    return sorted((SyntheticRun(**row) for row in rows), key=lambda each: (each.run, each.source))


def synthetic_pairs(store: GraphStore, run: str) -> list[Pair]:
    """Gives the pairs of a run, sorted; nothing else that reads a store gives them."""
    rows = store.read("synthetic_edges", key=synthetic_key(), run=run)
    return sorted((row["user"], row["item"], row["weight"]) for row in rows)


def purge_synthetic(store: GraphStore, run: str | None = None) -> int:
    """Deletes the pairs of a run, or of all; gives how many."""
    total, deleted = 0, _BATCH
    while deleted == _BATCH:
        deleted = store.write("delete_synthetic", key=synthetic_key(), run=run, limit=_BATCH)[0][
            "deleted"
        ]
        total += deleted
    store.checkpoint()
    return total
