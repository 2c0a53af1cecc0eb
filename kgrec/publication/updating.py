"""Changing a few lists and vectors of the current publication in place.

Readers see the old list of a user or the new one: a batch is one transaction. On an embedded store
they see nothing before the caller's `checkpoint`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from kgrec.adopt import OWN, Naming
from kgrec.errors import StoreError
from kgrec.publication.vectors import (
    VECTOR_ROWS,
    drop_indexes,
    vector_names,
    vector_property,
    vector_rows,
)
from kgrec.publication.versions import Publication, note
from kgrec.publication.writing import EDGE_ROWS, edge_names
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore

#: One place of a list: id of the item, score, rank from 1, whether the user is cold.
Place = tuple[str, float, int, bool]


def replace_lists(
    store: GraphStore,
    publication: Publication,
    counter: str,
    lists: Mapping[str, Sequence[Place]],
    *,
    naming: Naming = OWN,
) -> int:
    """Puts new lists in place of those that users or items have.

    Args:
        store: A store that is open for writing.
        publication: The publication, as a rule the current one.
        counter: `recommended` for lists of users, `similar` for those of items.
        lists: By the id of the user or item; an empty one only takes the old one away.
        naming: How the graph calls users, items and what is written.

    Returns:
        The number of edges written; those whose ends are not in the graph are left out.

    Raises:
        StoreError: If the publication was retired meanwhile.
    """
    num_written = write_places(store, publication, counter, lists, naming=naming)
    recount(store, publication, counter, naming=naming)
    return num_written


def write_places(
    store: GraphStore,
    publication: Publication,
    counter: str,
    lists: Mapping[str, Sequence[Place]],
    *,
    naming: Naming = OWN,
) -> int:
    """Does as `replace_lists`, but for the count on the publication: for many calls in a row."""
    values = naming.user_values if counter == "recommended" else naming.item_values
    num_written = 0
    for ids in _batches(lists, EDGE_ROWS):
        heads = values(ids)
        rows = []
        for head, key in zip(heads, ids, strict=True):
            items = naming.item_values([place[0] for place in lists[key]])
            rows += [
                [head, item, score, rank, cold or None]
                for item, (_, score, rank, cold) in zip(items, lists[key], strict=True)
            ]
        answer = store.write(
            "replace_edges",
            names=edge_names(naming, counter),
            run=publication.id,
            heads=heads,
            rows=rows,
        )
        num_written += answer[0]["written"]
    return num_written


def recount(
    store: GraphStore, publication: Publication, counter: str, *, naming: Naming = OWN
) -> None:
    """Notes on a publication how many edges it has.

    Raises:
        StoreError: If the publication was retired meanwhile.
    """
    names = edge_names(naming, counter)
    count = store.read("count_published", names=names, run=publication.id)[0]["count"]
    note(store, publication, {counter: count})


def replace_vectors(
    store: GraphStore,
    publication: Publication,
    label: NodeLabel,
    ids: Sequence[str],
    matrix: npt.NDArray[np.float32],
    *,
    naming: Naming = OWN,
) -> int:
    """Writes vectors of users or items where those of the publication are.

    Args:
        store: A store that is open for writing; its index takes them up by itself.
        publication: The publication, as a rule the current one.
        label: User or Item.
        ids: Their n ids.
        matrix: float32 (n, d), made as `run_vectors` makes them.
        naming: How the graph calls users, items and what is written.

    Returns:
        The number of vectors written.

    Raises:
        StoreError: If the publication has vectors of another size, or was retired meanwhile.
    """
    if matrix.shape[1] != publication.dimensions:
        raise StoreError(
            f"publication {publication.id} has vectors of {publication.dimensions} numbers, got "
            f"{matrix.shape[1]}; publish the run anew"
        )
    values = naming.user_values if label is NodeLabel.USER else naming.item_values
    names = vector_names(naming, label, publication.slot)
    if not store.capabilities.vector_index:
        drop_indexes(store, naming, publication.slot)  # which earlier versions of kgrec made
    num_written = 0
    for start in range(0, len(ids), VECTOR_ROWS):
        part = slice(start, start + VECTOR_ROWS)
        rows = vector_rows(
            values(ids[part]), matrix[part], vector_property(naming, publication.slot)
        )
        answer = store.write(
            "publish_vectors", names=names, run=publication.id, progress={}, rows=rows
        )
        num_written += answer[0]["written"]
    note(store, publication, {})
    return num_written


def drop_vectors(
    store: GraphStore,
    publication: Publication,
    label: NodeLabel,
    ids: Sequence[str],
    *,
    naming: Naming,
) -> None:
    """Removes the vectors of users or items that have gone, but whose nodes are still there.

    Args:
        store: A store that is open for writing.
        publication: The publication, as a rule the current one.
        label: User or Item.
        ids: Their ids.
        naming: How the graph calls users, items and what is written.
    """
    values = naming.user_values if label is NodeLabel.USER else naming.item_values
    names = vector_names(naming, label, publication.slot)
    no_vector = {vector_property(naming, publication.slot): None}
    rows = [[value, no_vector] for value in values(ids)]
    for start in range(0, len(rows), VECTOR_ROWS):
        part = rows[start : start + VECTOR_ROWS]
        store.write("publish_vectors", names=names, run=publication.id, progress={}, rows=part)


def _batches(lists: Mapping[str, Sequence[Place]], size: int) -> list[list[str]]:
    """Cuts lists into batches of about so many places, and no more heads."""
    batches: list[list[str]] = [[]]
    num_places = 0
    for key, places in lists.items():
        if batches[-1] and num_places + max(len(places), 1) > size:
            batches.append([])
            num_places = 0
        batches[-1].append(key)
        num_places += max(len(places), 1)
    return batches if batches[-1] else []
