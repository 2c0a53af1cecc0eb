"""What is told of one score, in full: why an item has it for a user.

For other modules, kept stable:

    found = explain(recommender, "u4", "i7", num_paths=5)    # a Recommender or a Run
    found.score
    found.parts       each model of the fusion: its share; the shares add up to the score
    found.own_items   each of the user's own items: its share; with `rest` they add up
    found.relations   by relationship type: what arrives at the item through it; adds up
    found.layers      by how far features travelled; adds up
    found.attributes  each entity or item that the item is connected to: its share
    found.paths       the heaviest paths: .nodes (label, id, name), .relations (type, forward),
                      .share, .carried, .text

For many pairs make one `Explainer` and call its `pair`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any, Protocol

from kgrec.explanation.reasons import OwnItem
from kgrec.model.scorer import Scorer
from kgrec.schema import NodeLabel
from kgrec.vocabulary import Vocabulary


class Served(Protocol):
    """What can be explained: a scorer and the names of its nodes; a run is one."""

    @property
    def scorer(self) -> Scorer:
        """What served the scores."""

    @property
    def vocabularies(self) -> Mapping[NodeLabel, Vocabulary]:
        """External ids of users, items and entities."""

    @property
    def names(self) -> Mapping[NodeLabel, Sequence[str]]:
        """What to call each node, in index order."""


@dataclass(frozen=True)
class PathNode:
    """A node as people know it.

    Attributes:
        label: "User", "Item" or "Entity".
        id: Its external id.
        name: What to call it.
    """

    label: str
    id: str
    name: str


@dataclass(frozen=True)
class PathStep:
    """One edge of a path.

    Attributes:
        type: Relationship type.
        forward: Whether the path runs along the stated direction.
    """

    type: str
    forward: bool


class NodeSpace:
    """The numbering of a network: users, then items, then entities.

    Args:
        vocabularies: External ids.
        names: What to call each node, in index order.
    """

    def __init__(
        self,
        vocabularies: Mapping[NodeLabel, Vocabulary],
        names: Mapping[NodeLabel, Sequence[str]],
    ) -> None:
        self.vocabularies, self._names = vocabularies, names
        sizes = [len(vocabularies[label]) for label in NodeLabel]
        self._starts = dict(zip(NodeLabel, accumulate(sizes, initial=0), strict=False))

    def node(self, number: int) -> PathNode:
        """The node with a number."""
        label, start = next(x for x in reversed(self._starts.items()) if number >= x[1])
        index = number - start
        node_id, name = self.vocabularies[label].ids[index], self._names[label][index]
        return PathNode(str(label), node_id, name)

    def number_of(self, label: NodeLabel, index: int) -> int:
        """The number of the node with an index within its label."""
        return self._starts[label] + index

    def ranges(self) -> list[tuple[int, int]]:
        """Where the numbers of each label begin and end."""
        return [(start, start + len(self.vocabularies[x])) for x, start in self._starts.items()]


@dataclass(frozen=True)
class PartShare:
    """What one model of a fusion brings.

    Attributes:
        name: Its place, such as "closed_form" or "network/0"; "centring" is what standardising a
            fusion within a fusion takes off.
        kind: The class of its scorer.
        share: scale · (own score - shift).
        scale: What its own score is multiplied by.
        own_score: Its own score.
        own_items_exact: Whether its shares of own items follow from the score's formula.
        relations_exact: The same for its relations; a closed form's are first-order estimates.
    """

    name: str
    kind: str
    share: float
    scale: float = 1.0
    own_score: float = 0.0
    own_items_exact: bool = True
    relations_exact: bool = True


@dataclass(frozen=True)
class LayerShare:
    """What the networks bring by features that travelled so far.

    Attributes:
        user_steps: Edges between the user and the nodes whose features arrived.
        item_steps: The same on the item's side.
        share: What the product of the two brings.
    """

    user_steps: int
    item_steps: int
    share: float


@dataclass(frozen=True)
class AttributeShare:
    """What one neighbour brings to the item's embedding, and by it to the score.

    Attributes:
        relation: Relationship type.
        node: The neighbour.
        share: Exact for the networks, which alone are told apart so.
    """

    relation: str
    node: PathNode
    share: float


@dataclass(frozen=True)
class PathShare:
    """A path from the user to the item, and what it brings.

    Attributes:
        nodes: From the user to the item.
        relations: One step fewer.
        share: What its two ends say to each other (`kgrec.explanation.paths`); shares of different
            paths add up.
        carried: What everything brings that passes over an edge of this path: what the score loses
            when these facts are removed, with weights and norms held.
        text: The path in words.
        drop_renormalised: What the score loses when the degrees are counted anew as well; None if
            it was not asked for.
    """

    nodes: tuple[PathNode, ...]
    relations: tuple[PathStep, ...]
    share: float
    carried: float
    text: str
    drop_renormalised: float | None = None


@dataclass(frozen=True)
class Counterfactual:
    """A history without some items, and what becomes of a recommendation.

    Attributes:
        items: The own items that are thought away.
        shared: What they and the recommended item have in common; None for a single item.
        rank_before: Among the items the user has not met, from 1.
        rank: The same without them.
        score: The score without them.
        text: In words.
    """

    items: tuple[PathNode, ...]
    shared: PathNode | None
    rank_before: int
    rank: int
    score: float
    text: str


@dataclass(frozen=True, kw_only=True)
class PairExplanation:
    """One score, taken apart in several ways; each adds up to it.

    Attributes:
        user_id: For whom.
        item_id: What.
        item_name: What to call it.
        score: The served score.
        parts: The models; the shares add up to the score.
        own_items: All of the user's own items, the largest share first.
        rest: What no own item accounts for; with it the own items add up to the score.
        relations: By relationship type; "self" is what arrives through none. They add up.
        layers: By the distance features travelled; with `beside_layers` they add up.
        beside_layers: What no layer of a network accounts for: popularity, centring, other models.
        attributes: Entities and items that the item is connected to, by the size of their share.
        paths: The heaviest paths, the largest share first.
        linked: What all paths bring together; these are the heaviest of them.
        apart: What the networks bring without a path: messages whose senders the graph does not
            join, and what user and item are by themselves.
        paths_complete: Whether no other path can have a larger share than the last one.
        path_bound: No path that is missing has a larger share in size.
        own_items_exact: Whether the shares of own items follow from the score's formula.
        relations_exact: The same for relations.
        counterfactuals: Where the item would stand without some own items.
    """

    user_id: str
    item_id: str
    item_name: str
    score: float
    parts: tuple[PartShare, ...]
    own_items: tuple[OwnItem, ...]
    rest: float
    relations: Mapping[str, float]
    layers: tuple[LayerShare, ...] = ()
    beside_layers: float
    attributes: tuple[AttributeShare, ...] = ()
    paths: tuple[PathShare, ...] = ()
    linked: float = 0.0
    apart: float = 0.0
    paths_complete: bool = True
    path_bound: float = 0.0
    own_items_exact: bool
    relations_exact: bool
    counterfactuals: tuple[Counterfactual, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The explanation as JSON values."""
        return asdict(self)
