"""What `kgrec explore` shows: what explains a user's items, or what lies around nodes."""

from collections.abc import Mapping, Sequence
from typing import Any

from kgrec.errors import ConfigError, VocabularyError
from kgrec.explanation.explainer import Explainer
from kgrec.explanation.pair import PathShare
from kgrec.explanation.reasons import Connection, fetch_connections
from kgrec.exploration.look import caption
from kgrec.exploration.subgraph import (
    TOGETHER,
    Builder,
    Key,
    Part,
    Subgraph,
    Trail,
    fetch_subgraph,
    node_key,
)
from kgrec.recommender import Recommender
from kgrec.schema import INTERACTION_TYPES, NodeLabel, Split
from kgrec.store.base import GraphStore
from kgrec.store.state import graph_version
from kgrec.text.templates import relation_phrase
from kgrec.training.directory import Run
from kgrec.vocabulary import NodeId, id_text, id_texts

_USER, _ITEM, _ENTITY = NodeLabel.USER, NodeLabel.ITEM, NodeLabel.ENTITY
_INTERACTED = INTERACTION_TYPES[Split.TRAIN]
#: Edges of an item that are looked through for the direction of the few that are shown.
_MOST_EDGES = 1_000


def explore(
    run: Run,
    store: GraphStore,
    *,
    user: NodeId | None = None,
    items: Sequence[NodeId] = (),
    entities: Sequence[NodeId] = (),
    k: int = 1,
    hops: int = 1,
    most_edges: int = 200,
    around: int = 0,
    num_own: int = 4,
) -> Subgraph:
    """Gives why a user gets items, or without a user what lies around items and entities.

    Args:
        run: What scores; its learned weights are those of the edges.
        store: The graph it was trained on.
        user: The id of a user, whose items are explained.
        items: Ids of items; with a user and without any, the user's `k` best are explained.
        entities: Ids of entities, without a user.
        k: How many of the user's best items are explained.
        hops: How far to go around items and entities.
        most_edges: At most so many edges a hop.
        around: Edges around each explained item that explain nothing but show where it is.
        num_own: So many of the user's own items of the largest share are there for each item.

    Raises:
        ConfigError: If there is nothing to look at, both a user and entities are given, or a number
            is out of range.
        VocabularyError: If the run or the graph knows no such node, or nothing of the user.
        RunError: If the store holds another version of the graph.
        StoreError: If the store fails.
    """
    if user is None:
        return fetch_subgraph(
            store, items=items, entities=entities, hops=hops, most_edges=most_edges, run=run
        )
    if entities:
        raise ConfigError(
            "a user's items are explained, around entities is shown what lies there: give one of "
            "the two"
        )
    item_ids = id_texts(items) or _best_items(run, store, user, k)
    return recommendation_subgraph(run, store, user, item_ids, around=around, num_own=num_own)


def _best_items(run: Run, store: GraphStore, user: NodeId, k: int) -> list[str]:
    recommendations = Recommender(run, store).recommend(user, k, num_reasons=0)
    if not recommendations or recommendations[0].cold:
        raise VocabularyError(
            f"run {run.directory} knows nothing of user {user!r} and would give the most popular "
            f"items, which no path explains; name a user with interactions, or only --item"
        )
    return [recommendation.item_id for recommendation in recommendations]


