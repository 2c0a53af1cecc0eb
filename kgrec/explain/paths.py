"""The paths of the graph that bring most to a score, found without looking at all of them.

A trained linear network gives z_v = 1/(L + 1) Σ_α w(α) x_end(α) over the walks α of at most L edges
from v, w being the product of the edges' weights. So

    ⟨z_u, z_i⟩ = 1/(L + 1)² Σ_α Σ_β w(α) w(β) ⟨x_end(α), x_end(β)⟩

over walks α from the user and β from the item. Where both end at one node they are joined: a *path*
u … m … i, on which the features of m travel to both. A path of n edges may be cut at several of its
nodes, as long as neither side is longer than L; all cuts together are what the path brings:

    share(π) = 1/(L + 1)² Σ_cuts w(α) w(β) |x_m|²

Terms in which the walks end at different nodes are the likeness of what these nodes have learned:
no path of the graph, and told apart. Paths that meet a node twice are left out of the search.
"""

from dataclasses import dataclass

import numpy as np

from kgrec.explain.walks import Floats, Ints, Networks, Reach, Walks


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
class Found:
    """The heaviest paths.

    Attributes:
        routes: By the size of their shares, the largest first.
        complete: Whether no other path can have a larger share than the last of these.
        bound: No path that is missing has a larger share in size.
    """

    routes: tuple[Route, ...]
    complete: bool
    bound: float


@dataclass(frozen=True, eq=False)
class _Sides:
    """The walks of both sides, each in one sequence; the item's by their end and by weight.

    Attributes:
        user: int64 (n, 2), length and place of each walk that can be joined.
        item: int64 (n', 2), the same of the item's.
        high: float64 (n,), what a walk of the user has before the weight of the item's.
        low: float64 (n',), the weights of the item's.
        first: int64 (n,), where the item's walks to the same end begin,
        stop: int64 (n,), and where they end.
    """

    user: Ints
    item: Ints
    high: Floats
    low: Floats
    first: Ints
    stop: Ints


def find_paths(
    networks: Networks,
    factors: Floats,
    user: Reach,
    item: Reach,
    most: int,
    budget: int = 200_000,
) -> Found:
    """Finds the paths of the largest shares.

    One term of a share is a product of two walks that end at one node. With the walks by weight,
    products above a threshold τ are found without the others, and a path none of whose terms is
    above τ has a share of at most c τ, c the largest number of cuts. So terms down to the k-th
    share, divided by c, hold all paths that can be among the first k.

    Args:
        networks: The networks; shares are sums over them.
        factors: float64 (m,), what ⟨z_u, z_i⟩ of each is multiplied by in the score.
        user: The walks of the user.
        item: The walks of the item.
        most: k.
        budget: At most so many products are looked at; then the threshold stays higher.

    References:
        Fagin, Lotem, Naor, "Optimal aggregation algorithms for middleware", JCSS 2003.
    """
    cuts = networks.num_layers + 1
    scaled = factors / cuts**2
    sides = _sides(networks, np.abs(scaled), user, item)
    lost = _lost(networks, np.abs(scaled), user, item)
    best = sides.high * sides.low[sides.first] if len(sides.high) else sides.high
    if most < 1 or not len(best):
        return Found((), lost == 0.0, cuts * lost)
    # A path has up to c terms, so so many terms hold k paths unless some meet a node twice.
    enough = min(cuts * most, len(best))
    threshold = float(np.partition(best, -enough)[-enough])
    for _ in range(2):
        pairs, reached = _pairs(sides, threshold, budget)
        routes = _routes(networks, scaled, (user, item), sides, pairs, most)
        last = abs(routes[-1].share) if len(routes) == most else 0.0
        if last >= cuts * reached or reached > threshold:
            break
        threshold = last / cuts  # 0 if there are fewer than k: then all are looked at
    bound = max(cuts * reached if reached > 0 else 0.0, cuts * lost)
    return Found(tuple(routes), bound <= last * (1 + 1e-9), bound)


def _sides(networks: Networks, factors: Floats, user: Reach, item: Reach) -> _Sides:
    ends = np.concatenate([level.ends for level in user.levels])
    high = np.concatenate(
        [
            (factors[:, None] * networks.squared[:, level.ends] * np.abs(level.weights)).sum(axis=0)
            for level in user.levels
        ]
    )
    low = np.concatenate([np.abs(level.weights).max(axis=0) for level in item.levels])
    item_ends = np.concatenate([level.ends for level in item.levels])
    order = np.lexsort((-low, item_ends))
    low, item_ends = low[order], item_ends[order]
    first = np.searchsorted(item_ends, ends, side="left")
    stop = np.searchsorted(item_ends, ends, side="right")
    kept = np.flatnonzero((stop > first) & (high > 0))
    return _Sides(
        _numbered(user)[kept], _numbered(item)[order], high[kept], low, first[kept], stop[kept]
    )


def _numbered(reach: Reach) -> Ints:
    """Length and place of every walk, (n, 2)."""
    return np.concatenate(
        [
            np.column_stack([np.full(len(level), length), np.arange(len(level))])
            for length, level in enumerate(reach.levels)
        ]
    )


