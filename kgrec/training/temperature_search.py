"""Finds the temperature of the network's cosines by short trainings."""

from collections.abc import Callable
from dataclasses import dataclass, field

from kgrec.training.budget import Budget
from kgrec.training.climbing import climb, line
from kgrec.training.loop import DEFAULT_TEMPERATURE

#: The temperatures that are tried, about a factor √2 apart.
_LADDER = (0.05, 0.07, 0.1, 0.14, DEFAULT_TEMPERATURE, 0.28, 0.4)
#: Of a trial. After two the low ones, which learn faster, look best on every data set.
TRIAL_EPOCHS = 4


@dataclass(frozen=True)
class TemperatureSettings:
    """The network's temperature, and NDCG@20 on valid by what was tried; empty if not searched."""

    temperature: float = DEFAULT_TEMPERATURE
    tried: dict[str, float] = field(default_factory=dict)


def search_temperature(judge: Callable[[float], float], budget: Budget) -> TemperatureSettings:
    """Goes down the ladder from the default as long as that helps, or else up.

    It is not learned: the loss on train always prefers a lower one (docs/experiments.md).

    Args:
        judge: Trains a network for a few epochs with a temperature and gives its NDCG@20 on valid;
            0 if that training diverged.
        budget: A wall limit, where there is one.
    """
    if budget.is_spent():
        return TemperatureSettings()
    values: dict[str, float] = {}

    def remembered(place: int) -> float:
        value = values[str(_LADDER[place])] = judge(_LADDER[place])
        return value

    def rung(place: int, step: float) -> int | None:
        there = place + int(step)
        return there if 0 <= there < len(_LADDER) else None

    start = _LADDER.index(DEFAULT_TEMPERATURE)
    summit = climb(start, [line(rung, (-1, 1))], remembered, budget)
    return TemperatureSettings(_LADDER[summit.settings], values)
