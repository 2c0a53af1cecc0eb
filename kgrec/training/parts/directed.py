"""The directed ridge as a part: what users did next, where times decide."""

import logging
from typing import TYPE_CHECKING, ClassVar

from kgrec.config.base import PartConfig
from kgrec.progress import Advance
from kgrec.training.part import Part
from kgrec.training.parts.closed_form import ClosedFormConfig

if TYPE_CHECKING:
    from kgrec.model.scorer import Scorer
    from kgrec.training.fitting import Fitting
    from kgrec.training.side_searches import DirectedSettings

logger = logging.getLogger(__name__)


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
    shared_scale = True
    needs_times = True

    @property
    def settings_type(self) -> type:
        """Ridge, bandwidth and recency."""
        from kgrec.training.side_searches import DirectedSettings

        return DirectedSettings

    def applies(self, fitting: "Fitting") -> bool:
        """Whether there are few enough items for a dense inverse."""
        count, most = fitting.graph.num_items, ClosedFormConfig.of(fitting.config).max_items
        if count > most:
            logger.info("no directed ridge: %d items, at most %d", count, most)
        return count <= most

    def search(self, fitting: "Fitting", advance: Advance) -> "DirectedSettings":
        """Climbs on an inner split by time."""
        from kgrec.training.side_searches import search_directed

        return search_directed(
            fitting.graph,
            _user_exponent(fitting),
            seed=fitting.config.seed,
            budget=fitting.budget,
            on_trial=advance,
        )

    def fit(self, fitting: "Fitting", settings: "DirectedSettings", advance: Advance) -> "Scorer":
        """Solves for all items."""
        from kgrec.model.directed import DirectedRidge
        from kgrec.model.gram import user_weights

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


PART = DirectedPart()
