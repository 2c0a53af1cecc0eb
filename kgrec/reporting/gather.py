"""Everything that a report tells of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kgrec.data.card.build import build_card
from kgrec.data.card.card import Card
from kgrec.data.cleaning.report import Report
from kgrec.data.tables import Dataset, RelationTable
from kgrec.errors import VocabularyError
from kgrec.evaluation.bootstrap import Interval, paired_bootstrap
from kgrec.evaluation.evaluate import Evaluation, evaluate
from kgrec.evaluation.floors import fit_floors
from kgrec.evaluation.report import build_report
from kgrec.exploration import Subgraph, recommendation_subgraph
from kgrec.graph.data import GraphData, Interactions
from kgrec.graph.fetch import fetch_graph
from kgrec.model.scorer import Scorer
from kgrec.progress import progress_bar
from kgrec.recommender import Recommendation, Recommender
from kgrec.schema import NodeLabel, Split
from kgrec.store.base import GraphStore
from kgrec.training.checkpoint import read_json
from kgrec.training.directory import Run
from kgrec.vocabulary import NodeId, id_texts

#: In a run's folder, if the graph was audited: what the audit found.
AUDIT = "audit.json"
#: Of an example's list, of its user's history, and of what explains its first item.
_LISTED, _HISTORY, _OWN, _PATHS = 5, 8, 3, 4


@dataclass(frozen=True)
class Example:
    """What one user is recommended.

    Attributes:
        user_id: Who.
        history: Names of training items, at most a few, and
        num_history: how many there are in all.
        recommendations: The list.
        why: What explains its first item; None for who gets the most popular items.
    """

    user_id: str
    history: tuple[str, ...]
    num_history: int
    recommendations: tuple[Recommendation, ...]
    why: Subgraph | None


@dataclass(frozen=True)
class ReportData:
    """What a report tells.

    Attributes:
        run: The run.
        card: What the data is like, as the store holds it.
        measured: As `build_report` gives it.
        intervals: By model (`this run`, floors, parts alone) and metric, its mean with its 95 %
            interval over users.
        k: The longest list that was judged.
        audit: What the graph audit found, as JSON; None if there was none.
        examples: Recommendations.
    """

    run: Run
    card: Card
    measured: Mapping[str, Any]
    intervals: Mapping[str, Mapping[str, Interval]]
    k: int
    audit: Mapping[str, Any] | None
    examples: tuple[Example, ...]


def report(
    run: Run,
    store: GraphStore,
    *,
    split: Split = Split.TEST,
    users: Sequence[NodeId] = (),
    progress: bool = True,
) -> ReportData:
    """Judges a run and collects what there is to tell of it.

    Args:
        run: The run.
        store: The graph it was trained on.
        split: What it is judged on.
        users: Whose recommendations are shown; without any, a user with few, with a median and
            with many training items.
        progress: Whether a bar is shown on a terminal.

    Raises:
        RunError: If the store holds another version of the graph.
        VocabularyError: If the run knows no such user.
        DataError: If the split is empty.
        StoreError: If the store fails.
    """
    graph = fetch_graph(store)
    run.check_version(graph.version)
    vocabulary = run.vocabularies[NodeLabel.USER]
    requested_ids = id_texts(users)
    for user in requested_ids:
        if user not in vocabulary:
            raise VocabularyError(f"run {run.directory} knows no user {user!r}; check --user")
    with progress_bar("report", None, enabled=progress) as advance:
        advance("data card")
        card = build_card(
            dataset_of(graph), Report(), run.config.data, None, name=run.directory.resolve().name,
            seed=run.config.seed,
        )  # fmt: skip
        evaluations = _judge(run, graph, split, advance)
        evaluation, floors = evaluations["this run"], {
            name: evaluations[name] for name in _FLOORS if name in evaluations
        }  # fmt: skip
        advance("examples")
        recommender = Recommender(run, store)
        user_ids = requested_ids or typical_users(graph)
        examples = tuple(_example(recommender, graph, user) for user in user_ids)
    seconds = run.record.seconds["train"]
    audit = run.directory / AUDIT
    return ReportData(
        run=run,
        card=card,
        measured=build_report(str(run.directory), evaluation, floors, train_seconds=seconds),
        intervals={
            name: _intervals(model_evaluation) for name, model_evaluation in evaluations.items()
        },
        k=max(evaluation.k),
        audit=read_json(audit) if audit.is_file() else None,
        examples=examples,
    )


_FLOORS = ("popularity", "itemknn", "ease")


def _judge(run: Run, graph: GraphData, split: Split, advance: Any) -> dict[str, Evaluation]:
    """Judges the floors, the parts alone and the run."""
    settings = run.config.evaluation
    models: dict[str, Scorer] = {}
    if settings.floors:
        advance("floors")
        models |= fit_floors(graph, refit_splits=run.config.training.refit_splits)
    parts = run.scorer.parts
    if len(parts) > 1:
        models |= {f"{name} alone": part for name, part in parts.items() if name not in models}
    models["this run"] = run.scorer
    evaluations = {}
    for name, model in models.items():
        advance(name)
        evaluations[name] = evaluate(
            model, graph, split, k=settings.k, block_size=settings.block_size,
            seed=run.config.seed,
        )  # fmt: skip
    return evaluations


def _intervals(evaluation: Evaluation) -> dict[str, Interval]:
    """The mean of each metric over users, with the interval of the bootstrap."""
    nobody = np.zeros(evaluation.num_users)
    k = max(evaluation.k)
    return {
        name: paired_bootstrap(evaluation.per_user[f"{name}@{k}"], nobody, seed=evaluation.seed)
        for name in ("ndcg", "recall")
    }


def _example(recommender: Recommender, graph: GraphData, user_id: str) -> Example:
    run, store = recommender.run, recommender.store
    assert store is not None
    recommendations = tuple(recommender.recommend(user_id, _LISTED, num_paths=1))
    own_items = run.scorer.history.row(run.vocabularies[NodeLabel.USER].index(user_id)).tolist()
    names = run.names[NodeLabel.ITEM]
    why = None
    if recommendations and not recommendations[0].cold:
        why = recommendation_subgraph(
            run, store, user_id, [recommendations[0].item_id], num_paths=_PATHS, num_own=_OWN
        )
        why = why if why.trails else None
    history = tuple(names[index] for index in _latest(graph, user_id, own_items)[:_HISTORY])
    return Example(user_id, history, len(own_items), recommendations, why)


def _latest(graph: GraphData, user_id: str, own_items: Sequence[int]) -> list[int]:
    """The user's items, the latest first where times are known."""
    if graph.train.time is None:
        return list(own_items)
    rows = graph.train.user_index == graph.vocabularies[NodeLabel.USER].index(user_id)
    times = dict(
        zip(graph.train.item_index[rows].tolist(), graph.train.time[rows].tolist(), strict=True)
    )
    return sorted(own_items, key=lambda index: (-times.get(index, 0.0), index))


