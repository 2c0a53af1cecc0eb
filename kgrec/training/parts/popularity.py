"""Log popularity as a part: the term that all other scores lack."""

from typing import TYPE_CHECKING, Any

from kgrec.progress import Advance
from kgrec.training.part import Part

if TYPE_CHECKING:
    from kgrec.config import Config
    from kgrec.model.scorer import Scorer
    from kgrec.training.fitting import Fitting


class PopularityPart(Part):
    """See `kgrec.model.popularity.Popularity`; `fusion.popularity` turns it on."""

    name, title = "popularity", "popularity"
    default_weight = 0.1

    def is_enabled(self, config: "Config") -> bool:
        """Whether log popularity takes part."""
        return config.fusion.popularity

    def fit(self, fitting: "Fitting", settings: Any, advance: Advance) -> "Scorer":  # noqa: ARG002
        """Counts the users of each item."""
        from kgrec.model.popularity import Popularity

        return Popularity(fitting.history)


PART = PopularityPart()
