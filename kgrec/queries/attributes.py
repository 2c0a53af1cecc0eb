"""Attributes as people call them: names stand for ids, and what is neither is told."""

import logging
from collections import defaultdict
from difflib import get_close_matches
from typing import Any

from kgrec.errors import QueryTimedOut
from kgrec.queries.values import MAX_LIMIT
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore

logger = logging.getLogger(__name__)


def with_ids(
    store: GraphStore, query: str, attributes: list[list[Any]], timeout: float | None
) -> list[list[Any]]:
    """Gives types with ids; a value that is no entity's id stands for all entities of that name.

    Large and small letters are alike in names. Of what is neither, the nearest are suggested in a
    warning: an id that no item has is no error.

    Args:
        store: Open for reading.
        query: Name of the query, for the warning.
        attributes: Types with ids or names, as statements take them.
        timeout: Seconds that looking for suggestions may take.
    """
    values = sorted({value for _, some in attributes for value in some})
    rows = store.read("known_nodes", label=NodeLabel.ENTITY, ids=values)
    known = {row["id"] for row in rows}
    names = sorted({value.lower() for value in values if value not in known})
    if not names:
        return attributes
    ids_of: dict[str, list[str]] = defaultdict(list)
    for row in store.read("entities_named", called=names):
        ids_of[str(row["name"]).lower()].append(row["id"])
    for kind, some in attributes:
        unknown = [x for x in some if x not in known and x.lower() not in ids_of]
        if unknown:
            _suggest(store, query, kind, unknown, timeout)
    return [
        [kind, [x for value in some for x in (value, *ids_of.get(value.lower(), ()))]]
        for kind, some in attributes
    ]


def _suggest(
    store: GraphStore, query: str, kind: str, unknown: list[str], timeout: float | None
) -> None:
    """Warns of values that no entity has as id or name, with the nearest that items have."""
    try:
        params = {"relations": [kind], "skip": 0, "limit": MAX_LIMIT}
        rows = list(store.query("attribute_statistics", params, timeout=timeout))
    except QueryTimedOut:
        rows = []
    ids = {str(row["name"] or row["id"]): row["id"] for row in rows}
    by_lower = {name.lower(): name for name in ids}
    for value in unknown:
        near = [by_lower[x] for x in get_close_matches(value.lower(), by_lower)]
        words = ", ".join(f"{name!r} (id {ids[name]!r})" for name in near)
        logger.warning(
            "query %s: no attribute by %s has the id or name %r; %s",
            query,
            kind,
            value,
            f"the nearest are {words}" if near else "kgrec query attribute_statistics lists them",
        )
