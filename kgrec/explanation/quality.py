"""How good explanations are, over many pairs.

Fidelity asks the model: take away what an explanation names, and see how the score falls; or leave
nothing else, and see how much of it is left. Path metrics ask people's interests: are linked
interactions recent, are shared entities known, are the paths of many kinds.

References:
    Deletion and sufficiency: DeYoung et al., "ERASER", ACL 2020, arXiv:1911.03429.
    Recency, popularity, diversity: Balloccu et al., "Post processing recommender systems with
    knowledge graphs for recency, popularity, and diversity of explanations", SIGIR 2022,
    arXiv:2204.11241; as in hopwise 0.9.1 (LIR, SEP, LID, SED, PTD, PTC, PPT).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from kgrec.explanation.explainer import Explainer
from kgrec.explanation.pair import PairExplanation, PathShare
from kgrec.model.scorer import Scorer
from kgrec.schema import NodeLabel

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """Metrics over pairs; means over those that have a value.

    Attributes:
        pairs: Number of pairs.
        paths: Number of their paths.
        values: By name; a metric without any value is absent.
    """

    pairs: int
    paths: int
    values: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The metrics as JSON values."""
        return asdict(self)


def sample_pairs(scorer: Scorer, users: int, *, seed: int) -> list[tuple[int, int]]:
    """Draws users with a history, each with the first item that would be recommended.

    Args:
        scorer: What serves.
        users: At most so many.
        seed: Of the draw.
    """
    lengths = scorer.history.lengths.numpy()
    eligible = np.flatnonzero(lengths > 0)
    sample = np.random.default_rng(seed).permutation(eligible)[:users]
    pairs = []
    for user in sample.tolist():
        scores = scorer.score(torch.tensor([user]))[0].clone()
        scores[scorer.history.row(user)] = -torch.inf
        pairs.append((user, int(scores.argmax())))
    return pairs


def judge_explanations(
    explainer: Explainer,
    pairs: Sequence[tuple[int, int]],
    *,
    num_paths: int = 5,
    num_own: int = 5,
    times: Mapping[tuple[int, int], float] | None = None,
) -> Quality:
    """Judges the explanations of pairs of indices.

    Args:
        explainer: What explains.
        pairs: Users and items.
        num_paths: Paths of an explanation.
        num_own: Own items that an explanation names, for deletion and sufficiency.
        times: When a user took an item, by indices; without them there is no recency.
    """
    users, items = (explainer.nodes.vocabularies[x].ids for x in (NodeLabel.USER, NodeLabel.ITEM))
    explanations = [
        explainer.pair(users[u], items[i], num_paths, renormalise=True, num_counterfactuals=0)
        for u, i in pairs
    ]
    values = _fidelity(explainer, pairs, explanations, num_own) | _agreement(explanations)
    path_lists = [explanation.paths for explanation in explanations]
    values |= path_metrics(path_lists, _popularity(explainer), _recency(explainer, times))
    finite = {name: value for name, value in values.items() if np.isfinite(value)}
    return Quality(len(explanations), sum(map(len, path_lists)), finite)


def _fidelity(
    explainer: Explainer,
    pairs: Sequence[tuple[int, int]],
    explanations: Sequence[PairExplanation],
    num_own: int,
) -> dict[str, float]:
    """Asks the model without the named own items, and with no others; how few hold nine tenths."""
    scorer, items = explainer.scorer, explainer.nodes.vocabularies[NodeLabel.ITEM]
    deletion, insertion, needed = [], [], []
    for (user, item), explanation in zip(pairs, explanations, strict=True):
        own = explanation.own_items
        places = torch.from_numpy(items.indices([own_item.item_id for own_item in own]))

        def score_without(deleted: torch.Tensor, user: int = user, item: int = item) -> float:
            return float(scorer.without(user, deleted)[item])

        whole, nothing = score_without(places[:0]), score_without(places)
        if whole - nothing <= 1e-6:
            continue
        deletion.append((whole - score_without(places[:num_own])) / (whole - nothing))
        insertion.append((score_without(places[num_own:]) - nothing) / (whole - nothing))
        shares = np.array([max(own_item.share, 0.0) for own_item in own])
        if shares.sum() > 0:
            reached = shares.cumsum() >= 0.9 * shares.sum()
            needed.append((1 + int(np.argmax(reached))) / len(shares))
    return {
        "fidelity_deletion": _mean(deletion),
        "fidelity_insertion": _mean(insertion),
        "sparsity": 1 - _mean(needed),
    }


