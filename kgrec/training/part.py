"""What a part of the fusion says of itself: its settings, their search, and how it is fitted."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from kgrec import registry
from kgrec.config.base import PartConfig
from kgrec.errors import ConfigError
from kgrec.progress import Advance, progress_bar

if TYPE_CHECKING:
    from kgrec.config import Config
    from kgrec.model.incidence import Incidence
    from kgrec.model.scorer import Scorer
    from kgrec.training.fitting import Fitting


class Part(ABC):
    """One of the scorers that a fusion adds up.

    A part's file holds its section of the settings and this; it imports what is heavy only where it
    fits, as settings are read without torch. docs/extending.md has a whole one.

    Attributes:
        name: In the fusion, the record, and of the section of the settings.
        title: In words.
        section: Its settings that a person may set; None if there are none.
        settings_type: Dataclass of the settings that it searches; None if it searches none.
        default_weight: In the fusion, where no valid split can weigh the parts.
        shared_scale: Whether the size of its scores tells users apart: they are small for a user of
            whom little is known, so all users' share one standard deviation in the fusion.
        reads_relations: Whether relations of the graph change its scores.
        has_trial: Whether it is tried on a sample of users before it is searched and fitted, and
            left out where valid is as good without.
        needs_times: Whether it is fitted only where every interaction has a time and what is
            predicted comes after what is known.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    section: ClassVar[type[PartConfig] | None] = None
    default_weight: ClassVar[float] = 1.0
    shared_scale: ClassVar[bool] = False
    reads_relations: ClassVar[bool] = False
    needs_times: ClassVar[bool] = False
    has_trial: ClassVar[bool] = False
    settings_type: ClassVar[Any] = None

    def is_enabled(self, config: "Config") -> bool:
        """Whether the settings ask for it."""
        return self.section is None or self.section.of(config).enabled

    def applies(self, fitting: "Fitting") -> bool:
        """Whether the data allow it; a part that is too large for them says so and stays out."""
        del fitting
        return True

    def search(self, fitting: "Fitting", advance: Advance) -> Any:
        """Finds its settings on train alone, an instance of `settings_type`; else its defaults."""
        del fitting, advance
        return None if self.settings_type is None else self.settings_type()

    @abstractmethod
    def fit(self, fitting: "Fitting", settings: Any, advance: Advance) -> "Scorer":
        """Fits it on the training interactions.

        Args:
            fitting: Graph, settings, what was fitted before.
            settings: What `search` found, now or in an earlier attempt; None if it has none.
            advance: Moves the bar and says what is done.
        """

    def trial_fit(self, fitting: "Fitting", history: "Incidence") -> "Scorer":
        """Fits it quickly, with default settings, for an early look at the fusion.

        Only parts with `has_trial` are asked.

        Args:
            fitting: Graph and settings.
            history: Of a sample of the users, over all items.
        """
        del fitting
        raise ConfigError(
            f"part {self.name} cannot be tried on {history.num_rows} users; expected a method "
            f"trial_fit, as has_trial is true; write one, or set has_trial to False"
        )

    def run(self, fitting: "Fitting") -> "Scorer":
        """Searches, unless that was done before, and fits.

        Raises:
            PartFailed: If the part is not kgrec's own, and fails or fits what is no scorer.
        """
        from kgrec.training.own_parts import check_scorer, failures_of

        with (
            fitting.timed(self.name),
            progress_bar(f"{self.title}: search", None, enabled=fitting.progress) as advance,
        ):
            settings = None
            if self.settings_type is not None:
                with failures_of(self, "search"):
                    settings = fitting.search_once(
                        self.name, self.settings_type, lambda: self.search(fitting, advance)
                    )
            with failures_of(self, "fit"):
                scorer = self.fit(fitting, settings, advance)
            if not registry.is_built_in(self.name):
                check_scorer(self, scorer, fitting, saved=fitting.work is not None)
            return scorer


def register_part(part: Part) -> None:
    """Makes a part of one's own take part in every training from now on, with its settings.

    Registered again, as when a notebook's cell is run twice, it replaces the part of its name.

    Raises:
        ConfigError: If its name is that of one of kgrec's parts or of another section, or its
            section has another name.
    """
    from kgrec.config import Config

    if registry.is_built_in(part.name):
        raise ConfigError(
            f"kgrec has a part called {part.name!r}; expected another name; rename the part, and "
            f"turn kgrec's off where yours stands in for it"
        )
    if part.section is not None:
        if part.section.section != part.name:
            raise ConfigError(
                f"part {part.name!r} has the section {part.section.section!r}; expected the same "
                f"name; set `section` of {part.section.__name__}"
            )
        Config.add_section(part.name, part.section)
    registry.add(part)


def all_parts() -> list[Part]:
    """Gives the parts of the registry, in their order."""
    return registry.parts()


def part_of(name: str) -> Part:
    """Gives a part by its name; raises KeyError if there is none."""
    part: Part = registry.part(name)
    return part


def fit_part(fitting: "Fitting", part: Part) -> "Scorer | None":
    """Fits a part; None if the settings do not ask for it or the data do not allow it."""
    return part.run(fitting) if _can_be_fitted(fitting, part) else None


def _can_be_fitted(fitting: "Fitting", part: Part) -> bool:
    from kgrec.training.own_parts import failures_of

    has_times = fitting.choices.temporal and fitting.ranks is not None
    if not part.is_enabled(fitting.config) or (part.needs_times and not has_times):
        return False
    with failures_of(part, "applies"):
        return part.applies(fitting)


def fit_parts(fitting: "Fitting") -> "dict[str, Scorer]":
    """Fits every part that the settings ask for and the data allow, by name.

    Where an early look at the fusion can be had, those with a trial come last, but for those that
    it leaves out. Popularity stands in where nothing else can be fitted.
    """
    from kgrec.training.early_look import can_look, parts_to_leave_out

    choices = fitting.choices
    parts = [part for part in all_parts() if _can_be_fitted(fitting, part)]
    looks = choices.left_out is None and can_look(fitting)
    trials = [part for part in parts if part.has_trial and looks]
    for part in parts:
        if part not in trials and part.name not in (choices.left_out or ()):
            fitting.parts[part.name] = part.run(fitting)
    if looks:
        with fitting.timed("early_look"):
            choices.left_out = parts_to_leave_out(fitting, trials)
        fitting.record.left_out = choices.left_out
    for part in trials:
        if part.name not in (choices.left_out or ()):
            fitting.parts[part.name] = part.run(fitting)
    if not fitting.parts:
        popularity = part_of("popularity")
        fitting.parts[popularity.name] = popularity.run(fitting)
    # A fusion is climbed part by part, so their order is the registry's, not that of their fits.
    order = [part.name for part in all_parts() if part.name in fitting.parts]
    fits = {name: fitting.parts.pop(name) for name in order}
    fitting.parts.update(fits)
    return fitting.parts
