"""Item-item models as peers: the floors, each searched and fitted alone, and SLIM."""

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from scipy.linalg import solve_triangular
from scipy.optimize import nnls

from kgrec.bench.peer import SEARCH_ITEMS, Job, PeerFit
from kgrec.errors import ConfigError
from kgrec.evaluation.floors import (
    DEFAULT_NEIGHBOURHOOD,
    DEFAULT_RIDGE,
    NEIGHBOURHOODS,
    RIDGES,
    choose,
    most_popular,
    train_history,
)
from kgrec.graph.data import GraphData
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import Ease, ItemKNN
from kgrec.model.popularity import Popularity
from kgrec.training.inner_split import history_of

#: (l1, l2) tried on valid, in units of interactions, and those taken where there is no valid.
PENALTIES, DEFAULT_PENALTY = ((1.0, 20.0), (2.0, 100.0), (5.0, 400.0)), (2.0, 100.0)
#: Items whose weights an item may have: those taken most often with it.
CANDIDATES = 200
#: The search looks at no more than the so many most popular items.
_SEARCH_ITEMS = 3_000
#: Rows of the Gram matrix held at once.
_ROWS_AT_ONCE = 2_000


def searched(graph: GraphData, num_items: int = SEARCH_ITEMS) -> GraphData:
    """Gives the graph, of a large catalogue only the most popular items, for searches."""
    return most_popular(graph, num_items) if graph.num_items > num_items else graph


def fit_popularity(job: Job) -> PeerFit:
    """Counts."""
    return PeerFit(Popularity(train_history(job.final)), parameters={"": job.graph.num_items})


def fit_itemknn(job: Job) -> PeerFit:
    """Chooses neighbours and shrink on valid."""

    def fit(graph: GraphData, neighbourhood: tuple[int, int]) -> ItemKNN:
        neighbours, shrink = neighbourhood
        return ItemKNN.fit(train_history(graph), neighbours=neighbours, shrink=shrink)

    best = choose(searched(job.graph), NEIGHBOURHOODS, DEFAULT_NEIGHBOURHOOD, fit)
    return PeerFit(fit(job.final, best), choices={"neighbours": best[0], "shrink": best[1]})


def fit_ease(job: Job) -> PeerFit:
    """Chooses the ridge on valid."""

    def fit(graph: GraphData, ridge: float) -> Ease:
        return Ease.fit(train_history(graph), ridge=ridge)

    ridge = choose(searched(job.graph), RIDGES, DEFAULT_RIDGE, fit)
    return PeerFit(fit(job.final, ridge), choices={"ridge": ridge})


def fit_slim(job: Job) -> PeerFit:
    """Chooses the penalties on valid."""

    def fit(graph: GraphData, penalty: tuple[float, float]) -> ItemKNN:
        return slim(history_of(graph), *penalty)

    penalty = choose(searched(job.graph, _SEARCH_ITEMS), PENALTIES, DEFAULT_PENALTY, fit)
    return PeerFit(fit(job.final, penalty), choices={"l1": penalty[0], "l2": penalty[1]})


def slim(history: Incidence, l1: float, l2: float, candidates: int = CANDIDATES) -> ItemKNN:
    """Gives the scorer x W, each column of W of its own elastic net.

    For item j, over the items N that were taken most often together with it,

        min_w  ½ |a_j - A_N w|² + ½ l2 |w|² + l1 |w|₁,   w ≥ 0

    Args:
        history: The training items of each user, A.
        l1: Weight of the absolute values, in interactions.
        l2: Weight of the squares, in interactions.
        candidates: Size of N.

    References:
        Ning and Karypis, SLIM: Sparse Linear Methods for Top-N Recommender Systems, ICDM 2011,
        eq. 4; N as in fsSLIM, section 4.3.

    Raises:
        ConfigError: If l1 is negative or l2 is not positive.
    """
    if l1 < 0 or not l2 > 0:
        raise ConfigError(f"SLIM needs l1 >= 0 and l2 > 0, got {l1} and {l2}; try 2 and 100")
    by_item = history.transposed()
    n = history.num_columns
    owners, targets, weights = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    # Counts of pairs inside N are looked up in one sparse matrix A, not in a dense Gram matrix.
    arrays = (
        np.ones(len(history.columns), np.float32),
        history.columns.numpy(),
        history.pointer.numpy(),
    )
    rows = sparse.csr_array(arrays, shape=(history.num_rows, n)).tocsc()
    for start in range(0, n, _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, n)
        block = history.gram_rows(by_item, start, stop)  # (b, n)
        block.diagonal(start).zero_()
        top, index = block.topk(min(candidates, n), dim=1)
        for row, (counts, near) in enumerate(zip(top.numpy(), index.numpy(), strict=True)):
            near = near[counts > 0].astype(np.int64)
            if not len(near):
                continue
            near.sort()
            sub = rows[:, near]
            gram = np.asarray((sub.T @ sub).todense(), dtype=np.float64)  # (m, m)
            target = block[row, torch.from_numpy(near)].numpy().astype(np.float64)  # (m,)
            column = elastic_net(gram, target, l1, l2)
            positive = column > 0
            owners.append(near[positive])
            targets.append(np.full(int(positive.sum()), start + row))
            weights.append(column[positive])
    owner, item = (torch.from_numpy(np.concatenate(part)) for part in (owners, targets))
    value = torch.from_numpy(np.concatenate(weights)).float()
    order = torch.argsort(owner * n + item)  # the order of from_pairs
    return ItemKNN(history, Incidence.from_pairs(owner, item, n, n), value[order])


def elastic_net(
    gram: npt.NDArray[np.float64], target: npt.NDArray[np.float64], l1: float, l2: float
) -> npt.NDArray[np.float64]:
    """Minimises ½ wᵀ G w - wᵀ c + ½ l2 |w|² + l1 |w|₁ over w ≥ 0, exactly.

    Where no weight is negative, |w|₁ is linear, and with G + l2 I = L Lᵀ this is non-negative
    least squares: |Lᵀ w - L⁻¹ (c - l1)|².

    Args:
        gram: G, (m, m), positive semidefinite.
        target: c, (m,).
        l1: Not negative.
        l2: Positive.

    Returns:
        w, (m,).

    References:
        Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23.
    """
    m = len(gram)
    lower = np.linalg.cholesky(gram + l2 * np.eye(m))
    answers = solve_triangular(lower, target - l1, lower=True)
    weights: npt.NDArray[np.float64]
    weights, _ = nnls(np.ascontiguousarray(lower.T), answers, maxiter=30 * m)
    return weights
