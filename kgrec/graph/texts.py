"""Texts, text features and display names of a graph's nodes.

Only the relations and the training interactions are read. Held-out interactions are not, nor are
behaviours: what a user looked at would tell much the same as their history, and less surely.
Reviews and queries are told by their own words, but nobody else by theirs: items and users hear of
them through the graph.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kgrec.config import TextConfig
from kgrec.data.cache import user_cache
from kgrec.data.fingerprint import hash_ids, pair_hashes
from kgrec.graph.data import GraphData, IndexArray
from kgrec.schema import DISPLAY_PROPERTY, RESERVED_PROPERTIES, NodeLabel, Role
from kgrec.store.base import GraphStore
from kgrec.text.encoder import encode_texts
from kgrec.text.templates import (
    Link,
    describe,
    quote,
    readable,
    render_entity,
    render_item,
    render_user,
)
from kgrec.text.whiten import Whitening as TextSpace

__all__ = [
    "TextSpace", "display_names", "node_texts", "text_features",
    "write_text_vectors",
]  # fmt: skip

#: Neighbours told in a text, for each relation and direction.
NEIGHBOURS_TOLD = 4
#: An entity without a name gets a text from so many neighbours on; the rest keep a row of zeros,
#: which propagation fills. What a person of one or two films is told by are those films, so their
#: text adds little, and they are most: of the demo's 33,128 entities 2,548 have a name; 5,409
#: different texts are told from 3 neighbours on, 8,996 from 2 on, 12,459 from 1 on. With 3 the
#: demo encodes 8,033 texts, items and users included, in 68 CPU-seconds (35 s on two cores).
LEAST_NEIGHBOURS = 3

# Looked at per told neighbour, since names that differ only in case are told once.
_SPARE = 2


def node_texts(graph: GraphData, config: TextConfig) -> dict[NodeLabel, list[str]]:
    """Gives the text of every node; "" for nodes that get none.

    Items are told by title, properties and neighbours, users by profile, attributes and the titles
    of their latest training items, entities by name and neighbours; a property `text` is told right
    behind the name. An entity with neither name nor text gets a text only if it has at least
    LEAST_NEIGHBOURS neighbours with a name.

    Args:
        graph: The graph.
        config: `history` is used.
    """
    neighbours = _Neighbours(graph)
    items = [
        render_item(name, properties, links)
        for name, properties, links in neighbours.described(NodeLabel.ITEM)
    ]
    entities = [
        render_entity(name, properties, links)
        if name is not None
        or _prose(properties) is not None
        or sum(link.total for link in links) >= LEAST_NEIGHBOURS
        else ""
        for name, properties, links in neighbours.described(NodeLabel.ENTITY)
    ]
    histories = _histories(graph, neighbours.own_names[NodeLabel.ITEM], config.history)
    users = [
        render_user(properties, history, links)
        for (_, properties, links), history in zip(
            neighbours.described(NodeLabel.USER), histories, strict=True
        )
    ]
    return {NodeLabel.USER: users, NodeLabel.ITEM: items, NodeLabel.ENTITY: entities}


def text_features(
    graph: GraphData,
    config: TextConfig,
    cache_dir: Path | None = None,
    space: TextSpace | None = None,
) -> tuple[dict[NodeLabel, npt.NDArray[np.float32]], TextSpace]:
    """Gives frozen text features: encoded, then whitened over all labels together.

    Args:
        graph: The graph.
        config: How to encode.
        cache_dir: Where vectors are kept; None is `text` in the user's cache.
        space: Put the texts into this space; None finds theirs.

    Returns:
        Per label float32 (n, c), the same c for all, at most `components`; rows of zeros for nodes
        without text, which propagation fills. And the space they are in.

    Raises:
        ConfigError: If the model cannot be loaded.
    """
    texts = node_texts(graph, config)
    stacked = [text for label in NodeLabel for text in texts[label]]
    cache_dir = user_cache() / "text" if cache_dir is None else cache_dir
    matrix = encode_texts(stacked, config, cache_dir)
    space = TextSpace.fit(matrix, config.components) if space is None else space
    ends = np.cumsum([len(texts[label]) for label in NodeLabel])
    parts = np.split(space.apply(matrix), ends[:-1])
    return dict(zip(NodeLabel, parts, strict=True)), space


def display_names(graph: GraphData) -> dict[NodeLabel, list[str]]:
    """Gives what to call every node.

    A user by the id; anything else by its title or name; else by the beginning of its own text (a
    review, a query); else by an id that reads as words; else by what it is to others, or its id.
    """
    neighbours = _Neighbours(graph)
    names = {NodeLabel.USER: list(graph.vocabularies[NodeLabel.USER].ids)}
    for label in (NodeLabel.ITEM, NodeLabel.ENTITY):
        keys = graph.vocabularies[label].ids
        names[label] = [
            name or _quoted(properties) or readable(key) or describe(links) or key
            for key, (name, properties, links) in zip(
                keys, neighbours.described(label), strict=True
            )
        ]
    return names


class _Neighbours:
    """Who is connected to whom by what, in names.

    Attributes:
        own_names: Per label the title or name of every node, or None.
        offset: Per label the number of its first node in the numbering of all nodes.
    """

    def __init__(self, graph: GraphData) -> None:
        self._graph = graph
        self.own_names = {label: _own_names(graph, label) for label in NodeLabel}
        sizes = [len(graph.vocabularies[label]) for label in NodeLabel]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        self.offset = {label: int(at) for label, at in zip(NodeLabel, starts, strict=False)}
        self._size = int(starts[-1])
        self._name_of = [name for label in NodeLabel for name in self.own_names[label]]

    def described(
        self, label: NodeLabel
    ) -> list[tuple[str | None, dict[str, Any], Sequence[Link]]]:
        """Gives name, other properties and links of every node of a label."""
        names = self.own_names[label]
        start = self.offset[label]
        links = self.links[start : start + len(names)]
        return list(zip(names, _properties(self._graph, label), links, strict=True))

    @cached_property
    def links(self) -> list[list[Link]]:
        """The links of every node, from the relation that says something of most nodes on."""
        links: list[list[Link]] = [[] for _ in range(self._size)]
        ends = self._ends()
        degree = np.zeros(self._size, dtype=np.int64)
        for node, _ in ends.values():
            degree += np.bincount(node, minlength=self._size)
        has_name = np.array([name is not None for name in self._name_of], dtype=bool)
        words = np.flatnonzero(self._graph.text_entities()) + self.offset[NodeLabel.ENTITY]
        has_name[words] = False
        names_of = {
            kind: self._neighbour_names(*edges, degree, has_name) for kind, edges in ends.items()
        }
        for kind in sorted(names_of, key=lambda kind: (-len(names_of[kind]), *kind)):
            totals = np.bincount(ends[kind][0], minlength=self._size)
            for at, names in names_of[kind].items():
                links[at].append(Link(*kind, names, int(totals[at])))
        return links

    def _ends(self) -> dict[tuple[str, bool], tuple[IndexArray, IndexArray]]:
        """Nodes (n,) and their neighbours (n,), all labels in one numbering.

        By relation, and whether the node is the head.
        """
        parts: dict[tuple[str, bool], list[tuple[IndexArray, IndexArray]]] = {}
        for edges in self._graph.relations:
            if edges.role is not Role.RELATION:
                continue
            head = edges.head_index + self.offset[edges.key.head]
            tail = edges.tail_index + self.offset[edges.key.tail]
            parts.setdefault((edges.name, True), []).append((head, tail))
            parts.setdefault((edges.name, False), []).append((tail, head))
        return {
            kind: (
                np.concatenate([node for node, _ in pairs]),
                np.concatenate([neighbour for _, neighbour in pairs]),
            )
            for kind, pairs in parts.items()
        }

    def _neighbour_names(
        self,
        node: IndexArray,
        neighbour: IndexArray,
        degree: IndexArray,
        has_name: npt.NDArray[np.bool_],
    ) -> dict[int, tuple[str, ...]]:
        """Gives the names to tell of each node's neighbours, the best connected first."""
        keep = has_name[neighbour]
        node, neighbour = node[keep], neighbour[keep]
        order = np.lexsort((neighbour, -degree[neighbour], node))
        node, neighbour = node[order], neighbour[order]
        first = np.searchsorted(node, node)  # where the node's neighbours begin
        bounded = np.arange(len(node)) - first < NEIGHBOURS_TOLD * _SPARE
        names_of: dict[int, dict[str, str]] = {}
        for at, index in zip(node[bounded].tolist(), neighbour[bounded].tolist(), strict=True):
            name = self._name_of[index] or ""
            names_of.setdefault(at, {}).setdefault(name.casefold(), name)
        return {at: tuple(names.values())[:NEIGHBOURS_TOLD] for at, names in names_of.items()}


