"""From a run to a graph that answers for it: what `kgrec publish` does.

    run -> publication begun (state `writing`) -> top-N and similar edges -> vectors and indexes
        -> one statement switches (`current`) -> what older ones left is purged

Readers go through the current publication, so what they see is one whole version at any time.
Killed anywhere, the same command goes on, and another one cleans up and begins anew.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch

from kgrec.adopt import OWN, Naming
from kgrec.errors import ConfigError, NotFittedError, StoreError
from kgrec.progress import Advance, progress_bar
from kgrec.publication.lists import edge_names, recount, write_lists
from kgrec.publication.nodes import missing_nodes
from kgrec.publication.vectors import SLOTS, clear_slot, run_vectors, write_vectors
from kgrec.publication.versions import (
    HEADS,
    Publication,
    Saver,
    State,
    Target,
    begin,
    current_publication,
    find,
    publications,
    switch,
)
from kgrec.recommender import Recommender
from kgrec.schema import NodeLabel, quoted
from kgrec.store.base import GraphStore
from kgrec.training.directory import Run
from kgrec.vocabulary import NodeId, id_texts

__all__ = [
    "Publication",
    "PublishReport",
    "State",
    "current_publication",
    "find",
    "publications",
    "publish",
    "retire",
]

#: Nodes of a label among which a key may be looked for without an index.
SCANNED = 5_000
#: Edges that a transaction of Neo4j deletes. The embedded engine has no use for batches: it looks
#: at all edges of the type each time.
PURGE_ROWS = 10_000
EMBEDDED_ROWS = 1_000_000
#: Seconds between a switch and the purge on a server: a statement that looked up the publication
#: before the switch reads on undisturbed.
GRACE_SECONDS = 2.0


@dataclass(frozen=True)
class PublishReport:
    """What publishing did.

    Attributes:
        publication: The current publication.
        changed: Whether it was published just now; False if it was current before.
        resumed: Whether an interrupted publication was gone on with.
        purged: Edges of older publications that were removed.
        notes: What it lacks, and why.
    """

    publication: Publication
    changed: bool
    resumed: bool
    purged: int
    notes: tuple[str, ...] = ()


def publish(
    run: Run,
    store: GraphStore,
    *,
    top: int = 100,
    similar: int = 50,
    users: Sequence[NodeId] | None = None,
    naming: Naming = OWN,
    progress: bool = True,
) -> PublishReport:
    """Writes a run's recommendations, similar items, vectors and relation weights into a graph.

    Args:
        run: The run.
        store: The graph it was trained on, or that others made and it was adopted from; open for
            writing.
        top: Recommendations a user, at most.
        similar: Similar items an item, at most; 0 leaves them out.
        users: Ids of the users who get recommendations; None is all.
        naming: How the graph calls users, items and what is written.
        progress: Whether a bar is shown on a terminal.

    Raises:
        ConfigError: If a number is out of range.
        RunError: If the store holds another version of the graph than the run was trained on.
        VocabularyError: If the run knows no such user.
        StoreError: If the store cannot be written, or the publication is retired meanwhile; what
            readers see is the publication from before.
    """
    if top < 1 or similar < 0:
        raise ConfigError(
            f"top must be positive and similar not below 0, got {top} and {similar}; give list "
            f"lengths such as --top 100 --similar 50"
        )
    # A graph that others made has no version of kgrec's.
    recommender = Recommender(run, None if naming.foreign else store)
    plan = _plan(recommender, top, similar, users)
    prepare(store, naming)
    notes = [*plan.notes, *missing_nodes(store, naming, run)]
    with progress_bar("publish", None, enabled=progress) as advance:
        purged = purge(store, naming, advance)
        previous = current_publication(store)
        if previous is not None and previous.fingerprint == plan.fingerprint:
            return PublishReport(previous, False, False, purged, tuple(notes))
        publication, resumed = _open(store, naming, plan, previous, advance)
        target = Target(store, naming, publication, advance)
        for counter, heads in zip(HEADS, (plan.users, plan.items), strict=True):
            write_lists(target, recommender, counter, heads)
            recount(target, counter)
        vectors = run_vectors(run)
        if vectors is not None:
            write_vectors(target, run, vectors)
        switch(store, publication)
        store.checkpoint()
        if previous is not None:
            wait_for_readers(store)
        purged += purge(store, naming, advance)
    return PublishReport(find(store, publication.id), True, resumed, purged, tuple(notes))


def retire(
    store: GraphStore,
    publication_id: str | None = None,
    *,
    naming: Naming = OWN,
    progress: bool = True,
) -> Publication:
    """Takes a publication back and removes all that is left of it.

    Args:
        store: A store that is open for writing.
        publication_id: Which; None is the current one.
        naming: How its graph calls what is written.
        progress: Whether a bar is shown on a terminal.

    Raises:
        StoreError: If there is no such publication.
    """
    publication = (
        current_publication(store) if publication_id is None else find(store, publication_id)
    )
    if publication is None:
        # A call that was killed may have left one that is retired and still there.
        retired = (version for version in publications(store) if version.state is State.RETIRED)
        publication = next(retired, None)
    if publication is None:
        raise StoreError(
            f"there is no current publication in {store.uri}; expected one to take back; see "
            f"kgrec publish --list"
        )
    store.write("retire_publication", id=publication.id)
    store.checkpoint()
    if publication.current:
        wait_for_readers(store)
    with progress_bar("purge", None, enabled=progress) as advance:
        purge(store, naming, advance)
    return publication


@dataclass(frozen=True)
class _Plan:
    """What is to be published.

    Attributes:
        properties: What is noted on the publication's node when it is begun.
        users: Indices of the users who get lists.
        items: Indices of the items that get lists.
        fingerprint: Equal ones publish the same.
        notes: What it lacks, and why.
    """

    properties: dict[str, Any]
    users: list[int]
    items: list[int]
    fingerprint: str
    notes: tuple[str, ...]


def _plan(
    recommender: Recommender, top: int, similar: int, users: Sequence[NodeId] | None
) -> _Plan:
    run, notes = recommender.run, []
    vocabulary = run.vocabularies[NodeLabel.USER]
    user_ids = None if users is None else sorted(set(id_texts(users)))
    user_indices = list(range(len(vocabulary)))
    if user_ids is not None:
        user_indices = [vocabulary.index(user) for user in user_ids]
    items = list(range(len(run.vocabularies[NodeLabel.ITEM]) if similar else 0))
    if run.scorer.parts.get("network") is None:
        notes.append("the run has no network, so there are no vectors")
    try:
        if items:
            recommender.item_scores(torch.tensor([0]))
    except NotFittedError:
        items = []
        notes.append("the run has neither network nor closed form, so no items are similar")
    weights = run.record.relation_weights
    request = {
        "record": run.record.tree(),
        "top": top,
        "similar": similar,
        "users": user_ids,
        "masks": "all splits",  # those of version 0.1 masked train alone
    }
    fingerprint = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]
    properties = {
        "run": run.directory.resolve().name,
        "graph_version": run.record.graph_version,
        "fingerprint": fingerprint,
        "top": top,
        "similar_top": similar,
        "relation_names": list(weights),
        "relation_weights": [float(weight) for weight in weights.values()],
        **{f"{counter}_done": 0 for counter in HEADS},
    }
    return _Plan(properties, user_indices, items, fingerprint, tuple(notes))


def _open(
    store: GraphStore, naming: Naming, plan: _Plan, previous: Publication | None, advance: Advance
) -> tuple[Publication, bool]:
    """Finds the publication that an interrupted command of this plan left, or begins one."""
    for candidate in publications(store):
        if candidate.state is State.WRITING:
            if candidate.fingerprint == plan.fingerprint:
                return candidate, True
            store.write("retire_publication", id=candidate.id)
    purge(store, naming, advance)
    slot = next(slot for slot in SLOTS if previous is None or previous.slot != slot)
    clear_slot(store, naming, slot)
    if store.capabilities.engine == "neo4j":
        for counter in HEADS:
            store.write("index_run", names=edge_names(naming, counter))
    now = datetime.now(UTC)
    publication_id = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    creation = {"slot": slot, "created": now.isoformat(timespec="milliseconds")}
    publication = begin(store, publication_id, {**plan.properties, **creation})
    store.checkpoint()
    return publication, False


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
    is_server = store.capabilities.engine == "neo4j"
    rows = store.read("adopted_indexes") if is_server else []
    indexed = {(label, row["properties"][0]) for row in rows for label in row["labels"]}
    for label, key in map(naming.label_and_key, HEADS.values()):
        if not is_server or (label, key) in indexed:
            continue
        nodes = store.read("inspect_label_count", names={"label": quoted(label)})[0]["nodes"]
        if nodes > SCANNED:
            raise StoreError(
                f"{label}.{key} has no index in {store.uri}, and every row that is published would "
                f"look at all {nodes:,} nodes; expected an index or a constraint; make one: CREATE "
                f"CONSTRAINT FOR (n:{quoted(label)}) REQUIRE n.{quoted(key)} IS UNIQUE"
            )
    for kind in ("publication", "current"):
        store.write(f"constraint_{kind}")


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
    for counter in HEADS:
        num_deleted = limit
        while num_deleted == limit:
            num_deleted = store.write(
                "purge_edges", names=edge_names(naming, counter), run=publication.id, limit=limit
            )[0]["deleted"]
            num_total += num_deleted
            saver.sometimes()
            advance(f"{num_total:,} old edges removed")
    return num_total
