"""Finds on valid how the parts of a fusion are weighed."""

import logging
from collections.abc import Iterator, Mapping

import torch

from kgrec.evaluation.ranking import RankingTask
from kgrec.model.fusion import Fusion
from kgrec.model.scorer import Scorer
from kgrec.training.fusion_candidates import TOP, Candidates, Term
from kgrec.training.part import all_parts

logger = logging.getLogger(__name__)

_FACTORS, _FROM_NOTHING = (0.0, 0.5, 0.8, 1.25, 2.0), (0.05, 0.3)
_SWEEPS = 8
#: A part without which the NDCG@20 is no more than this share smaller is left out: so little is
#: noise of the users who were asked.
_LEAST_WORTH = 1e-3
#: Bytes of scores kept; users are sampled to stay below.
_MOST_BYTES, _MOST_USERS = 1_000_000_000, 10_000

_Terms = dict[str, Term]


def default_weights(parts: Mapping[str, Scorer]) -> dict[str, float]:
    """Weights where there is no valid split: the parts' own, 1 of what is none of kgrec's."""
    known = {part.name: part.default_weight for part in all_parts()}
    return {name: known.get(name, 1.0) for name in parts}


@torch.no_grad()
def search_fusion(parts: Mapping[str, Scorer], task: RankingTask) -> tuple[Fusion, float]:
    """Climbs over the parts' weights and whose standard deviation they are measured in.

    One part at a time, on NDCG@20 of the task; then parts that are hardly missed are left out.

    Args:
        parts: The fitted parts by name.
        task: The valid split, see `most_users`.

    Returns:
        The fusion and its NDCG@20 on the task. The largest weight is 1.
    """
    candidates = Candidates(parts, task)
    shared = {part.name for part in all_parts() if part.shared_scale}
    terms = {
        name: Term(weight, shared=name in shared) for name, weight in default_weights(parts).items()
    }
    best = candidates.ndcg(terms)
    for _ in range(_SWEEPS):
        before = best
        for name in parts:
            for term in _others(terms[name]):
                trial = terms | {name: term}
                if not any(term.weight for term in trial.values()):
                    continue
                value = candidates.ndcg(trial)
                if value > best:
                    best, terms = value, trial
        if best == before:
            break
    terms, best = _pruned(candidates, terms, best)
    most = max(term.weight for term in terms.values())
    weights = {name: round(term.weight / most, 4) for name, term in terms.items()}
    scales = {name: candidates.scales[name] for name, term in terms.items() if term.shared}
    logger.info("fusion weights=%s shared=%s valid_ndcg@20=%.4f", weights, sorted(scales), best)
    return Fusion(parts, weights, scales), best


def _others(term: Term) -> Iterator[Term]:
    """The terms that are tried in the place of one."""
    weights = [term.weight * factor for factor in _FACTORS] if term.weight else _FROM_NOTHING
    for weight in weights:
        yield Term(weight, term.shared)
    yield Term(term.weight, not term.shared)


def _pruned(candidates: Candidates, terms: _Terms, best: float) -> tuple[_Terms, float]:
    """Leaves out, from the smallest weight on, each part that is not missed."""
    for name in sorted(terms, key=lambda name: terms[name].weight):
        trial = terms | {name: Term(0.0, terms[name].shared)}
        if not any(term.weight for term in trial.values()):
            continue
        value = candidates.ndcg(trial)
        if value >= best * (1 - _LEAST_WORTH):
            terms, best = trial, value
    return terms, best


def most_users(num_parts: int, num_items: int) -> int:
    """How many users a task may have for `search_fusion` to stay in memory."""
    width = min(num_items, TOP * max(num_parts, 1))
    return max(200, min(_MOST_USERS, _MOST_BYTES // (4 * width * (max(num_parts, 1) + 1))))
