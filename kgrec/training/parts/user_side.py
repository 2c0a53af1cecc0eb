"""The closed form seen from the other side, as a part."""

import logging
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from kgrec.config.base import PartConfig
from kgrec.progress import Advance
from kgrec.training.part import Part

if TYPE_CHECKING:
    from kgrec.model.incidence import Incidence
    from kgrec.model.scorer import Scorer
    from kgrec.training.fitting import Fitting
    from kgrec.training.side_searches import UserSideSettings

logger = logging.getLogger(__name__)


class UserSideConfig(PartConfig):
    """The closed form seen from the other side, users explained by users.

    Attributes:
        enabled: Whether it is a part of the fusion.
        max_users: Not with more users (its inverse is dense).
    """

    section: ClassVar[str] = "user_side"

    max_users: int = Field(20_000, ge=1)


class UserSidePart(Part):
    """See `kgrec.model.user_side.UserSide`."""

    name, title = "user_side", "user side"
    section = UserSideConfig
    shared_scale = True
    has_trial = True

    @property
    def settings_type(self) -> type:
        """Ridge and item exponent."""
        from kgrec.training.side_searches import UserSideSettings

        return UserSideSettings

    def applies(self, fitting: "Fitting") -> bool:
        """Whether there are few enough users."""
        count, most = fitting.graph.num_users, UserSideConfig.of(fitting.config).max_users
        if count > most:
            logger.info("no user side: %d users, at most %d", count, most)
        return count <= most

    def search(self, fitting: "Fitting", advance: Advance) -> "UserSideSettings":  # noqa: ARG002
        """Tries ridges, then exponents, on the most active users and most popular items."""
        from kgrec.training.side_searches import search_user_side

        return search_user_side(
            fitting.graph,
            seed=fitting.config.seed,
            temporal=fitting.choices.temporal,
            budget=fitting.budget,
        )

    def trial_fit(self, fitting: "Fitting", history: "Incidence") -> "Scorer":  # noqa: ARG002
        """Explains the users of the sample by each other."""
        from kgrec.model.user_side import UserSide
        from kgrec.training.side_searches import UserSideSettings

        settings = UserSideSettings()
        return UserSide.fit(history, settings.ridge, item_exponent=settings.item_exponent)

    def fit(self, fitting: "Fitting", settings: "UserSideSettings", advance: Advance) -> "Scorer":
        """Solves for all users."""
        from kgrec.model.user_side import UserSide

        advance(f"solve for {fitting.graph.num_users:,} users")
        return UserSide.fit(fitting.history, settings.ridge, item_exponent=settings.item_exponent)


PART = UserSidePart()
