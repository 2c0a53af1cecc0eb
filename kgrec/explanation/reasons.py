"""What a score is made of, in the ids and names of the graph."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from kgrec.explanation.connections import Connection
from kgrec.model.scorer import Scorer
from kgrec.schema import INTERACTION_TYPES, SYNTHETIC, NodeLabel, relation_type
from kgrec.vocabulary import Vocabulary


@dataclass(frozen=True)
class OwnItem:
    """What one of the user's own items adds to a score.

    Attributes:
        item_id: The own item.
        name: What to call it.
        share: What it adds, in units of the score; may be negative.
    """

    item_id: str
    name: str
    share: float


@dataclass(frozen=True)
class Explanation:
    """A served score, decomposed in two ways that each add up to it.

    Attributes:
        user_id: For whom.
        item_id: What.
        score: The served score; `sum(own items) + rest`, and `sum(relations)`.
        own_items: All of the user's own items, largest share first.
        rest: What no own item accounts for: the user's own embedding, popularity, centring.
        relations: What arrives at the item through each relation, by relationship type, both
            directions together; "self" is what arrives through none.
        exact: Whether the shares of own items follow from the score's formula.
        relations_exact: The same for relations; the closed form's are first-order estimates.
    """

    user_id: str
    item_id: str
    score: float
    own_items: tuple[OwnItem, ...]
    rest: float
    relations: Mapping[str, float]
    exact: bool
    relations_exact: bool


@dataclass(frozen=True)
class Reason:
    """One reason in words.

    Attributes:
        text: A sentence part, e.g. "Heat: both directed by Michael Mann".
        share: What the own item adds, in units of the score.
        item_id: The own item; None for reasons without one.
        connections: The store paths the text names.
    """

    text: str
    share: float
    item_id: str | None = None
    connections: tuple[Connection, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """The reason as JSON values."""
        return asdict(self)


def explain_scores(
    scorer: Scorer,
    vocabularies: Mapping[NodeLabel, Vocabulary],
    names: Mapping[NodeLabel, Sequence[str]],
    user_id: str,
    item_ids: Sequence[str],
) -> list[Explanation]:
    """Decomposes the scores of one user and several items.

    Args:
        scorer: What served the scores.
        vocabularies: External ids of its users and items.
        names: What to call each node, in index order.
        user_id: A user the scorer knows.
        item_ids: Items the scorer knows.

    Raises:
        VocabularyError: If the user or an item is unknown.
    """
    items = vocabularies[NodeLabel.ITEM]
    user_index = vocabularies[NodeLabel.USER].index(user_id)
    contributions = scorer.contributions(user_index, torch.from_numpy(items.indices(item_ids)))
    own = contributions.own_items.tolist()
    out = []
    for row, item_id in enumerate(item_ids):
        shares = contributions.by_item[row].tolist()
        own_items = [
            OwnItem(items.ids[index], names[NodeLabel.ITEM][index], share)
            for index, share in zip(own, shares, strict=True)
        ]
        relations: dict[str, float] = {}
        relation_shares = contributions.by_relation[row].tolist()
        for name, share in zip(contributions.relation_names, relation_shares, strict=True):
            kind = relation_kind(name)
            relations[kind] = relations.get(kind, 0.0) + share
        out.append(
            Explanation(
                user_id=user_id,
                item_id=item_id,
                score=float(contributions.score[row]),
                own_items=tuple(sorted(own_items, key=lambda o: (-o.share, o.item_id))),
                rest=float(contributions.rest[row]),
                relations=relations,
                exact=contributions.exact,
                relations_exact=contributions.relations_exact,
            )
        )
    return out


def relation_kind(name: str) -> str:
    """Brings a part's name for a relation to its relationship type.

    The network names directed types (`GENRE`, `rev_GENRE`), the closed form the data's relations
    (`genre`).
    """
    name = name.removeprefix("rev_")
    if name in ("self", SYNTHETIC) or name in INTERACTION_TYPES.values():
        return name
    return relation_type(name)