def _agreement(explanations: Sequence[PairExplanation]) -> dict[str, float]:
    """How claims of paths stand to what the score loses without their facts."""
    paths = [path for explanation in explanations for path in explanation.paths]
    drops = [path.drop_renormalised or 0.0 for path in paths]
    carried = [path.carried for path in paths]
    linked = [
        explanation.linked / inner
        for explanation in explanations
        if (inner := sum(layer.share for layer in explanation.layers)) > 0
    ]
    return {
        "rank_correlation_share_carried": rank_correlation([p.share for p in paths], carried),
        "rank_correlation_share_renormalised": rank_correlation([p.share for p in paths], drops),
        "rank_correlation_carried_renormalised": rank_correlation(carried, drops),
        "linked_share_of_networks": _mean(linked),
        "paths_complete": _mean([float(x.paths_complete) for x in explanations]),
    }


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's: the correlation of ranks, equals sharing theirs; NaN for fewer than three."""
    if len(one) < 3:
        return float("nan")
    ranks = [pd.Series(values).rank().to_numpy() for values in (one, other)]
    if min(rank.std() for rank in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def path_metrics(
    lists: Iterable[Sequence[PathShare]],
    popularity: Callable[[PathShare], float | None],
    recency: Callable[[PathShare], float | None],
) -> dict[str, float]:
    """Gives LIR, SEP, LID, SED, PTD, PTC and PPT of lists of paths, one list an explanation.

    The linked interaction is the path's first step, the shared entity its last node but one, its
    type the relation of its last step, its pattern all relations.

    Args:
        lists: The paths of each explanation.
        popularity: How popular a path's shared entity is among its kind, in [0, 1].
        recency: How recent a path's linked interaction is, in [0, 1]; None where unknown.
    """
    path_lists = [list(paths) for paths in lists if paths]
    every = [path for paths in path_lists for path in paths]
    num_types, num_patterns = len({_type(x) for x in every}), len({x.relations for x in every})
    values: dict[str, list[float]] = {
        "linked_interaction_recency": [r for path in every if (r := recency(path)) is not None],
        "shared_entity_popularity": [p for path in every if (p := popularity(path)) is not None],
        "linked_interaction_diversity": [_distinct(p, lambda x: x.nodes[1]) for p in path_lists],
        "shared_entity_diversity": [_distinct(p, lambda x: x.nodes[-2]) for p in path_lists],
        "path_type_diversity": [_distinct(p, _type, num_types) for p in path_lists],
        "path_type_concentration": [_simpson([_type(x) for x in p]) for p in path_lists],
        "path_pattern_diversity": [
            _distinct(p, lambda x: x.relations, num_patterns) for p in path_lists
        ],
    }
    return {name: _mean(of_paths) for name, of_paths in values.items()}


def _popularity(explainer: Explainer) -> Callable[[PathShare], float | None]:
    """Gives SEP of a path's shared node: its degree, decayed and scaled among its label's."""
    degrees = explainer.degrees()
    if degrees is None:
        return lambda path: None  # noqa: ARG005
    nodes, popularity = explainer.nodes, np.zeros(len(degrees))
    for start, stop in nodes.ranges():
        order = start + np.argsort(degrees[start:stop], kind="stable")
        popularity[order] = decayed(degrees[order])

    def popularity_of(path: PathShare) -> float:
        node = path.nodes[-2]
        label = NodeLabel(node.label)
        index = nodes.vocabularies[label].index(node.id)
        return float(popularity[nodes.number_of(label, index)])

    return popularity_of


def _recency(
    explainer: Explainer, times: Mapping[tuple[int, int], float] | None
) -> Callable[[PathShare], float | None]:
    if times is None:
        return lambda path: None  # noqa: ARG005
    users, items = (explainer.nodes.vocabularies[x].ids for x in (NodeLabel.USER, NodeLabel.ITEM))
    by_user: dict[str, list[tuple[float, str]]] = {}
    for (user, item), time in times.items():
        by_user.setdefault(users[user], []).append((time, items[item]))
    recency_of: dict[tuple[str, str], float] = {}
    for user_id, interactions in by_user.items():
        interactions.sort()
        values = decayed(np.array([time for time, _ in interactions]))
        for (_, item_id), value in zip(interactions, values.tolist(), strict=True):
            recency_of[user_id, item_id] = value
    return lambda path: recency_of.get((path.nodes[0].id, path.nodes[1].id))


def decayed(values: Floats) -> Floats:
    """Gives the exponential average of ascending values, scaled to [0, 1]; (n,) like them.

    As hopwise 0.9.1 has it: weights (1 - α)^age with α = 2 / (n + 1), normalised; equal values
    count by their place. A single value has nothing to be scaled by and is 0.
    """
    if len(values) < 2:
        return np.zeros(len(values))
    if values.max() == values.min():
        values = np.arange(len(values), dtype=np.float64)
    averages = pd.Series(values).ewm(span=len(values)).mean().to_numpy()
    out: Floats = (averages - averages.min()) / (averages.max() - averages.min())
    return out


def _type(path: PathShare) -> str:
    return path.relations[-1].type


def _distinct(
    paths: Sequence[PathShare], key: Callable[[PathShare], object], most: float = np.inf
) -> float:
    return len({key(path) for path in paths}) / min(len(paths), most)


def _simpson(kinds: Sequence[str]) -> float:
    count = len(kinds)
    if count < 2:
        return 0.0
    return 1 - sum(n * (n - 1) for n in Counter(kinds).values()) / (count * (count - 1))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
