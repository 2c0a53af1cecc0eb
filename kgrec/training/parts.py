"""The parts of a recommender, each fitted as the settings and what was found before say."""

import logging
from collections.abc import Callable

from kgrec.model.directed import DirectedRidge
from kgrec.model.gram import user_weights
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.model.user_side import UserSide
from kgrec.progress import progress_bar
from kgrec.training.closed_form_part import solve_closed_form
from kgrec.training.closed_form_search import search_closed_form
from kgrec.training.fitting import Fitting
from kgrec.training.network_part import fit_networks
from kgrec.training.side_searches import (
    fit_factors,
    search_directed,
    search_factors,
    search_user_side,
)

logger = logging.getLogger(__name__)


def fit_parts(fitting: Fitting) -> dict[str, Scorer]:
    """Fits every part that the settings ask for and the data allow.

    Returns:
        By name: `network`, `closed_form`, `user_side`, `factors`, `directed`, `popularity`.
    """
    parts: dict[str, Scorer] = {}
    makers: dict[str, Callable[[Fitting], Scorer | None]] = {
        "closed_form": fit_closed_form,
        "user_side": _user_side,
        "factors": fit_factors_part,
        "directed": _directed,
        "network": lambda fitting: fit_networks(fitting, parts),
    }
    for name, make in makers.items():
        part = make(fitting)
        if part is not None:
            parts[name] = part
    if fitting.config.fusion.popularity or not parts:
        parts["popularity"] = Popularity(fitting.history)
    return parts


def fit_closed_form(fitting: Fitting) -> Scorer | None:
    """Fits the closed form; None if the settings want none."""
    settings, graph = fitting.config.closed_form, fitting.graph
    if not settings.enabled:
        fitting.record["closed_form"] = None
        return None
    with (
        fitting.timed("closed_form"),
        progress_bar("closed form: search", None, enabled=fitting.progress) as advance,
    ):
        found = fitting.chosen(
            "closed_form",
            lambda: search_closed_form(
                graph,
                settings,
                seed=fitting.config.seed,
                temporal=fitting.choices.temporal,
                budget=fitting.budget,
                on_trial=advance,
            ),
        )
        advance(f"solve for {graph.num_items:,} items")
        return solve_closed_form(
            graph, fitting.history, found, fitting.ranks, max_items=settings.max_items
        )


def _user_side(fitting: Fitting) -> Scorer | None:
    settings, graph = fitting.config.user_side, fitting.graph
    if not settings.enabled or _too_many("user side", graph.num_users, settings.max_users):
        return None
    with (
        fitting.timed("user_side"),
        progress_bar("user side: search", None, enabled=fitting.progress) as advance,
    ):
        found = fitting.chosen(
            "user_side",
            lambda: search_user_side(
                graph,
                seed=fitting.config.seed,
                temporal=fitting.choices.temporal,
                budget=fitting.budget,
            ),
        )
        advance(f"solve for {graph.num_users:,} users")
        return UserSide.fit(fitting.history, found.ridge, item_exponent=found.item_exponent)


def fit_factors_part(fitting: Fitting) -> Scorer | None:
    """Fits the matrix factorisation; None if the settings want none."""
    settings, seed = fitting.config.factors, fitting.config.seed
    if not settings.enabled:
        return None
    with (
        fitting.timed("factors"),
        progress_bar("factors: search", None, enabled=fitting.progress) as advance,
    ):
        found = fitting.chosen(
            "factors",
            lambda: search_factors(
                fitting.graph,
                settings,
                seed=seed,
                temporal=fitting.choices.temporal,
                budget=fitting.budget,
                on_trial=advance,
            ),
        )
        return fit_factors(fitting.history, settings, found, seed, advance)


def _directed(fitting: Fitting) -> Scorer | None:
    settings, graph = fitting.config.directed, fitting.graph
    if not settings.enabled or not fitting.choices.temporal or fitting.ranks is None:
        return None
    if _too_many("directed ridge", graph.num_items, fitting.config.closed_form.max_items):
        return None
    with (
        fitting.timed("directed"),
        progress_bar("directed ridge: search", None, enabled=fitting.progress) as advance,
    ):
        closed = fitting.choices.closed_form
        exponent = 0.0 if closed is None else closed.refinements.user_exponent
        found = fitting.chosen(
            "directed",
            lambda: search_directed(
                graph, exponent, seed=fitting.config.seed, budget=fitting.budget, on_trial=advance
            ),
        )
        advance(f"solve for {graph.num_items:,} items")
        return DirectedRidge.fit(
            fitting.history,
            fitting.ranks,
            found.ridge,
            bandwidth=found.bandwidth,
            recency=found.recency,
            user_weight=user_weights(fitting.history.lengths, exponent),
        )


def _too_many(part: str, count: int, most: int) -> bool:
    if count > most:
        logger.info("no %s: %d of them, at most %d", part, count, most)
    return count > most
