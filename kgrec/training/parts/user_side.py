"""The closed form seen from the other side, as a part."""

import logging
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

logger = logging.getLogger(__name__)

_RIDGES, _ITEM_EXPONENTS = (100.0, 200.0, 400.0, 50.0, 800.0), (0.3, 0.0, 0.6)


@dataclass(frozen=True)
class UserSideSettings:
    """Settings of `UserSide`, and their NDCG@20 on an inner split; None if not searched."""

    ridge: float = 200.0
    item_exponent: float = 0.3
    inner_ndcg: float | None = None


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
    settings_type = UserSideSettings
    shared_scale = True
    has_trial = True

    def applies(self, fitting: "Fitting") -> bool:
        """Whether there are few enough users."""
        count, most = fitting.graph.num_users, UserSideConfig.of(fitting.config).max_users
        if count > most:
            logger.info("no user side: %d users, at most %d", count, most)
        return count <= most

    def search(self, fitting: "Fitting", advance: Advance) -> UserSideSettings:  # noqa: ARG002
        """Tries ridges, then exponents, on the most active users and most popular items."""
        return search_user_side(
            fitting.graph,
            seed=fitting.config.seed,
            temporal=fitting.choices.temporal,
            budget=fitting.budget,
        )

    def trial_fit(self, fitting: "Fitting", history: "Incidence") -> "Scorer":  # noqa: ARG002
        """Explains the users of the sample by each other."""
        return _solve(history, UserSideSettings())

    def fit(self, fitting: "Fitting", settings: UserSideSettings, advance: Advance) -> "Scorer":
        """Solves for all users."""
        advance(f"solve for {fitting.graph.num_users:,} users")
        return _solve(fitting.history, settings)


def search_user_side(
    graph: "GraphData", *, seed: int, temporal: bool, budget: "Budget"
) -> UserSideSettings:
    """Chooses ridge, then item exponent, on the most active users and most popular items.

    Args:
        graph: The graph; only its train interactions are read.
        seed: Of the inner split.
        temporal: Whether the latest are held out.
        budget: A wall limit, where there is one.
    """
    from kgrec.training.inner_split import history_of, most_active_inner, search_on

    inner = most_active_inner(graph, seed, temporal=temporal)
    history = history_of(inner)
    axes: list[Axis[UserSideSettings]] = [
        ladder(setting("ridge"), _RIDGES),
        ladder(setting("item_exponent"), _ITEM_EXPONENTS),
    ]
    return search_on(inner, UserSideSettings(), axes, lambda s: _solve(history, s), budget)


def _solve(history: "Incidence", settings: UserSideSettings) -> "Scorer":
    from kgrec.model.user_side import UserSide

    return UserSide.fit(history, settings.ridge, item_exponent=settings.item_exponent)


PART = UserSidePart()
