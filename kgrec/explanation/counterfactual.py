"""Where an item would stand if the user did not have some of their items.

What was trained is held: a removed item no longer speaks for the user, in the closed form's input
as in what reaches the user's node. All items are scored again, and a fusion standardises anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kgrec.explanation.deletion import Ends
from kgrec.explanation.nodes import NodeSpace, PathNode
from kgrec.explanation.sentences import without_text
from kgrec.model.cold import ColdCompletion
from kgrec.model.cold_users import ColdUsers
from kgrec.model.fusion import Fusion
from kgrec.model.graph_scorer import PropagationScorer
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import ItemToItem
from kgrec.model.scorer import FromHistory, Scorer, Wrapping
from kgrec.schema import NodeLabel


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


def scores_without(scorer: Scorer, user_index: int, gone: Tensor) -> Tensor:
    """Gives a user's scores (num_items,) without some of the user's items.

    Models whose scores are no sums over own items keep theirs.

    Args:
        scorer: Any scorer.
        user_index: The user.
        gone: (g,) int64, own items that no longer speak for the user.
    """
    if isinstance(scorer, Fusion):
        return scorer.combine(lambda part: scores_without(part, user_index, gone)[None])[0]
    if isinstance(scorer, ColdCompletion):
        own = scorer.history.row(user_index)
        left = own[~torch.isin(own, gone)]
        inner = scores_without(scorer.scorer, user_index, gone)[None]
        return scorer.complete(inner, left, torch.tensor([len(left)]))[0]
    knows = isinstance(scorer, ColdUsers) and scorer.knows(user_index)
    if isinstance(scorer, Wrapping) and not knows:
        return scores_without(scorer.scorer, user_index, gone)
    if isinstance(scorer, FromHistory) and not isinstance(scorer, ItemToItem):
        own = scorer.history.row(user_index)
        left = own[~torch.isin(own, gone)]
        history = Incidence(torch.tensor([0, len(left)]), left, scorer.num_items)
        return scorer.over(history).score(torch.tensor([0]))[0]
    return scorer.score(torch.tensor([user_index]))[0] - _said_by(scorer, user_index, gone)


def _said_by(scorer: Scorer, user_index: int, gone: Tensor) -> Tensor:
    """What some own items add to each item's score, (num_items,)."""
    if isinstance(scorer, ItemToItem):
        own, counts = scorer.own(user_index)
        chosen = torch.isin(own, gone)
        return counts[chosen] @ scorer.weights[own[chosen]]
    if isinstance(scorer, PropagationScorer):
        return scorer.item_embedding @ scorer.brought_by(user_index, gone)
    return torch.zeros(scorer.num_items)


def rank_of(scores: Tensor, item: int, met: Tensor) -> int:
    """The rank of an item among those the user has not met, from 1; equals stand before it."""
    masked = scores.clone()
    masked[met] = -torch.inf
    masked[item] = -torch.inf
    return 1 + int((masked >= scores[item]).sum())


def groups_of(ends: Ends, own: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
    """Gives entities that an item shares with several own items, with these; node numbers.

    Args:
        ends: The pair.
        own: Numbers of the nodes of the user's items.
    """
    networks = ends.networks
    held = networks.marked(np.array(own, dtype=np.int64))
    held[ends.item] = False
    last_item = networks.num_users + networks.scorers[0].num_items
    around = np.unique(networks.source[networks.into(ends.item)])
    found = []
    for entity in around[around >= last_item].tolist():
        senders = networks.source[networks.into(entity)]
        linked = sorted(set(senders[held[senders]].tolist()))
        # What most of a history has in common says little of the history.
        if 1 < len(linked) <= max(2, len(own) // 2):
            found.append((entity, tuple(linked)))
    return found


def counterfactuals(
    scorer: Scorer,
    nodes: NodeSpace,
    ends: Ends | None,
    pair: tuple[int, int],
    shares: Sequence[tuple[int, float]],
    most: int,
    language: str,
) -> tuple[Counterfactual, ...]:
    """Thinks away the groups of own items, and the single ones, that say most for an item.

    Args:
        scorer: What served the score.
        nodes: Names.
        ends: The networks' view of the pair, for what items have in common; None leaves groups out.
        pair: Indices of user and item.
        shares: Index and share of own items.
        most: So many.
        language: "en" or "zh".
    """
    user, item = pair
    offset = nodes.number_of(NodeLabel.ITEM, 0)
    share_of = {index + offset: share for index, share in shares}
    candidates: list[tuple[int | None, tuple[int, ...]]] = [(None, (n,)) for n in share_of]
    if ends is not None:
        candidates += groups_of(ends, list(share_of))
    candidates.sort(key=lambda one: -sum(share_of[number] for number in one[1]))
    before = scorer.score(torch.tensor([user]))[0]
    met = torch.tensor([index for index, _ in shares], dtype=torch.int64)
    rank_before = rank_of(before, item, met)
    out: list[Counterfactual] = []
    seen: set[tuple[int, ...]] = set()
    for shared, numbers in candidates:
        if len(out) == most or sum(share_of[number] for number in numbers) <= 0:
            break
        if numbers in seen:
            continue
        seen.add(numbers)
        gone = torch.tensor(numbers) - offset
        after = scores_without(scorer, user, gone)
        rank = rank_of(after, item, met)
        items = tuple(nodes.node(number) for number in numbers)
        node = None if shared is None else nodes.node(shared)
        text = without_text(items, node, rank, language)
        out.append(Counterfactual(items, node, rank_before, rank, float(after[item]), text))
    return tuple(out)
