"""Hardens trained networks with synthetic edges where the gate finds that they help."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from kgrec.augment.gate import NONE, SPARSE, Decision, decide
from kgrec.augment.plan import Plan
from kgrec.augment.sources import DrawnSource, ScoredSource, Source
from kgrec.errors import ConfigError
from kgrec.evaluation.cohorts import tail_items, tail_recall, user_cohorts
from kgrec.evaluation.floors import train_pairs
from kgrec.evaluation.metrics import FloatArray, ranking_metrics
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.synthetic import SyntheticEdges
from kgrec.model.itemknn import ItemKNN
from kgrec.model.scorer import Scorer
from kgrec.training.fitting import Fitting
from kgrec.training.resume import Trained

logger = logging.getLogger(__name__)

#: What `augment.source = "auto"` tries: proposals that know something, and two that do not.
_TRIED = ("teacher", "knn", "popularity", "random")
#: Users of valid that the gate asks.
_GATE_USERS = 20_000
_K = 20

#: Trains network number n on for some epochs with edges: its scorer, and where it then stands.
GoOn = Callable[[int, SyntheticEdges | None, int], tuple[Scorer, Trained]]


@dataclass(frozen=True, eq=False)
class Hardened:
    """Networks after the gate.

    Attributes:
        source: Whose edges they learned; `none` if they are as they were.
        scorers: One a network.
    """

    source: str
    scorers: Sequence[Scorer]


def harden(
    fitting: Fitting, scorers: Sequence[Scorer], parts: Mapping[str, Scorer], go_on: GoOn
) -> Hardened:
    """Lets networks learn on with each source's edges and without, and keeps what the gate picks.

    All sources propose as many edges for the same users and go on from the same networks for as
    long, and so does `none`. With one given source the gate still says what it is worth.

    Args:
        fitting: What was fitted so far; `networks` are replaced by those that learned on.
        scorers: The networks as they are.
        parts: The fitted parts; `closed_form` is the teacher.
        go_on: Trains on.
    """
    config, graph = fitting.config.augment, fitting.graph
    plan = plan_of(fitting)
    task = fitting.valid_task(_GATE_USERS)
    sparse = np.zeros(0, dtype=bool) if task is None else np.isin(task.users, plan.users)
    if task is None or not sparse.any():
        why = "No synthetic edges: there is no valid split to judge them on, or no user with few."
        fitting.record["augment"] = {"picked": NONE, "words": why}
        return Hardened(NONE, scorers)
    names: tuple[str, ...] = (config.source,)
    if config.source == "auto":
        names = tuple(name for name in _TRIED if name != "teacher" or "closed_form" in parts)
    judge = _judge(fitting, task)
    trials = {}
    for name in (NONE, *names):
        edges = None if name == NONE else propose(fitting, name, parts)
        found = [go_on(n, edges, config.epochs) for n in range(len(scorers))]
        trials[name] = (found, [judge(scorer) for scorer, _ in found])
    ndcg, tail = (
        {name: np.stack([both[at] for both in judged]) for name, (_, judged) in trials.items()}
        for at in (0, 1)
    )
    cohorts = {**user_cohorts(graph.train, task.users), SPARSE: sparse}
    decision = decide(ndcg, tail, cohorts, seed=fitting.config.seed)
    picked = decision.picked if config.source == "auto" else config.source
    fitting.record["augment"] = _told(decision, picked, plan)
    logger.info("%s", decision.words())
    if picked == NONE:
        return Hardened(NONE, scorers)
    found = trials[picked][0]
    fitting.networks[:] = [trained for _, trained in found]
    return Hardened(picked, [scorer for scorer, _ in found])


def plan_of(fitting: Fitting) -> Plan:
    """Gives for whom edges are proposed, and how many, from the settings."""
    config = fitting.config.augment
    return Plan.for_sparse_nodes(
        fitting.graph,
        at_most=config.at_most,
        per_user=config.per_user,
        per_item=config.per_item,
        weight=config.weight,
    )


def propose(fitting: Fitting, name: str, parts: Mapping[str, Scorer]) -> SyntheticEdges:
    """Gives the edges of one source by name, as the settings ask for.

    Raises:
        ConfigError: If the source needs a part that was not fitted.
    """
    return _source(fitting, name, parts).propose(plan_of(fitting), fitting.config.seed)


def _source(fitting: Fitting, name: str, parts: Mapping[str, Scorer]) -> Source:
    graph = fitting.graph
    if name == "teacher":
        if "closed_form" not in parts:
            raise ConfigError(
                "augment.source is teacher, which is the closed form, but that is switched off; "
                "set closed_form.enabled = true or take another source"
            )
        return ScoredSource(name, parts["closed_form"])
    if name == "knn":
        user, item = (torch.as_tensor(each) for each in train_pairs(graph)[:2])
        return ScoredSource(name, ItemKNN.fit(user, item, graph.num_users, graph.num_items))
    return DrawnSource(name, name == "popularity", graph.num_items)


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


def _told(decision: Decision, picked: str, plan: Plan) -> dict[str, object]:
    """The gate's decision as the record holds it."""
    return {
        "picked": picked,
        "edges": {
            "users": len(plan.users),
            "items": len(plan.items),
            "per_user": plan.per_user,
            "per_item": plan.per_item,
            "weight": plan.weight,
        },
        "sources": {
            verdict.source: {
                "sparse": asdict(verdict.sparse),
                "relative": verdict.relative,
                "cohorts": {name: asdict(each) for name, each in verdict.cohorts.items()},
                "tail": asdict(verdict.tail),
                "harmed": list(verdict.harmed),
            }
            for verdict in decision.verdicts
        },
        "versus": {
            f"{one} - {other}": asdict(each) for (one, other), each in decision.versus.items()
        },
        "words": decision.words(),
    }
