"""What explains a recommendation, as a subgraph."""

from collections.abc import Mapping, Sequence

from kgrec.errors import ConfigError
from kgrec.explanation.explainer import Explainer
from kgrec.explanation.pair import PathShare
from kgrec.explanation.reasons import Connection, fetch_connections
from kgrec.exploration.around import builder_of
from kgrec.exploration.subgraph import TOGETHER, Builder, Key, Part, Subgraph, Trail, node_key
from kgrec.schema import INTERACTION_TYPES, NodeLabel, Split
from kgrec.store.base import GraphStore
from kgrec.store.state import graph_version
from kgrec.text.templates import relation_phrase
from kgrec.training.directory import Run

_USER, _ITEM, _ENTITY = NodeLabel.USER, NodeLabel.ITEM, NodeLabel.ENTITY
_INTERACTED = INTERACTION_TYPES[Split.TRAIN]
#: Edges of an item that are looked through for the direction of the few that are shown.
_MOST_EDGES = 1_000


def recommendation_subgraph(
    run: Run,
    store: GraphStore,
    user_id: str,
    item_ids: Sequence[str],
    *,
    num_paths: int = 4,
    num_own: int = 4,
    around: int = 0,
) -> Subgraph:
    """Gives the user, the items, and the paths between them that explain the scores.

    Args:
        run: What scores.
        store: The graph it was trained on.
        user_id: For whom.
        item_ids: Recommended items, or any others.
        num_paths: At most so many of the heaviest paths of the run's networks to each.
        num_own: So many of the user's own items of the largest share are there for each, whether a
            heavy path leads over them or not; what connects them is looked up in the store.
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
    explainer, pictured, takers = Explainer(run), _Pictured(builder, store), _Takers(run)
    trails: list[Trail] = []
    for item_id in item_ids:
        why = explainer.pair(user_id, item_id, num_paths)
        item = builder.node(_ITEM, item_id, part=Part.RECOMMENDED)
        shares = {own.item_id: own.share for own in why.own_items}
        item_trails = [_heavy(builder, path, shares) for path in why.paths if len(path.nodes) > 2]
        reached = {trail.nodes[1][1] for trail in item_trails}
        own = [o for o in why.own_items if o.share > 0 and o.item_id != item_id][:num_own]
        missing = [o.item_id for o in own if o.item_id not in reached]
        connections = _connections(run, store, item_id, missing)
        for own_id in missing:
            key = builder.node(_ITEM, own_id, part=Part.OWN)
            builder.edge(user, key, _INTERACTED)
            paths = connections.get(own_id, ())
            item_trails += [
                _trail(pictured, user, key, item, path, shares[own_id]) for path in paths
            ]
            if not paths:
                item_trails += _together(builder, takers, user, key, item, shares[own_id])
        trails += item_trails
        pictured.surround(item_id, around)
    names = ", ".join(builder.graph.nodes[node_key(_ITEM, i)]["name"] for i in item_ids)
    user_name = builder.graph.nodes[user]["name"]
    ordered = sorted(trails, key=lambda trail: -trail.own_share)
    return builder.finished(f"Why {names} for {user_name}", ordered)


def _heavy(builder: Builder, path: PathShare, shares: Mapping[str, float]) -> Trail:
    """Adds a path of the networks as it runs through the graph."""
    first = path.relations[0].type
    keys = []
    for place, node in enumerate(path.nodes):
        own = place == 1 and node.label == _ITEM and first == _INTERACTED
        keys.append(builder.node(node.label, node.id, node.name, Part.OWN if own else Part.OTHER))
    for step, source, target in zip(path.relations, keys, keys[1:], strict=False):
        builder.edge(*((source, target) if step.forward else (target, source)), step.type)
    begins_at_own = first == _INTERACTED and path.nodes[1].label == _ITEM
    share = shares.get(path.nodes[1].id, 0.0) if begins_at_own else path.carried
    types = tuple(step.type for step in path.relations)
    return Trail(tuple(keys), types, share, _words(path), path.share, path.carried)


def _words(path: PathShare) -> str:
    """The path in words: those of a connection where it is one, else edge by edge."""
    nodes, types = path.nodes, [step.type for step in path.relations]
    own, item = nodes[1], nodes[-1]
    begins = types[0] == _INTERACTED and own.label == _ITEM
    if begins and len(nodes) == 3:
        return f"{own.name}: {Connection(own.id, item.id, types[1], types[1]).text}"
    if begins and len(nodes) == 4 and nodes[2].label == _ENTITY:
        entity = nodes[2]
        connection = Connection(own.id, item.id, types[1], types[2], entity.id, entity.name).text
        return f"{own.name}: {connection}"
    steps = [f"{relation_phrase(types[0])} {own.name}"]
    steps += [
        f"{relation_phrase(kind)} – {node.name}"
        for kind, node in zip(types[1:], nodes[2:], strict=True)
    ]
    return " – ".join(steps)


def _connections(
    run: Run, store: GraphStore, item_id: str, own: Sequence[str]
) -> dict[str, tuple[Connection, ...]]:
    """What connects own items with an item in the store, the most telling alone."""
    entities = run.vocabularies[_ENTITY].ids
    return fetch_connections(
        store,
        own,
        item_id,
        entity_names=dict(zip(entities, run.names[_ENTITY], strict=True)),
        fan_out=run.record.fan_out,
        most=1,
    )


def _trail(
    pictured: "_Pictured", user: Key, own: Key, item: Key, path: Connection, share: float
) -> Trail:
    builder = pictured.builder
    name = builder.graph.nodes[own]["name"]
    text = f"{name}: {path.text}"
    if path.entity_id is None:
        pictured.join(path.item_id, own, path.item_type)
        return Trail((user, own, item), (_INTERACTED, path.item_type), share, text)
    entity = builder.node(_ENTITY, path.entity_id, path.entity_name)
    pictured.join(path.own_id, entity, path.own_type)
    pictured.join(path.item_id, entity, path.item_type)
    return Trail(
        (user, own, entity, item), (_INTERACTED, path.own_type, path.item_type), share, text
    )


def _together(
    builder: Builder, takers: "_Takers", user: Key, own: Key, item: Key, share: float
) -> list[Trail]:
    """The path over other users, of whom only the number is told."""
    ids = [builder.graph.nodes[key]["id"] for key in (own, item)]
    num_users = takers.count(*ids)
    if not num_users:
        return []
    builder.edge(own, item, TOGETHER, stored=False, count=num_users)
    name = builder.graph.nodes[own]["name"]
    text = f"{name}: taken together by {num_users:,} user{'s' if num_users > 1 else ''}"
    return [Trail((user, own, item), (_INTERACTED, TOGETHER), share, text)]


class _Takers:
    """Who took what in training."""

    def __init__(self, run: Run) -> None:
        self._items = run.vocabularies[_ITEM]
        self._history = run.scorer.history.transposed()

    def count(self, item_id: str, other_id: str) -> int:
        """Counts the users who took both items."""
        rows = (set(self._history.row(self._items.index(x)).tolist()) for x in (item_id, other_id))
        return len(set.intersection(*rows))


class _Pictured:
    """Adds edges of items as they point in the store."""

    def __init__(self, builder: Builder, store: GraphStore) -> None:
        self.builder = builder
        self._store = store
        self._rows: dict[str, list[dict[str, object]]] = {}

    def join(self, item_id: str, neighbour: Key, kind: str) -> None:
        """Adds the edges of a type between an item and a node that is there."""
        item = node_key(_ITEM, item_id)
        for row in self._around(item_id):
            if row["type"] == kind and (row["label"], row["id"]) == neighbour:
                ends = (item, neighbour) if row["outgoing"] else (neighbour, item)
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
            neighbour = self.builder.node(str(row["label"]), str(row["id"]), str(row["name"] or ""))
            ends = (item, neighbour) if row["outgoing"] else (neighbour, item)
            self.builder.edge(*ends, str(row["type"]))

    def _around(self, item_id: str) -> list[dict[str, object]]:
        if item_id not in self._rows:
            self._rows[item_id] = self._store.read(
                "item_neighbourhood", item=item_id, limit=_MOST_EDGES
            )
        return self._rows[item_id]
