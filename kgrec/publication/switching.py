"""Beginning, switching and taking back publications: each is one statement, one transaction."""

from collections.abc import Mapping
from typing import Any

from kgrec.errors import StoreError
from kgrec.publication.publication import Publication, find
from kgrec.store.base import GraphStore
from kgrec.store.state import read_relations


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
        raise taken_back(store, publication)


def switch(store: GraphStore, publication: Publication) -> None:
    """Makes a written publication the one that readers see.

    Raises:
        StoreError: If it was retired meanwhile.
    """
    weights = catalogue_weights(store, publication.relation_weights)
    if not store.write("switch_publication", id=publication.id, weights=weights):
        raise taken_back(store, publication)


def catalogue_weights(
    store: GraphStore, weights: Mapping[str, float]
) -> dict[str, list[float | None]]:
    """Gives what the network learned of each relation and of its reverse, by catalogue id.

    Sets of edges of one type and role have one weight between them; where a type has a second
    role as well, the network has that role behind its name.
    """
    found: dict[str, list[float | None]] = {}
    for entry in read_relations(store):
        name = f"{entry.key.type}_{entry.role.value.upper()}"
        if name not in weights:
            name = entry.key.type
        if name in weights:
            found[str(entry.key)] = [weights[name], weights.get(f"rev_{name}")]
    return found


def taken_back(store: GraphStore, publication: Publication) -> StoreError:
    """Gives the error for a publication that somebody retired while it was written."""
    return StoreError(
        f"publication {publication.id} in {store.uri} was retired while it was written, by "
        f"another kgrec publish or by --retire; readers see nothing of it; run kgrec publish "
        f"again, one at a time"
    )
