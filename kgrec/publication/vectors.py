"""The vectors of a run, and writing them to nodes.

Vectors stand in one of two places that take turns, the properties `vector_a` and `vector_b`: those
of the current publication are read while the next ones are written to the other place. On a server
each has its own index a label. The embedded engine would build an index anew whenever the file is
opened, 2 s for 10,000 vectors, and compares as many in 20 ms.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from kgrec.adopt import OWN, Naming
from kgrec.errors import StoreError
from kgrec.publication.versions import Publication, Saver, Target, note, retired_error
from kgrec.schema import NodeLabel, quoted
from kgrec.store.base import GraphStore
from kgrec.training.directory import Run

SLOTS = ("a", "b")
#: Vectors a transaction, and removed by one.
VECTOR_ROWS = 2_000
CLEAR_ROWS = 20_000
#: How long an index may take to be filled.
INDEX_SECONDS = 3_600

_LABELS = (NodeLabel.USER, NodeLabel.ITEM)


def run_vectors(run: Run) -> dict[NodeLabel, Tensor] | None:
    """Gives what the networks of a run make of users and of items; None if it has none.

        v = [z_1 / |z_1|, …, z_M / |z_M|] / √M

    so that the product of two is the mean of the M networks' cosines, and |v| = 1: it is their
    cosine as well.

    Returns:
        float32, (U, D) by the label of users and (I, D) by that of items.
    """
    network = run.scorer.parts.get("network")
    if network is None:
        return None
    members = network.embeddings()
    scale = len(members) ** -0.5
    return {
        label: torch.cat([functional.normalize(z, dim=1) for z in embeddings], dim=1) * scale
        for label, embeddings in zip(_LABELS, zip(*members, strict=True), strict=True)
    }


def vector_index(label: NodeLabel, slot: str) -> str:
    """Gives the name of the index of a label's vectors in a place."""
    return f"kgrec_{label.lower()}_vector_{slot}"


def vector_property(naming: Naming, slot: str) -> str:
    """Gives the property that holds vectors in a place."""
    return naming.vector_a if slot == "a" else naming.vector_b


def vector_names(naming: Naming, label: NodeLabel, slot: str) -> dict[str, str]:
    """Gives the names for statements about the vectors of a label in a place, in back-ticks."""
    node, key = naming.label_and_key(label)
    return {
        "node": quoted(node),
        "key": quoted(key),
        "vector": quoted(vector_property(naming, slot)),
        "index": quoted(vector_index(label, slot)),
    }


def vector_rows(
    ids: list[str | int], matrix: npt.NDArray[np.float32], name: str
) -> list[list[object]]:
    """Gives vectors as rows: id, map of the property; a node without direction has no vector."""
    has_direction = np.isfinite(matrix).all(axis=1) & (np.abs(matrix).max(axis=1, initial=0) > 0)
    return [
        [key, {name: vector}]
        for key, vector, keep in zip(ids, matrix.tolist(), has_direction.tolist(), strict=True)
        if keep
    ]


def write_vectors(target: Target, run: Run, vectors: Mapping[NodeLabel, Tensor]) -> None:
    """Writes vectors to their place, makes the indexes and waits until they are filled.

    Raises:
        StoreError: If the publication was retired meanwhile.
    """
    store, naming, publication = target.store, target.naming, target.publication
    num_written, saver = int(publication.properties.get("vectors", 0)), Saver(store)
    for label in _LABELS:
        ids, matrix = naming.values(label, run.vocabularies[label].ids), vectors[label].numpy()
        counter = f"{label.lower()}_vectors_done"
        for start in range(int(publication.properties.get(counter, 0)), len(ids), VECTOR_ROWS):
            stop = min(start + VECTOR_ROWS, len(ids))
            rows = vector_rows(
                ids[start:stop], matrix[start:stop], vector_property(naming, publication.slot)
            )
            progress = {counter: stop, "vectors": num_written + len(rows)}
            if not rows:
                note(store, publication, progress)
            elif not (_write_rows(target, label, rows, progress) or naming.foreign):
                raise retired_error(store, publication)
            num_written += len(rows)
            saver.sometimes()
            target.advance(f"{num_written:,} vectors")
    dimensions = vectors[NodeLabel.USER].shape[1]
    make_indexes(target, dimensions)
    note(store, publication, {"dimensions": dimensions})
    recount_vectors(target)
    store.checkpoint()


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
    if not store.capabilities.vector_index:
        drop_indexes(store, naming, publication.slot)  # which earlier versions of kgrec made
    target, num_written = Target(store, naming, publication), 0
    for start in range(0, len(ids), VECTOR_ROWS):
        part = slice(start, start + VECTOR_ROWS)
        rows = vector_rows(
            naming.values(label, ids[part]),
            matrix[part],
            vector_property(naming, publication.slot),
        )
        num_written += _write_rows(target, label, rows)
    note(store, publication, {})
    return num_written


def recount_vectors(target: Target) -> None:
    """Notes on a publication how many vectors the database has of it; raises StoreError."""
    slot = target.publication.slot
    names = [vector_names(target.naming, label, slot) for label in _LABELS]
    counts = [target.store.read("count_placed", names=of_label)[0]["count"] for of_label in names]
    note(target.store, target.publication, {"vectors": sum(counts)})


def drop_vectors(target: Target, label: NodeLabel, ids: Sequence[str]) -> None:
    """Removes the vectors of users or items that have gone, but whose nodes are still there."""
    no_vector = {vector_property(target.naming, target.publication.slot): None}
    rows: list[list[object]] = [[value, no_vector] for value in target.naming.values(label, ids)]
    for start in range(0, len(rows), VECTOR_ROWS):
        _write_rows(target, label, rows[start : start + VECTOR_ROWS])


def _write_rows(
    target: Target,
    label: NodeLabel,
    rows: list[list[object]],
    progress: Mapping[str, int] | None = None,
) -> int:
    """Writes vectors and notes the progress in one transaction; gives how many were written."""
    num_written: int = target.store.write(
        "publish_vectors",
        names=vector_names(target.naming, label, target.publication.slot),
        run=target.publication.id,
        progress=dict(progress or {}),
        rows=rows,
    )[0]["written"]
    return num_written


def clear_slot(store: GraphStore, naming: Naming, slot: str) -> None:
    """Removes the vectors of a place, and their indexes."""
    drop_indexes(store, naming, slot)
    for label in _LABELS:
        names = vector_names(naming, label, slot)
        num_cleared = CLEAR_ROWS
        while num_cleared == CLEAR_ROWS:
            num_cleared = store.write("purge_vectors", names=names, limit=CLEAR_ROWS)[0]["cleared"]


def drop_indexes(store: GraphStore, naming: Naming, slot: str) -> None:
    """Removes the indexes of the vectors of a place."""
    index_names = {row["name"] for row in store.read("index_names")}
    for label in _LABELS:
        if vector_index(label, slot) in index_names:
            store.write("drop_vector_slot_index", names=vector_names(naming, label, slot))


def make_indexes(target: Target, dimensions: int) -> None:
    """Makes the indexes of a publication's vectors, where the engine has any, and awaits them."""
    store, slot = target.store, target.publication.slot
    if not store.capabilities.vector_index:
        return
    for label in _LABELS:
        names = vector_names(target.naming, label, slot)
        store.write("vector_slot_index", names=names, dimensions=dimensions)
    if store.capabilities.engine == "neo4j":
        for label in _LABELS:
            store.read("await_index", index=vector_index(label, slot), seconds=INDEX_SECONDS)