def _own_names(graph: GraphData, label: NodeLabel) -> list[str | None]:
    display = DISPLAY_PROPERTY[label]
    frame = graph.properties.get(label)
    if display is None or frame is None or display not in frame.columns:
        return [None] * len(graph.vocabularies[label])
    return [
        name.strip() if isinstance(name, str) and name.strip() else None for name in frame[display]
    ]


def _properties(graph: GraphData, label: NodeLabel) -> list[dict[str, Any]]:
    """Gives each node's properties that may be told, without its title or name."""
    size = len(graph.vocabularies[label])
    frame = graph.properties.get(label)
    omitted = RESERVED_PROPERTIES | {DISPLAY_PROPERTY[label]}
    columns = [] if frame is None else [name for name in frame.columns if name not in omitted]
    # A number's scaled twin says nothing that the number does not.
    columns = [name for name in columns if name.removesuffix("_scaled") not in {*columns} - {name}]
    if frame is None or not columns:
        return [{} for _ in range(size)]
    values = zip(*(frame[column].tolist() for column in columns), strict=True)
    properties = [dict(zip(columns, row, strict=True)) for row in values]
    if label is NodeLabel.ENTITY:
        for index in np.flatnonzero(graph.text_entities()).tolist():
            del properties[index]["kind"]  # kgrec's own word for what the text says
    return properties