def typical_users(graph: GraphData) -> list[str]:
    """Gives a user with few, with a median and with many training items."""
    counts = np.bincount(graph.train.user_index, minlength=graph.num_users)
    active = np.flatnonzero(counts)
    order = active[np.argsort(counts[active], kind="stable")]
    places = [int(share * (len(order) - 1)) for share in (0.05, 0.5, 0.95)] if len(order) else []
    ids = graph.vocabularies[NodeLabel.USER].ids
    return list(dict.fromkeys(ids[order[place]] for place in places))


def dataset_of(graph: GraphData) -> Dataset:
    """Gives the tables that a graph could have been filled from, for the data card."""
    return Dataset(
        nodes={
            label: graph.properties[label].assign(id=list(graph.vocabularies[label].ids))
            for label in NodeLabel
        },
        interactions={
            Split.TRAIN: _frame(graph.train),
            **{split: _frame(interactions) for split, interactions in graph.held_out.items()},
        },
        relations=tuple(
            RelationTable(
                r.name, r.key, pd.DataFrame({"head": r.head_index, "tail": r.tail_index}), r.role
            )
            for r in graph.relations
        ),
    )


def _frame(interactions: Interactions) -> pd.DataFrame:
    columns = {"head": interactions.user_index, "tail": interactions.item_index}
    for name in ("rating", "time"):
        values = getattr(interactions, name)
        if values is not None:
            columns[name] = values
    return pd.DataFrame(columns)
