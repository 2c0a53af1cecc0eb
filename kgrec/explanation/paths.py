"""The paths of the graph that bring most to a score.

In a trained linear network a user and an item hear their neighbours, z_v = s_v + Σ_{e → v} a_e y_e
(`kgrec.model.graph_scorer`), so their product is a sum over pairs of one message each,

    ⟨z_u, z_i⟩ = ⟨s_u, s_i⟩ + ⟨s_u, z_i - s_i⟩ + ⟨z_u - s_u, s_i⟩ + Σ_f Σ_l a_f a_l ⟨y_f, y_l⟩

over the edges f that arrive at the user and l that arrive at the item. Where the graph joins the
two senders, or they are one node, f and l are the ends of a *path* u - j - e - i or u - j - i, and

    share(path) = a_f a_l ⟨y_j, y_e⟩

is what its ends say to each other. Shares of different pairs of ends add up, and with the pairs
that no path joins and the terms of s they add up to the score. Several edges between j and e are
one path, told by the heaviest. (Walks of both sides that meet in a node, with |x_m|² as what they
share, would be paths too; but of a score they make up a thousandth, see docs/explanations.md.)
"""

from dataclasses import dataclass

import numpy as np
import torch

from kgrec.explanation.walks import Ends, Floats, Ints, Member, Networks


@dataclass(frozen=True)
class Route:
    """A path from the user to the item in the numbers of the network.

    Attributes:
        nodes: n + 1 numbers, the user first, the item last.
        kinds: n relations as messages to the user have them: from node t + 1 to node t.
        edges: n places of edges, each in the one direction or the other.
        share: What it brings to the score.
    """

    nodes: tuple[int, ...]
    kinds: tuple[int, ...]
    edges: tuple[int, ...]
    share: float


@dataclass(frozen=True)
class Paths:
    """The heaviest paths.

    Attributes:
        routes: By the size of their shares, the largest first.
        linked: The sum of the shares of all paths that were looked at.
        bound: No path that is missing has a larger share in size.
        complete: Whether the bound is not above the last share.
    """

    routes: tuple[Route, ...]
    linked: float
    bound: float
    complete: bool


def find_paths(ends: Ends, most: int, budget: int = 2_000_000) -> Paths:
    """Finds the paths of the largest shares.

    No path is built but those that are given: products of messages are made for all pairs at once,
    and looked up where the graph joins the senders. |a_f| |y_j| bounds what any path over f can
    have, so when there are more pairs than the budget, the user's edges are followed from the
    largest bound on, until the budget is spent or no edge can lead to a path among the k.

    Args:
        ends: The pair, with its networks.
        most: k.
        budget: At most so many pairs of messages, and so many edges between senders.
    """
    networks = ends.networks
    last = _edges(networks, ends.item, ends.user)
    first = _edges(networks, ends.user, ends.item)
    sizes = [_sizes(ends, edges) for edges in (first, last)]  # (m, f), (m, l)
    reach = sizes[1].max(axis=1, initial=0.0)  # (m,)
    bounds = (np.abs(ends.factors)[:, None] * sizes[0] * reach[:, None]).sum(axis=0)  # (f,)
    order = np.argsort(-bounds, kind="stable")
    first, bounds = first[order], bounds[order]
    num_followed = _affordable(networks, first, len(last), budget)
    table = _products(ends, first[:num_followed], last)  # (num_followed, l)
    links = _links(networks, first[:num_followed], last)
    shares = table[links[:2]]
    rows = _largest(np.abs(shares), most)
    routes = tuple(_route(ends, first, last, links, row, float(shares[row])) for row in rows)
    bound = float(bounds[num_followed]) if num_followed < len(first) else 0.0
    kth = abs(routes[-1].share) if len(routes) == most and routes else 0.0
    return Paths(routes, float(shares.sum()), bound, bound <= kth)


def _edges(networks: Networks, node: int, far_end: int) -> Ints:
    """The edges that arrive at a node, without those from itself and from the other end."""
    into = networks.into(node)
    edges = np.arange(into.start, into.stop)
    out: Ints = edges[~np.isin(networks.source[into], (node, far_end))]
    return out


