"""Beyond accuracy: how much of the catalogue is shown, how unexpected it is, and how varied."""

import numpy as np
from scipy import sparse

from kgrec.evaluation.cohorts import distinct_counts
from kgrec.evaluation.ranking import Ranking
from kgrec.graph.data import GraphData, IndexArray
from kgrec.schema import NodeLabel, Role

#: Users whose lists are compared item by item.
_DIVERSITY_USERS = 1000


def beyond_accuracy(
    ranking: Ranking, graph: GraphData, k: int, rng: np.random.Generator
) -> dict[str, float]:
    """Gives coverage, novelty and diversity of the lists of length k.

    `coverage@k` is the share of all items that occur in some list. `novelty@k` is the mean
    self-information of the shown items, -log₂((n_i + 1) / (N + 1)) with n_i of N training users,
    averaged within and then over lists. `diversity@k` is one minus the mean Jaccard similarity of
    two items of a list, over lists of at most 1,000 drawn users; an item is described by its
    relations and what they lead to, see `item_features`, in a graph without relations by its
    training users. Items without a description are left out of diversity, which is left out if
    nothing remains.
    """
    lists = ranking.items[:, :k]
    filled = lists >= 0  # (n, k)
    train = graph.train
    counts = distinct_counts(train.item_index, train.user_index, graph.num_items)
    num_train_users = len(np.unique(train.user_index))
    surprise = -np.log2((counts + 1) / (num_train_users + 1))  # (num_items,)
    nonempty = filled.any(1)
    per_list = (surprise[lists] * filled).sum(1)[nonempty] / filled.sum(1)[nonempty]
    result = {
        f"coverage@{k}": len(np.unique(lists[filled])) / graph.num_items,
        f"novelty@{k}": float(per_list.mean()) if len(per_list) else 0.0,
    }
    if len(lists) > _DIVERSITY_USERS:
        lists = lists[np.sort(rng.choice(len(lists), _DIVERSITY_USERS, replace=False))]
    diversity = intra_list_diversity(lists, item_features(graph))
    if diversity is not None:
        result[f"diversity@{k}"] = diversity
    return result


def item_features(graph: GraphData) -> sparse.csr_array:
    """Gives the binary description of the items, (num_items, num_features).

    A feature is one relation, in one direction, to one item or entity; without relations, one
    training user. What users did describes users: behaviours, reviews and queries are left out.
    """
    item, feature, size = [], [], 0
    describing = {
        NodeLabel.ITEM: np.ones(graph.num_items, bool),
        NodeLabel.ENTITY: ~graph.text_entities(),
    }
    for edges in graph.relations:
        if edges.role is not Role.RELATION:
            continue
        for ours, label, neighbour, neighbour_label in (
            (edges.head_index, edges.key.head, edges.tail_index, edges.key.tail),
            (edges.tail_index, edges.key.tail, edges.head_index, edges.key.head),
        ):
            if label is NodeLabel.ITEM and neighbour_label in describing:
                keep = describing[neighbour_label][neighbour]
                item.append(ours[keep])
                feature.append(neighbour[keep] + size)
                size += len(graph.vocabularies[neighbour_label])
    if not item:
        item, feature, size = [graph.train.item_index], [graph.train.user_index], graph.num_users
    rows, columns = np.concatenate(item), np.concatenate(feature)
    shape = (graph.num_items, size)
    features = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr()
    features.data[:] = 1.0  # repeats were summed
    return features


def intra_list_diversity(lists: IndexArray, features: sparse.csr_array) -> float | None:
    """Gives the mean Jaccard distance of the pairs within lists, each list counting the same.

    Args:
        lists: (n, k) int64, -1 for no item.
        features: (num_items, f) binary.

    Returns:
        Between 0 (all alike) and 1, or None if no list has two described items.
    """
    size = np.diff(features.indptr)  # (num_items,)
    first, second = np.triu_indices(lists.shape[1], 1)
    a, b = lists[:, first], lists[:, second]  # (n, pairs)
    is_described = (a >= 0) & (b >= 0) & (size[a] > 0) & (size[b] > 0)
    low, high = np.minimum(a, b)[is_described], np.maximum(a, b)[is_described]
    pairs, place = np.unique(low * len(size) + high, return_inverse=True)
    if not len(pairs):
        return None
    low, high = pairs // len(size), pairs % len(size)
    common = np.concatenate(
        [
            features[low[start : start + 50_000]]
            .multiply(features[high[start : start + 50_000]])
            .sum(axis=1)
            for start in range(0, len(pairs), 50_000)
        ]
    )
    distance = 1.0 - common / (size[low] + size[high] - common)
    row = np.nonzero(is_described)[0]
    total = np.bincount(row, distance[place], minlength=len(lists))
    number = np.bincount(row, minlength=len(lists))
    return float(np.mean(total[number > 0] / number[number > 0]))
