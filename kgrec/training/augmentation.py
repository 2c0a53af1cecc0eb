"""Hardens trained networks with synthetic edges where the gate finds that they help."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kgrec.augment.gate import NONE, SPARSE, UNTOUCHED, Decision, decide
from kgrec.augment.measures import describe
from kgrec.evaluation.cohorts import distinct_counts, tail_items, tail_recall, user_cohorts
from kgrec.evaluation.metrics import FloatArray, ranking_metrics
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, SyntheticEdges
from kgrec.model.fusion import Fusion
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.schema import Split
from kgrec.training.fitting import Fitting
from kgrec.training.fusion_search import most_users, search_fusion
from kgrec.training.proposals import Proposals
from kgrec.training.record import AugmentRecord

logger = logging.getLogger(__name__)

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
    fitting: Fitting, scorers: Sequence[Scorer], proposals: Proposals, go_on: GoOn
) -> tuple[str, Sequence[Scorer]]:
    """Lets networks learn on with the edges of the source that the settings or the gate picked.

    For the gate all sources propose as many edges for the same users and go on from the same
    network for as long, and so does `none`; the best one does so from all networks. It judges them
    with a popularity term, not their fusion with all other parts. Of a given source it says what it
    is worth; that one is learned in any case.

    Args:
        fitting: What was fitted so far.
        scorers: The networks as they are.
        proposals: Gives each source's edges.
        go_on: Trains on.

    Returns:
        Whose edges were learned, `none` for nobody's, and the networks.
    """
    started = time.perf_counter()
    config = fitting.config.augment
    names = proposals.possible() if config.source == "auto" else (config.source,)
    decision = _gate(fitting, scorers, proposals, names, go_on)
    source: str = config.source
    if source == "auto":
        source = NONE if decision is None else decision.winner
    edges = None if source == NONE else proposals.of(source)
    if edges is None or not len(edges):  # learning on without any would only overshoot
        source = NONE
    record = _record(fitting, decision, source, proposals, names)
    logger.info("%s", record.words)
    if source != NONE:
        scorers = [go_on(n, edges, config.epochs, keep=True) for n in range(len(scorers))]
    record.seconds = time.perf_counter() - started
    fitting.record.augment = record
    return source, scorers


def _gate(
    fitting: Fitting,
    scorers: Sequence[Scorer],
    proposals: Proposals,
    names: Sequence[str],
    go_on: GoOn,
) -> Decision | None:
    """Judges the sources on valid; None where valid has no user with few interactions.

    All are tried on the first network. The one that gains most there, and harms nobody, is tried
    on the others as well, and let in if it passes on all of them together.
    """
    task = fitting.valid_task(_GATE_USERS)
    sparse = np.zeros(0, dtype=bool) if task is None else np.isin(task.users, proposals.plan.users)
    if task is None or not sparse.any():
        return None
    judge, epochs = _judge(fitting, task, scorers[0]), fitting.config.augment.epochs
    cohorts = {**user_cohorts(fitting.graph.train, task.users), SPARSE: sparse}
    metrics: dict[str, list[tuple[FloatArray, FloatArray]]] = {}

    def ask(names: Sequence[str], networks: Sequence[int]) -> Decision:
        for name in (UNTOUCHED, NONE, *names):
            edges = None if name in (UNTOUCHED, NONE) else proposals.of(name)
            for number in networks:
                scorer = scorers[number]
                if name != UNTOUCHED:  # of the trials only the numbers are kept
                    scorer = go_on(number, edges, epochs, keep=False)
                metrics.setdefault(name, []).append(judge(scorer))
        ndcg, tail = (
            {
                name: np.stack([pair[at] for pair in metrics[name]])
                for name in (UNTOUCHED, NONE, *names)
            }
            for at in (0, 1)
        )
        return decide(ndcg, tail, cohorts, seed=fitting.config.seed)

    every = range(len(scorers))
    if len(names) == 1:
        return ask(names, every)
    first = ask(names, every[:1])
    if first.leader is None or len(every) == 1:
        return first
    return first.but_for(ask((first.leader,), every[1:]))


def _judge(
    fitting: Fitting, task: RankingTask, untouched: Scorer
) -> Callable[[Scorer], tuple[FloatArray, FloatArray]]:
    """NDCG@20 a user, and recall@20 of tail items, of a network with its popularity term."""
    tail = tail_items(fitting.graph.train, fitting.graph.num_items)
    with_term = popularity_term(fitting, untouched)
    return lambda scorer: measured(with_term(scorer), task, tail)


def popularity_term(fitting: Fitting, untouched: Scorer) -> Callable[[Scorer], Fusion]:
    """Gives what joins log popularity to a network, at one weight for all.

    The weight is found, on valid, for the untouched network: what edges bring of popularity alone,
    the term would have brought without them.
    """
    term = Popularity(fitting.history)
    task = fitting.valid_task(most_users(2, fitting.graph.num_items))
    assert task is not None, "the gate is asked only where there is a valid split"
    settings, _ = search_fusion({"network": untouched, "popularity": term}, task)

    def with_term(scorer: Scorer) -> Fusion:
        parts = {"network": scorer, "popularity": term}
        return Fusion(parts, settings.part_weights, settings.part_scales)

    return with_term


def measured(
    scorer: Scorer, task: RankingTask, tail: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Gives NDCG@20 (n,), and recall@20 of tail items (n,), NaN for users without any."""
    ranking, _ = task.rank(scorer, _K)
    ndcg = ranking_metrics(ranking.hits, task.num_truth, (_K,))[f"ndcg@{_K}"]
    return ndcg, tail_recall(task, ranking, tail, (_K,))[f"tail_recall@{_K}"]


def _record(
    fitting: Fitting,
    decision: Decision | None,
    source: str,
    proposals: Proposals,
    names: Sequence[str],
) -> AugmentRecord:
    """The gate's decision as the record holds it, and, after the fact, what came true in valid."""
    plan = proposals.plan
    record = AugmentRecord(
        source=source,
        edges={
            "users": len(plan.users),
            "items": len(plan.items),
            "per_user": plan.per_user,
            "per_item": plan.per_item,
            "weight": plan.weight,
        },
        proposals={name: describe_proposals(fitting.graph, proposals.of(name)) for name in names},
        learned=dict(proposals.report),
        sources={},
    )
    if decision is None:
        record.words = (
            "The gate was not asked: valid is empty or has no user with few interactions."
        )
        return record
    record.sources = {
        verdict.source: {
            "relative": verdict.relative,
            "cohorts": {name: asdict(interval) for name, interval in verdict.cohorts.items()},
            "tail": None if verdict.tail is None else asdict(verdict.tail),
            "helps": verdict.helps,
            "harmed": list(verdict.harmed),
            "networks": verdict.trainings,
        }
        for verdict in decision.verdicts
    }
    record.versus = {
        f"{left} - {right}": asdict(interval) for (left, right), interval in decision.versus.items()
    }
    record.words = decision.words()
    return record


def describe_proposals(graph: GraphData, edges: SyntheticEdges) -> dict[str, Any]:
    """Measures what proposals are like, and how many are in valid; nothing is chosen by it."""
    train, size = graph.train, graph.num_items
    users_of = distinct_counts(train.item_index, train.user_index, size)
    valid = graph.held_out.get(Split.VALID)
    later = None
    if valid is not None and len(valid):
        later = valid.user_index, valid.item_index
    return describe(edges, users_of, tail_items(train, size), later)
