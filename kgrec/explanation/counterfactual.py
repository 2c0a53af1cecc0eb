"""What a score loses when edges are taken away, and where an item stands without own items.

Without own items, what was trained is held: a removed item no longer speaks for the user, in the
closed form's input as in what reaches the user's node. All items are scored again, and a fusion
standardises anew.

Without edges, with the trained weights, the degree norms and the two norms of the cosine held, z is
a sum over walks, so the loss is exactly what all walks carry that use one of the edges:

    ⟨z_u, z_i⟩ - ⟨z_u - Δ_u, z_i - Δ_i⟩,   Δ_v = 1/(L + 1) Σ_{α from v over a lost edge} w(α) x_end

When the graph is renormalised, the edges that remain at a lost edge's ends count more, and the
cosine is that of the new embeddings.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kgrec.explanation.pair import Counterfactual, NodeSpace
from kgrec.explanation.sentences import without_text
from kgrec.explanation.walks import Ends, Floats, Ints, Member, Networks, Reach, Walks
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


def carried(ends: Ends, edges: Sequence[int]) -> float:
    """Gives what the score owes to all walks over some facts, everything else held.

    Args:
        ends: The pair.
        edges: Places of edges; their twins go with them.
    """
    total = 0.0
    for member, d_u, d_i in _losses(ends, edges):
        total += member.factor * float(d_u @ member.z_i + member.z_u @ d_i - d_u @ d_i)
    return total


def renormalised_drop(ends: Ends, edges: Sequence[int]) -> float:
    """Gives how much lower the networks' part of the score is in a graph without some facts.

    Degrees are counted anew, and the cosine's norms are those of the new embeddings. The relation
    weights stay, and the fusion's means and deviations are held.
    """
    item, total = ends.item - ends.networks.num_users, 0.0
    for member, d_u, d_i in _losses(ends, edges, renormalise=True):
        scorer, new_u, new_i = member.scorer, member.z_u - d_u, member.z_i - d_i
        size = float(scorer.user_norm[ends.user]) * float(scorer.item_norm[item])
        before = float(member.z_u @ member.z_i) / size
        if scorer.temperature is not None:
            lengths = [max(float(np.linalg.norm(z)), 1e-12) for z in (new_u, new_i)]
            size = lengths[0] * lengths[1] * scorer.temperature
        total += float(ends.scales[member.number]) * (before - float(new_u @ new_i) / size)
    return total


def _losses(
    ends: Ends, edges: Sequence[int], *, renormalise: bool = False
) -> Iterator[tuple[Member, Floats, Floats]]:
    """Gives Δ of the user and of the item in each network, whose edges and their twins are lost."""
    places = np.array(edges, dtype=np.int64)
    lost = np.unique(np.concatenate([places, ends.networks.twins_of(places)]))
    changed_edges, factors = lost, np.zeros(len(lost))
    if renormalise:
        changed_edges, factors = _norm_changes(ends.networks, lost)
    user_walks, item_walks = (
        _lost_walks(ends.networks, reach, changed_edges, factors)
        for reach in (ends.user_reach, ends.item_reach)
    )
    for member in ends.members:
        if ends.truncated:
            yield member, *_rebuilt(ends, member, lost, renormalise=renormalise)
        else:
            yield member, _delta(member, user_walks), _delta(member, item_walks)


class _LostWalks(NamedTuple):
    """The walks of one length over changed edges, and what is lost of each weight, 0 to 1."""

    level: Walks
    rows: Ints
    shares: Floats


def _lost_walks(networks: Networks, reach: Reach, edges: Ints, factors: Floats) -> list[_LostWalks]:
    """Finds the walks over edges whose weights are multiplied by factors."""
    place = networks.scratch
    place[edges] = np.arange(1, len(edges) + 1)
    by_change = np.concatenate([[1.0], factors])
    lost_walks = []
    for level in reach.levels[1:]:
        steps = [place[level.edges[:, step]] for step in range(level.edges.shape[1])]
        rows = np.flatnonzero(np.logical_or.reduce(steps))
        if len(rows):
            factor = np.prod([by_change[step[rows]] for step in steps], axis=0)
            lost_walks.append(_LostWalks(level, rows, 1.0 - factor))
    place[edges] = 0
    return lost_walks


def _delta(member: Member, lost_walks: Sequence[_LostWalks]) -> Floats:
    """Σ (w - w') x_end / (L + 1) over changed walks in one network, (d,)."""
    x = member.scorer.network.x
    total = np.zeros(x.shape[1])
    for level, rows, shares in lost_walks:
        weights = level.weights[member.number, rows] * shares
        total += weights @ x[torch.from_numpy(level.ends[rows])].numpy()
    out: Floats = total / (member.scorer.network.num_layers + 1)
    return out


def _norm_changes(networks: Networks, lost: Ints) -> tuple[Ints, Floats]:
    """Edges whose norm changes and by what factor; 0 for those that are lost."""
    factor: dict[int, float] = {}
    ends: dict[tuple[int, int, bool], int] = {}
    for edge in lost.tolist():
        kind = int(networks.kind[edge])
        target = int(np.searchsorted(networks.pointer, edge, side="right")) - 1
        for node, as_target in ((target, True), (int(networks.source[edge]), False)):
            key = (node, kind, as_target)
            ends[key] = ends.get(key, 0) + 1
    for (node, kind, as_target), num_lost in ends.items():
        into = networks.into(node)
        there = kind if as_target else int(networks.twin[kind])
        edges = into.start + np.flatnonzero(networks.kind[into] == there)
        degree = len(edges)
        if not as_target:
            edges = networks.twin_edge[edges]
        by = np.sqrt(degree / (degree - num_lost)) if degree > num_lost else 0.0
        for edge in edges.tolist():
            factor[edge] = factor.get(edge, 1.0) * by
    for edge in lost.tolist():
        factor[edge] = 0.0
    changed_edges = np.array(list(factor), dtype=np.int64)
    return changed_edges, np.array(list(factor.values()))


def _rebuilt(ends: Ends, member: Member, lost: Ints, *, renormalise: bool) -> tuple[Floats, Floats]:
    """Δ of both ends from the network without the edges; for when walks are missing."""
    less = member.scorer.network.without(torch.from_numpy(lost), renormalise=renormalise)
    message = less.message()
    rows = ends.item + 1
    z = less.x[:rows] / (less.num_layers + 1) + less.propagate(message, rows)
    z_u, z_i = (z[node].double().numpy() for node in (ends.user, ends.item))
    return member.z_u - z_u, member.z_i - z_i
