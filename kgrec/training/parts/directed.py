"""The directed ridge as a part: what users did next, where times decide."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from kgrec.config.base import PartConfig
from kgrec.progress import Advance
from kgrec.training.climbing import Axis, line, scaled
from kgrec.training.part import Part
from kgrec.training.parts.closed_form import ClosedFormConfig

if TYPE_CHECKING:
    from kgrec.graph.data import GraphData
    from kgrec.model.scorer import Scorer
    from kgrec.training.climbing import Budget
    from kgrec.training.fitting import Fitting

logger = logging.getLogger(__name__)

#: By what the settings are multiplied or divided as long as it helps, then finer.
_FACTORS = (3.0, 1.5)


@dataclass(frozen=True)
class DirectedSettings:
    """Settings of `DirectedRidge`, and their NDCG@20 on an inner split; None if not searched."""

    ridge: float = 300.0
    bandwidth: float = 15.0
    recency: float = 15.0
    inner_ndcg: float | None = None


class DirectedConfig(PartConfig):
    """A ridge regression from what users did to what they did next; where valid comes after train.

    Attributes:
        enabled: Whether it is a part of the fusion.
    """

    section: ClassVar[str] = "directed"


class DirectedPart(Part):
    """See `kgrec.model.directed.DirectedRidge`."""

    name, title = "directed", "directed ridge"
    section = DirectedConfig
    settings_type = DirectedSettings
    shared_scale = True
    needs_times = True

    def applies(self, fitting: "Fitting") -> bool:
        """Whether there are few enough items for a dense inverse."""
        count, most = fitting.graph.num_items, ClosedFormConfig.of(fitting.config).max_items
        if count > most:
            logger.info("no directed ridge: %d items, at most %d", count, most)
        return count <= most

    def search(self, fitting: "Fitting", advance: Advance) -> DirectedSettings:
        """Climbs on an inner split by time."""
        return search_directed(
            fitting.graph,
            _user_exponent(fitting),
            seed=fitting.config.seed,
            budget=fitting.budget,
            on_trial=advance,
        )

    def fit(self, fitting: "Fitting", settings: DirectedSettings, advance: Advance) -> "Scorer":
        """Solves for all items."""
        from kgrec.model.directed import DirectedRidge
        from kgrec.model.incidence import user_weights

        assert fitting.ranks is not None
        advance(f"solve for {fitting.graph.num_items:,} items")
        return DirectedRidge.fit(
            fitting.history,
            fitting.ranks,
            settings.ridge,
            bandwidth=settings.bandwidth,
            recency=settings.recency,
            user_weight=user_weights(fitting.history.lengths, _user_exponent(fitting)),
        )


def _user_exponent(fitting: "Fitting") -> float:
    """Users weigh as in the closed form."""
    from kgrec.training.closed_form_search import ClosedFormSettings

    closed = fitting.choices.get("closed_form", ClosedFormSettings)
    return 0.0 if closed is None else closed.refinements.user_exponent


def search_directed(
    graph: "GraphData",
    user_exponent: float,
    *,
    seed: int,
    budget: "Budget",
    on_trial: Advance = lambda _: None,
) -> DirectedSettings:
    """Climbs from the defaults, one setting after the other, each user's latest held out.

    Args:
        graph: The graph; only its train interactions are read.
        user_exponent: Users weigh as in `gram.user_weights`.
        seed: Of the inner split.
        budget: A wall limit, where there is one.
        on_trial: Is told what is tried.
    """
    from kgrec.model.directed import DirectedRidge
    from kgrec.model.incidence import user_weights
    from kgrec.training.inner_split import (
        MOST_ITEMS,
        history_of,
        inner_graph,
        inner_ranks,
        search_on,
    )

    inner, _ = inner_graph(graph, (), MOST_ITEMS, seed, temporal=True)
    history = history_of(inner)
    ranks = inner_ranks(inner.train, history)
    if ranks is None:
        return DirectedSettings()
    weight = user_weights(history.lengths, user_exponent)

    def fit(settings: DirectedSettings) -> "Scorer":
        on_trial(f"{settings.ridge:g}, {settings.bandwidth:g}, {settings.recency:g}")
        return DirectedRidge.fit(
            history,
            ranks,
            settings.ridge,
            bandwidth=settings.bandwidth,
            recency=settings.recency,
            user_weight=weight,
        )

    axes: list[Axis[DirectedSettings]] = [
        line(scaled(name), (factor, 1 / factor))
        for factor in _FACTORS
        for name in ("recency", "ridge", "bandwidth")
    ]
    return search_on(inner, DirectedSettings(), axes, fit, budget, seed=seed)


PART = DirectedPart()
