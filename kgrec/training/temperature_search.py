"""Finds the temperature of the network's cosines by short trainings."""

from collections.abc import Callable
from dataclasses import dataclass, field

from kgrec.training.budget import Budget
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
        budget: How long it may take.
    """
    if budget.is_spent():
        return TemperatureSettings()
    place = _LADDER.index(DEFAULT_TEMPERATURE)
    value = judge(DEFAULT_TEMPERATURE)
    tried = {str(DEFAULT_TEMPERATURE): value}
    for step in (-1, 1):
        while 0 <= place + step < len(_LADDER) and not budget.is_spent():
            found = tried[str(_LADDER[place + step])] = judge(_LADDER[place + step])
            if found <= value:
                break
            place, value = place + step, found
        if _LADDER[place] < DEFAULT_TEMPERATURE:
            break  # what is above was left behind
    return TemperatureSettings(_LADDER[place], tried)
