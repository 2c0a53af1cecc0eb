"""The behaviours of the settings, in the order and under the names that the view uses."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kgrec.config import Behaviour, DataConfig
from kgrec.data.journal.events import Events
from kgrec.data.view.findings import SOURCE, note
from kgrec.data.view.pairs import Mask
from kgrec.errors import ConfigError, DataError
from kgrec.schema import DISLIKED, EdgeKey, NodeLabel, Role, relation_type

#: Name of the edges of targets that were rated too low.
DISLIKED_NAME = "disliked"


@dataclass(frozen=True)
class Behaviours:
    """Behaviours by position, as in the settings.

    Attributes:
        names: Of the settings.
        rules: What the settings say of each.
        nontargets: Position, name, edge set and role of each that is no target.
        settings: Where each has its `min_rating`, for messages.
    """

    names: tuple[str, ...]
    rules: tuple[Behaviour, ...]
    nontargets: tuple[tuple[int, str, EdgeKey, Role], ...]
    settings: tuple[str, ...]

    @classmethod
    def of(cls, config: DataConfig) -> "Behaviours":
        """Reads them off the settings.

        Raises:
            ConfigError: If two behaviours would have edges of one type.
            SchemaError: If a behaviour's name gives no relationship type.
        """
        rules = config.all_behaviours()
        name_of = {DISLIKED: DISLIKED_NAME}
        nontargets = []
        for position, (name, rule) in enumerate(rules.items()):
            if rule.role == "target":
                continue
            kind = relation_type(name)
            if kind in name_of:
                raise ConfigError(
                    f"data.behaviours.{name}: its edges would be {kind}, as are those of "
                    f"{name_of[kind]!r}; give it another name, and its own under values"
                )
            name_of[kind] = name
            key = EdgeKey(kind, NodeLabel.USER, NodeLabel.ITEM)
            nontargets.append((position, name, key, Role(rule.role)))
        return cls(
            tuple(rules),
            tuple(rules.values()),
            tuple(nontargets),
            tuple(
                f"data.behaviours.{name}.min_rating" if config.behaviours else "data.min_rating"
                for name in rules
            ),
        )

    @property
    def targets(self) -> Mask:
        """Which of them are targets, (behaviours,)."""
        return np.array([rule.role == "target" for rule in self.rules], dtype=np.bool_)

    @property
    def has_dislikes(self) -> bool:
        """Whether a target rated too low is a dislike."""
        return any(r.role == "target" and r.min_rating is not None for r in self.rules)

    def count(self, events: Events) -> list[int]:
        """Counts the events of each, and reports those that the settings do not name."""
        counts = np.bincount(events.behaviour, minlength=len(events.behaviours)).tolist()
        count_of = dict(zip(events.behaviours, counts, strict=True))
        for name in sorted(count_of.keys() - set(self.names)):
            note(SOURCE, "unknown behaviour", count_of[name], [name])
        return [count_of.get(name, 0) for name in self.names]

    def renumber(self, events: Events) -> Events:
        """Numbers the events' behaviours as here, without those that the settings do not name."""
        places = {name: position for position, name in enumerate(self.names)}
        position = np.array([places.get(name, -1) for name in events.behaviours], dtype=np.int16)
        events = replace(events, behaviour=position[events.behaviour], behaviours=self.names)
        unknown = events.behaviour < 0
        return events.take(~unknown) if unknown.any() else events


@dataclass
class Ratings:
    """What ratings were met, to see whether `min_rating` can be held against them.

    Attributes:
        behaviours: With their `min_rating`.
        pairs: Folded pairs, int64 (behaviours,).
        highest: Their highest rating, float64; -inf without any.
    """

    behaviours: Behaviours
    pairs: npt.NDArray[np.int64]
    highest: npt.NDArray[np.float64]

    @classmethod
    def none(cls, behaviours: Behaviours) -> "Ratings":
        """None met so far."""
        size = len(behaviours.names)
        return cls(behaviours, np.zeros(size, dtype=np.int64), np.full(size, -np.inf))

    def see(self, position: int, rating: npt.NDArray[np.float64]) -> None:
        """Takes note of the ratings (n,) of pairs of a behaviour."""
        self.pairs[position] += len(rating)
        highest = np.fmax.reduce(rating, initial=-np.inf)  # of those that there are
        self.highest[position] = max(self.highest[position], highest)

    def plus(self, other: "Ratings") -> "Ratings":
        """Gives what both have met."""
        return Ratings(
            self.behaviours,
            self.pairs + other.pairs,
            np.maximum(self.highest, other.highest),
        )

    def check(self) -> None:
        """Refuses a `min_rating` that nothing can be or is held against.

        Raises:
            ConfigError: If a behaviour has one, but no event of it a rating.
            DataError: If no rating reaches it.
        """
        for position, rule in enumerate(self.behaviours.rules):
            least, setting = rule.min_rating, self.behaviours.settings[position]
            if least is None or not self.pairs[position]:
                continue
            if self.highest[position] == -np.inf:
                raise ConfigError(
                    f"{setting} = {least:g} needs ratings, but none of the "
                    f"{self.pairs[position]:,} interactions {self.behaviours.names[position]!r} "
                    f"has one; give a column 'rating' or remove min_rating"
                )
            if self.highest[position] < least:
                raise DataError(
                    f"no interaction {self.behaviours.names[position]!r} is rated {least:g} or "
                    f"higher (the highest is {self.highest[position]:g}); lower {setting}"
                )
