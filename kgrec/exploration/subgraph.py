"""A part of the graph that a person can look at, such as what lies around nodes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any, Self

import networkx as nx
import pandas as pd

from kgrec.errors import ConfigError, VocabularyError
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.text.templates import relation_phrase, role_phrase
from kgrec.training.directory import Run
from kgrec.vocabulary import NodeId, id_texts

_NODE_COLUMNS = ("label", "id", "name", "kind", "part")
_EDGE_COLUMNS = ("type", "weight", "synthetic", "stored", "on_trail")

#: Hops beyond which a neighbourhood is the whole graph, and no picture.
_MOST_HOPS = 3
#: Edges that each node of a hop may have at least; those to the least connected nodes come first.
_FEWEST_EACH = 10

#: A node's label and id; ids are unique within their labels only.
Key = tuple[str, str]

#: Joins an own item to a recommended one where only other users do; counted, not in the store.
TOGETHER = "TAKEN_TOGETHER"


class Part(StrEnum):
    """What a node is in a picture."""

    USER = "user"
    OWN = "own item"
    RECOMMENDED = "recommended"
    CENTER = "asked for"
    OTHER = "around"


@dataclass(frozen=True)
class Trail:
    """A path that explains a recommendation.

    Attributes:
        nodes: Keys of the nodes from the user to the item, n.
        types: Relationship types between them, n - 1.
        own_share: What the user's own item on it adds to the score, all of its paths together, and
            what no path tells as well; as `carried` where it begins with something else (a friend).
        text: The path in words.
        share: What the network adds over this path alone; None if nobody took it apart.
        carried: What the network adds over everything that passes one of its edges: what the score
            loses without these facts, weights and norms held; None likewise.
    """

    nodes: tuple[Key, ...]
    types: tuple[str, ...]
    own_share: float
    text: str
    share: float | None = None
    carried: float | None = None


@dataclass(frozen=True)
class Subgraph:
    """Nodes and edges around what was asked for.

    Attributes:
        graph: Its nodes are pairs such as ("Item", "242"), with `label`, `id`, `name`, `kind`
            ("user", "item", or what an entity is to its neighbours, such as "director") and `part`
            (see `Part`). Its edges point as in the store; their keys are their types, and they have
            `type`, `weight` (the weight that the run's network learned for the type, mean of both
            directions, NaN if it learned none), `synthetic`, `stored` (False for what was counted
            for this picture alone) and `on_trail`; counted edges have `count`.
        title: What it shows.
        trails: What explains a recommendation, the largest share first.
        complete: Whether all edges are there that were asked for.
    """

    graph: nx.MultiDiGraph
    title: str
    trails: tuple[Trail, ...] = ()
    complete: bool = True

    def nodes(self) -> pd.DataFrame:
        """Gives the nodes as a table: `label`, `id`, `name`, `kind`, `part`."""
        rows = [data for _, data in self.graph.nodes(data=True)]
        return pd.DataFrame(rows, columns=list(_NODE_COLUMNS))

    def edges(self) -> pd.DataFrame:
        """Gives the edges as a table: label and id of both ends, then the attributes."""
        ends = ["head_label", "head", "tail_label", "tail"]
        rows = [
            (*head, *tail, *(data[c] for c in _EDGE_COLUMNS))
            for head, tail, data in self.graph.edges(data=True)
        ]
        return pd.DataFrame(rows, columns=[*ends, *_EDGE_COLUMNS])

    def trails_table(self) -> pd.DataFrame:
        """Gives the explaining paths as a table: `text`, `own_share`, `carried`, `nodes`."""
        return pd.DataFrame(
            [(t.text, t.own_share, t.carried, [key[1] for key in t.nodes]) for t in self.trails],
            columns=["text", "own_share", "carried", "nodes"],
        )


def node_key(label: NodeLabel | str, node_id: str) -> Key:
    """Gives the key of a node in a subgraph."""
    return str(NodeLabel(label)), node_id


@dataclass
class Builder:
    """Collects nodes and edges.

    Args:
        names: What to call nodes, per label by id; the store's names fill gaps.
        weights: Learned weight by relationship type, both directions (`GENRE`, `rev_GENRE`).
    """

    names: Mapping[NodeLabel, Mapping[str, str]] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    graph: nx.MultiDiGraph = field(default_factory=nx.MultiDiGraph)

    @classmethod
    def of_run(cls, run: Run | None) -> Self:
        """An empty builder that knows a run's names and weights."""
        if run is None:
            return cls()
        names = {
            label: dict(zip(vocabulary.ids, run.names[label], strict=True))
            for label, vocabulary in run.vocabularies.items()
        }
        return cls(names, run.record.relation_weights)

    def node(
        self, label: NodeLabel | str, node_id: str, name: str | None = None, part: Part = Part.OTHER
    ) -> Key:
        """Adds a node, or says more of one that is there; gives its key."""
        label = NodeLabel(label)
        key = node_key(label, node_id)
        attributes = self.graph.nodes[key] if key in self.graph else {}
        node_name = self.names.get(label, {}).get(node_id) or name
        if label is NodeLabel.USER:
            node_name = node_name if node_name and node_name != node_id else f"user {node_id}"
        part = attributes.get("part", part) if part is Part.OTHER else part
        self.graph.add_node(
            key,
            label=str(label),
            id=node_id,
            name=node_name or attributes.get("name") or node_id,
            kind=label.lower(),
            part=str(part),
        )
        return key

    def edge(
        self, head: Key, tail: Key, kind: str, *, synthetic: bool = False, **more: Any
    ) -> None:
        """Adds an edge between nodes that are there; does nothing if it is there, too."""
        if not self.graph.has_edge(head, tail, kind):
            self.graph.add_edge(
                head,
                tail,
                kind,
                type=kind,
                weight=learned_weight(self.weights, kind),
                synthetic=synthetic,
                on_trail=False,
                **{"stored": True, **more},
            )

    def finished(
        self, title: str, trails: Iterable[Trail] = (), *, complete: bool = True
    ) -> Subgraph:
        """Gives the subgraph, its entities named by what they are to their neighbours."""
        trails = tuple(trails)
        for trail in trails:
            for source, target in pairwise(trail.nodes):
                for ends in ((source, target), (target, source)):
                    for kind, data in self.graph.get_edge_data(*ends, default={}).items():
                        data["on_trail"] |= kind in trail.types
        for key, data in self.graph.nodes(data=True):
            if data["label"] == NodeLabel.ENTITY:
                data["kind"] = self._kind(key)
        return Subgraph(self.graph, title, trails, complete)

    def _kind(self, key: Key) -> str:
        """What an entity is to most neighbours: "director" where films are directed by it."""
        roles = [
            role_phrase(t).removesuffix(" of") for *_, t in self.graph.in_edges(key, keys=True)
        ]
        roles += [relation_phrase(t) for *_, t in self.graph.out_edges(key, keys=True)]
        counted = Counter(role.strip("“”") for role in roles)
        return min(counted, key=lambda role: (-counted[role], role)) if counted else "entity"


