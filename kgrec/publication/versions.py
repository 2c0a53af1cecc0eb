"""Publications: versions of what a run says, in the graph, of which readers see the current one.

    writing ── switch ──> current ── the next switch, or retire ──> retired ── purge ──> gone

A publication is a node `(:KgrecPublication {id, state, run, graph_version, slot, …})`; its edges
carry its id in `run`. Which one is current is told by one property of one node,
`(:KgrecCurrent {id: 'publication', publication})`: a reader that looks for `state = 'current'`
instead might, on a server that shows each property as it is when it is read, find two or none in
the moment of a switch. To begin, to switch and to take back is one statement, one transaction.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from kgrec.adopt import Naming
from kgrec.errors import StoreError
from kgrec.progress import Advance
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.store.state import read_relations


class State(StrEnum):
    """How far a publication has come."""

    WRITING = "writing"
    CURRENT = "current"
    RETIRED = "retired"


#: A process that is killed loses no more than what it wrote in so many seconds.
CHECKPOINT_SECONDS = 60.0

#: Who has lists, by the property that counts the edges of these.
HEADS = {"recommended": NodeLabel.USER, "similar": NodeLabel.ITEM}

#: What is counted of a publication; properties of its node.
COUNTS = ("users", "cold_users", "items", "recommended", "similar", "vectors")
#: What every publication's node has from its beginning.
_NOTED = (
    "id", "state", "run", "graph_version", "created", "top", "similar_top", "fingerprint", "slot",
)  # fmt: skip


@dataclass(frozen=True)
class Publication:
    """One version.

    Attributes:
        id: Its id, the value of `run` on its edges.
        state: How far it has come.
        current: Whether readers see it.
        run: Name of the run's directory.
        graph_version: Version of the graph that the run was trained on.
        created: When it was begun, ISO 8601, UTC.
        top: Recommendations a user, at most.
        similar_top: Similar items an item, at most.
        fingerprint: Of the run and of what is asked of it: equal ones publish the same.
        slot: Which place its vectors are in, `a` or `b`.
        dimensions: Numbers a vector; 0 if it has none.
        counts: What is in the graph of it, by the names in `COUNTS`.
        relation_weights: What the network learned of each directed relation.
        properties: All that is noted on its node.
    """

    id: str
    state: State
    current: bool
    run: str
    graph_version: str
    created: str
    top: int
    similar_top: int
    fingerprint: str
    slot: str
    dimensions: int
    counts: Mapping[str, int]
    relation_weights: Mapping[str, float]
    properties: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, properties: Mapping[str, Any], current: bool) -> Self:
        """Reads the properties of a node."""
        names = properties.get("relation_names") or []
        weights = properties.get("relation_weights") or []
        noted = {name: properties[name] for name in _NOTED}
        return cls(
            **{**noted, "state": State(noted["state"])},
            current=current,
            dimensions=properties.get("dimensions", 0),
            counts={name: properties.get(name, 0) for name in COUNTS},
            relation_weights=dict(zip(names, weights, strict=True)),
            properties=dict(properties),
        )

    def length(self, counter: str) -> int:
        """How long lists of users (`recommended`) or items (`similar`) are at most."""
        return self.top if counter == "recommended" else self.similar_top

    def to_dict(self) -> dict[str, Any]:
        """The publication as JSON values."""
        apart = {"fingerprint", "counts", "relation_weights", "properties"}
        values = {x.name: getattr(self, x.name) for x in fields(self) if x.name not in apart}
        return {**values, **self.counts}


def publications(store: GraphStore) -> list[Publication]:
    """Gives all publications in a store, the latest first."""
    versions = [
        Publication.of(row["properties"], row["current"])
        for row in store.read("publication_details")
    ]
    return sorted(
        versions, key=lambda publication: (publication.created, publication.id), reverse=True
    )


def current_publication(store: GraphStore) -> Publication | None:
    """Gives the publication that readers see; None if there is none."""
    return next((publication for publication in publications(store) if publication.current), None)


def find(store: GraphStore, publication_id: str) -> Publication:
    """Gives a publication by its id.

    Raises:
        StoreError: If there is none.
    """
    versions = publications(store)
    for publication in versions:
        if publication.id == publication_id:
            return publication
    ids = ", ".join(publication.id for publication in versions) or "none"
    raise StoreError(
        f"there is no publication {publication_id!r} in {store.uri}; expected one of {ids}; "
        f"list them with kgrec publish --list"
    )


def begin(store: GraphStore, publication_id: str, properties: Mapping[str, Any]) -> Publication:
    """Makes a publication that is being written; any other such one is retired."""
    store.write("begin_publication", id=publication_id, properties=dict(properties))
    return find(store, publication_id)


def note(store: GraphStore, publication: Publication, properties: Mapping[str, Any]) -> None:
    """Notes something on a publication that is being written.

    Raises:
        StoreError: If it was retired meanwhile.
    """
    if not store.write("note_publication", id=publication.id, properties=dict(properties)):
        raise retired_error(store, publication)


def switch(store: GraphStore, publication: Publication) -> None:
    """Makes a written publication the one that readers see.

    Raises:
        StoreError: If it was retired meanwhile.
    """
    weights = catalogue_weights(store, publication.relation_weights)
    if not store.write("switch_publication", id=publication.id, weights=weights):
        raise retired_error(store, publication)


def catalogue_weights(
    store: GraphStore, weights: Mapping[str, float]
) -> dict[str, list[float | None]]:
    """Gives what the network learned of each relation and of its reverse, by catalogue id.

    Sets of edges of one type and role have one weight between them; where a type has a second
    role as well, the network has that role behind its name.
    """
    weights_by_key: dict[str, list[float | None]] = {}
    for entry in read_relations(store):
        name = f"{entry.key.type}_{entry.role.value.upper()}"
        if name not in weights:
            name = entry.key.type
        if name in weights:
            weights_by_key[str(entry.key)] = [weights[name], weights.get(f"rev_{name}")]
    return weights_by_key


def retired_error(store: GraphStore, publication: Publication) -> StoreError:
    """Gives the error for a publication that somebody retired while it was written."""
    return StoreError(
        f"publication {publication.id} in {store.uri} was retired while it was written, by "
        f"another kgrec publish or by --retire; readers see nothing of it; run kgrec publish "
        f"again, one at a time"
    )


@dataclass(frozen=True)
class Target:
    """Where a publication is written.

    Attributes:
        store: A store that is open for writing.
        naming: How its graph calls users, items and what is written.
        publication: The publication.
        advance: Tells a progress bar of a batch.
    """

    store: GraphStore
    naming: Naming
    publication: Publication
    advance: Advance = lambda _: None


class Saver:
    """Checkpoints a store now and then.

    Readers of the file see the current publication whatever else is in it, so it may be written
    at any time; but it is written as a whole, which takes seconds if the graph is large.

    Args:
        store: The store.
    """

    def __init__(self, store: GraphStore) -> None:
        self._store = store
        self._last = time.monotonic()

    def sometimes(self) -> None:
        """Checkpoints if the last time was long ago."""
        if time.monotonic() - self._last >= CHECKPOINT_SECONDS:
            self._store.checkpoint()
            self._last = time.monotonic()
