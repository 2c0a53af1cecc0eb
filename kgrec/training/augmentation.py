"""Hardens trained networks with synthetic edges where the gate finds that they help."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np

from kgrec.augment.gate import NONE, SPARSE, UNTOUCHED, Decision, decide
from kgrec.augment.plan import Plan
from kgrec.augment.sources import DrawnSource, ScoredSource, Source
from kgrec.evaluation.cohorts import tail_items, tail_recall, user_cohorts
from kgrec.evaluation.floors import train_pairs
from kgrec.evaluation.metrics import FloatArray, ranking_metrics
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.synthetic import SyntheticEdges
from kgrec.model.itemknn import ItemKNN
from kgrec.model.scorer import Scorer
from kgrec.training.fitting import Fitting

logger = logging.getLogger(__name__)

#: What `augment.source = "auto"` tries: proposals that know something, and two that do not.
_TRIED = ("teacher", "knn", "popularity", "random")
#: Users of valid that the gate asks.
_GATE_USERS = 20_000
_K = 20


class GoOn(Protocol):
    """Trains a network on."""

    def __call__(
        self, number: int, edges: SyntheticEdges | None, epochs: int, *, keep: bool
    ) -> Scorer:
        """Trains network `number` on for some epochs; it stays there only if it is kept."""


def harden(
    fitting: Fitting, scorers: Sequence[Scorer], parts: Mapping[str, Scorer], go_on: GoOn
) -> tuple[str, Sequence[Scorer]]:
    """Lets networks learn on with the edges of the source that the settings or the gate picked.

    For the gate all sources propose as many edges for the same users and go on from the same
    networks for as long, and so does `none`. It judges the networks alone, not their fusion with
    other parts. Of a given source it says what it is worth; that one is learned in any case.

    Args:
        fitting: What was fitted so far.
        scorers: The networks as they are.
        parts: The fitted parts; `closed_form` is the teacher.
        go_on: Trains on.

    Returns:
        Whose edges were learned, `none` for nobody's, and the networks.
    """
    config = fitting.config.augment
    plan = _plan(fitting)
    names: tuple[str, ...] = (config.source,)
    if config.source == "auto":
        names = tuple(name for name in _TRIED if name != "teacher" or "closed_form" in parts)
    decision = _gate(fitting, scorers, parts, names, plan, go_on)
    picked: str = config.source
    if picked == "auto":
        picked = NONE if decision is None else decision.picked
    edges = None if picked == NONE else propose(fitting, picked, parts)
    if edges is None or not len(edges):  # learning on without any would only overshoot
        picked = NONE
    fitting.record["augment"] = _told(decision, picked, plan)
    logger.info("%s", fitting.record["augment"]["words"])
    if picked == NONE:
        return NONE, scorers
    return picked, [go_on(n, edges, config.epochs, keep=True) for n in range(len(scorers))]


def _gate(
    fitting: Fitting,
    scorers: Sequence[Scorer],
    parts: Mapping[str, Scorer],
    names: Sequence[str],
    plan: Plan,
    go_on: GoOn,
) -> Decision | None:
    """Judges each source on valid; None where valid has no user with few interactions."""
    task = fitting.valid_task(_GATE_USERS)
    sparse = np.zeros(0, dtype=bool) if task is None else np.isin(task.users, plan.users)
    if task is None or not sparse.any():
        return None
    judge, epochs = _judge(fitting, task), fitting.config.augment.epochs
    judged = {UNTOUCHED: [judge(scorer) for scorer in scorers]}
    for name in (NONE, *names):
        edges = None if name == NONE else propose(fitting, name, parts)
        # Of the trials only the numbers are kept: the picked one is trained again.
        judged[name] = [judge(go_on(n, edges, epochs, keep=False)) for n in range(len(scorers))]
    ndcg, tail = (
        {name: np.stack([both[at] for both in values]) for name, values in judged.items()}
        for at in (0, 1)
    )
    cohorts = {**user_cohorts(fitting.graph.train, task.users), SPARSE: sparse}
    return decide(ndcg, tail, cohorts, seed=fitting.config.seed)


def propose(fitting: Fitting, name: str, parts: Mapping[str, Scorer]) -> SyntheticEdges:
    """Gives the edges of one source by name; `parts` has the teacher, `closed_form`."""
    return _source(fitting, name, parts).propose(_plan(fitting), fitting.config.seed)


def _plan(fitting: Fitting) -> Plan:
    return Plan.for_sparse_nodes(fitting.history, fitting.config.augment)


def _source(fitting: Fitting, name: str, parts: Mapping[str, Scorer]) -> Source:
    if name == "teacher":
        return ScoredSource(name, parts["closed_form"])
    if name == "knn":
        return ScoredSource(name, ItemKNN.fit(*train_pairs(fitting.graph)))
    return DrawnSource(name, by_popularity=name == "popularity")


def _judge(
    fitting: Fitting, task: RankingTask
) -> Callable[[Scorer], tuple[FloatArray, FloatArray]]:
    """NDCG@20 a user, and recall@20 of tail items."""
    tail = tail_items(fitting.graph.train, fitting.graph.num_items)

    def judge(scorer: Scorer) -> tuple[FloatArray, FloatArray]:
        ranking, _ = task.rank(scorer, _K)
        ndcg = ranking_metrics(ranking.hits, task.num_truth, (_K,))[f"ndcg@{_K}"]
        return ndcg, tail_recall(task, ranking, tail, (_K,))[f"tail_recall@{_K}"]

    return judge


def _told(decision: Decision | None, picked: str, plan: Plan) -> dict[str, Any]:
    """The gate's decision as the record holds it."""
    edges = {
        "users": len(plan.users),
        "items": len(plan.items),
        "per_user": plan.per_user,
        "per_item": plan.per_item,
        "weight": plan.weight,
    }
    if decision is None:
        words = "The gate was not asked: valid is empty or has no user with few interactions."
        return {"picked": picked, "edges": edges, "sources": {}, "words": words}
    return {
        "picked": picked,
        "edges": edges,
        "sources": {
            verdict.source: {
                "relative": verdict.relative,
                "cohorts": {name: asdict(each) for name, each in verdict.cohorts.items()},
                "tail": None if verdict.tail is None else asdict(verdict.tail),
                "helps": verdict.helps,
                "harmed": list(verdict.harmed),
            }
            for verdict in decision.verdicts
        },
        "versus": {
            f"{one} - {other}": asdict(each) for (one, other), each in decision.versus.items()
        },
        "words": decision.words(),
    }
