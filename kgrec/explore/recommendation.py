"""What explains a recommendation, as a subgraph."""

from collections.abc import Sequence

from kgrec.errors import ConfigError
from kgrec.explain.connections import Connection, fetch_connections
from kgrec.explain.reasons import Explanation, explain_scores
from kgrec.explore.around import builder_of
from kgrec.explore.subgraph import TOGETHER, Builder, Key, Part, Subgraph, Trail, node_key
from kgrec.schema import INTERACTION_TYPES, NodeLabel, Split
from kgrec.store.base import GraphStore
from kgrec.store.state import graph_version
from kgrec.training.directory import Run

_USER, _ITEM, _ENTITY = NodeLabel.USER, NodeLabel.ITEM, NodeLabel.ENTITY
_TOOK = INTERACTION_TYPES[Split.TRAIN]
#: Edges of an item that are looked through for the direction of the few that are shown.
_MOST_EDGES = 1_000


def recommendation_subgraph(
    run: Run,
    store: GraphStore,
    user_id: str,
    item_ids: Sequence[str],
    *,
    num_own: int = 4,
    num_paths: int = 2,
    around: int = 0,
) -> Subgraph:
    """Gives the user, the items, and the paths between them that explain the scores.

    Args:
        run: What scores.
        store: The graph it was trained on.
        user_id: For whom.
        item_ids: Recommended items, or any others.
        num_own: At most so many of the user's own items for each, the largest share first.
        num_paths: At most so many paths from each of these.
        around: So many more edges around each item, which explain nothing but show where it is.

    Raises:
        VocabularyError: If the run knows no such user or item.
        ConfigError: If no item is given.
        RunError: If the store holds another version of the graph.
        StoreError: If the store fails.
    """
    if not item_ids:
        raise ConfigError("nothing to explain: give one item or more")
    run.check_version(graph_version(store))
    builder = builder_of(run)
    user = builder.node(_USER, user_id, part=Part.USER)
    pictured = _Pictured(builder, store)
    takers = _Takers(run)
    trails: list[Trail] = []
    for why in explain_scores(run.scorer, run.vocabularies, run.names, user_id, item_ids):
        item = builder.node(_ITEM, why.item_id, part=Part.RECOMMENDED)
        own = [o for o in why.own_items if o.share > 0 and o.item_id != why.item_id][:num_own]
        found = _connections(run, store, why, [o.item_id for o in own], num_paths)
        for one in own:
            key = builder.node(_ITEM, one.item_id, part=Part.OWN)
            builder.edge(user, key, _TOOK)
            paths = found.get(one.item_id, ())
            trails += [_trail(pictured, user, key, item, path, one.share) for path in paths]
            if not paths:
                trails += _together(builder, takers, user, key, item, one.share)
        pictured.surround(why.item_id, around)
    names = ", ".join(builder.graph.nodes[node_key(_ITEM, item_id)]["name"] for item_id in item_ids)
    who = builder.graph.nodes[user]["name"]
    ordered = sorted(trails, key=lambda trail: -trail.own_share)
    return builder.finished(f"Why {names} for {who}", ordered)


def _connections(
    run: Run, store: GraphStore, why: Explanation, own: Sequence[str], most: int
) -> dict[str, tuple[Connection, ...]]:
    entities = run.vocabularies[_ENTITY].ids
    return fetch_connections(
        store,
        own,
        why.item_id,
        entity_names=dict(zip(entities, run.names[_ENTITY], strict=True)),
        fan_out=run.record.get("fan_out", {}),
        most=most,
    )


def _trail(
    pictured: "_Pictured", user: Key, own: Key, item: Key, path: Connection, share: float
) -> Trail:
    builder = pictured.builder
    name = builder.graph.nodes[own]["name"]
    text = f"{name}: {path.text}"
    if path.entity_id is None:
        pictured.join(path.item_id, own, path.item_type)
        return Trail((user, own, item), (_TOOK, path.item_type), share, text)
    entity = builder.node(_ENTITY, path.entity_id, path.entity_name)
    pictured.join(path.own_id, entity, path.own_type)
    pictured.join(path.item_id, entity, path.item_type)
    return Trail((user, own, entity, item), (_TOOK, path.own_type, path.item_type), share, text)


def _together(
    builder: Builder, takers: "_Takers", user: Key, own: Key, item: Key, share: float
) -> list[Trail]:
    """The path over other users, of whom only the number is told."""
    ids = [builder.graph.nodes[key]["id"] for key in (own, item)]
    both = takers.both(*ids)
    if not both:
        return []
    builder.edge(own, item, TOGETHER, stored=False, count=both)
    name = builder.graph.nodes[own]["name"]
    text = f"{name}: taken together by {both:,} user{'s' if both > 1 else ''}"
    return [Trail((user, own, item), (_TOOK, TOGETHER), share, text)]


class _Takers:
    """Who took what in training."""

    def __init__(self, run: Run) -> None:
        self._items = run.vocabularies[_ITEM]
        self._history = run.scorer.history.transposed()

    def both(self, one: str, other: str) -> int:
        """Counts the users who took both items."""
        rows = (set(self._history.row(self._items.index(x)).tolist()) for x in (one, other))
        return len(set.intersection(*rows))


class _Pictured:
    """Adds edges of items as they point in the store."""

    def __init__(self, builder: Builder, store: GraphStore) -> None:
        self.builder = builder
        self._store = store
        self._rows: dict[str, list[dict[str, object]]] = {}

    def join(self, item_id: str, other: Key, kind: str) -> None:
        """Adds the edges of a type between an item and a node that is there."""
        item = node_key(_ITEM, item_id)
        for row in self._around(item_id):
            if row["type"] == kind and (row["label"], row["id"]) == other:
                ends = (item, other) if row["outgoing"] else (other, item)
                self.builder.edge(*ends, kind)

    def surround(self, item_id: str, most: int) -> None:
        """Adds a few edges around an item, of every type in turn."""
        item = node_key(_ITEM, item_id)
        by_type: dict[object, list[dict[str, object]]] = {}
        for row in self._around(item_id) if most else ():
            by_type.setdefault(row["type"], []).append(row)
        turns = [rows[place] for place in range(most) for rows in by_type.values() if
                 place < len(rows)]  # fmt: skip
        for row in turns[:most]:
            other = self.builder.node(str(row["label"]), str(row["id"]), str(row["name"] or ""))
            ends = (item, other) if row["outgoing"] else (other, item)
            self.builder.edge(*ends, str(row["type"]))

    def _around(self, item_id: str) -> list[dict[str, object]]:
        if item_id not in self._rows:
            self._rows[item_id] = self._store.read(
                "item_neighbourhood", item=item_id, limit=_MOST_EDGES
            )
        return self._rows[item_id]