def _prose(properties: Mapping[str, Any]) -> str | None:
    """The node's own text, if it has one."""
    text = properties.get("text")
    return text if isinstance(text, str) and text.strip() else None


def _quoted(properties: Mapping[str, Any]) -> str | None:
    text = _prose(properties)
    return None if text is None else quote(text)


def _histories(graph: GraphData, titles: Sequence[str | None], most: int) -> list[tuple[str, ...]]:
    """Gives each user's latest titles from train, latest first.

    Without times the best rated count as the latest; of equal ones the order is that of the
    pairs' hashes.
    """
    train = graph.train
    ranked = train.time if train.time is not None else train.rating
    latest = np.zeros(len(train)) if ranked is None else -np.nan_to_num(ranked, nan=-np.inf)
    user_hash, item_hash = (
        hash_ids(graph.vocabularies[label].ids) for label in (NodeLabel.USER, NodeLabel.ITEM)
    )
    ties = pair_hashes(user_hash[train.user_index], item_hash[train.item_index])
    order = np.lexsort((~ties, latest, train.user_index))
    histories: list[list[str]] = [[] for _ in range(graph.num_users)]
    users, items = train.user_index[order].tolist(), train.item_index[order].tolist()
    for user, item in zip(users, items, strict=True):
        title = titles[item]
        if title is not None and len(histories[user]) < most:
            histories[user].append(title)
    return [tuple(history) for history in histories]


def write_text_vectors(graph: GraphData, config: TextConfig, store: GraphStore) -> dict[str, int]:
    """Writes the whitened text vector of every node that has a text, and indexes them.

    Args:
        graph: The graph as the store holds it.
        config: How to encode; encoded texts come from the cache.
        store: Open for writing.

    Returns:
        How many vectors each label got.

    Raises:
        ConfigError: If the encoder cannot be loaded.
        StoreError: If the store refuses.
    """
    counts = {}
    for label, matrix in text_features(graph, config)[0].items():
        rows = np.flatnonzero(matrix.any(axis=1))
        if len(rows):
            ids = graph.vocabularies[NodeLabel(label)].ids
            store.write_vectors(label, [ids[row] for row in rows], matrix[rows])
        counts[str(label)] = len(rows)
    store.checkpoint()
    return counts
