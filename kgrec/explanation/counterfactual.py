"""Where an item would stand if the user did not have some of their items.

What was trained is held: a removed item no longer speaks for the user, in the closed form's input
as in what reaches the user's node. All items are scored again, and a fusion standardises anew.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kgrec.explanation.pair import Counterfactual, NodeSpace
from kgrec.explanation.sentences import without_text
from kgrec.explanation.walks import Ends
from kgrec.model.scorer import Scorer
from kgrec.schema import NodeLabel


def rank_of(scores: Tensor, item: int, own: Tensor) -> int:
    """The rank of an item among those the user has not met, from 1; equals stand before it."""
    masked = scores.clone()
    masked[own] = -torch.inf
    masked[item] = -torch.inf
    return 1 + int((masked >= scores[item]).sum())


def groups_of(ends: Ends, own: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
    """Gives entities that an item shares with several own items, with these; node numbers.

    Args:
        ends: The pair.
        own: Numbers of the nodes of the user's items.
    """
    networks = ends.networks
    is_own = networks.marked(np.array(own, dtype=np.int64))
    is_own[ends.item] = False
    last_item = networks.num_users + networks.scorers[0].num_items
    around = np.unique(networks.source[networks.into(ends.item)])
    groups = []
    for entity in around[around >= last_item].tolist():
        senders = networks.source[networks.into(entity)]
        linked = sorted(set(senders[is_own[senders]].tolist()))
        # What most of a history has in common says little of the history.
        if 1 < len(linked) <= max(2, len(own) // 2):
            groups.append((entity, tuple(linked)))
    return groups


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
    if most < 1:
        return ()
    user, item = pair
    offset = nodes.number_of(NodeLabel.ITEM, 0)
    share_of = {index + offset: share for index, share in shares}
    candidates: list[tuple[int | None, tuple[int, ...]]] = [(None, (n,)) for n in share_of]
    if ends is not None:
        candidates += groups_of(ends, list(share_of))
    candidates.sort(key=lambda candidate: -sum(share_of[number] for number in candidate[1]))
    before = scorer.score(torch.tensor([user]))[0]
    own = torch.tensor([index for index, _ in shares], dtype=torch.int64)
    rank_before = rank_of(before, item, own)
    out: list[Counterfactual] = []
    seen: set[tuple[int, ...]] = set()
    for shared, numbers in candidates:
        if len(out) == most or sum(share_of[number] for number in numbers) <= 0:
            break
        if numbers in seen:
            continue
        seen.add(numbers)
        removed_items = torch.tensor(numbers) - offset
        after = scorer.without(user, removed_items)
        rank = rank_of(after, item, own)
        items = tuple(nodes.node(number) for number in numbers)
        node = None if shared is None else nodes.node(shared)
        text = without_text(items, node, rank, language)
        out.append(Counterfactual(items, node, rank_before, rank, float(after[item]), text))
    return tuple(out)
