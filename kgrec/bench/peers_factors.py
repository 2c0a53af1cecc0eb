"""Matrix factorisation by `implicit`: alternating least squares, and BPR."""

import os
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from kgrec.bench.peer import Job, PeerFit
from kgrec.bench.stopping import Stopping, train_until_best
from kgrec.errors import ConfigError
from kgrec.evaluation.floors import choose
from kgrec.graph.data import GraphData
from kgrec.model.graph_scorer import EmbeddingScorer
from kgrec.model.incidence import Incidence
from kgrec.training.inner_split import history_of

#: ALS: (factors, regularisation, alpha) tried on valid; each has 15 iterations. Then the best
#: regularisation and alpha are tried with other factors.
ALS_GRID: tuple[tuple[int, float, float], ...] = tuple(
    (64, regularisation, alpha)
    for regularisation in (1.0, 10.0, 30.0, 100.0)
    for alpha in (1.0, 5.0, 10.0, 20.0)
)
ALS_FACTORS = (16, 32, 64, 128)
ALS_DEFAULT = (64, 10.0, 5.0)
ALS_ITERATIONS = 15

#: BPR: (factors, learning rate, regularisation) tried on valid, each stopped early.
BPR_GRID: tuple[tuple[int, float, float], ...] = (
    (16, 0.01, 0.01),
    (64, 0.01, 0.01),
    (64, 0.003, 0.01),
    (64, 0.05, 0.01),
)
BPR_STOPPING = Stopping(every=5, patience=6, most=500, default=50)


def fit_als(
    job: Job,
    grid: Sequence[tuple[int, float, float]] = ALS_GRID,
    more_factors: Sequence[int] = ALS_FACTORS,
) -> PeerFit:
    """Chooses factors, regularisation and alpha on valid."""
    _need_implicit()

    def fit(graph: GraphData, values: tuple[int, float, float]) -> EmbeddingScorer:
        return als(history_of(graph), *values, seed=job.seed)

    best = choose(job.graph, grid, ALS_DEFAULT, fit)
    wider = [(factors, *best[1:]) for factors in more_factors]
    factors, regularisation, alpha = best = choose(job.graph, wider, best, fit)
    choices = {"factors": factors, "regularisation": regularisation, "alpha": alpha}
    return PeerFit(fit(job.final, best), choices={**choices, "iterations": ALS_ITERATIONS})


def _need_implicit() -> None:
    if find_spec("implicit") is None:
        raise ConfigError(
            "implicit is not installed, and this peer runs on it; install "
            "kgrec[bench]: pip install 'kgrec[bench]'"
        )


def als(
    history: Incidence, factors: int, regularisation: float, alpha: float, *, seed: int
) -> EmbeddingScorer:
    """Fits Σ c_ui (x_ui - ⟨p_u, q_i⟩)² + regularisation (|P|² + |Q|²), c = alpha where x = 1.

    References:
        Hu, Koren and Volinsky, Collaborative Filtering for Implicit Feedback Datasets, ICDM 2008,
        eq. 3; by conjugate gradients, Takács et al., RecSys 2011.
    """
    with _one_blas_thread():
        from implicit.cpu.als import AlternatingLeastSquares

        model = AlternatingLeastSquares(
            factors=factors,
            regularization=regularisation,
            alpha=alpha,
            iterations=ALS_ITERATIONS,
            num_threads=torch.get_num_threads(),
            random_state=seed,
        )
        model.fit(_matrix(history), show_progress=False)
    return _scorer(model, history)


def fit_bpr(
    job: Job,
    grid: Sequence[tuple[int, float, float]] = BPR_GRID,
    stopping: Stopping = BPR_STOPPING,
) -> PeerFit:
    """Chooses factors, learning rate, regularisation and epochs on valid."""
    _need_implicit()
    share = Job(job.graph, job.config, job.seed, minutes=job.minutes / len(grid))
    trials: list[dict[str, Any]] = []
    best: tuple[float, int, Any] | None = None
    for place, values in enumerate(grid):
        make = partial(Bpr, values=values, seed=job.seed)
        scorer, record = train_until_best(share, make, stopping)
        trials.append({"values": list(values), **record})
        value = record["valid_ndcg@20"]
        if value is None:  # no valid split: the first of the grid
            best = (0.0, place, scorer)
            break
        if best is None or value > best[0]:
            best = (value, place, scorer)
    assert best is not None
    _, place, scorer = best
    if job.final is not job.graph:
        model = Bpr(job.final, grid[place], job.seed)
        for _ in range(trials[place].get("best_epoch", trials[place]["epochs"])):
            model.train_epoch()
        scorer = model.scorer()
    names = ("factors", "learning_rate", "regularisation")
    points = [{name: x for name, x in trial.items() if name != "history"} for trial in trials]
    choices = {**dict(zip(names, grid[place], strict=True)), **trials[place]}
    return PeerFit(scorer, choices={**choices, "tried": points})


class Bpr:
    """BPR in training, on one thread: with more, equal seeds give different factors.

    References:
        Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009.
    """

    def __init__(self, graph: GraphData, values: tuple[int, float, float], seed: int) -> None:
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        factors, learning_rate, regularisation = values
        self._history = history_of(graph)
        self._matrix = _matrix(self._history)
        self._model = BayesianPersonalizedRanking(
            factors=factors,
            learning_rate=learning_rate,
            regularization=regularisation,
            iterations=1,
            num_threads=1,
            # A generator goes on from epoch to epoch; a number would repeat the same draws.
            random_state=np.random.default_rng(seed),
        )

    def train_epoch(self) -> None:
        """Draws as many triples as there are interactions; goes on from the present factors."""
        with _one_blas_thread():
            self._model.fit(self._matrix, show_progress=False)

    def scorer(self) -> EmbeddingScorer:
        """Gives the factors as they are now."""
        return _scorer(self._model, self._history)


def _scorer(model: Any, history: Incidence) -> EmbeddingScorer:
    user = torch.from_numpy(np.array(model.user_factors, dtype=np.float32))
    item = torch.from_numpy(np.array(model.item_factors, dtype=np.float32))
    return EmbeddingScorer(user, item, torch.zeros(len(item)), history)


def _matrix(history: Incidence) -> Any:
    from scipy import sparse

    data = np.ones(len(history.columns), dtype=np.float32)
    arrays = (data, history.columns.numpy().astype(np.int32), history.pointer.numpy())
    return sparse.csr_matrix(arrays, shape=(history.num_rows, history.num_columns))


def _one_blas_thread() -> Any:
    """Keeps BLAS on one thread: beside the threads of `implicit` its own cost many times more."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, "blas")