def _pairs(sides: _Sides, threshold: float, budget: int) -> tuple[Ints, float]:
    """Pairs of walks with a product of at least the threshold, (n, 2), and what it had to be."""
    while True:
        active = np.flatnonzero(sides.high * sides.low[sides.first] >= threshold)
        at, found, total = sides.first[active], [], 0
        while len(active) and total <= budget:  # the r-th heaviest of each end
            found.append(np.column_stack([active, at]))
            total += len(active)
            at = at + 1
            more = at < sides.stop[active]
            active, at = active[more], at[more]
            heavy = sides.high[active] * sides.low[at] >= threshold
            active, at = active[heavy], at[heavy]
        if total <= budget:
            return np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64), threshold
        threshold = max(4 * threshold, float(sides.high.max() * sides.low.max()) * 1e-9)


def _routes(
    networks: Networks,
    scaled: Floats,
    reaches: tuple[Reach, Reach],
    sides: _Sides,
    pairs: Ints,
    most: int,
) -> list[Route]:
    """The paths that pairs of walks make, each once, the k of the largest shares."""
    user, item = sides.user[pairs[:, 0]], sides.item[pairs[:, 1]]
    best: dict[tuple[tuple[int, ...], tuple[int, ...]], Route] = {}
    for ahead, back in sorted(set(zip(user[:, 0].tolist(), item[:, 0].tolist(), strict=True))):
        if not ahead + back:
            continue
        rows = np.flatnonzero((user[:, 0] == ahead) & (item[:, 0] == back))
        nodes, kinds, edges = _joined(
            networks,
            reaches[0].levels[ahead],
            user[rows, 1],
            reaches[1].levels[back],
            item[rows, 1],
        )
        kept = _simple(nodes)
        nodes, kinds, edges = nodes[kept], kinds[kept], edges[kept]
        shares = path_shares(networks, scaled, nodes, kinds, edges)
        # A path comes once a cut, so k paths are among the first k of each pair of lengths.
        for row in np.argsort(-np.abs(shares), kind="stable")[:most].tolist():
            route = Route(
                tuple(nodes[row].tolist()),
                tuple(kinds[row].tolist()),
                tuple(edges[row].tolist()),
                float(shares[row]),
            )
            best.setdefault((route.nodes, route.kinds), route)
    order = sorted(best.values(), key=lambda r: (-abs(r.share), r.nodes, r.kinds))
    return order[:most]


def _joined(
    networks: Networks, user: Walks, ahead: Ints, item: Walks, back: Ints
) -> tuple[Ints, Ints, Ints]:
    """Nodes (n, l + 1), relations and edges (n, l) of walks that end at one node, as paths."""
    nodes = np.hstack([user.nodes[ahead], item.nodes[back][:, ::-1][:, 1:]])
    from_user, from_item = user.edges[ahead], item.edges[back][:, ::-1]
    kinds = np.hstack([networks.kind[from_user], networks.twin[networks.kind[from_item]]])
    return nodes, kinds.astype(np.int64), np.hstack([from_user, from_item])


def _simple(nodes: Ints) -> Ints:
    """Rows that meet no node twice."""
    ordered = np.sort(nodes, axis=1)
    kept: Ints = np.flatnonzero((ordered[:, 1:] != ordered[:, :-1]).all(axis=1))
    return kept


def path_shares(
    networks: Networks, scaled: Floats, nodes: Ints, kinds: Ints, edges: Ints
) -> Floats:
    """Gives the shares of paths of one length, all cuts together.

    An edge and its twin have one norm, so a step weighs norm · weight of the relation that leads
    to the user if the cut lies behind it, to the item if it lies before.

    Args:
        networks: The networks.
        scaled: float64 (m,), the factors over (L + 1)².
        nodes: int64 (n, l + 1).
        kinds: int64 (n, l), as messages to the user have them.
        edges: int64 (n, l).
    """
    length, layers = kinds.shape[1], networks.num_layers
    norm = networks.norm[edges].astype(np.float64).prod(axis=1)  # (n,)
    total = np.zeros(len(nodes))
    for number, factor in enumerate(scaled.tolist()):
        weight = networks.relation_weight[number]
        to_user, to_item = weight[kinds], weight[networks.twin[kinds]]  # (n, l)
        for cut in range(max(0, length - layers), min(length, layers) + 1):
            product = to_user[:, :cut].prod(axis=1) * to_item[:, cut:].prod(axis=1)
            total += factor * product * networks.squared[number, nodes[:, cut]]
    out: Floats = total * norm
    return out


def _lost(networks: Networks, factors: Floats, user: Reach, item: Reach) -> float:
    """No term with a walk that is missing is larger; 0 if none is missing."""
    if user.dropped == item.dropped == 0.0:
        return 0.0
    heaviest = [
        max(
            reach.dropped,
            *(float(np.abs(level.weights).max(initial=0.0)) for level in reach.levels),
        )
        for reach in (user, item)
    ]
    most = float((factors[:, None] * networks.squared).sum(axis=0).max(initial=0.0))
    return most * max(user.dropped * heaviest[1], item.dropped * heaviest[0])
