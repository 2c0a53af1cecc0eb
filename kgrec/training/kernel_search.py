"""Tries kernels over time for the closed form, on an inner split of train."""

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace

from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData
from kgrec.model.closed_form import ClosedForm, Refinements
from kgrec.model.incidence import RelationRows
from kgrec.schema import Split
from kgrec.training.climbing import Axis, Budget, climb
from kgrec.training.inner_split import history_of, inner_ranks

logger = logging.getLogger(__name__)

#: Bandwidths in places, shares, factors on the ridge, each tried with the best of those before.
_BANDWIDTHS, _SHARES, _RIDGE_FACTORS = (10.0, 30.0, 3.0, 100.0), (0.8, 0.5), (0.5, 0.25, 1.0)
_MOST_USERS = 4_000


@dataclass(frozen=True)
class Kernelled:
    """A ridge, and refinements with or without a kernel."""

    ridge: float
    refinements: Refinements


class KernelTrials:
    """Closed forms fitted on an inner graph's train and judged on its valid.

    Args:
        graph: The inner graph.
        rows: Its relations' rows.
        seed: Draws the users who are asked, where there are many.
        budget: A wall limit, where there is one.
        on_trial: Is told what is tried.
    """

    def __init__(
        self,
        graph: GraphData,
        rows: Sequence[RelationRows],
        seed: int,
        budget: Budget,
        on_trial: Callable[[str], None],
    ) -> None:
        self._rows, self._budget, self._on_trial = rows, budget, on_trial
        self._history = history_of(graph)
        self._ranks = inner_ranks(graph.train, self._history)
        self._task = None
        if self._ranks is not None and len(graph.held_out[Split.VALID]):
            self._task = RankingTask(graph, Split.VALID, max_users=_MOST_USERS, seed=seed)

    def search(
        self,
        relation_weights: Mapping[str, float],
        ridge: float,
        refinements: Refinements,
        set_ridge: float | None,
    ) -> Kernelled:
        """Gives the best kernel, or none where none helps.

        Args:
            relation_weights: By name.
            ridge: λ without a kernel.
            refinements: Without a kernel.
            set_ridge: What the settings ask for; then λ stays.
        """
        if self._task is None:
            return Kernelled(ridge, refinements)

        def trial_of(kernel: _Kernel | None) -> Kernelled:
            if kernel is None:
                return Kernelled(ridge, refinements)
            bandwidth, share, factor = kernel
            return Kernelled(
                ridge if set_ridge is not None else ridge * factor,
                replace(refinements, bandwidth=bandwidth, kernel_share=share),
            )

        summit = climb(
            None,
            [_axis(place) for place in range(3)],
            lambda kernel: self._judge(relation_weights, trial_of(kernel)),
            self._budget,
        )
        return trial_of(summit.settings)

    def _judge(self, relation_weights: Mapping[str, float], trial: Kernelled) -> float:
        assert self._task is not None
        refinements = trial.refinements
        self._on_trial(f"kernel {refinements.bandwidth or 0:g} x {refinements.kernel_share:g}")
        scorer = ClosedForm.fit(
            self._history, self._rows, relation_weights, trial.ridge, refinements, self._ranks
        )
        value = float(self._task.run(scorer, k=(20,))["ndcg@20"].mean())
        logger.info("closed_form %s inner_ndcg@20=%.4f", trial, value)
        return value


_Kernel = tuple[float, float, float]


def _axis(place: int) -> Axis[_Kernel | None]:
    """Other bandwidths, then shares, then factors; of the later ones the first is there already."""

    def axis(best: _Kernel | None) -> Generator[_Kernel | None, _Kernel | None, None]:
        if place == 0:
            for bandwidth in _BANDWIDTHS:
                yield bandwidth, _SHARES[0], _RIDGE_FACTORS[0]
            return
        for option in (_SHARES, _RIDGE_FACTORS)[place - 1][1:]:
            if best is None:  # no bandwidth helped
                return
            best = yield (*best[:place], option, *best[place + 1 :])  # type: ignore[misc]

    return axis
