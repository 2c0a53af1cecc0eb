"""Weighted matrix factorisation as a part."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from kgrec.config.base import PartConfig
from kgrec.progress import Advance
from kgrec.training.climbing import Axis, ladder, setting
from kgrec.training.part import Part

if TYPE_CHECKING:
    from kgrec.graph.data import GraphData
    from kgrec.model.incidence import Incidence
    from kgrec.model.scorer import Scorer
    from kgrec.training.climbing import Budget
    from kgrec.training.fitting import Fitting

_RIDGES, _UNOBSERVED = (5.0, 1.5, 15.0, 50.0), (0.2, 0.05, 0.6)


@dataclass(frozen=True)
class FactorsSettings:
    """Settings of `WeightedMF`, and their NDCG@20 on an inner split; None if not searched."""

    ridge: float = 5.0
    unobserved: float = 0.2
    inner_ndcg: float | None = None


class FactorsConfig(PartConfig):
    """Weighted matrix factorisation, by alternating least squares.

    Attributes:
        enabled: Whether it is a part of the fusion.
        dimensions: Numbers a user, and an item.
        iterations: How often users, then items are solved.
    """

    section: ClassVar[str] = "factors"

    dimensions: int = Field(64, ge=1)
    iterations: int = Field(12, ge=1)


class FactorsPart(Part):
    """See `kgrec.model.wmf.WeightedMF`."""

    name, title = "factors", "factors"
    section = FactorsConfig
    settings_type = FactorsSettings
    has_trial = True

    def search(self, fitting: "Fitting", advance: Advance) -> FactorsSettings:
        """Tries ridges, then what unobserved items count, as for the user side."""
        return search_factors(
            fitting.graph,
            FactorsConfig.of(fitting.config),
            seed=fitting.config.seed,
            temporal=fitting.choices.temporal,
            budget=fitting.budget,
            on_trial=advance,
        )

    def trial_fit(self, fitting: "Fitting", history: "Incidence") -> "Scorer":
        """Factorises the interactions of the sample."""
        config, seed = FactorsConfig.of(fitting.config), fitting.config.seed
        return fit_factors(history, config, FactorsSettings(), seed)

    def fit(self, fitting: "Fitting", settings: FactorsSettings, advance: Advance) -> "Scorer":
        """Alternates between users and items."""
        config = FactorsConfig.of(fitting.config)
        return fit_factors(fitting.history, config, settings, fitting.config.seed, advance)


def search_factors(
    graph: "GraphData",
    config: FactorsConfig,
    *,
    seed: int,
    temporal: bool,
    budget: "Budget",
    on_trial: Advance = lambda _: None,
) -> FactorsSettings:
    """Chooses ridge, then what unobserved items count, as `search_user_side` does.

    Args:
        graph: The graph; only its train interactions are read.
        config: Dimensions and iterations.
        seed: Of the inner split and of the first factors.
        temporal: Whether the latest are held out.
        budget: A wall limit, where there is one.
        on_trial: Is told what is tried.
    """
    from kgrec.training.inner_split import history_of, most_active_inner, search_on

    inner = most_active_inner(graph, seed, temporal=temporal)
    history = history_of(inner)

    def fit(settings: FactorsSettings) -> "Scorer":
        on_trial(f"{settings.ridge:g}, {settings.unobserved:g}")
        return fit_factors(history, config, settings, seed)

    axes: list[Axis[FactorsSettings]] = [
        ladder(setting("ridge"), _RIDGES),
        ladder(setting("unobserved"), _UNOBSERVED),
    ]
    return search_on(inner, FactorsSettings(), axes, fit, budget)


def fit_factors(
    history: "Incidence",
    config: FactorsConfig,
    settings: FactorsSettings,
    seed: int,
    on_iteration: Advance = lambda _: None,
) -> "Scorer":
    """Factorises with searched settings; arguments as of `WeightedMF.fit`."""
    from kgrec.model.wmf import WeightedMF

    return WeightedMF.fit(
        history,
        factors=config.dimensions,
        unobserved=settings.unobserved,
        ridge=settings.ridge,
        iterations=config.iterations,
        seed=seed,
        on_iteration=on_iteration,
    )


PART = FactorsPart()
