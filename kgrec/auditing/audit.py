"""The graph audit: what the graph, and each of its relations, is worth to the same model."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kgrec.auditing.folds import audit_folds
from kgrec.auditing.likeness import Likeness, relation_likeness
from kgrec.auditing.names import Joined, relation_name, same_links
from kgrec.auditing.trials import ALL_USERS, FitModel, Trials, relations_in_use
from kgrec.auditing.variants import permuted, relation_sizes, without_relation
from kgrec.auditing.verdict import Findings, Verdict, judge
from kgrec.config import Config
from kgrec.errors import ConfigError
from kgrec.evaluation.bootstrap import Interval
from kgrec.graph.data import GraphData
from kgrec.model.scorer import Scorer
from kgrec.progress import progress_bar
from kgrec.schema import Split
from kgrec.training.fit import Fitted, fit
from kgrec.training.part import all_parts, part_of
from kgrec.training.parts.closed_form import ClosedFormConfig

logger = logging.getLogger(__name__)

#: Names of the variants; the others are `without <relation>`.
GRAPH, NONE, PERMUTED = "graph", "no graph", "permuted"

#: Lists to judge, folds together; with fewer, more parts of train are held out in turn.
_ENOUGH_LISTS = 4000
_MOST_INNER_FOLDS = 4
_SHUFFLES = 8

#: What the search of a variant's closed form may cost at most; a variant is fitted many times.
_STEPS, _PAIRS = 12, 2_000


def _fit(config: Config, graph: GraphData) -> Fitted:
    return fit(config, graph, progress=False)


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit measured.

    Attributes:
        split: The split whose interactions were judged, beside parts of train.
        seed: Of folds, shuffles and the bootstrap.
        whole: Whether the model was fitted with its network.
        folds: Held-out parts that were judged.
        permutations: Shuffles that were fitted for each of them.
        fits: Models that were fitted.
        edges: Number of edges by relation; inverses, and relations with the same links (`a = b`,
            see `same_links`), are one.
        users: Number of judged users by cohort; cohorts without any are left out.
        means: By variant (`graph`, `no graph`, `permuted`, `without <relation>`) and metric.
        differences: By variant other than `graph`, metric and cohort: graph minus variant, with
            its 95 % interval.
        unused: Relations without weight in the model; they were not left out in turn.
        skipped: Relations with weight for which there was no room either.
        likeness: By relation, how alike the items are that it brings together.
        verdict: What it means.
        seconds: How long it took.
    """

    split: Split
    seed: int
    whole: bool
    folds: int
    permutations: int
    fits: int
    edges: Mapping[str, int]
    users: Mapping[str, int]
    means: Mapping[str, Mapping[str, float]]
    differences: Mapping[str, Mapping[str, Mapping[str, Interval]]]
    unused: tuple[str, ...]
    skipped: tuple[str, ...]
    likeness: Mapping[str, Likeness]
    verdict: Verdict
    seconds: float

    def worth(self, metric: str = "ndcg@20", cohort: str = ALL_USERS) -> dict[str, Interval]:
        """Gives by relation the metric with the graph minus that without the relation."""
        return {
            name: self.differences[f"without {name}"][metric][cohort]
            for name in self.edges
            if f"without {name}" in self.differences
        }

    def to_dict(self) -> dict[str, Any]:
        """Gives everything as plain values, ready for JSON."""
        plain = asdict(self)
        for name, likeness in self.likeness.items():
            plain["likeness"][name] |= {"z": likeness.z, "alike": likeness.alike}
        return {**plain, "split": str(self.split)}


