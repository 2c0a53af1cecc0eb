"""Why one item has the score it has for one user, in full.

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
from typing import Any, Protocol

from kgrec.explanation.counterfactual import Counterfactual
from kgrec.explanation.nodes import PathNode, PathStep
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
    layers: tuple[LayerShare, ...]
    beside_layers: float
    attributes: tuple[AttributeShare, ...]
    paths: tuple[PathShare, ...]
    linked: float
    apart: float
    paths_complete: bool
    path_bound: float
    own_items_exact: bool
    relations_exact: bool
    counterfactuals: tuple[Counterfactual, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The explanation as JSON values."""
        return asdict(self)


def explain(
    served: Served | Any,
    user_id: str,
    item_id: str,
    num_paths: int = 5,
    *,
    language: str = "en",
    renormalise: bool = False,
    num_counterfactuals: int = 3,
) -> PairExplanation:
    """Explains the score of one user and one item.

    Args:
        served: A run, a `Recommender`, or anything with a scorer, vocabularies and names.
        user_id: A user the scorer knows.
        item_id: An item the scorer knows.
        num_paths: At most so many paths.
        language: Of the paths' words: "en" or "zh".
        renormalise: Whether each path's drop in a renormalised graph is computed as well.
        num_counterfactuals: At most so many.

    Raises:
        VocabularyError: If the user or the item is unknown.
        ConfigError: If the language is unknown.
    """
    from kgrec.explanation.explainer import Explainer

    return Explainer(getattr(served, "run", served), language=language).pair(
        user_id,
        item_id,
        num_paths,
        renormalise=renormalise,
        num_counterfactuals=num_counterfactuals,
    )