def _messages(networks: Networks, member: Member, edges: Ints) -> Floats:
    """a_e y_e of edges in one network, (n, d)."""
    messages = member.scorer.message[torch.from_numpy(networks.source[edges])].numpy()
    weight = networks.relation_weight[member.number, networks.kind[edges]] * networks.norm[edges]
    out: Floats = messages * weight[:, None]
    return out


def _sizes(ends: Ends, edges: Ints) -> Floats:
    """|a_e y_e| in each network, (m, n)."""
    messages = (_messages(ends.networks, member, edges) for member in ends.members)
    return np.stack([np.linalg.norm(matrix, axis=1) for matrix in messages])


def _affordable(networks: Networks, first: Ints, width: int, budget: int) -> int:
    """How many of the user's edges can be followed, at least one."""
    senders = networks.source[first]
    degrees = networks.pointer[senders + 1].astype(np.int64) - networks.pointer[senders]
    cost = np.cumsum(np.maximum(degrees, width))
    return max(int(np.searchsorted(cost, budget, side="right")), min(1, len(first)))


def _products(ends: Ends, first: Ints, last: Ints) -> Floats:
    """What each pair of messages brings to the score, (f, l)."""
    total = np.zeros((len(first), len(last)))
    for member in ends.members:
        from_user, from_item = (_messages(ends.networks, member, x) for x in (first, last))
        total += member.factor * (from_user @ from_item.T)
    return total


def _links(networks: Networks, first: Ints, last: Ints) -> tuple[Ints, Ints, Ints]:
    """Finds the pairs of messages whose senders are one node or neighbours, each once.

    Returns:
        int64 (p,) each: rows among the user's edges and among the item's, and the edge between
        the senders, -1 if they are one node.
    """
    senders = networks.source[last].astype(np.int64)
    by_sender = np.argsort(senders, kind="stable")
    ordered = senders[by_sender]
    row, middle = networks.edges_into(networks.source[first].astype(np.int64))
    row = np.concatenate([np.arange(len(first)), row])
    reached = np.concatenate([networks.source[first], networks.source[middle]]).astype(np.int64)
    middle = np.concatenate([np.full(len(first), -1), middle])
    meets = networks.marked(senders)[reached]
    row, reached, middle = row[meets], reached[meets], middle[meets]
    start = np.searchsorted(ordered, reached, side="left")
    counts = np.searchsorted(ordered, reached, side="right") - start
    at = np.repeat(start - (counts.cumsum() - counts), counts) + np.arange(counts.sum())
    pair, edge = np.repeat(row, counts), np.repeat(middle, counts)
    end = by_sender[at]
    weight = np.where(edge < 0, np.inf, networks.size_of(edge))
    order = np.lexsort((edge, -weight, end, pair))  # the heaviest of several edges comes first
    key = pair[order] * max(len(last), 1) + end[order]
    heaviest = order[np.flatnonzero(np.diff(key, prepend=-1))]
    return pair[heaviest], end[heaviest], edge[heaviest]


def _largest(values: Floats, most: int) -> list[int]:
    if most < 1 or not len(values):
        return []
    count = min(most, len(values))
    candidates = np.flatnonzero(values >= np.partition(values, -count)[-count])
    largest: list[int] = candidates[np.argsort(-values[candidates], kind="stable")][:count].tolist()
    return largest


def _route(
    ends: Ends, first: Ints, last: Ints, links: tuple[Ints, Ints, Ints], row: int, share: float
) -> Route:
    networks = ends.networks
    at_first, at_last, m = (int(rows[row]) for rows in links)
    f, t = int(first[at_first]), int(last[at_last])
    edges = (f, t) if m < 0 else (f, m, t)
    between = (networks.source[f],) if m < 0 else (networks.source[f], networks.source[m])
    # The user's and the middle edge lead towards the user, the item's leads to the item.
    kinds = [*(networks.kind[edge] for edge in edges[:-1]), networks.twin[networks.kind[t]]]
    return Route(
        (ends.user, *(int(node) for node in between), ends.item),
        tuple(int(kind) for kind in kinds),
        edges,
        share,
    )