def recommendation_subgraph(
    run: Run,
    store: GraphStore,
    user_id: NodeId,
    item_ids: Sequence[NodeId],
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
    user_id, item_ids = id_text(user_id), id_texts(item_ids)
    run.check_version(graph_version(store))
    explanation = _Explanation(run, store, user_id)
    trails: list[Trail] = []
    for item_id in item_ids:
        trails += explanation.trails(item_id, num_paths, num_own)
        explanation.surround(item_id, around)
    builder = explanation.builder
    names = ", ".join(builder.graph.nodes[node_key(_ITEM, i)]["name"] for i in item_ids)
    user_name = builder.graph.nodes[explanation.user]["name"]
    ordered = sorted(trails, key=lambda trail: -trail.own_share)
    return builder.finished(f"Why {names} for {user_name}", ordered)


class _Explanation:
    """Adds to a subgraph what explains the scores of one user's items, as the store has it."""

    def __init__(self, run: Run, store: GraphStore, user_id: str) -> None:
        self.builder = Builder.of_run(run)
        self.user = self.builder.node(_USER, user_id, part=Part.USER)
        self._run, self._store, self._user_id = run, store, user_id
        self._explainer = Explainer(run)
        self._takers = run.scorer.history.transposed()  # the users of each item
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def trails(self, item_id: str, num_paths: int, num_own: int) -> list[Trail]:
        """Adds an item and what explains its score."""
        why = self._explainer.pair(self._user_id, item_id, num_paths)
        item = self.builder.node(_ITEM, item_id, part=Part.RECOMMENDED)
        shares = {own.item_id: own.share for own in why.own_items}
        trails = [self._heavy(path, shares) for path in why.paths if len(path.nodes) > 2]
        reached = {trail.nodes[1][1] for trail in trails}
        own_items = [o for o in why.own_items if o.share > 0 and o.item_id != item_id][:num_own]
        missing = [own.item_id for own in own_items if own.item_id not in reached]
        connections = self._connections(item_id, missing)
        for own_id in missing:
            own = self.builder.node(_ITEM, own_id, part=Part.OWN)
            self.builder.edge(self.user, own, _INTERACTED)
            if paths := connections.get(own_id):
                trails += [self._connected(own, item, path, shares[own_id]) for path in paths]
            else:
                trails += self._together(own, item, shares[own_id])
        return trails

    def surround(self, item_id: str, most: int) -> None:
        """Adds a few edges around an item, of every type in turn."""
        by_type: dict[str, list[dict[str, Any]]] = {}
        for row in self._around(item_id) if most else ():
            by_type.setdefault(row["type"], []).append(row)
        turns = [
            rows[place] for place in range(most) for rows in by_type.values() if place < len(rows)
        ]
        for row in turns[:most]:
            neighbour = self.builder.node(row["label"], row["id"], row["name"] or "")
            self._edge(item_id, neighbour, row)

    def _heavy(self, path: PathShare, shares: Mapping[str, float]) -> Trail:
        """Adds a path of the networks as it runs through the graph."""
        types = tuple(step.type for step in path.relations)
        first = path.nodes[1]
        begins_at_own = types[0] == _INTERACTED and first.label == _ITEM
        keys = []
        for place, node in enumerate(path.nodes):
            part = Part.OWN if begins_at_own and place == 1 else Part.OTHER
            keys.append(self.builder.node(node.label, node.id, node.name, part))
        for step, source, target in zip(path.relations, keys, keys[1:], strict=False):
            ends = (source, target) if step.forward else (target, source)
            self.builder.edge(*ends, step.type)
        share = shares.get(first.id, 0.0) if begins_at_own else path.carried
        return Trail(tuple(keys), types, share, _words(path), path.share, path.carried)

    def _connections(
        self, item_id: str, own_ids: Sequence[str]
    ) -> dict[str, tuple[Connection, ...]]:
        """What connects own items with an item in the store, the most telling alone."""
        entities = self._run.vocabularies[_ENTITY].ids
        return fetch_connections(
            self._store,
            own_ids,
            item_id,
            entity_names=dict(zip(entities, self._run.names[_ENTITY], strict=True)),
            fan_out=self._run.record.fan_out,
            most=1,
        )

    def _connected(self, own: Key, item: Key, path: Connection, share: float) -> Trail:
        text = f"{self.builder.graph.nodes[own]['name']}: {path.text}"
        if path.entity_id is None:
            self._join(path.item_id, own, path.item_type)
            return Trail((self.user, own, item), (_INTERACTED, path.item_type), share, text)
        entity = self.builder.node(_ENTITY, path.entity_id, path.entity_name)
        self._join(path.own_id, entity, path.own_type)
        self._join(path.item_id, entity, path.item_type)
        types = (_INTERACTED, path.own_type, path.item_type)
        return Trail((self.user, own, entity, item), types, share, text)

    def _together(self, own: Key, item: Key, share: float) -> list[Trail]:
        """The path over other users, of whom only the number is told."""
        indices = (self._run.vocabularies[_ITEM].index(item_id) for _, item_id in (own, item))
        takers = (set(self._takers.row(index).tolist()) for index in indices)
        num_users = len(set.intersection(*takers))
        if not num_users:
            return []
        self.builder.edge(own, item, TOGETHER, stored=False, count=num_users)
        edge = self.builder.graph.edges[own, item, TOGETHER]
        text = f"{self.builder.graph.nodes[own]['name']}: {caption(edge)}"
        return [Trail((self.user, own, item), (_INTERACTED, TOGETHER), share, text)]

    def _join(self, item_id: str, neighbour: Key, kind: str) -> None:
        """Adds the edges of a type between an item and a node that is there."""
        for row in self._around(item_id):
            if row["type"] == kind and (row["label"], row["id"]) == neighbour:
                self._edge(item_id, neighbour, row)

    def _edge(self, item_id: str, neighbour: Key, row: Mapping[str, Any]) -> None:
        item = node_key(_ITEM, item_id)
        ends = (item, neighbour) if row["outgoing"] else (neighbour, item)
        self.builder.edge(*ends, row["type"])

    def _around(self, item_id: str) -> list[dict[str, Any]]:
        if item_id not in self._rows:
            self._rows[item_id] = self._store.read(
                "item_neighbourhood", item=item_id, limit=_MOST_EDGES
            )
        return self._rows[item_id]


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