def learned_weight(weights: Mapping[str, float], kind: str) -> float:
    """Gives the mean weight of both directions of a type; NaN if none was learned."""
    directions = [weights[name] for name in (kind, f"rev_{kind}") if name in weights]
    return sum(directions) / len(directions) if directions else float("nan")


def fetch_subgraph(
    store: GraphStore,
    *,
    users: Sequence[NodeId] = (),
    items: Sequence[NodeId] = (),
    entities: Sequence[NodeId] = (),
    hops: int = 1,
    most_edges: int = 200,
    run: Run | None = None,
) -> Subgraph:
    """Reads what lies around nodes.

    Args:
        store: Open for reading.
        users: Ids of users in the middle.
        items: Ids of items in the middle.
        entities: Ids of entities in the middle.
        hops: How far to go.
        most_edges: At most so many edges a hop, those to the least connected nodes first.
        run: A run on this graph: gives edges the weights it learned, and nameless entities names.

    Raises:
        ConfigError: If nothing is in the middle, or hops or most_edges are out of range.
        VocabularyError: If the graph has no such node.
        StoreError: If the store fails.
    """
    middle = dict(zip(NodeLabel, map(id_texts, (users, items, entities)), strict=True))
    if not any(middle.values()):
        raise ConfigError("nothing to look at: name a user, an item or an entity by its id")
    if not 1 <= hops <= _MOST_HOPS or most_edges < 1:
        raise ConfigError(
            f"expected 1 to {_MOST_HOPS} hops and 1 edge or more, got {hops} and {most_edges}; "
            f"try 1 and 200"
        )
    builder = Builder.of_run(run)
    for label, ids in middle.items():
        rows = store.read("known_nodes", label=label, ids=ids) if ids else []
        known_ids = {row["id"] for row in rows}
        for node_id in ids:
            if node_id not in known_ids:
                raise VocabularyError(
                    f"no {label} has the id {node_id!r} in {store.uri}; check the id, or ingest it"
                )
            builder.node(label, node_id, part=Part.CENTER)
    center_names = [data["name"] for _, data in builder.graph.nodes(data=True)]
    visited: set[Key] = set()
    complete = True
    for _ in range(hops):
        fringe = [key for key in builder.graph if key not in visited]
        if not fringe:
            break
        visited.update(fringe)
        complete &= _grow(store, builder, fringe, most_edges)
    names = ", ".join(center_names[:3]) + (
        f" and {len(center_names) - 3} more" if len(center_names) > 3 else ""
    )
    return builder.finished(f"Around {names}", complete=complete)


def _grow(store: GraphStore, builder: Builder, fringe: Sequence[Key], most: int) -> bool:
    """Adds the edges around nodes; says whether all of them surely fitted."""
    nodes = [[builder.graph.nodes[key][name] for name in ("label", "id")] for key in fringe]
    per_node = max(_FEWEST_EACH, -(-most // len(nodes)))
    rows = store.read("subgraph", nodes=nodes, per_node=per_node, limit=most + 1)
    touched: Counter[Key] = Counter()
    for row in rows[:most]:
        head, tail = (
            builder.node(row[f"{end}_label"], row[end], row[f"{end}_name"])
            for end in ("head", "tail")
        )
        builder.edge(head, tail, row["type"])
        touched.update((head, tail))
    return len(rows) <= most and all(touched[key] < per_node for key in fringe)
