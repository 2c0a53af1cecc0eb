"""Finds the closed form's settings on train alone, by the gradient of its leave-one-out ranking.

The fusion's weights are found on valid. A part whose own settings were chosen there too would look
better than it is and take all the weight, so this search never sees valid.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from kgrec.errors import ConfigError
from kgrec.graph.data import GraphData
from kgrec.model.closed_form import ClosedForm, Refinements
from kgrec.model.incidence import Incidence, user_weights
from kgrec.model.sparse_closed_form import SparseClosedForm
from kgrec.training.climbing import Budget, Summit, leave_out
from kgrec.training.closed_form_problem import ClosedFormProblem, keep_in_bounds, read_settings
from kgrec.training.inner_split import history_of, inner_graph, most_popular_rows
from kgrec.training.kernel_search import KernelTrials
from kgrec.training.parts.closed_form import ClosedFormConfig
from kgrec.training.relation_rows import relation_rows

logger = logging.getLogger(__name__)

_DEFAULT_RIDGE = 200.0
_MOST_RELATIONS = 24
_LEARNING_RATE = 0.4
#: What smooth NDCG must rise by within so many steps for the search to go on.
_LEAST_GAIN, _PATIENCE = 2e-4, 8
#: A relation whose absence costs less than this share of the smooth NDCG is left out.
_LEAST_WORTH = 2e-4


@dataclass(frozen=True)
class ClosedFormSettings:
    """What the search found.

    Attributes:
        ridge: λ.
        relation_weights: w_r by name; relations that did not help are absent.
        inner_ndcg: NDCG@20 of one held-out interaction each, where the search began (no relations)
            and where it ended; None if nothing was searched.
        refinements: Dropout, exponents and, with times, the kernel and the recency.
    """

    ridge: float
    relation_weights: dict[str, float]
    inner_ndcg: tuple[float, float] | None
    refinements: Refinements = field(default_factory=Refinements)


def solve_closed_form(
    graph: GraphData,
    history: Incidence,
    settings: ClosedFormSettings,
    ranks: Tensor | None,
    *,
    max_items: int,
) -> ClosedForm | SparseClosedForm:
    """Solves it with a dense inverse, or sparsely for catalogues beyond `max_items`.

    Args:
        graph: Its relations are read.
        history: The training items of each user.
        settings: What the search settings.
        ranks: (n,) places by time, where the settings weigh by them.
        max_items: Beyond, there are no kernel over time and no recency.
    """
    refinements = settings.refinements
    relations = relation_rows(graph)
    if graph.num_items <= max_items:
        return ClosedForm.fit(
            history,
            relations,
            settings.relation_weights,
            settings.ridge,
            refinements,
            ranks,
        )
    return SparseClosedForm.fit(
        history,
        relations,
        settings.relation_weights,
        settings.ridge,
        user_weight=user_weights(history.lengths, refinements.user_exponent),
        dropout=refinements.dropout,
    )


def search_closed_form(
    graph: GraphData,
    config: ClosedFormConfig,
    *,
    seed: int,
    temporal: bool = False,
    budget: Budget | None = None,
    on_trial: Callable[[str], None] = lambda _: None,
) -> ClosedFormSettings:
    """Climbs along the gradient of the smooth NDCG with respect to all settings at once.

    On the most popular items only (`config.search_items`): settings carry over to the whole
    catalogue, the cost does not. Each interaction that is asked for is taken out of the model
    exactly (`leave_one_out_scores`); where the latest shall be predicted (`temporal`), each user's
    latest are held out instead. Then relations without which it is as good are left out, and with
    times a kernel over them is tried on an inner split.

    Args:
        graph: The graph; only its train interactions and relations are read.
        config: Given values are not searched.
        seed: Of the interactions that are asked for, and of the inner split.
        temporal: Whether valid and test hold what came later.
        budget: A wall limit, where there is one.
        on_trial: Is told what is tried.

    Raises:
        ConfigError: If a given weight is negative or of a relation that has no rows over items.
    """
    relations = relation_rows(graph)
    _refuse_unknown(config.relation_weights or {}, {relation.name for relation in relations})
    if config.ridge is not None and config.relation_weights is not None:
        return ClosedFormSettings(config.ridge, dict(config.relation_weights), None)
    budget = budget or Budget(None)
    largest = sorted(relations, key=lambda r: (-len(r.rows.columns), r.name))
    if config.relation_weights is None:
        candidates = largest[:_MOST_RELATIONS]
    else:
        candidates = [r for r in largest if config.relation_weights.get(r.name, 0.0) > 0]
    if temporal:
        small, rows = inner_graph(graph, candidates, config.search_items, seed, temporal=True)
    else:
        small, rows = most_popular_rows(graph, candidates, config.search_items)
    problem = ClosedFormProblem(
        small,
        rows,
        activity=history_of(graph).lengths,
        pairs=config.search_pairs,
        seed=seed,
        held_out=temporal,
    )
    if not problem.num_pairs:
        logger.warning("closed_form: no user has enough training items, so nothing is searched")
        return ClosedFormSettings(
            config.ridge or _DEFAULT_RIDGE, dict(config.relation_weights or {}), None
        )
    theta, before, after = _ascend(problem, config, budget, on_trial)
    ridge, weights, refinements = read_settings(theta, problem.names)
    settings = ClosedFormSettings(
        config.ridge or ridge,
        weights if config.relation_weights is None else dict(config.relation_weights),
        (before, after),
        refinements,
    )
    if graph.train.time is None or not config.kernels or graph.num_items > config.max_items:
        return settings  # the sparse closed form knows no kernel
    if not temporal:
        small, rows = inner_graph(graph, candidates, config.search_items, seed)
    trials = KernelTrials(small, rows, seed, budget, on_trial)
    kernel = trials.search(
        settings.relation_weights, settings.ridge, settings.refinements, config.ridge
    )
    return replace(settings, ridge=kernel.ridge, refinements=kernel.refinements)


def _refuse_unknown(weights: Mapping[str, float], names: set[str]) -> None:
    for name, weight in weights.items():
        if name not in names:
            raise ConfigError(
                f"closed_form.relation_weights names {name!r}, expected one of {sorted(names)}; "
                f"check its spelling"
            )
        if weight < 0:
            raise ConfigError(
                f"closed_form.relation_weights.{name} is {weight}, expected 0 or more; "
                f"0 leaves the relation out"
            )


def _ascend(
    problem: ClosedFormProblem,
    config: ClosedFormConfig,
    budget: Budget,
    on_trial: Callable[[str], None],
) -> tuple[dict[str, Tensor], float, float]:
    """Adam over all settings, best point kept, then relations that do not help are left out."""
    theta = problem.start(config.ridge, config.relation_weights)
    fixed = {"ridge"} if config.ridge is not None else set()
    fixed |= {"weights"} if config.relation_weights is not None or not problem.names else set()
    before = problem.ndcg(_without(theta, range(len(problem.names))))
    learned = {
        name: value.clone().requires_grad_(name not in fixed) for name, value in theta.items()
    }
    optimizer = torch.optim.Adam([v for v in learned.values() if v.requires_grad], _LEARNING_RATE)
    best, best_theta, last_gain = -torch.inf, theta, 0
    for step in range(config.search_steps):
        on_trial(f"step {step + 1} of {config.search_steps}")
        for group in optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * (1 - step / (config.search_steps + 4))
        loss = problem.loss(learned)
        value = -float(loss.detach())
        if value > best + _LEAST_GAIN:
            last_gain = step
        if value > best:
            best = value
            best_theta = {name: v.detach().clone() for name, v in learned.items()}
        logger.info("closed_form step=%d smooth_ndcg=%.5f", step + 1, value)
        if step - last_gain >= _PATIENCE or budget.is_spent():
            break
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        keep_in_bounds({name: v for name, v in learned.items() if name not in fixed})
    if "weights" not in fixed:
        best_theta = _pruned(problem, best_theta, budget, on_trial)
    return best_theta, before, problem.ndcg(best_theta)


def _without(theta: Mapping[str, Tensor], places: Sequence[int] | range) -> dict[str, Tensor]:
    weights = theta["weights"].clone()
    weights[list(places)] = -torch.inf
    return {**theta, "weights": weights}


@torch.no_grad()
def _pruned(
    problem: ClosedFormProblem,
    theta: dict[str, Tensor],
    budget: Budget,
    on_trial: Callable[[str], None],
) -> dict[str, Tensor]:
    """Leaves out, from the smallest weight on, each relation that is not missed."""

    def judge(trial: dict[str, Tensor]) -> float:
        on_trial("without a relation")
        return -float(problem.loss(trial))

    def removal(place: int) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
        return lambda settings: _without(settings, [place])

    removals = [removal(n) for n in torch.argsort(theta["weights"], stable=True).tolist()]
    start = Summit(theta, -float(problem.loss(theta)))
    return leave_out(start, removals, judge, _LEAST_WORTH, budget).settings