def audit(
    config: Config,
    graph: GraphData,
    *,
    split: Split = Split.VALID,
    full: bool = False,
    fit_model: FitModel = _fit,
    scorer: Scorer | None = None,
    permutations: int = 2,
    inner_folds: int | None = None,
    most_relations: int = 8,
    progress: bool = True,
) -> Audit:
    """Fits the model with the graph, without it, with it shuffled, and without each relation.

    Every variant is fitted anew with the same settings, its own search included, on the same
    interactions; what is judged has chosen nothing (see `audit_folds`). A user's metric is averaged
    over the folds (and shuffles) before users are drawn for the intervals.

    Args:
        config: The model's settings.
        graph: The graph.
        split: VALID, or TEST when everything has been chosen.
        full: Whether the network takes part; else the closed form speaks for the model, which
            costs seconds instead of minutes a fit.
        fit_model: Fits one variant.
        scorer: The recommender whose relations are to be left out in turn; None takes those to
            which the fits with the graph gave weight.
        permutations: Shuffles that are fitted, 1 or more.
        inner_folds: Parts of train that are judged beside the split; None takes as many as are
            needed for 4,000 judged lists, at most 4.
        most_relations: Relations that are left out in turn, the largest first.
        progress: Whether a bar is shown on a terminal.

    Raises:
        ConfigError: If the split is TRAIN, nothing is to be shuffled, or the settings without a
            network leave nothing that reads the graph.
        DataError: If the split is empty.
    """
    if permutations < 1:
        raise ConfigError(
            f"expected 1 permutation or more, got {permutations}; 2 tell how far chance goes"
        )
    started = time.perf_counter()
    config = audited_settings(config, full)
    folds = audit_folds(graph, split, _inner_folds(graph, split, inner_folds), config.seed)
    joined = same_links(graph)
    edges = relation_sizes(graph, joined)
    with progress_bar("audit graph", None, enabled=progress) as advance:
        trials = Trials(config, folds, fit_model, advance)
        trials.run(GRAPH, lambda fold, _: fold)
        if edges:
            _run_controls(trials, permutations)
        scorers = trials.scorers[GRAPH] if scorer is None else [scorer]
        used = relations_in_use(scorers, graph, joined, network=config.fusion.network)
        for name in used[:most_relations]:
            trials.run(f"without {name}", _without(name, joined))
        alone = relation_likeness(graph, shuffles=_SHUFFLES, seed=config.seed, advance=advance)
    likeness = _largest(alone, joined)
    users, differences = trials.differences(GRAPH, graph, config.seed)
    unused = tuple(name for name in edges if name not in used)
    verdict = _verdict(edges, differences, unused, likeness)
    measured = Audit(
        split, config.seed, config.fusion.network, len(folds), permutations, trials.fits, edges,
        users, trials.means(), differences, unused, tuple(used[most_relations:]), likeness,
        verdict, time.perf_counter() - started,
    )  # fmt: skip
    logger.info("audit alarm=%s seconds=%.1f", verdict.alarm, measured.seconds)
    return measured


def _verdict(
    edges: Mapping[str, int],
    differences: Mapping[str, Mapping[str, Mapping[str, Interval]]],
    unused: tuple[str, ...],
    likeness: Mapping[str, Likeness],
) -> Verdict:
    ndcg = {variant: by_metric["ndcg@20"] for variant, by_metric in differences.items()}
    worth = {
        name: ndcg[f"without {name}"][ALL_USERS] for name in edges if f"without {name}" in ndcg
    }
    return judge(
        Findings(edges, ndcg.get(NONE, {}), ndcg.get(PERMUTED, {}), worth, unused, likeness)
    )


def _largest(alone: Mapping[str, Likeness], joined: Joined) -> dict[str, Likeness]:
    """Of relations that are one, the largest speaks: both together would count each link twice."""
    by_relation: dict[str, Likeness] = {}
    for name, likeness in sorted(alone.items(), key=lambda entry: -entry[1].memberships):
        by_relation.setdefault(relation_name(name, joined), likeness)
    return by_relation


def _run_controls(trials: Trials, permutations: int) -> None:
    trials.run(NONE, lambda fold, _: fold.without_graph())
    for number in range(permutations):
        # Every fold has shuffles of its own, so that their chance is averaged out as well.
        first = trials.config.seed + number * len(trials.folds)
        trials.run(PERMUTED, _permuted(first))


def _without(name: str, joined: Joined) -> Callable[[GraphData, int], GraphData]:
    return lambda fold, _: without_relation(fold, name, joined)


def _permuted(first: int) -> Callable[[GraphData, int], GraphData]:
    return lambda fold, place: permuted(fold, first + place)


def audited_settings(config: Config, full: bool) -> Config:
    """The settings of the model that is audited: with its network or without."""
    closed = part_of("closed_form").is_enabled(config)
    # What is judged must teach nothing, and a second fit of each variant would tell no more.
    training = config.training.model_copy(update={"refit": False, "deploy": False})
    config = config.model_copy(update={"training": training})
    if not full and closed:
        blind = [p.section for p in all_parts() if p.section and not p.reads_relations]
        off: dict[str, Any] = {
            section.section: section.of(config).model_copy(update={"enabled": False})
            for section in blind
        }
        off["cold"] = config.cold.model_copy(update={"enabled": False})
        off["text"] = config.text.model_copy(update={"enabled": False})
        off["fusion"] = config.fusion.model_copy(update={"network": False})
        searched = ClosedFormConfig.of(config)
        briefly = {
            "kernels": False,
            "search_steps": min(searched.search_steps, _STEPS),
            "search_pairs": min(searched.search_pairs, _PAIRS),
        }
        off["closed_form"] = searched.model_copy(update=briefly)
        return config.model_copy(update=off)
    if not (config.fusion.network and config.model.use_graph) and not closed:
        raise ConfigError(
            "nothing in these settings reads the graph: closed_form is off, and so is the network "
            "(fusion.network, model.use_graph); switch one of them on to audit it"
        )
    return config


def _inner_folds(graph: GraphData, split: Split, count: int | None) -> int:
    if count is not None:
        return count
    held_out = graph.held_out.get(split)
    lists = 0 if held_out is None else len(np.unique(held_out.user_index))
    return min(_MOST_INNER_FOLDS, math.ceil(max(0, _ENOUGH_LISTS - lists) / max(lists, 1)))
