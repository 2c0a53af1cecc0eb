"""Finds on valid how the parts of a fusion are weighed."""

import logging
from collections.abc import Callable, Generator, Mapping

import torch

from kgrec.evaluation.ranking import RankingTask
from kgrec.model.fusion import Fusion
from kgrec.model.scorer import Scorer
from kgrec.training.climbing import Axis, climb, leave_out
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
    summit = climb(terms, [_axis(name) for name in parts], candidates.ndcg, sweeps=_SWEEPS)
    by_weight = sorted(parts, key=lambda name: summit.settings[name].weight)
    removals = [_removal(name) for name in by_weight]
    summit = leave_out(summit, removals, candidates.ndcg, _LEAST_WORTH)
    terms, best = summit.settings, summit.value
    most = max(term.weight for term in terms.values())
    weights = {name: round(term.weight / most, 4) for name, term in terms.items()}
    scales = {name: candidates.scales[name] for name, term in terms.items() if term.shared}
    logger.info("fusion weights=%s shared=%s valid_ndcg@20=%.4f", weights, sorted(scales), best)
    return Fusion(parts, weights, scales), best


def _axis(name: str) -> Axis[_Terms]:
    """Other weights of one part, and the other way of measuring it."""

    def axis(best: _Terms) -> Generator[_Terms, _Terms, None]:
        term = best[name]
        weights = [term.weight * factor for factor in _FACTORS] if term.weight else _FROM_NOTHING
        trials = [Term(weight, term.shared) for weight in weights]
        for trial_term in (*trials, Term(term.weight, not term.shared)):
            trial = best | {name: trial_term}
            if _has_weight(trial):
                best = yield trial

    return axis


def _removal(name: str) -> Callable[[_Terms], _Terms | None]:
    """Takes one part's weight, unless it is the last that has any."""

    def remove(terms: _Terms) -> _Terms | None:
        trial = terms | {name: Term(0.0, terms[name].shared)}
        return trial if _has_weight(trial) else None

    return remove


def _has_weight(terms: _Terms) -> bool:
    return any(term.weight for term in terms.values())


def most_users(num_parts: int, num_items: int) -> int:
    """How many users a task may have for `search_fusion` to stay in memory."""
    width = min(num_items, TOP * max(num_parts, 1))
    return max(200, min(_MOST_USERS, _MOST_BYTES // (4 * width * (max(num_parts, 1) + 1))))
