"""Variants of a graph, each fitted and judged on every fold."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from kgrec.auditing.folds import mean_over_folds
from kgrec.auditing.names import NONE_JOINED, Joined, relation_name
from kgrec.auditing.variants import relation_sizes
from kgrec.config import Config
from kgrec.evaluation.bootstrap import Interval, paired_bootstrap
from kgrec.evaluation.cohorts import user_cohorts
from kgrec.evaluation.metrics import FloatArray
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData
from kgrec.model.scorer import Scorer
from kgrec.progress import Advance
from kgrec.schema import Split
from kgrec.training.fit import Fitted
from kgrec.training.parts.closed_form import ClosedFormConfig

FitModel = Callable[[Config, GraphData], Fitted]

#: The cohort of all users.
ALL_USERS = "all users"
METRICS = ("ndcg@20", "recall@20")


@dataclass(eq=False)
class Trials:
    """Fits one model on variants of a graph.

    Attributes:
        config: The model's settings.
        folds: As `audit_folds` gives them.
        fit_model: Fits one variant.
        advance: Is told what was fitted.
        fits: Models fitted so far.
        scorers: The first fit of each variant on each fold.
    """

    config: Config
    folds: Sequence[GraphData]
    fit_model: FitModel
    advance: Advance = lambda _: None
    fits: int = 0
    scorers: dict[str, list[Scorer]] = field(default_factory=dict)
    _values: dict[tuple[str, str], list[FloatArray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        size = self.config.evaluation.block_size
        self._tasks = [RankingTask(fold, Split.TEST, block_size=size) for fold in self.folds]

    def run(self, variant: str, make: Callable[[GraphData, int], GraphData]) -> None:
        """Fits and judges a variant on every fold; a variant that is run again is averaged.

        Args:
            variant: Its name.
            make: Gives it from a fold and the fold's number.
        """
        for number, (fold, task) in enumerate(zip(self.folds, self._tasks, strict=True)):
            graph = make(fold, number)
            scorer = self.fit_model(_settings(self.config, fold, graph), graph).scorer
            metrics = task.run(scorer, (20,))
            for metric in METRICS:
                values = np.full(fold.num_users, np.nan)
                values[task.users] = metrics[metric]
                self._values.setdefault((variant, metric), []).append(values)
            self.scorers.setdefault(variant, []).append(scorer)
            self.fits += 1
            self.advance(f"{variant}, fold {number + 1} of {len(self.folds)}")

    def per_user(self, variant: str, metric: str) -> FloatArray:
        """A user's mean over folds (num_users,), NaN for who was never judged."""
        return mean_over_folds(self._values[variant, metric])

    def means(self) -> dict[str, dict[str, float]]:
        """Gives the mean over the judged users by variant and metric."""
        out: dict[str, dict[str, float]] = {}
        for variant, metric in self._values:
            value = float(np.nanmean(self.per_user(variant, metric)))
            out.setdefault(variant, {})[metric] = value
        return out

    def differences(
        self, base: str, graph: GraphData, seed: int
    ) -> tuple[dict[str, int], dict[str, dict[str, dict[str, Interval]]]]:
        """Compares a variant with all others, users drawn with replacement.

        Args:
            base: The variant that the others are taken from.
            graph: Its train says who is in which cohort.
            seed: Of the draws.

        Returns:
            Judged users by cohort; by variant, metric and cohort the difference.
        """
        users = np.flatnonzero(~np.isnan(self.per_user(base, METRICS[0])))
        cohorts = {ALL_USERS: np.ones(len(users), dtype=bool), **user_cohorts(graph.train, users)}
        cohorts = {name: members for name, members in cohorts.items() if members.any()}
        out: dict[str, dict[str, dict[str, Interval]]] = {}
        for variant, metric in self._values:
            if variant == base:
                continue
            ours, theirs = (self.per_user(v, metric)[users] for v in (base, variant))
            out.setdefault(variant, {})[metric] = {
                name: paired_bootstrap(ours[members], theirs[members], seed=seed)
                for name, members in cohorts.items()
            }
        return {name: int(members.sum()) for name, members in cohorts.items()}, out


def relations_in_use(
    scorers: Iterable[Scorer],
    graph: GraphData,
    joined: Joined = NONE_JOINED,
    *,
    network: bool = True,
) -> list[str]:
    """Gives the relations to which any of the scorers gives weight, the largest first.

    A part that has no weights by relation (attention, a scorer made elsewhere) may use them all.

    Args:
        scorers: Fusions or single scorers.
        graph: Has the relations.
        joined: Relations that are one.
        network: Whether a fusion's network is asked too.
    """
    sizes = relation_sizes(graph, joined)
    used: set[str] = set()
    for scorer in scorers:
        for name, part in (scorer.parts or {"": scorer}).items():
            if not scorer.part_weights.get(name, 1.0) or (name == "network" and not network):
                continue
            weights = part.relation_weights
            if weights is None:
                used |= set(sizes)
            else:
                used |= {relation_name(key, joined) for key, value in weights.items() if value > 0}
    return sorted(used & set(sizes), key=lambda name: (-sizes[name], name))


def _settings(config: Config, fold: GraphData, variant: GraphData) -> Config:
    """Drops given weights of relations that the variant lacks; the others stay given."""
    weights = ClosedFormConfig.of(config).relation_weights
    if weights is None:
        return config
    absent = set(relation_sizes(fold)) - set(relation_sizes(variant))
    remaining = {name: w for name, w in weights.items() if relation_name(name) not in absent}
    closed = ClosedFormConfig.of(config).model_copy(update={"relation_weights": remaining})
    return config.model_copy(update={"closed_form": closed})
