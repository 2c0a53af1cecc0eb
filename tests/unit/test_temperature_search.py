"""The temperature is found by going one way along a ladder."""

from kgrec.training.climbing import Budget
from kgrec.training.networks import TemperatureSettings, search_temperature


def search(best: float, budget: Budget | None = None) -> tuple[TemperatureSettings, list[float]]:
    asked: list[float] = []

    def judge(temperature: float) -> float:
        asked.append(temperature)
        return -abs(temperature - best)

    return search_temperature(judge, budget or Budget(None)), asked


def test_it_goes_down_while_that_helps_and_then_does_not_go_up() -> None:
    found, asked = search(0.1)
    assert found.temperature == 0.1
    assert asked == [0.2, 0.14, 0.1, 0.07]
    assert list(found.tried) == ["0.2", "0.14", "0.1", "0.07"]
    assert found.tried["0.1"] == 0.0


def test_it_goes_up_where_down_does_not_help() -> None:
    found, asked = search(0.28)
    assert found.temperature == 0.28
    assert asked == [0.2, 0.14, 0.28, 0.4]


def test_it_ends_where_the_ladder_does() -> None:
    assert search(0.0)[0].temperature == 0.05
    assert search(9.0)[0].temperature == 0.4


def test_without_time_the_default_stays() -> None:
    found, asked = search(0.1, Budget(0.0))
    assert found == TemperatureSettings(0.2, {})
    assert asked == []
