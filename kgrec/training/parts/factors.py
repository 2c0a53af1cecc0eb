"""Weighted matrix factorisation as a part."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from kgrec.config.base import PartConfig
from kgrec.progress import Advance
from kgrec.training.part import Part

if TYPE_CHECKING:
    from kgrec.model.incidence import Incidence
    from kgrec.model.scorer import Scorer
    from kgrec.training.fitting import Fitting
    from kgrec.training.side_searches import FactorsSettings


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
    has_trial = True

    @property
    def settings_type(self) -> type:
        """Ridge, and what unobserved items count."""
        from kgrec.training.side_searches import FactorsSettings

        return FactorsSettings

    def search(self, fitting: "Fitting", advance: Advance) -> "FactorsSettings":
        """Tries ridges, then what unobserved items count, as for the user side."""
        from kgrec.training.side_searches import search_factors

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
        from kgrec.training.side_searches import FactorsSettings, fit_factors

        config, seed = FactorsConfig.of(fitting.config), fitting.config.seed
        return fit_factors(history, config, FactorsSettings(), seed)

    def fit(self, fitting: "Fitting", settings: "FactorsSettings", advance: Advance) -> "Scorer":
        """Alternates between users and items."""
        from kgrec.training.side_searches import fit_factors

        config = FactorsConfig.of(fitting.config)
        return fit_factors(fitting.history, config, settings, fitting.config.seed, advance)


PART = FactorsPart()
