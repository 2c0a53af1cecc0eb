"""An early look at the fusion: parts that cost much are tried on a sample before they cost it.

Fitted with default settings on the most active users, and weighed beside what is fitted already, a
part without which valid is as good is left out before it is searched and fitted on all users. On
Book-Crossing the user side and the factors took a quarter of the training for weights of 0 to .05
(docs/experiments.md).
"""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, IndexArray, Interactions
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import Scorer
from kgrec.schema import NodeLabel, Split
from kgrec.training.fitting import Fitting
from kgrec.training.fusion_search import search_fusion
from kgrec.training.inner_split import history_of
from kgrec.training.own_parts import failures_of
from kgrec.training.part import Part
from kgrec.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

#: Users of the sample. Where there are no more, a look costs what it could save.
_MOST_USERS = 4_000


def can_look(fitting: Fitting) -> bool:
    """Whether there are many users, a valid split to judge on, and no generator of edges.

    Generators ask the factors, which must then be fitted before the networks that they teach.
    """
    valid = fitting.graph.held_out.get(Split.VALID)
    many = fitting.graph.num_users > _MOST_USERS
    taught = fitting.config.augment.source in ("auto", "gan")
    return many and valid is not None and len(valid) > 0 and not taught


def parts_to_leave_out(fitting: Fitting, parts: Sequence[Part]) -> list[str]:
    """Names the parts that a fusion on a sample of users does without.

    Args:
        fitting: Its `parts` are those that are fitted already.
        parts: Those that are not, each with a `trial_fit`.

    Returns:
        Names; none where there are few users, no valid split, or nothing to compare with.
    """
    if not parts or not fitting.parts or not can_look(fitting):
        return []
    graph = fitting.graph
    valid = graph.held_out[Split.VALID]
    count = np.bincount(graph.train.user_index, minlength=graph.num_users)
    judged_users = np.unique(valid.user_index)
    users = np.sort(judged_users[np.argsort(-count[judged_users], kind="stable")[:_MOST_USERS]])
    sample = _sample(graph, users)
    history = history_of(sample)
    trials: dict[str, Scorer] = {
        name: _Sampled(scorer, torch.from_numpy(users), history)
        for name, scorer in fitting.parts.items()
    }
    for part in parts:
        with failures_of(part, "trial_fit"):
            trials[part.name] = part.trial_fit(fitting, history)
    fusion, value = search_fusion(trials, RankingTask(sample, Split.VALID))
    names = [part.name for part in parts if not fusion.part_weights[part.name]]
    weights = fusion.part_weights
    logger.info("early look valid_ndcg@20=%.4f weights=%s left_out=%s", value, weights, names)
    return names


def _sample(graph: GraphData, users: IndexArray) -> GraphData:
    """The graph's interactions of some users, numbered anew, without relations and times."""
    place = np.full(graph.num_users, -1)
    place[users] = np.arange(len(users))
    names = graph.vocabularies[NodeLabel.USER]
    vocabulary = Vocabulary((names.ids[user] for user in users), names.label)

    def of_sample(pairs: Interactions) -> Interactions:
        rows = place[pairs.user_index] >= 0
        return Interactions(place[pairs.user_index[rows]], pairs.item_index[rows])

    return GraphData(
        graph.version,
        {**graph.vocabularies, NodeLabel.USER: vocabulary},
        {},
        of_sample(graph.train),
        {Split.VALID: of_sample(graph.held_out[Split.VALID])},
        (),
    )


class _Sampled(Scorer):
    """A scorer for some of its users, numbered anew."""

    def __init__(self, scorer: Scorer, users: Tensor, history: Incidence) -> None:
        self._scorer, self._users, self.history = scorer, users, history

    def score(self, user_indices: Tensor) -> Tensor:
        return self._scorer.score(self._users[user_indices])
